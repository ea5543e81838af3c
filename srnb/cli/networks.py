"""Using trained networks: upscale, export, demo."""

import os
import sys
from pathlib import Path

import click

from srnb.cli.command import backend_option, chosen_backend, main, plainly, results_option, sentence, stop_if_asked

WHOLE = (".pth", ".pt", ".safetensors")  # endings of files that are a network by themselves


@main.command()
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--model",
    default="compact-photo",
    show_default=True,
    metavar="NAME",
    help="A network that ships or a run (`srnb models` lists both), or a weight file, published ones included.",
)
@click.option(
    "--out",
    default=".",
    show_default=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where results go; FILE.png, if it is a single one.",
)
@click.option(
    "--tile", type=click.IntRange(16), help="Side of a tile in PHOTO's pixels.  [default: what free memory allows]"
)
@click.option(
    "--ensemble",
    is_flag=True,
    help="Average over eight flips and rotations: slightly more accurate, eight times slower.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="What the network computes in; auto: bfloat16 on a GPU and on a CPU that is faster so, else float32.",
)
@click.option(
    "--blend",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Blend two networks: 0 is the pretrained one, closest to the original; 1 is the GAN trained from it.",
)
@results_option
@backend_option
@plainly
def upscale(photos, model, out, tile, ensemble, precision, blend, results, backend):
    """Enlarge photographs.

    Each PHOTO, a file or a folder of files, becomes DIR/PHOTO_x4.png (the number is the model's scale). Large
    photographs are processed in tiles, one row of tiles in memory at a time; a network with attention needs the whole
    photograph, and reports how large it may be. Transparency, grey and 16 bits are kept. A line for each result says
    its path, its size and the model. Files that fail are listed at the end; the others are done all the same.

    \b
    srnb upscale photo.jpg                                  by compact-photo
    srnb upscale photo.jpg --out large.png                  to that file
    srnb upscale holiday/*.jpg --model sample --out large   by a run's network
    srnb upscale photo.jpg --model compact-gan --blend 0.8  less is invented
    """
    os.environ["KERAS_BACKEND"] = chosen_backend(backend)
    from srnb.runner import names

    is_file, place = _is_file(out, photos), names.network(model, results=results)
    from srnb import models  # a framework takes seconds to import: mistakes above are told at once
    from srnb.evaluation import inference

    network = inference.load(place) if blend is None else _blend(model, place, blend)
    options, failures = {"tile": tile, "ensemble": ensemble, "precision": precision}, []
    targets = [(photos[0], out)] if is_file else _targets(photos, out, models.scale(network), failures)
    name = label_of(model) if blend is None else f"{label_of(model)}, blend {blend:g}"
    for source, target in targets:
        try:
            with click.progressbar(length=1000, label=source.name, hidden=not sys.stdout.isatty()) as bar:

                def show(done, total, bar=bar):
                    stop_if_asked()
                    bar.update(1000 * done // total - bar.pos)

                width, height = inference.upscale_file(network, source, target, progress=show, **options)
        except (ValueError, OSError) as error:
            failures.append(sentence(error))
            continue
        click.echo(f"{target} · {width}x{height} · {name}")
    if failures:
        raise click.ClickException("\n  ".join([f"{len(failures)} not done:", *failures]))


@main.command()
@click.option("--model", required=True, metavar="NAME", help="As for upscale.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "saved_model", "litert", "safetensors"]),
    help="onnx needs the extra `export`: uv pip install tf2onnx onnx.  [default: by the end of --out]",
)
@click.option(
    "--out",
    required=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="….onnx, ….tflite (litert), ….safetensors, or a folder (saved_model).",
)
@results_option
@plainly
def export(model, form, out, results):
    """Write a generator for other programs.

    It takes pictures of any height and width, NHWC, RGB in [0, 1].

    \b
    srnb export --model sample --out sample.onnx
    srnb export --model sample --out sample.safetensors

    The latter is for `--model FILE` of this package: one file that carries its network and can be handed on.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the backend that can write all of them
    from srnb.evaluation import inference
    from srnb.models import export as exports
    from srnb.runner import names

    form = form or exports.format_of(out)
    network, spec = inference.described(names.network(model, results=results))
    hashes = trained_on(model, results)
    folder = os.path.commonpath([Path(path).parent for path in hashes]) if hashes else ""
    hashes = {str(Path(path).relative_to(folder)): value for path, value in hashes.items()}  # not where its user lives
    exports.write(network, out, format=form, spec=spec, hashes=hashes)
    click.echo(out)


@main.command()
@click.argument("chosen", metavar="[MODEL]...", nargs=-1)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where the page goes."
)
@click.option("--title", default="Enlarge your own photo", show_default=True, help="Heading of the page.")
@results_option
@plainly
def demo(chosen, out, title, results):
    """Write a page where anyone can enlarge pictures in the browser.

    DIR/index.html is one file that needs no server and uploads nothing.

    MODEL is a network that ships or a run; the default is the networks that ship, as many as leave the page below 5 MB.
    A slider blends the two generators of a run, or a network and the one it was trained from.

    \b
    srnb demo --out site
    srnb demo compact compact-gan sample --out site
    """
    from srnb import runs, shipped
    from srnb.reports.web import choices, page
    from srnb.runner import names

    known = shipped.names()
    if not chosen and not known:
        raise ValueError("srnb demo must be told a run, since no network ships. Received: no name")
    places = [names.network(name, results=results) for name in chosen]
    entries = choices.of_shipped([place for place in places if place in known] if chosen else None)
    entries += [choices.of_run(runs.Run(place)) for place in places if place not in known]
    largest = None if chosen else page.LARGEST_DEMO
    click.echo(page.write(out, entries, title=title, lead="Drop a picture and see.", largest=largest))


def trained_on(model, results):
    """Return {path: perceptual hash} of the photographs that a network was trained on; {} if that is not known."""
    from srnb import models, runs, shipped
    from srnb.data import duplicates
    from srnb.runner import names

    place = names.network(model, results=results)
    if place in shipped.names():
        return shipped.hashes(place)
    if place.endswith(".safetensors") and (hashes := models.hashes_of(place)):
        return hashes
    run = runs.Run(place if Path(place).is_dir() else Path(place).parent.parent)
    data = run.read().get("data") or {}
    return data.get("hashes") or duplicates.hashes(duplicates.decoded(data.get("train", [])))


def _blend(model, place, share):
    """Return the blend of the two networks of a model: that at the start of its training and that at the end."""
    from srnb import models
    from srnb.evaluation import inference

    ends = inference.ends(place)
    if len(ends) < 2:
        raise ValueError(
            "--blend must stand with a network that was trained from another, or a run, which has two generators. "
            f"Received: --model {model}"
        )
    return models.interpolate(*ends.values(), share)


def label_of(model):
    """Return the name of a model in a table: its own, or run and stage of a weight file."""
    path = Path(model).absolute()
    if path.suffix in WHOLE or not path.is_file():
        return path.name
    return f"{path.parent.parent.name} {path.name.partition('.')[0]}"


def _is_file(out, photos):
    """Return whether `out` is the file of a single photo, not a folder. Raises ValueError if it cannot be that."""
    from srnb.data import images

    if out.is_dir() or not (out.is_file() or out.suffix.lower() in images.SUFFIXES):
        return False
    own = out.exists() and photos[0].exists() and photos[0].samefile(out)
    if len(photos) > 1 or photos[0].is_dir() or own or out.suffix.lower() != ".png":
        raise ValueError(f"--out must be a folder, or a new .png file for a single photo. Received: {out}")
    return True


def _targets(photos, out, scale, failures):
    """Return [(file, target)] for files and folders of photos; what cannot be read or named goes to `failures`.

    Raises ValueError if a target is a photo itself, as the results of an earlier command in the same folder are.
    """
    from srnb.data import images

    targets = {}
    for photo in photos:
        try:
            photographs = images.find(photo) if photo.is_dir() else [photo]
        except (ValueError, OSError) as error:
            failures.append(sentence(error))
            continue
        for file in photographs:
            target = out / f"{file.stem}_x{scale}.png"
            if target in targets:
                failures.append(f"{file}: another photo of this name was written to {target}")
            else:
                targets[target] = file
    sources = {file.resolve() for file in targets.values()}
    if overwritten := [target for target in targets if target.resolve() in sources]:
        raise ValueError(
            "no PHOTO may be overwritten: name another folder by --out, or single files. "
            f"Received: {overwritten[0]}, which {targets[overwritten[0]]} would become"
        )
    return [(file, target) for target, file in targets.items()]
