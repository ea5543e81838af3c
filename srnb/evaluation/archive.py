"""Ablations that are kept: what a grid measured, in files small enough for git, read without the runs they came from.

A folder for each, results/published/GRID: metrics.csv with a row for each variant, seed, photograph and metric, and
run.json with what was trained, on what, how long, and what each variant changed. README.md beside the folders says in
words what `comparison` concludes from them.
"""

import io
import json
from pathlib import Path, PurePath

import pandas as pd

from srnb import files, progress, runs
from srnb.evaluation import ablation, comparison, scenes, tables
from srnb.evaluation.metrics import METRICS

PUBLISHED = files.RESULTS / "published"
BASE = "base"  # what the run is called that variants differ from
KEYS = ["variant", "seed", "stage", "image", "metric"]
HIDDEN = ("run_folder", "resume", "runs", "start_from", "dataset_folder")  # parameters that say where, not what


def seeds(run):
    """Return the runs beside a run that are the same with another seed."""
    beside = [(other, other.read()) for other in runs.find(run.folder.parent)]
    named = f"{run.name}-seed"
    return [other for other, own in beside if own.get("base") == run.name and other.name == f"{named}{own.get('seed')}"]


def measure(run, *, metrics):
    """Measure the networks of a run on its held-out photographs, as notebook 4 does, and write its metrics.csv."""
    from srnb.evaluation import inference

    record, networks = run.read(), {stage: inference.load(file) for stage, file in run.generators().items()}
    upscaled = scenes.held_out(record["data"], networks, seed=record.get("seed") or 0)
    dataset = f"{record['data']['test_name']}, held out"
    run.write_metrics(tables.tabulate(upscaled, dataset=dataset, metrics=metrics))


def write(folder, run, others, *, metrics):
    """Write the folder of a grid: `run` and the runs `others` that vary it, with their seeds; return the folder.

    A variant is called as its run is, without the name of the grid, which is the folder's, before it.
    Raises ValueError if one of them is not finished or cannot be compared with `run`.
    """
    folder, repeated = Path(folder), seeds(run)
    names = [other.name for other in (*repeated, *others)]
    found, left_out = ablation.variants(run, names)
    if left_out:
        reasons = "; ".join(f"{label}: {reason}" for label, reason in left_out.items())
        raise ValueError(f"what is published must be finished and comparable. Received: {reasons}")
    compared = {run.name: run}
    for label, other in list(found.items())[1:]:
        compared[label if other.name in names[: len(repeated)] else other.name.removeprefix(f"{folder.name}-")] = other
    table = ablation.measured(compared, metrics=metrics).replace({"run": {run.name: BASE}})
    protocols = table.drop_duplicates("metric").set_index("metric")["protocol"]
    kept = table.rename(columns={"run": "variant", "model": "stage"})[[*KEYS, "value"]].round({"value": 5})
    record = _record(run, compared) | {"grid": folder.name, "dataset": table["dataset"].iloc[0]}
    record["protocols"] = {metric: protocol.partition("; a grey")[0] for metric, protocol in protocols.items()}
    files.write_text(folder / "metrics.csv", kept.to_csv(index=False))
    runs.write_json(folder / "run.json", record)
    return folder


def _record(run, compared):
    """Return what run.json of a grid says: no path of the machine that it ran on."""
    record, replicas = run.read(), ablation.replicas(compared)
    first = {BASE if name == run.name else name: min(own) for name, own in replicas.items()}
    labels = {name: replicas[run.name if name == BASE else name][seed] for name, seed in first.items()}
    changes = ablation.changes({run.name: run, **{labels[name]: compared[labels[name]] for name in first}})
    values = {name: value for cell in record["parameters"].values() for name, value in cell.items()}
    data, machine = record["data"], record["machine"]
    return {
        "preset": record["preset"],
        "backend": record["backend"],
        "seeds": sorted(replicas[run.name]),
        "variants": {name: changes.loc[labels[name]].to_dict() for name in first},
        "data": {
            "train": len(data["train"]),
            "test": len(data["test"]),
            "test_name": PurePath(data["test_name"]).name,
            "scale": data["scale"],
            "degradation": data["degradation"],
            "fingerprints": data["fingerprints"],
        },
        "generator": record["generator"]["name"],
        "parameters": {
            name: value for name, value in values.items() if name not in HIDDEN and value != str(data["name"])
        },
        "start_from": PurePath(record["values"].get("start_from") or "").name,
        "seconds": round(sum(other.read().get("seconds") or 0 for other in compared.values())),
        "runs": len(compared),
        "machine": {name: machine[name] for name in ("processor", "cores", "memory_gib", "gpus")},
        "versions": record["versions"],
        "git": record["git"],
        "finished": max(other.read().get("finished") or "" for other in compared.values())[:10],
    }


def names(root=PUBLISHED):
    """Return the names of the grids that are kept under `root`, in order."""
    return sorted(path.parent.name for path in Path(root).glob("*/run.json"))


def read(folder):
    """Return the record of a grid that is kept, and its numbers as `ablation.measured` has them.

    Raises FileNotFoundError if there is none, ValueError if it is damaged.
    """
    folder = Path(folder)
    try:
        record = json.loads((folder / "run.json").read_text("utf-8"))
        table = pd.read_csv(io.StringIO((folder / "metrics.csv").read_text("utf-8")), dtype={"image": str})
        protocol, dataset = table["metric"].map(record["protocols"]), record["dataset"]
        table = table[[*KEYS, "value"]].assign(dataset=dataset, protocol=protocol)
    except (ValueError, KeyError) as error:
        raise ValueError(f"run.json and metrics.csv of a grid must be whole. Received: {folder} ({error})") from None
    return record, table.rename(columns={"variant": "run", "stage": "model"})


def facts(record):
    """Return in a sentence what stands behind the numbers of a grid."""
    data, parameters, machine = (record[name] for name in ("data", "parameters", "machine"))
    stage = "gan_" if "gan_steps" in parameters else ""
    steps, batch, patch = (parameters[f"{stage}{name}"] for name in ("steps", "batch_size", "patch_size"))
    start = f" from the weights of `{record['start_from']}`" if record["start_from"] else ""
    return (
        f"`{record['generator']}`{start}, {steps:,} steps of {batch} patches of {patch} pixels from {data['train']} "
        f"photographs, with seeds {', '.join(map(str, record['seeds']))}; measured at ×{data['scale']} on the "
        f"{data['test']} photographs of {data['test_name']}. {record['runs']} runs of preset `{record['preset']}`, "
        f"{progress.duration(record['seconds'])} in all on {machine['cores']} cores of {machine['processor']}, "
        f"{record['backend']}, {record['finished']}, commit {(record['git']['commit'] or 'none')[:7]}."
    )


def page(root=PUBLISHED):
    """Return README.md of the grids that are kept under `root`, as Markdown."""
    return "\n".join([_HEAD, *(_section(Path(root) / name) for name in names(root))])


def _section(folder):
    record, table = read(folder)
    changed = [f"`{name}` {own['changed']}" for name, own in record["variants"].items() if name != BASE]
    parts = [f"## {folder.name}", facts(record), f"What differs from `{BASE}`: {'; '.join(changed)}."]
    for stage, rows in ablation.stages(table, reference=BASE).items():
        concluded = comparison.sentences(comparison.intervals(rows, reference=BASE))
        parts += ["\n".join(f"* {line}" for line in concluded), _lines(stage, ablation.spread(rows, reference=BASE))]
    return "\n\n".join(parts) + "\n"


def _lines(corner, frame):
    """Return a frame of text as the lines of a Markdown table."""
    rows = [[corner, *(METRICS[metric].name for metric in frame)], ["---"] * (len(frame.columns) + 1)]
    rows += [[name, *values] for name, values in zip(frame.index, frame.to_numpy(), strict=True)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


_HEAD = """# Ablations that were run

Written by `srnb publish` from finished runs; a test computes this page again from the tables beside it. A verdict is
that of a sign-flip test over photographs, widened by what seeds differ, and counts all questions of its stage and grid
together (Holm). *Unclear* is a verdict, too: with so few photographs, seeds and steps chance explains the difference.
An interval is that of one difference alone, at 95 %.
"""
