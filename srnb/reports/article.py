"""The text and small tables of a report, all computed from the run's files."""

import ast
import math
import re
from contextlib import suppress
from datetime import date
from pathlib import Path, PurePath

import nbformat
import numpy as np
import pandas as pd
import yaml

from srnb import evaluation, progress, shipped
from srnb.evaluation import metrics

FIRST = ("lpips_alex", "psnr_y", "ssim_y")  # metrics of the first screen
RUNNER = ("run_folder", "resume", "runs")  # parameters that the runner fills by itself
TRAININGS = {"pretrain": "Pretraining", "gan": "GAN training"}  # stages of the log
STAGES = {"gan": "with a GAN", "pretrained": "by pixel loss"}
GLOSSARY = {
    "HR, LR": "The photograph as it is, and the small version of it that the networks are given.",
    "bicubic": "LR enlarged by interpolation, without a network: the baseline of all differences.",
    "pretrained, gan": "The generator after training by a pixel loss alone, and after the adversarial training that "
    "went on from there.",
    "50% gan": "A network whose weights lie half way between the pretrained one and the GAN: a dial between true and "
    "convincing.",
    "PSNR": "How near a picture is to HR, in decibels of the mean squared error; higher is nearer.",
    "SSIM": "How like HR a picture is in local brightness, contrast and structure; 1 is equal.",
    "LPIPS, DISTS": "How different a picture looks from HR to a network trained on photographs; lower is more alike. "
    "DISTS lets textures move about.",
    "LR PSNR": "How near the result, made small again, is to LR. High is necessary and proves little: many wrong "
    "pictures become the same LR.",
    "interval": "If a network changed nothing, each photograph's gain might as well have the other sign. The interval "
    "holds every mean difference that such a test of flipped signs does not reject at 5 %; it takes six photographs.",
}


def glossary(table):
    """Return {word: meaning}, with the networks that ship among the models of `table`, which may be None."""
    there = [] if table is None else [name for name in table["model"].unique() if name in shipped.names()]
    if not there:
        return GLOSSARY
    meaning = "Trained for longer on more photographs, these ship with the package and are measured beside the run."
    return {**GLOSSARY, ", ".join(there): meaning}


def title(run, record):
    """Return the title of a report: what was trained, on what, and when."""
    data, made = record.get("data") or {}, (record.get("generator") or {}).get("name")
    stage = next(reversed(run.generators()), None)
    scale = f" ×{data['scale']}" if data.get("scale") else ""
    text = f"Super-resolution{scale} {STAGES.get(stage, '')}".strip()
    if made:
        text += f": {made}"
    if data.get("train"):
        trained = "trained on" if made else "on"
        text += f" {trained} {_count(len(data['train']), 'photograph')} from {place(data.get('name', ''))}"
    if record.get("started"):
        day = date.fromisoformat(record["started"][:10])
        text += f", {day.day} {day:%B %Y}"
    return text


def states(run, record):
    """Return the notices that must come first: that a run failed, is not finished, or has measured nothing.

    Each is a dict of head, text and source; the last two may be empty.
    """
    found, status = [], record.get("status") or "unfinished"
    steps = record.get("notebooks") or {}
    done = sum(step["status"] == "complete" for step in steps.values())
    reached = f"{done} of {_count(len(steps), 'step')} are complete; the rest of this page is what there was by then."
    if record.get("error"):
        error = record["error"]
        place = ", ".join(filter(None, [error.get("notebook"), error.get("cell") and f"cell {error['cell']}"]))
        head = (
            f"This run {'was interrupted' if status == 'interrupted' else 'failed'}{f' in {place}' if place else ''}."
        )
        text = f"{error.get('kind', '')}: {error.get('message', '')} — {reached}"
        found.append({"head": head, "text": text, "source": error.get("source")})
    elif status != "complete" and not run.is_done:
        found.append({"head": f"This run is not finished: {status}.", "text": reached, "source": None})
    elif not (run.folder / "metrics.csv").is_file():
        last = f"It was asked for no more than {', '.join(steps)}. " if steps else ""
        found.append(
            {"head": "This run measured nothing.", "text": f"{last}Numbers come from notebook 4.", "source": None}
        )
    return found


def not_numbers(run):
    """Return notices, as of `states`, of values in metrics.csv that are not finite."""
    if not (run.folder / "metrics.csv").is_file():
        return []
    table = run.metrics()
    void = table[table["value"].isna()]
    if void.empty:
        return []
    text = (
        f"{_count(len(void), 'value')} of {', '.join(sorted(set(void['model'])))} in metrics.csv; means leave them out."
    )
    return [{"head": "Some measurements are not numbers.", "text": text, "source": None}]


def held_out(run):
    """Return the rows of metrics.csv on the run's own held-out photographs, None if there are none."""
    if not (run.folder / "metrics.csv").is_file():
        return None
    table = run.metrics()
    return table[table["dataset"] == table["dataset"].iloc[0]]


def final(table):
    """Return the model that a report is about: the GAN, else the pretrained generator, else the last of the table."""
    models = list(table["model"].unique())
    return next((name for name in ("gan", "pretrained") if name in models), models[-1])


def differences(table):
    """Return `evaluation.intervals` of the trained networks, without interpolated ones, against bicubic."""
    return evaluation.intervals(table[~table["model"].str.endswith("% gan")])


def sentences(table, differences):
    """Return two sentences: the result of the run's last network against bicubic, and how certain it is."""
    name = final(table)
    own = differences[(differences["model"] == name) & differences["metric"].isin(FIRST[:2])].set_index("metric")
    own = own.loc[[metric for metric in FIRST[:2] if metric in own.index]]
    if own.empty:
        return []
    means = evaluation.summary(table, by=("model",))
    parts, said = [], {}
    for metric, row in own.iterrows():
        value, reference = (number(means.loc[model, metric], metric) for model in (name, "bicubic"))
        parts.append(f"{_name(metric)} {value} against bicubic's {reference} ({signed(row['difference'], metric)})")
        said.setdefault(row["verdict"], []).append(_name(metric))
    photographs = _count(int(own["images"].iloc[0]), "photograph")
    few = said.pop("too few photographs", None)
    words = {
        "better": "better in",
        "worse": "worse in",
        "unclear": "not to be told from it in",
        "equal": "equal to it in",
    }
    found = ", ".join(f"{words[verdict]} {' and '.join(names)}" for verdict, names in said.items())
    certainty = f"At 95 % confidence it is {found}." if found else ""
    if few:
        certainty += f" {photographs} {'is' if photographs.startswith('1 ') else 'are'} too few to be sure of it."
    return [f"{LABELS.get(name, name)}: {', '.join(parts)}, mean of {photographs} held out.", certainty.strip()]


LABELS = {"gan": "The GAN", "pretrained": "The pretrained generator"}


def first_table(table, differences):
    """Return headings and rows of the first table: three metrics, each with its difference from bicubic."""
    shown = [metric for metric in FIRST if metric in set(table["metric"])]
    shown = shown or [metric for metric in table["metric"].unique() if metric in metrics.METRICS][:3]
    means = evaluation.summary(table, by=("model",))
    rows = _rows(means, shown, differences)
    sure = any(cell["interval"] for row in rows for cell in row["cells"])
    return {"headings": [heading(metric) for metric in shown], "rows": rows, "final": final(table), "intervals": sure}


def _rows(means, shown, differences):
    """Return a row per model: its name, and for each metric the mean, the difference, its interval and verdict."""
    differences, rows = differences.set_index(["model", "metric"]), []
    for model in means.index:
        cells = []
        for metric in shown:
            cell = {"value": number(means.loc[model, metric], metric), "change": "", "interval": "", "verdict": ""}
            if (model, metric) in differences.index:
                row = differences.loc[(model, metric)]
                low, high = (signed(row[end], metric, unit=False) for end in ("low", "high"))
                cell |= {"verdict": row["verdict"], "change": signed(row["difference"], metric, unit=False)}
                cell["interval"] = f"[{low}, {high}]" if math.isfinite(row["high"] - row["low"]) else ""
            cells.append(cell)
        rows.append({"model": model, "cells": cells})
    return rows


def limits(record, table, differences, log):
    """Return the limits of the run's evidence, a sentence each."""
    found = []
    if differences is not None:
        name = final(table)
        own = differences[differences["model"] == name]
        count = int(own["images"].iloc[0]) if len(own) else table["image"].nunique()
        for verdict, words in (("worse", "is worse than bicubic in"), ("unclear", "cannot be told from bicubic in")):
            rows = own[own["verdict"] == verdict]
            if len(rows):
                listed = ", ".join(
                    f"{_name(row.metric)} ({signed(row.difference, row.metric)})" for row in rows.itertuples()
                )
                found.append(f"{LABELS.get(name, name)} {words} {listed}.")
        words = (
            "read the intervals before the means. An interval tells of these photographs, not of another training."
            if np.isfinite(own["low"]).any()
            else "so few have no interval, and no difference here is certain."
        )
        say = f"{_count(count, 'photograph').capitalize()} held out say{'s' if count == 1 else ''} little about others"
        found.append(f"{say}: {words}")
    if record.get("seed") is not None:
        found.append(f"One training, with seed {record['seed']}: another seed moves every number here.")
    degradation = ((record.get("data") or {}).get("degradation") or {}).get("name")
    if degradation:
        found.append(f"LR was made by {degradation}; pictures of a camera are blurred and noisy in other ways.")
    if table is not None and "lpips_alex" in set(table["metric"]):
        found.append("LPIPS is the opinion of a network and can be pleased by texture that is wrong.")
    noticed = int(log["notice"].notna().sum()) if "notice" in log else 0
    if noticed:
        found.append(f"The trainer noticed something {_count(noticed, 'time')} on the way: see Training.")
    return found


def ablations(run):
    """Return headings and rows of the run and its variants, with differences from the run; None if none is finished.

    All seeds of a variant share one row.
    """
    compared, left_out = evaluation.variants(run)
    if len(compared) < 2:
        return None
    (_, own), *others = evaluation.replicas(compared).items()
    changed = {run.name: "the run itself"}
    for variant, seeds in others:
        shared = next(seed for seed in seeds if seed in own)  # so that the seed is not among the changes
        pair = {run.name: compared[own[shared]], variant: compared[seeds[shared]]}
        changed[variant] = evaluation.changes(pair).loc[variant, "changed"]
    counts = {variant: len(seeds) for variant, seeds in ((run.name, own), *others)}
    shown = [
        metric for metric in FIRST[:2] if all(metric in set(each.metrics()["metric"]) for each in compared.values())
    ]
    table = evaluation.finals(evaluation.measured(compared, metrics=shown))
    rows = _rows(evaluation.summary(table, by=("model",)), shown, evaluation.intervals(table, reference=run.name))
    for row in rows:
        count = counts[row["model"]]
        row["changed"] = changed[row["model"]] + (f"; mean of {count} seeds" if count > 1 else "")
    left = [f"{label}: {reason}" for label, reason in left_out.items()]
    return {"headings": [heading(metric) for metric in shown], "rows": rows, "left_out": left}


def settings(run, record):
    """Return {name: (value, default)} of the requested parameters that differ from the notebooks' defaults.

    The defaults are those of the run's own copies of the notebooks, None for a parameter that none of them has.
    """
    defaults = {}
    for stem in record.get("notebooks") or {}:
        copy = run.folder / f"{stem}.ipynb"
        if copy.is_file():
            with suppress(Exception):  # the report says of a damaged copy that it cannot be read
                defaults |= _defaults(copy)
    values = record.get("values") or {
        name: v for own in (record.get("parameters") or {}).values() for name, v in own.items()
    }
    missing = object()
    return {
        name: (value, defaults.get(name))
        for name, value in values.items()
        if name not in RUNNER and defaults.get(name, missing) != value
    }


def command(run, record):
    """Return the command that repeats the run, None if it was not made by `srnb run`."""
    if not record.get("values"):
        return None
    preset, known = record.get("preset"), {}
    if preset and record.get("notebook_folder"):
        path = Path(record["notebook_folder"]) / "presets" / f"{preset}.yaml"
        if path.is_file():
            with suppress(yaml.YAMLError, UnicodeDecodeError):  # it was changed since, and every value is named
                known = yaml.safe_load(path.read_text("utf-8"))
    known = known if isinstance(known, dict) else {}
    parts = ["srnb run", *(stem[:2] for stem in record.get("notebooks") or {} if stem[:2].isdigit())]
    parts += [f"--preset {_quoted(preset)}"] if preset else []
    parts += [f"--backend {record['backend']}"] if record.get("backend") else []
    parts += map(_quoted, record.get("options") or [])
    asked = {name: value for name, value in record["values"].items() if name not in RUNNER and known.get(name) != value}
    asked = {name: asked[name] for name in settings(run, record) if name in asked} if not known else asked
    lines = [" ".join(parts), *(f"  -p {name} {_quoted(value)}" for name, value in asked.items())]
    commit = (record.get("git") or {}).get("commit")
    return (f"git checkout {commit[:10]}\n" if commit else "") + " \\\n".join(lines)


def facts(record):
    """Return the facts below the title, each as text: preset, backend, device, date, what it took, commit."""
    git, found = record.get("git") or {}, []
    if record.get("preset"):
        found.append(f"preset {record['preset']}")
    found += [record.get("backend"), record.get("device"), (record.get("started") or "")[:10]]
    if record.get("seconds"):
        found.append(f"took {progress.duration(record['seconds'])}")
    if git.get("commit"):
        found.append(f"commit {git['commit'][:7]}{' with local changes' if git['dirty'] else ''}")
    return [fact for fact in found if fact]


def heading(metric):
    """Return name, unit and arrow of a metric as the heading of a column."""
    if metric not in metrics.METRICS:
        return {"metric": metric, "name": metric.replace("_", " "), "unit": "", "arrow": ""}
    entry = metrics.METRICS[metric]
    arrow = "↑" if entry.direction == "higher" else "↓"
    return {"metric": metric, "name": entry.name, "unit": entry.unit, "arrow": arrow}


def number(value, metric):
    """Return a mean as text, with two decimals for dB and three for values below one."""
    if pd.isna(value):
        return "–"
    return f"{value:.2f}" if abs(value) >= 10 or _unit(metric) == "dB" else f"{value:.3f}"


def signed(value, metric, *, unit=True):
    """Return a difference as text, with a true minus sign."""
    digits = 2 if _unit(metric) == "dB" else 3
    text = f"{value:+.{digits}f}".replace("-", "−")
    return f"{text} {_unit(metric)}".strip() if unit else text


def dataset(name):
    """Return the name of a set for readers: the last part of a folder's path."""
    path, comma, rest = name.partition(",")
    return place(path) + comma + rest


def _defaults(copy):
    """Return {name: default} of a notebook's parameters cell."""
    found = {}
    for cell in nbformat.read(copy, 4).cells:
        if "parameters" in cell.metadata.get("tags", []):
            for statement in ast.parse(cell.source).body:
                if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                    found[statement.targets[0].id] = ast.literal_eval(statement.value)
    return found


def _quoted(value):
    text = str(value)
    return text if re.fullmatch(r"[\w./:,+-]+", text) else "'" + text.replace("'", "'\\''") + "'"


def place(name):
    """Return the last part of a path; any other name as it is."""
    return PurePath(name).name if "/" in name else name


def _name(metric):
    return metrics.METRICS[metric].name if metric in metrics.METRICS else metric.replace("_", " ")


def _unit(metric):
    return metrics.METRICS[metric].unit if metric in metrics.METRICS else ""


def _count(number, noun):
    return f"{number:,} {noun}{'s' if number != 1 else ''}"
