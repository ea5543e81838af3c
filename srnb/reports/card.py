"""The card of a network that ships, made from a finished run: only one sentence of it is written by hand."""

import csv
import json
from collections import Counter
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd
from scipy.ndimage import uniform_filter

from srnb import evaluation, files, models, progress, runs, shipped
from srnb.data import datasets, degrade, images, resize
from srnb.evaluation import inference, metrics, scenes

# name of a generator in weights/ and metrics.csv -> its stage in the log, the notebook that trains it
STAGES = {"pretrained": ("pretrain", "02_pretrain"), "gan": ("gan", "03_gan")}
# parameters of whose paths the name alone is recorded
FOLDERS = ("dataset_folder", "test_dataset", "start_from", "warm_start")
LINES = 200  # of the log that are kept
RECORD = ("preset", "values", "seed", "backend", "device", "machine", "versions", "git", "started")
SETS, REFERENCE = ("Set5", "Set14", "BSD100"), "SRResNet"
CLASSIC = (4, "bicubic")  # scale and degradation of the published row
CHECKED = 2  # photographs of the sample whose numbers a copy must reproduce
SIDE = 128  # pixels of HR on a side of the picture's details
TEMPLATE = Path(__file__).parent / "templates" / "card.md.j2"


def write(run, name, *, stage, summary, blend=1.0, start=None, sources=None):
    """Write srnb/weights/<name> from a run that notebook 4 has measured, and return the card as a dict.

    stage: "pretrained" or "gan", the generator to ship.
    summary: one sentence on what the network is for.
    blend: share of the GAN, in (0, 1], the rest being the run's pretrained generator (ESRGAN's network interpolation);
        notebook 4 must have measured it, as "80% gan".
    start: the shipped network from which its training started.
    sources: a table (TSV) with the columns file, source_repo, source_path and licence_as_stated, which must list every
        photograph of the training.
    A run whose training went on from the shipped network `name` replaces it; the record of that one's training is kept.
    Raises ValueError if the run has measured nothing, or was trained on a photograph without source or licence.
    """
    if stage not in STAGES:
        raise ValueError(f"stage must be {' or '.join(STAGES)}. Received: {stage!r}")
    if not 0 < blend <= 1 or (blend != 1 and stage != "gan"):
        raise ValueError(f"blend must be a share of the GAN, 0 < share <= 1. Received: {blend} of {stage}")
    measured = stage if blend == 1 else f"{blend:.0%} gan"
    table = run.metrics()
    table = table[table["model"].isin(["bicubic", measured]) & ~table["metric"].isin(metrics.COSTS)]
    if measured not in set(table["model"]):
        raise ValueError(f"the run must have measured its generator {measured!r}. Received: {run.folder}")
    record, log = run.read(), run.read_log()
    table = table.replace(
        {"dataset": {f"{record['data']['test_name']}, held out": "held out"}, "model": {measured: name}}
    )
    log = log[log["stage"] == STAGES[stage][0]]
    model = inference.load(run.weights / f"{stage}.weights.h5")
    if blend != 1:
        model = models.interpolate(inference.load(run.weights / "pretrained.weights.h5"), model, blend)
    means = evaluation.summary(table)
    training, *earlier = _trainings(run, stage, name)
    card = {
        "name": name,
        "summary": summary,
        "spec": {**record["generator"], "name": name.replace("-", "_")},
        "parameters": model.count_params(),
        "start": start,
        "blend": blend,
        "degradation": record["data"]["degradation"],
        "training": training,
        "earlier": earlier,
        "metrics": {
            dataset: means.loc[dataset, name].dropna().round(4).to_dict() for dataset in means.index.unique("dataset")
        },
        "check": check(model, record["data"]["degradation"]["name"]),
        "photographs": _photographs(record["data"], sources),
    }
    folder = shipped.FOLDER / name
    models.save_weights(model, folder / "weights.safetensors", spec=card["spec"])
    files.write_text(folder / "metrics.csv", table.assign(run=name).to_csv(index=False))
    kept = log.iloc[:: max(1, -(-len(log) // LINES))].to_dict("records")
    lines = ({key: value for key, value in row.items() if value == value} for row in kept)  # NaN: not logged there
    files.write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    images.write(folder / "picture.png", _picture(model, record["data"]["degradation"]["name"]))
    files.write_text(folder / "README.md", _page(card, means))
    files.write_text(folder / "card.json", json.dumps(card, indent=1, ensure_ascii=False) + "\n")  # last: it names it
    return card


def table():
    """Return all networks that ship as Markdown, a table per degradation and scale, largest first, with bicubic.

    At x4 with bicubic LR the published values of SRResNet are added.
    """
    groups = {}
    for name in shipped.names():
        card, measured = shipped.card(name), pd.read_csv(shipped.FOLDER / name / "metrics.csv")
        rows = groups.setdefault((card["spec"]["scale"], card["degradation"]["name"]), {})
        for (model, dataset), metric in measured.groupby(["model", "dataset"], sort=False):
            rows.setdefault(model, {})[dataset] = metric.groupby("metric")["value"].mean()
    published = evaluation.published_values(datasets=SETS)
    published = published[(published["model"] == REFERENCE) & published["comparable"]]
    for dataset, values in published.groupby("dataset"):
        rows = groups.setdefault(CLASSIC, {})
        rows.setdefault(f"{REFERENCE}, published", {})[dataset] = values.groupby("metric")["value"].first()
    order = sorted(groups, key=lambda group: (group[1], -group[0]))
    return "\n\n".join(_rows(*group, groups[group]) for group in order)


def _rows(scale, degradation, rows):
    factor, made = CLASSIC
    heading = "network" + f", ×{scale}" * (scale != factor) + f", LR by {degradation}" * (degradation != made)
    measured = [name for name in SETS if any(name in sets for sets in rows.values())]
    lines = [f"| {heading} | {' | '.join(measured)} |", f"|---|{'---|' * len(measured)}"]
    for model, sets in rows.items():
        cells = [
            " / ".join(
                f"{sets[name][metric]:.{metrics.METRICS[metric].decimals}f}" if metric in sets.get(name, {}) else "–"
                for metric in shipped.SHOWN
            )
            for name in measured
        ]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _trainings(run, stage, name):
    """Return the record of the training that made a generator and of those that it went on from, newest first.

    Those are the run's own pretraining, trainings of other runs, and that of the shipped `name`, which it replaces.
    """
    record, log, (logged, notebook) = run.read(), run.read_log(), STAGES[stage]
    values = {key: Path(value).name if key in FOLDERS else value for key, value in record["values"].items()}
    steps = int(log[log["stage"] == logged]["step"].max())
    training = {key: record.get(key) for key in RECORD}
    training |= {"values": values, "steps": steps, "seconds": record["notebooks"][notebook]["seconds"]}
    start = record["values"].get("start_from") or ""
    if stage == "gan" and not start and STAGES["pretrained"][1] in record["notebooks"]:
        return [training, *_trainings(run, "pretrained", name)]
    start = start or record["values"].get("warm_start") or ""
    if start == name and name in shipped.names():
        before = shipped.card(name)
        again = before["training"]["started"] == record["started"]  # the same run, shipped once more
        return [training, *[before["training"]] * (not again), *before.get("earlier", [])]
    if not start or start in shipped.names() or not (Path(start) / "run.json").is_file():
        return [training]
    other = runs.Run(Path(start))
    has_gan = stage == "pretrained" and "gan" in other.generators()
    return [training, *_trainings(other, "gan" if has_gan else "pretrained", name)]


def _page(card, means):
    """Return the card as a page of Markdown: summary, numbers, picture, training, limits."""
    shown = [metric for metric in means.columns if metric in metrics.METRICS]
    digits = [metrics.METRICS[metric].decimals for metric in shown]
    rows = [
        (dataset, model, [f"{value:.{count}f}" for value, count in zip(row[shown], digits, strict=True)])
        for (dataset, model), row in means.iterrows()
    ]
    licences = Counter(photograph.get("licence", "not stated") for photograph in card["photographs"])
    template = jinja2.Template(TEMPLATE.read_text("utf-8"), trim_blocks=True, lstrip_blocks=True)
    trainings = [
        {**each, "duration": progress.duration(each["seconds"])}
        for each in (card["training"], *card.get("earlier", []))
    ]
    headings = [metrics.METRICS[metric].name for metric in shown]
    return template.render(
        card=card, headings=headings, rows=rows, licences=licences.most_common(), trainings=trainings
    )


def check(model, degradation):
    """Return {photograph: PSNR-Y in dB} on the first held-out photographs of the sample, which everyone has."""
    values = {}
    factor = models.scale(model)
    for scene in _scenes(degradation, factor):
        sr = images.from_uint8(images.to_uint8(inference.upscale(model, scene["lr"])))
        values[scene["image"]] = round(metrics.measure("psnr_y", sr, hr=scene["hr"], lr=scene["lr"], border=factor), 4)
    return values


def _scenes(degradation, scale):
    for number, path in enumerate(datasets.photographs("sample", "test")[:CHECKED]):
        hr = resize.crop_to_multiple(images.read(path), scale)
        lr = images.from_uint8(degrade.degrade(images.to_uint8(hr), scale=scale, name=degradation, seed=(0, number)))
        yield {"image": path.stem, "hr": hr, "lr": lr}


def _picture(model, degradation):
    """Return details of the checked photographs below each other: bicubic, the network, HR."""
    factor, rows = models.scale(model), []
    for scene in _scenes(degradation, factor):
        sr = inference.upscale(model, scene["lr"])
        pictures = [scenes.bicubic(scene["lr"], factor), sr, scene["hr"]]
        change = np.abs(pictures[1] - pictures[0]).mean(-1)
        half = SIDE // 2
        change = uniform_filter(change, SIDE)[half:-half, half:-half]
        top, left = np.unravel_index(change.argmax(), change.shape)
        rows.append(np.concatenate([picture[top : top + SIDE, left : left + SIDE] for picture in pictures], axis=1))
    return np.concatenate(rows).repeat(2, 0).repeat(2, 1)


def _photographs(data, sources):
    """Return file, perceptual hash, source and licence of each photograph. Raises ValueError if one has no source."""
    hashes = data.get("hashes", {})
    found = [{"file": Path(path).name, **({"hash": hashes[path]} if path in hashes else {})} for path in data["train"]]
    names = [photograph["file"] for photograph in found]
    if sources is None:
        return found
    with open(sources, encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file, delimiter="\t")}
    missing = [name for name in names if name not in rows]
    if missing:
        raise ValueError(f"every photograph must have a source and a licence. Received: none for {missing[:5]}")
    columns = {"source": "source_repo", "path": "source_path", "licence": "licence_as_stated"}
    return [each | {key: rows[each["file"]][column] for key, column in columns.items()} for each in found]
