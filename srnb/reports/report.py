"""A run's folder as one page that opens anywhere: no kernel, no network, no second file."""

import base64
import html
import io
import re
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import quote

import jinja2
import nbformat
import numpy as np
import pandas as pd
from latex2mathml.converter import convert
from nbconvert import HTMLExporter
from PIL import Image
from pygments.formatters import HtmlFormatter

from srnb import evaluation, files, progress, runs
from srnb.data import images
from srnb.evaluation import metrics
from srnb.reports import figures, inspector

TEMPLATES = Path(__file__).parent / "templates"
INDEXED = ("psnr_y", "ssim_y", "lpips_alex")  # what the table of all runs shows
COLUMNS = ("run", "status", "preset", "backend", "seconds")
SCENES = 6  # photographs in the inspector, so that the page stays fit for a mail


def render(run, *, trial=""):
    """Write report/index.html from what is in the run's folder, finished or not, and return its path.

    trial: the part in which readers try the networks, as HTML of `web.page.trial`.

    A report exists for every state of a run: a file that cannot be read is named in the place of what it would show.
    Raises ValueError if run.json is damaged.
    """
    record, unreadable = run.read(), []

    def read(file, part, *arguments, otherwise=()):
        try:
            return part(*arguments)
        except Exception as error:  # files may hold anything, and none of it may cost the rest of the report
            unreadable.append(f"{file}: {type(error).__name__}: {error}"[:500])
            return otherwise

    tables = read("metrics.csv", _tables, run)
    scenes = read("figures/scenes", _scenes, run)
    charts = read("log.jsonl", _charts, run)
    notebooks, contents = [], [_entry("result", "Result")]
    contents += [_entry("pictures", "Before and after")] * bool(scenes) + [_entry("curves", "Training")] * bool(charts)
    contents += [_entry("try-heading", "Try it on your own photo")] * bool(trial)
    contents.append(_entry("record", "How this run was made"))
    for stem in record.get("notebooks", {}):
        copy = run.folder / f"{stem}.ipynb"
        copy = copy if copy.is_file() else runs.running_name(copy)
        if copy.is_file():
            body, headings = read(copy.name, _cells, copy, stem, otherwise=("", []))
            notebooks.append(body)
            contents += headings
    page = _template("report.html.j2").render(
        style=_style(),
        run=run,
        record=record,
        facts=read("run.json", _facts, record),
        unreadable=unreadable,
        tables=tables,
        scenes=scenes,
        trial=trial,
        charts=charts,
        steps=read("run.json", _steps, record),
        parameters=record.get("values"),
        environment=read("run.json", _environment, record, otherwise={}),
        notebooks=notebooks,
        contents=contents,
    )
    path = run.folder / "report" / "index.html"
    files.write_text(path, page)
    return path


def markdown(run):
    """Return what a run measured and how long it took as Markdown tables, for a README."""
    record = run.read()
    return _template("results.md.j2").render(run=run, facts=_facts(record), tables=_tables(run), steps=_steps(record))


def index(results):
    """Write index.html, all runs of a results folder side by side with links to their reports; return their frame."""
    frame = evaluation.collect(results)
    rows = [_row(Path(results) / row["run"], row) for row in reversed(frame.to_dict("records"))]
    shown = [metric for metric in INDEXED if any(metric in row["means"] for row in rows)]
    headings = [_heading(metric, "") for metric in shown]
    page = _template("index.html.j2").render(style=_style(), rows=rows, shown=shown, headings=headings)
    files.write_text(Path(results) / "index.html", page)
    return frame


def _row(folder, row):
    """Return what the table of all runs shows of one: its last generator on its first set, against bicubic."""
    means, table = {}, None
    with suppress(ValueError):  # the status says that its numbers are damaged
        table = summary(runs.Run(folder))
    if table is not None:
        table = table.loc[table.index.get_level_values("dataset")[0]]
        model = "gan" if "gan" in table.index else table.index[-1]
        for metric in table.columns.intersection(INDEXED):
            value, reference = table.loc[model, metric], table[metric].get("bicubic", float("nan"))
            digits = 2 if abs(value) >= 10 else 4
            means[metric] = {"value": f"{value:.{digits}f}", "gain": f"{value - reference:+.{digits}f}"}
    return {
        **{name: _shown(value, name) for name, value in row.items()},
        "report": f"{quote(folder.name)}/report/index.html" if (folder / "report" / "index.html").is_file() else None,
        "model": model if means else "",
        "means": means,
    }


def summary(run):
    """Return `evaluation.summary` of a run's metrics; None if the run has measured nothing."""
    if not (run.folder / "metrics.csv").is_file():
        return None
    return evaluation.summary(run.metrics())


def _cells(copy, stem):
    """Return the cells of an executed notebook as HTML, and its headings for the table of contents."""
    notebook = nbformat.read(copy, 4)
    notebook.metadata.pop("widgets", None)
    formulas = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _without_formulas(cell.source, formulas)
        for output in cell.get("outputs", []):
            if output.output_type == "stream":
                output.text = progress.without_time_left(output.text)
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)  # dead without a kernel
            if 'class="inspector"' in data.get("text/html", ""):  # the same pictures stand at the top of the page
                data["text/html"] = '<p>See <a href="#pictures">Before and after</a>.</p>'
            if "image/svg+xml" in data:  # in the page itself, where its label is read and its width is the page's
                data["text/html"] = data.pop("image/svg+xml")
            if "image/png" in data:
                picture = Image.open(io.BytesIO(base64.b64decode(data.pop("image/png"))))
                data["text/html"] = f'<img alt="" src="{_data_uri(picture, quality=95)}">'
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if output.get("data", True)]
    exporter = HTMLExporter(
        template_name="lab",
        template_file="notebook.html.j2",
        extra_template_paths=[str(TEMPLATES)],
        embed_images=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    body = re.sub(r"FORMULA(\d+)END", lambda match: formulas[int(match[1])], body)
    headings = []

    def heading(match):
        title = html.unescape(re.sub(r"<[^>]+>|¶", "", match[2])).strip()
        headings.append(_entry(f"{stem}-{len(headings)}", title, deep=match[1] == "2"))
        return f'<h{match[1]} id="{headings[-1]["id"]}">{match[2]}</h{match[1]}>'

    return re.sub(r"<h([12])>(.*?)</h\1>", heading, body, flags=re.DOTALL), headings


def _without_formulas(source, formulas):
    """Return Markdown with a placeholder for each formula, whose MathML goes to `formulas`; code is left alone."""

    def replaced(match):
        formulas.append(convert(match[1] or match[2], display="block" if match[1] else "inline"))
        return f"FORMULA{len(formulas) - 1}END"

    parts = re.split(r"(```.*?```|`[^`\n]*`)", source, flags=re.DOTALL)
    formula = r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?![\d$])"
    parts[::2] = [re.sub(formula, replaced, part, flags=re.DOTALL) for part in parts[::2]]
    return "".join(parts)


def _tables(run):
    """Return for each dataset its photographs' number and a row per model, the best value of each metric marked."""
    means, tables = summary(run), []
    if means is None:
        return tables
    measured = run.metrics()
    for dataset, frame in means.groupby(level="dataset", sort=False):
        frame, rows = frame.droplevel("dataset").dropna(axis="columns", how="all"), []
        rows_of = measured[measured["dataset"] == dataset]
        for model, values in frame.iterrows():
            cells = [{"text": _shown(values[m], m), "best": values[m] == _best(frame[m], m)} for m in frame.columns]
            rows.append({"model": model, "cells": cells})
        headings = [_heading(m, rows_of[rows_of["metric"] == m]["protocol"].iloc[0]) for m in frame.columns]
        tables.append({"dataset": dataset, "images": rows_of["image"].nunique(), "metrics": headings, "rows": rows})
    return tables


def _best(values, metric):
    if metric not in metrics.METRICS or len(values) < 2:
        return None
    return values.max() if metrics.METRICS[metric].direction == "higher" else values.min()


def _heading(metric, protocol):
    if metric not in metrics.METRICS:
        return {"name": metric.replace("_", " "), "unit": "", "arrow": "", "protocol": protocol}
    entry = metrics.METRICS[metric]
    arrow = "↑" if entry.direction == "higher" else "↓"
    return {"name": entry.name, "unit": entry.unit, "arrow": arrow, "protocol": protocol}


def _scenes(run):
    """Return an inspector of the pictures in figures/scenes/<photograph>/<model>.png, which notebook 4 leaves there."""
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
    return inspector.inspector(scenes, notes=notes)


def _data_uri(picture, *, quality):
    """Return a PIL picture as WebP inside an address: a fraction of a PNG, so that a report fits into a mail."""
    file = io.BytesIO()
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    picture.save(file, "WEBP", quality=quality)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def _charts(run):
    """Return for each stage of a run's log a small chart of each number, and what the trainer noticed."""
    log, charts = run.read_log(), []
    for stage, rows in log.groupby("stage", sort=False) if "stage" in log else ():
        numbers = rows.drop(columns=["stage", "step"]).select_dtypes("number")
        names = [name for name in numbers if rows[name].notna().sum() > 1]
        noticed = rows.reindex(columns=["step", "notice"]).dropna()
        charts.append(
            {
                "name": stage,
                "steps": f"{int(rows['step'].max()):,}",
                "charts": [_chart(name, rows.dropna(subset=[name])) for name in names],
                "notices": [f"step {row.step:,}: {row.notice}" for row in noticed.itertuples()],
            }
        )
    return charts


def _chart(name, rows, *, width=220, height=70):
    steps, values = rows["step"].to_numpy(float), rows[name].to_numpy(float)
    low, high = values.min(), values.max()
    x = (steps - steps[0]) / max(steps[-1] - steps[0], 1) * width
    y = height - (values - low) / ((high - low) or 1) * height
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), 2 * width)).round().astype(int))
    points = " ".join(f"{x[each]:.1f},{y[each]:.1f}" for each in keep)
    label = html.escape(f"{name} over steps")
    svg = (
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<path d="M0 {height}H{width}" stroke="var(--line)" vector-effect="non-scaling-stroke"/>'
        f'<polyline points="{points}" fill="none" stroke="var(--accent)" stroke-width="1.6" '
        'stroke-linejoin="round" vector-effect="non-scaling-stroke"/></svg>'
    )
    words = name.replace("_", " ")
    return {"name": words, "last": f"{values[-1]:.4g}", "range": f"{low:.4g} to {high:.4g}", "svg": svg}


def _facts(record):
    """Return the line under the title."""
    git, facts = record.get("git") or {}, []
    if record.get("preset"):
        facts.append(f"preset {record['preset']}")
    facts += [record.get("backend"), record.get("device"), (record.get("started") or "")[:10]]
    if record.get("seconds"):
        facts.append(progress.duration(record["seconds"]))
    if git.get("commit"):
        facts.append(f"commit {git['commit'][:7]}{' with local changes' if git['dirty'] else ''}")
    return [fact for fact in facts if fact]


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
    shown |= record.get("versions") or {}
    if data:
        shown["data"] = f"{data['name']}, {len(data['train'])} photographs to train on"
        shown["held out"] = f"{data.get('test_name', data['name'])}, {len(data['test'])} photographs"
        shown |= {f"sha256 of {split}": value for split, value in data.get("fingerprints", {}).items()}
    return {name: value for name, value in shown.items() if value}


def _shown(value, name):
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if name == "seconds":
        return progress.duration(value)
    if name == "commit":
        return value[:7]
    if name == "started":
        return value[:16].replace("T", " ")
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 10 else f"{value:.4f}"
    return str(value)


def _entry(anchor, title, *, deep=False):
    return {"id": anchor, "title": title, "deep": deep}


@cache
def _style():
    """Return the style of all pages, with the colours of code for light and dark."""
    light, dark = (HtmlFormatter(style=style).get_style_defs(".highlight") for style in ("default", "github-dark"))
    code = f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n.highlight{{background:none!important}}"
    return (TEMPLATES / "style.css").read_text("utf-8") + code


@cache
def _template(name):
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, autoescape=True, trim_blocks=True).get_template(name)
