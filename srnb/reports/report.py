"""The report of a run: one page that opens anywhere, without a kernel, a network or a second file.

First the result and its certainty, then an article, then the notebooks as appendix.
"""

import gzip
from contextlib import suppress
from functools import cache
from pathlib import Path

import jinja2
import pandas as pd
from PIL import Image
from pygments.formatters import HtmlFormatter

from srnb import evaluation, files, progress, runs
from srnb.data import images
from srnb.evaluation import metrics
from srnb.reports import appendix, article, charts, embedded, inspector, panel

TEMPLATES = Path(__file__).parent / "templates"
SCENES = 6  # photographs in the inspector
HEAVY = 200_000  # bytes of metrics.csv
HEAVIEST = 3_500_000  # bytes of them, so that the page stays fit for a mail; the first is always there


def render(run, *, trial=""):
    """Write report/index.html from the files in the run's folder, finished or not, and return its path.

    trial: the section in which readers try the networks, HTML of `web.page.trial`.

    Every state of a run has a report: a file that cannot be read is named in place of its content. Raises ValueError if
    run.json is damaged.
    """
    record, unreadable = run.read(), []

    def read(file, part, *arguments, otherwise=(), **options):
        try:
            return part(*arguments, **options)
        except Exception as error:  # files may hold anything, and none of it may cost the rest of the report
            unreadable.append(f"{file}: {type(error).__name__}: {error}"[:500])
            return otherwise

    log = read("log.jsonl", run.read_log, otherwise=pd.DataFrame())
    table = read("metrics.csv", article.held_out, run, otherwise=None)
    compared = table is not None and "bicubic" in set(table["model"])
    differences = read("metrics.csv", article.differences, table, otherwise=None) if compared else None
    compared = differences is not None
    curves = read("log.jsonl", charts.of_log, log, reference=record.get("references"))
    scenes = read("figures/scenes", _scenes, run, otherwise="")
    number = iter(range(2 if scenes else 1, 100))
    strips = _numbered(read("figures", _saved, run, "strip_"), number)
    plane = _numbered(read("metrics.csv", _plane, table) if compared else (), number)
    opinions = _numbered(read("figures", _opinions, run), number)
    costs = _numbered(read("figures", _saved, run, "cost_"), number)
    failures = _numbered(read("figures", _saved, run, "failure_"), number)
    above = {
        (figure["caption"], figure["alt"]): figure["number"]
        for figure in (*strips, *plane, *opinions, *costs, *failures)
    }
    notebooks, headings = [], []
    for stem in record.get("notebooks", {}):
        copy = run.folder / f"{stem}.ipynb"
        copy = copy if copy.is_file() else runs.running_name(copy)
        if copy.is_file():
            options = {"templates": TEMPLATES, "above": above, "otherwise": ("", [])}
            body, found = read(copy.name, appendix.cells, copy, stem, **options)
            notebooks.append({"name": stem, "body": body})
            headings += [{"id": id, "title": title, "level": level} for id, title, level in found]
    tables, prices = read("metrics.csv", _tables, run, otherwise=([], None))
    page = template("report.html.j2").render(
        style=style(),
        run=run,
        record=record,
        title=read("run.json", article.title, run, record, otherwise=run.name),
        facts=read("run.json", article.facts, record),
        states=read("run.json", article.states, run, record),
        not_numbers=read("metrics.csv", article.not_numbers, run),
        sentences=read("metrics.csv", article.sentences, table, differences) if compared else (),
        first=read("metrics.csv", article.first_table, table, differences, otherwise=None) if compared else None,
        tables=tables,
        prices=prices,
        scenes=scenes,
        strips=strips,
        plane=plane,
        opinions=opinions,
        costs=costs,
        failures=failures,
        curves=[
            stage
            | {
                "number": next(number),
                "title": article.TRAININGS.get(stage["name"], stage["name"]),
                "markup": charts.markup(stage["charts"]),
                "progress": read("figures", panel.crop, run, stage["name"], otherwise=""),
            }
            for stage in curves
            if stage["charts"] or stage["notices"]
        ],
        ablations=read("variants", article.ablations, run, otherwise=None) if record.get("grid") else None,
        limits=read("metrics.csv", article.limits, record, table, differences, log),
        trial=trial,
        steps=read("run.json", _steps, record),
        settings=read("run.json", article.settings, run, record, otherwise={}),
        command=read("run.json", article.command, run, record, otherwise=None),
        download=read("metrics.csv", _download, run, otherwise=None),
        environment=read("run.json", _environment, record, otherwise={}),
        glossary=read("metrics.csv", article.glossary, table, otherwise=article.GLOSSARY),
        notebooks=notebooks,
        headings=headings,
        unreadable=dict.fromkeys(unreadable),  # several parts may need one file
    )
    path = run.folder / "report" / "index.html"
    files.write_text(path, page)
    return path


def markdown(run):
    """Return the metrics of a run and its duration as Markdown tables, for a README."""
    record, (tables, prices) = run.read(), _tables(run)
    return template("results.md.j2").render(
        run=run, facts=article.facts(record), tables=tables, prices=prices, steps=_steps(record)
    )


def summary(run):
    """Return `evaluation.summary` of a run's metrics, None if there are none."""
    if not (run.folder / "metrics.csv").is_file():
        return None
    return evaluation.summary(run.metrics())


def _tables(run):
    """Return a table for each dataset, with its number of photographs, and one of costs, None if there are none."""
    if not (run.folder / "metrics.csv").is_file():
        return [], None
    measured, tables = run.metrics(), []
    means, costs = evaluation.quality_and_costs(evaluation.summary(measured))
    for dataset, frame in means.groupby(level="dataset", sort=False):
        frame = frame.droplevel("dataset").dropna(axis="columns", how="all")
        rows_of = measured[measured["dataset"] == dataset]
        about = {"dataset": article.dataset(dataset), "images": rows_of["image"].nunique()}
        tables.append(about | _table(frame, rows_of))
    return tables, _table(costs, measured) if costs.size else None


def _table(frame, measured):
    """Return the headings and rows of a table, from a row per model and a column per metric."""
    rows = []
    for model, values in frame.iterrows():
        cells = [{"text": _shown(values[m]), "best": values[m] == _best(frame[m], m)} for m in frame.columns]
        rows.append({"model": model, "cells": cells})
    protocols = {m: measured.loc[measured["metric"] == m, "protocol"].iloc[0] for m in frame.columns}
    return {"metrics": [article.heading(m) | {"protocol": protocols[m]} for m in frame.columns], "rows": rows}


def _best(values, metric):
    if metric not in metrics.METRICS or metric in metrics.COSTS or len(values) < 2:
        return None
    return values.max() if metrics.METRICS[metric].direction == "higher" else values.min()


def _scenes(run):
    """Return an inspector of figures/scenes/<photograph>/<model>.png, which notebook 4 writes."""
    from srnb.reports import figures  # matplotlib

    order = {"LR": 0, "bicubic": 1, "pretrained": 2, "gan": 4, "HR": 5}
    scenes = {}
    for folder in sorted((run.folder / "figures" / "scenes").glob("*/"))[:SCENES]:
        paths = sorted(folder.glob("*.png"), key=lambda path: (order.get(path.stem, 3), path.stem))
        scenes[folder.name] = {path.stem: images.read(path) for path in paths}
    shared = set.intersection(*map(set, scenes.values())) if scenes else ()
    if len(shared) < 2:
        return ""
    scenes = {name: {key: picture for key, picture in each.items() if key in shared} for name, each in scenes.items()}
    notes = {}
    with suppress(ValueError, FileNotFoundError):  # the page says elsewhere that its numbers are damaged
        notes = {name: figures.captions(run.metrics(), name) for name in scenes}
    part = inspector.inspector(scenes, notes=notes)
    if len(part) > HEAVIEST:
        kept = list(scenes)[: max(1, len(scenes) * HEAVIEST // len(part))]
        part = inspector.inspector({name: scenes[name] for name in kept}, notes=notes)
    return part


def _saved(run, prefix):
    """Return the figures that a notebook saved under a prefix, with the captions and alternative texts in the files."""
    found = []
    for path in sorted((run.folder / "figures").glob(f"{prefix}*.png")):
        with Image.open(path) as picture:
            words = path.stem.removeprefix(prefix)
            caption = picture.info.get("Title") or f"A detail of {words}, whole photograph on the left."
            alternative = picture.info.get("Description") or f"Strip of pictures: {words}"
            inches = picture.width / picture.info.get("dpi", (150,))[0]
            source = embedded.webp(picture, quality=85)
            found.append({"source": source, "caption": caption, "alt": alternative, "inches": inches})
    return found


def _opinions(run):
    return [figure for prefix in ("agreement", "differences", "spectra") for figure in _saved(run, prefix)]


def _plane(table):
    from srnb.reports import figures

    points = evaluation.plane(table, dataset=table["dataset"].iloc[0])
    between = [name for name in points.index if name.endswith("% gan")]
    figure = figures.perception_distortion(points, line=["pretrained", *between, "gan"] if between else [])
    size = {"inches": figure.get_figwidth()}
    return [{"source": embedded.svg(figure), "caption": figure.caption, "alt": figure.alt, **size}]


def _numbered(found, number):
    return [figure | {"number": next(number)} for figure in found]


def _download(run):
    """Return name and data address of metrics.csv, compressed if it is large."""
    path = run.folder / "metrics.csv"
    if not path.is_file():
        return None
    content = path.read_bytes()
    if len(content) < HEAVY:
        return {"name": path.name, "address": embedded.address(content, "text/csv")}
    packed = gzip.compress(content, 9, mtime=0)
    return {"name": f"{path.name}.gz", "address": embedded.address(packed, "application/gzip")}


def _steps(record):
    steps = [(stem, state) for stem, state in record.get("notebooks", {}).items()]
    if record.get("grid"):
        steps.insert(len(steps) - 1, (f"variations: {', '.join(record['grid']['variations'])}", record["grid"]))
    return [
        {
            "name": name,
            "status": state["status"],
            "time": progress.duration(state["seconds"]) if "seconds" in state else "",
            "memory": f"{state['peak_memory_gib']:.2f} GiB" if "peak_memory_gib" in state else "",
        }
        for name, state in steps
    ]


def _environment(record):
    machine, data = record.get("machine") or {}, record.get("data") or {}
    shown = {name: ", ".join(value) if isinstance(value, list) else value for name, value in machine.items()}
    shown = {{"memory_gib": "memory (GiB)"}.get(name, name): value for name, value in shown.items()}
    shown |= record.get("versions") or {}
    if data:
        shown["data"] = f"{data['name']}, {len(data['train'])} photographs to train on"
        shown["held out"] = f"{data.get('test_name', data['name'])}, {len(data['test'])} photographs"
        shown |= {f"sha256 of {split}": value for split, value in data.get("fingerprints", {}).items()}
    return {name: value for name, value in shown.items() if value}


def _shown(value):
    if pd.isna(value):
        return ""
    if value == 0:  # what bicubic has of parameters is not rounded
        return "0"
    return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"


@cache
def style():
    """Return the CSS of all pages, with the colours of code for light and dark."""
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    code = f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n.highlight{{background:none!important}}"
    return "".join((TEMPLATES / name).read_text("utf-8") for name in ("style.css", "charts.css")) + code


@cache
def template(name):
    """Return a Jinja template of templates/, with HTML escaped."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(name)
