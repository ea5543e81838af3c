"""Measuring models beside each other on whole sets: evaluate."""

import errno
import os
from pathlib import Path

import click

from srnb.cli.command import backend_option, chosen_backend, main, plainly, results_option
from srnb.cli.networks import label_of, trained_on


@main.command()
@click.option("--model", "chosen", multiple=True, metavar="NAME", help="As for upscale; give several to compare them.")
@click.option(
    "--sets", default="sample", show_default=True, metavar="NAMES", help="Comma separated: sample, Set5, …, or folders."
)
@click.option(
    "--metrics",
    metavar="NAMES",
    help="Comma separated.  [default: all but niqe, dists, lpips_vgg and those of rounded Y; without originals niqe "
    "and lr_consistency]",
)
@click.option(
    "--scale", type=click.IntRange(2), help="How many times smaller LR is.  [default: that of the models, else 4]"
)
@click.option(
    "--reference",
    default="bicubic",
    show_default=True,
    metavar="NAME",
    help="The model that the others are compared with.",
)
@click.option(
    "--degradation",
    metavar="NAME",
    help="Make LR from HR by bicubic, blur-bicubic, realesrgan or words, 'blur1 bicubic jpeg60'; none: the photographs "
    "are LR themselves.  [default: a set's own LR, else bicubic]",
)
@click.option(
    "--degradation-seed",
    default=0,
    show_default=True,
    type=click.IntRange(0),
    help="Seed of a random degradation; that of a photograph also depends on its place in the list.",
)
@click.option(
    "--grey",
    type=click.Choice(["luma", "rgb"]),
    default="luma",
    show_default=True,
    help="How a grey file is read: as luma, like MATLAB, or as rgb.",
)
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
    chosen, sets, metrics, scale, reference, degradation, degradation_seed, grey, ensemble, out, results, backend
):
    """Measure models against bicubic on whole sets.

    Of sets that are divided, such as `sample` and DIV2K, the held-out photographs are measured; others are taken whole.
    Photographs that a network was trained on are refused, even if they were renamed, recompressed, resized or mirrored;
    of published files they are not known, and a line says so. Where there are published values for a set, they are
    shown beside the means. A model may also be a folder of pictures that another program has enlarged, called like the
    photographs: baby.png or baby_x4.png for baby. For small photographs without an original, --degradation none, there
    are two metrics: NIQE, how natural a picture looks, and LR PSNR, whether it is still that photograph.

    \b
    srnb evaluate --model sample --sets Set5,Set14
    srnb evaluate --model compact --model ~/results/SwinIR --sets Set5
    srnb evaluate --model sample --model other --sets ~/photographs --out rows.csv
    srnb evaluate --model sample --degradation realesrgan --degradation-seed 1
    srnb evaluate --model compact-photo --sets ~/small --degradation none
    """
    os.environ["KERAS_BACKEND"] = chosen_backend(backend)
    from srnb import evaluation, files
    from srnb.data import datasets, degrade
    from srnb.runner import names

    if degradation not in (None, "none"):
        degrade.find(degradation)  # raises if it is not known
    if out:
        _require_writable(out)
    default = evaluation.WITHOUT_ORIGINAL if degradation == "none" else evaluation.DEFAULT_METRICS
    sets, metrics, labels = _sets(sets), _metrics(metrics, default), _labels(chosen)
    if degradation == "none" and (others := [name for name in metrics if name not in default]):
        raise ValueError(f"without originals --metrics must be {' or '.join(default)}. Received: {', '.join(others)}")
    if reference not in ("bicubic", *labels):
        raise ValueError(f"--reference must be one of {', '.join(('bicubic', *labels))}. Received: {reference}")
    folders = {label: Path(name).expanduser() for label, name in labels.items() if _holds_pictures(name, results)}
    places = {label: names.network(name, results=results) for label, name in labels.items() if label not in folders}
    from srnb.evaluation import inference  # a framework takes seconds to import: mistakes above are told at once

    networks = {label: inference.load(place) for label, place in places.items()}
    scale = _scale(networks, scale)
    pairs = {name: datasets.pairs(name, scale=scale) for name in sets}
    if degradation:
        own = degradation == "none"
        pairs = {
            name: [(None, path) if own else (path, None) for path, _ in photographs]
            for name, photographs in pairs.items()
        }
    _require_unseen(labels, folders, pairs, results)
    options = {"metrics": metrics, "grey": grey, "ensemble": ensemble}
    table = _measured(networks, folders, pairs, scale, degradation, degradation_seed, **options)
    if out:
        files.write_text(out, table.to_csv(index=False))
    click.echo(evaluation.readable(evaluation.summary(table)).T.to_string())
    if labels:
        click.echo(_differences(table, reference))
    if degradation in (None, "bicubic") and (published := _published(table, sets, scale)):
        click.echo(published)
    if out:
        click.echo(f"\n{len(table)} rows, each with its protocol: {out}")


def _require_unseen(labels, folders, pairs, results):
    """Raise ValueError if a model was trained on a photograph of `pairs`; say of which models that is not known."""
    from srnb.data import duplicates

    trained = {}
    for label, name in labels.items():
        hashes = {} if label in folders else trained_on(name, results)
        if not hashes:
            click.echo(
                f"{label}: no hashes of the photographs that it was trained on are recorded: overlap with the sets is "
                "not checked",
                err=True,
            )
        # two models may have been trained on different photographs of one name
        trained |= {f"{label}/{path}": value for path, value in hashes.items()}
    if trained:
        tested = [hr or lr for photographs in pairs.values() for hr, lr in photographs]
        duplicates.require_disjoint(trained, duplicates.decoded(tested))


def _measured(networks, folders, pairs, scale, degradation, seed, *, metrics, grey, ensemble):
    """Return one tidy table for all sets: the results of networks and those in folders, and what networks cost."""
    from functools import partial

    import pandas as pd

    from srnb import evaluation, progress
    from srnb.evaluation import costs, inference

    methods = {label: partial(inference.upscale, network, ensemble=ensemble) for label, network in networks.items()}
    made = {"degradation": degradation or "bicubic", "seed": seed}
    tables = []
    for name, photographs in pairs.items():
        given = {
            label: evaluation.enlarged_elsewhere(folder, photographs, scale=scale) for label, folder in folders.items()
        }
        scenes = evaluation.upscale_pairs(methods | given, photographs, scale=scale, **made)
        scenes = progress.track(scenes, name, total=len(photographs), unit="photographs")
        tables.append(evaluation.tabulate(scenes, dataset=name, metrics=metrics, grey=grey))
    table = pd.concat(tables)
    if degradation == "none":
        table["protocol"] += "; the photographs are LR"
    elif degradation:
        table["protocol"] += f"; LR by {degradation}, seed {seed}"
    costed = costs.measure(networks, scale=scale, datasets=list(pairs), ensemble=ensemble)
    table = pd.concat([table, costed], ignore_index=True)
    if ensemble:
        table.loc[table["model"].isin(list(networks)), "protocol"] += "; eightfold self-ensemble"
    return table


def _holds_pictures(model, results):
    """Return whether a model is a folder of enlarged pictures, neither a network nor a run."""
    from srnb.runner import names

    folder = Path(model).expanduser()
    if not folder.is_dir() or (folder / "run.json").exists():
        return False
    try:
        names.network(model, results=results)
    except FileNotFoundError:
        return True
    return False


def _labels(models):
    """Return {label: model} for the values of --model. Raises ValueError unless each has a label of its own."""
    labels = {}
    for model in models:
        label = label_of(model)
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


def _metrics(text, default):
    """Return the metrics in the value of --metrics. Raises ValueError for others, and for one that is there twice."""
    from srnb.evaluation import metrics as known
    from srnb.runner import presets

    if text is None:
        return default
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


def _published(table, sets, scale):
    """Return what papers report for the sets as text, "" if nothing."""
    from srnb import evaluation

    values = evaluation.checked(evaluation.published_values(datasets=sets, scale=scale), table)
    if values.empty:
        return ""
    shown = evaluation.marked(values).droplevel("protocol").to_string()
    return f"\nPublished values; those in parentheses were measured differently and cannot be compared\n{shown}"
