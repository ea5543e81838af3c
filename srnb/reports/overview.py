"""The index of all runs of a results folder, and a site of it with their reports."""

import json
import shutil
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pandas as pd
from PIL import Image, ImageStat

from srnb import evaluation, files, progress, runs
from srnb.evaluation import metrics
from srnb.reports import article, embedded, report

INDEXED = ("psnr_y", "ssim_y", "lpips_alex")  # metrics of the table
THUMBNAIL = 96  # pixels of the crop on a side


def write(results):
    """Write index.html, the runs of a results folder with links to their reports, and runs.csv; return its frame.

    The frame is that of `evaluation.collect`. Raises OSError where nothing can be written.
    """
    frame = evaluation.collect(results)
    rows = [_row(Path(results) / row["run"], row) for row in reversed(frame.to_dict("records"))]
    rows.sort(key=lambda row: row["sort"]["started"], reverse=True)
    varying, by_name = _varying(rows), {row["run"]: row for row in rows}
    for row in rows:
        row["varying"] = {name: row["values"][name] for name in varying if name in row["values"]}
    for row in rows:
        base = by_name.get(row["base"], {}).get("varying", {})  # of a variant only what it changes is shown
        row["differs"] = {name: value for name, value in row["varying"].items() if base.get(name, ...) != value}
    shown = [metric for metric in INDEXED if any(metric in row["means"] for row in rows)]
    compared = [{key: row[key] for key in ("run", "model", "means", "varying", "thumbnail")} for row in rows]
    page = report.template("index.html.j2").render(
        style=report.style(),
        rows=rows,
        headings=[article.heading(metric) for metric in shown],
        data=json.dumps(compared, default=str).replace("<", "\\u003c"),
    )
    files.write_text(Path(results) / "runs.csv", frame.to_csv(index=False))
    files.write_text(Path(results) / "index.html", page)
    return frame


def site(results, out):
    """Collect the index of all runs and their reports in the folder `out`, for a web server; return its index.html.

    A run without a report gets one. Raises FileNotFoundError if there is no run.
    """
    found = runs.find(results)
    if not found:
        raise FileNotFoundError(f"a results folder must hold a run. Received: {results}")
    for run in found:
        page = run.folder / "report" / "index.html"
        page = page if page.is_file() else report.render(run)
        files.write_text(Path(out) / run.name / "report" / "index.html", page.read_text("utf-8"))
    write(results)
    for name in ("index.html", "runs.csv"):
        shutil.copyfile(Path(results) / name, Path(out) / name)
    return Path(out) / "index.html"


def _row(folder, row):
    """Return the row of a run in the table: its last generator on its first set, against bicubic."""
    run, means, model, record = runs.Run(folder), {}, "", {}
    with suppress(ValueError):  # the status says that its files are damaged
        record = run.read()
        table = article.held_out(run)
        if table is not None:
            model = article.final(table)
            averages, verdicts = evaluation.summary(table, by=("model",)), _verdicts(table, model)
            for metric in averages.columns.intersection(INDEXED):
                value = averages.loc[model, metric]
                gain = value - averages[metric].get("bicubic", float("nan"))
                means[metric] = {
                    "name": metrics.METRICS[metric].name,
                    "value": article.number(value, metric),
                    "sort": float(value),
                    "gain": "" if pd.isna(gain) else article.signed(gain, metric, unit=False),
                    "verdict": verdicts.get(metric, ""),
                }
    row = row | {"started": _began(record)}
    return {
        **{name: _shown(value, name) for name, value in row.items()},
        "sort": {name: _sortable(row.get(name)) for name in ("run", "status", "started", "seconds")},
        "report": f"{quote(folder.name)}/report/index.html" if (folder / "report" / "index.html").is_file() else None,
        "model": model,
        "means": means,
        "base": record.get("base"),
        "values": _settings(record),
        "thumbnail": _thumbnail(folder, model),
    }


def _began(record):
    """Return when the first notebook of a run began: a variation is planned, with its record, before its turn comes."""
    begun = [step["started"] for step in (record.get("notebooks") or {}).values() if step.get("started")]
    return min(begun, default=record.get("started"))


def _verdicts(table, model):
    """Return {metric: verdict} of a model against bicubic, counting the questions of the index alone."""
    asked = table[table["model"].isin(["bicubic", model]) & table["metric"].isin(INDEXED)]
    return {} if asked["model"].nunique() < 2 else evaluation.intervals(asked).set_index("metric")["verdict"].to_dict()


def _settings(record):
    """Return the settings of a run, without those of the runner; a run that it started from is named, not its path."""
    values = {name: value for name, value in (record.get("values") or {}).items() if name not in article.RUNNER}
    return values | ({"start_from": article.place(values["start_from"])} if values.get("start_from") else {})


def _varying(rows):
    """Return the names of the settings that differ between runs, in order."""
    names = dict.fromkeys(name for row in rows for name in row["values"])
    return [name for name in names if len({repr(row["values"].get(name)) for row in rows if row["values"]}) > 1]


def _thumbnail(folder, model):
    """Return the most textured detail of a run's first scene as its last network made it, or None.

    It is chosen in HR, so that runs with the same photograph show the same detail.
    """
    for path in sorted((folder / "figures" / "scenes").glob(f"*/{model}.png")) if model else ():
        with suppress(OSError), Image.open(path) as picture, Image.open(path.with_name("HR.png")) as hr:
            columns, rows = (range(0, max(size - THUMBNAIL, 0) + 1, THUMBNAIL // 2) for size in hr.size)
            boxes = [(left, top, left + THUMBNAIL, top + THUMBNAIL) for top in rows for left in columns]
            grey = hr.convert("L")
            box = max(boxes, key=lambda box: ImageStat.Stat(grey.crop(box)).stddev)
            return embedded.webp(picture.crop(box), quality=80)
    return None


def _sortable(value):
    return "" if value is None or (isinstance(value, float) and pd.isna(value)) else value


def _shown(value, name):
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if name == "seconds":
        return progress.duration(value)
    return (
        {"commit": value[:7], "started": value[:16].replace("T", " ")}.get(name, value)
        if isinstance(value, str)
        else value
    )
