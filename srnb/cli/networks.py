"""Using trained networks: upscale, evaluate, export."""

import errno
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
    """Enlarge each PHOTO, a file or a folder of files, to DIR/PHOTO_x4.png (the number is the model's scale).

    Large photographs are processed in tiles, one row of tiles in memory at a time; a network with attention needs the
    whole photograph, and reports how large it may be. Transparency, grey and 16 bits are kept. A line for each result
    says its path, its size and the model. Files that fail are listed at the end; the others are done all the same.

    \b
    srnb upscale photo.jpg                                                 with the network that ships
    srnb upscale photo.jpg --out large.png                                 to a file of this name
    srnb upscale holiday/*.jpg --model sample --out large                  with that of a run
    srnb upscale holiday/*.jpg --model compact-gan --blend 0.8 --out large      a little less invented texture
    """
    os.environ["KERAS_BACKEND"] = chosen_backend(backend)
    from srnb import models
    from srnb.evaluation import inference

    is_file = _is_file(out, photos)
    network, failures = _network(model, results) if blend is None else _blend(model, results, blend), []
    options = {"tile": tile, "ensemble": ensemble, "precision": precision}
    targets = [(photos[0], out)] if is_file else _targets(photos, out, models.scale(network), failures)
    name = _label(model) if blend is None else f"{_label(model)}, blend {blend:g}"
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
@click.option("--model", "names", multiple=True, metavar="NAME", help="As for upscale; give several to compare them.")
@click.option("--sets", default="sample", show_default=True, help="Comma separated: sample, Set5, …, or folders.")
@click.option("--metrics", metavar="NAMES", help="Comma separated.  [default: all but the slow ones]")
@click.option(
    "--scale", type=click.IntRange(2), help="How many times smaller LR is.  [default: that of the models, else 4]"
)
@click.option("--reference", default="bicubic", show_default=True, help="The model that the others are compared with.")
@click.option(
    "--degradation",
    metavar="NAME",
    help="Make LR from HR by bicubic, blur-bicubic, realesrgan or words, 'blur1 bicubic jpeg60'.  "
    "[default: a set's own LR, else bicubic]",
)
@click.option(
    "--degradation-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of a random degradation; that of a photograph also depends on its place in the list.",
)
@click.option("--grey", default="luma", show_default=True, help="How a grey file is read: as luma (MATLAB) or as rgb.")
@click.option("--ensemble", is_flag=True, help="Measure the average over eight flips and rotations.")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path, resolve_path=True),
    help="Write a CSV file, one row per picture and number.  [default: the means are shown, no file is written]",
)
@results_option
@backend_option
@plainly
def evaluate(
    names, sets, metrics, scale, reference, degradation, degradation_seed, grey, ensemble, out, results, backend
):
    """Measure models against bicubic on whole sets.

    Of sets that are divided, such as `sample` and DIV2K, the held-out photographs are measured; others are taken whole.
    Photographs that a network was trained on are refused, even if they were renamed, recompressed, resized or mirrored;
    of published files they are not known, and a line says so. Where there are published values for a set, they are
    shown beside the means. A model may also be a folder of pictures that another program has enlarged, called like the
    photographs: baby.png or baby_x4.png for baby.

    \b
    srnb evaluate --model sample --sets Set5,Set14
    srnb evaluate --model compact --model ~/results/SwinIR --sets Set5
    srnb evaluate --model sample --model other --sets ~/photographs --out rows.csv
    srnb evaluate --model sample --degradation realesrgan --degradation-seed 1
    """
    os.environ["KERAS_BACKEND"] = chosen_backend(backend)
    from functools import partial

    import pandas as pd

    from srnb import evaluation, files, progress
    from srnb.data import datasets, degrade, duplicates
    from srnb.evaluation import costs, inference

    if degradation:
        degrade.find(degradation)  # raises if there is none
    if out:
        _require_writable(out)
    sets, metrics, labels = _sets(sets), _metrics(metrics), _labels(names)
    if reference not in ("bicubic", *labels):
        raise ValueError(f"--reference must be one of {', '.join(('bicubic', *labels))}. Received: {reference}")
    folders = {label: Path(name).expanduser() for label, name in labels.items() if _holds_pictures(name, results)}
    networks = {label: _network(name, results) for label, name in labels.items() if label not in folders}
    scale = _scale(networks, scale)
    pairs = {name: datasets.pairs(name, scale=scale) for name in sets}
    if degradation:
        pairs = {name: [(hr, None) for hr, _ in photographs] for name, photographs in pairs.items()}
    trained = {label: {} if label in folders else _trained_on(name, results) for label, name in labels.items()}
    for label in [label for label, hashes in trained.items() if not hashes]:
        click.echo(
            f"{label}: no hashes of the photographs that it was trained on are recorded: overlap with the sets is not "
            "checked",
            err=True,
        )
    # two models may have been trained on different photographs of one name
    trained = {f"{label}/{path}": value for label, hashes in trained.items() for path, value in hashes.items()}
    if trained:
        tested = [path for photographs in pairs.values() for path, _ in photographs]
        duplicates.require_disjoint(trained, duplicates.decoded(tested))
    methods = {label: partial(inference.upscale, network, ensemble=ensemble) for label, network in networks.items()}
    tables = []
    for name, photographs in pairs.items():
        made = {"degradation": degradation or "bicubic", "seed": degradation_seed}
        given = {
            label: evaluation.enlarged_elsewhere(folder, photographs, scale=scale) for label, folder in folders.items()
        }
        scenes = evaluation.upscale_pairs(methods | given, photographs, scale=scale, **made)
        scenes = progress.track(scenes, name, total=len(photographs), unit="photographs")
        tables.append(evaluation.tabulate(scenes, dataset=name, metrics=metrics, grey=grey))
    table = pd.concat(tables)
    if degradation:
        table["protocol"] += f"; LR by {degradation}, seed {degradation_seed}"
    costed = costs.measure(networks, scale=scale, datasets=sets, ensemble=ensemble)
    table = pd.concat([table, costed], ignore_index=True)
    if ensemble:
        table.loc[table["model"].isin(list(networks)), "protocol"] += "; eightfold self-ensemble"
    if out:
        files.write_text(out, table.to_csv(index=False))
    click.echo(evaluation.readable(evaluation.summary(table)).T.to_string())
    if labels:
        click.echo(_differences(table, reference))
    published = evaluation.published_values(datasets=sets, scale=scale)
    published = evaluation.checked(published, table)
    if len(published) and degradation in (None, "bicubic"):
        shown = evaluation.marked(published).droplevel("protocol").to_string()
        click.echo(
            f"\nPublished values; those in parentheses were measured differently and cannot be compared\n{shown}"
        )
    if out:
        click.echo(f"\n{len(table)} rows, each with its protocol: {out}")


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
    """Write a generator for other programs; it takes pictures of any height and width, NHWC, RGB in [0, 1].

    \b
    srnb export --model sample --out sample.onnx
    srnb export --model sample --out sample.safetensors

    The latter is for `--model FILE` of this package: one file that carries its network and can be handed on.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the backend that can write all of them
    from srnb.evaluation import inference
    from srnb.models import export as exports
    from srnb.runner import chain

    form = form or exports.format_of(out)
    network, spec = inference.described(chain.network(model, results=results))
    hashes = _trained_on(model, results)
    folder = os.path.commonpath([Path(path).parent for path in hashes]) if hashes else ""
    hashes = {str(Path(path).relative_to(folder)): value for path, value in hashes.items()}  # not where its user lives
    exports.write(network, out, format=form, spec=spec, hashes=hashes)
    click.echo(out)


@main.command()
@click.argument("names", metavar="[MODEL]...", nargs=-1)
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where the page goes."
)
@click.option("--title", default="Enlarge your own photo", show_default=True, help="Heading of the page.")
@results_option
@plainly
def demo(names, out, title, results):
    """Write DIR/index.html, a page where anyone can enlarge pictures in the browser: one file, no server, no upload.

    MODEL is a network that ships or a run; the default is the networks that ship, as many as leave the page below 5 MB.
    A slider blends the two generators of a run, or a network and the one it was trained from.

    \b
    srnb demo --out site
    srnb demo compact compact-gan sample --out site
    """
    from srnb import runs, shipped
    from srnb.reports.web import choices, page
    from srnb.runner import chain

    known = shipped.names()
    if not names and not known:
        raise ValueError("srnb demo must be told a run, since no network ships. Received: no name")
    places = [chain.network(name, results=results) for name in names]
    entries = choices.of_shipped([place for place in places if place in known] if names else None)
    entries += [choices.of_run(runs.Run(place)) for place in places if place not in known]
    largest = None if names else page.LARGEST_DEMO
    click.echo(page.write(out, entries, title=title, lead="Drop a picture and see.", largest=largest))


def _holds_pictures(model, results):
    """Return whether a model is a folder of enlarged pictures, neither a network nor a run."""
    from srnb.runner import chain

    folder = Path(model).expanduser()
    if not folder.is_dir() or (folder / "run.json").exists():
        return False
    try:
        chain.network(model, results=results)
    except FileNotFoundError:
        return True
    return False


def _network(model, results):
    """Return the network of a name: one that ships, that of a run, or that of a weight file."""
    from srnb.evaluation import inference
    from srnb.runner import chain

    return inference.load(chain.network(model, results=results))


def _trained_on(model, results):
    """Return {path: perceptual hash} of the photographs that a network was trained on; {} if that is not known."""
    from srnb import models, runs, shipped
    from srnb.data import duplicates
    from srnb.runner import chain

    place = chain.network(model, results=results)
    if place in shipped.names():
        return shipped.hashes(place)
    if place.endswith(".safetensors") and (hashes := models.hashes_of(place)):
        return hashes
    run = runs.Run(place if Path(place).is_dir() else Path(place).parent.parent)
    data = run.read().get("data") or {}
    return data.get("hashes") or duplicates.hashes(duplicates.decoded(data.get("train", [])))


def _blend(model, results, share):
    """Return the blend of the two networks of a name: that at the start of its training and that at the end."""
    from srnb import models
    from srnb.evaluation import inference
    from srnb.runner import chain

    ends = inference.ends(chain.network(model, results=results))
    if len(ends) < 2:
        raise ValueError(
            "--blend must stand with a network that was trained from another, or a run, which has two generators. "
            f"Received: --model {model}"
        )
    return models.interpolate(*ends.values(), share)


def _label(model):
    """Return the name of a model in a table: its own, or run and stage of a weight file."""
    path = Path(model).absolute()
    if path.suffix in WHOLE or not path.is_file():
        return path.name
    return f"{path.parent.parent.name} {path.name.partition('.')[0]}"


def _labels(models):
    """Return {label: model} for the values of --model. Raises ValueError unless each has a label of its own."""
    labels = {}
    for model in models:
        label = _label(model)
        if label == "bicubic":
            raise ValueError(f"a model must not be called as the baseline, bicubic. Received: --model {model}")
        if label in labels:
            raise ValueError(
                "every --model must have a file or folder name of its own, by which tables call it. "
                f"Received: {labels[label]} and {model}, both {label}"
            )
        labels[label] = model
    return labels


def _sets(text):
    """Return the sets in the value of --sets. Raises ValueError if it names none, or one twice."""
    from srnb.data import datasets
    from srnb.runner import presets

    sets = {}
    for name in presets.listed(text):
        key = Path(name).expanduser().resolve() if datasets.is_path(name) else name
        if key in sets:
            raise ValueError(f"--sets must name every set once. Received: {sets[key]} and {name}")
        sets[key] = name
    if not sets:
        raise ValueError(f"--sets must name a set or a folder at least. Received: {text!r}")
    return list(sets.values())


def _metrics(text):
    """Return the metrics in the value of --metrics, by default those of `evaluation`. Raises ValueError."""
    from srnb.evaluation import DEFAULT_METRICS
    from srnb.evaluation import metrics as known
    from srnb.runner import presets

    if text is None:
        return DEFAULT_METRICS
    metrics = presets.listed(text)
    if not metrics or len(set(metrics)) < len(metrics):
        raise ValueError(f"--metrics must name one metric at least, and every one once. Received: {text!r}")
    for metric in metrics:
        known.require(metric)
    return metrics


def _scale(networks, asked):
    """Return the scale to measure networks (label -> network) at: `asked`, by default theirs, 4 without networks."""
    from srnb import models

    scales = {label: models.scale(network) for label, network in networks.items()}
    if asked is None and len(set(scales.values())) > 1:
        each = ", ".join(f"{label} x{scale}" for label, scale in scales.items())
        raise ValueError(f"models must enlarge by the same factor to be compared. Received: {each}")
    for label, scale in scales.items():
        if asked not in (None, scale):
            raise ValueError(f"--scale must be that of the model {label}. Received: {asked}, not {scale}")
    return asked or next(iter(scales.values()), 4)


def _differences(table, reference):
    """Return the differences of the models from `reference` as text, and a sentence for sets of too few photographs."""
    from srnb import evaluation
    from srnb.evaluation import certainty

    rows = evaluation.intervals(table, reference=reference).drop(columns="seeds")
    told = rows["images"].map(certainty.finest) <= 0.05
    parts = [
        f"\n{name}, {count} photograph{'s' if count != 1 else ''}: too few to tell a difference to {reference} from "
        "chance; it takes six for one number, ten for twenty"
        for name, count in rows[~told].groupby("dataset", sort=False)["images"].max().items()
    ]
    if told.any():
        parts.append(
            f"\nDifference to {reference}, 95 % interval over the photographs; p and verdict are Holm's for all rows "
            f"of a set\n{rows[told].to_string(index=False)}"
        )
    return "\n".join(parts)


def _require_writable(path):
    """Raise an OSError unless a file can be written to `path`, whose folder may be missing yet."""
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


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
