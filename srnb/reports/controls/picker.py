"""The run picker: validation curves of several runs in one chart, with their results from notebook 4."""

import html

import numpy as np

from srnb import evaluation, runs
from srnb.evaluation.metrics import METRICS
from srnb.reports import figures
from srnb.reports.controls import still

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 360, 190, 52, 10, 24, 24
METRIC = "validation_"  # what a column of the log that validation measured begins with


def show(results, chosen, *, metrics=("psnr_y", "lpips_alex")):
    """Display a list of the runs under `results`; `chosen` are the names of those selected first."""
    known = {run.name: run for run in runs.find(results)}
    chosen = [name for name in chosen if name in known]
    still.show(view([known[name] for name in chosen], metrics), lambda: control(known, chosen, metrics))


def view(shown, metrics):
    """Return runs as HTML: a chart per stage and metric of validation, then the table of their means."""
    colours = dict(zip([run.name for run in shown], figures.COLOURS * len(shown), strict=False))
    logs, tables, problems = {}, [], []
    for run in shown:
        try:
            logs[run.name] = run.read_log()
            tables.append(run.metrics().assign(run=run.name))  # a folder that was copied has the name of the first
        except FileNotFoundError:
            problems.append(f"{run.name} has no numbers of notebook 4 yet")
        except ValueError as error:
            problems.append(str(error))
    stages = dict.fromkeys(stage for log in logs.values() if "stage" in log for stage in log["stage"].unique())
    charts = {}
    for stage in stages:
        of_stage = {name: log[log["stage"] == stage] for name, log in logs.items() if "stage" in log}
        for column in dict.fromkeys(name for rows in of_stage.values() for name in rows if name.startswith(METRIC)):
            curves = {name: rows[["step", column]].dropna() for name, rows in of_stage.items() if column in rows}
            curves = {name: rows.to_numpy(float) for name, rows in curves.items() if len(rows)}
            if curves:
                title = figures.label(column.removeprefix(METRIC)) if column.removeprefix(METRIC) in METRICS else column
                charts[f"{stage}: {title}, held out"] = chart(curves, colours)
    legend = " &nbsp; ".join(f'<span style="color:{ink}">●</span> {html.escape(name)}' for name, ink in colours.items())
    notes = "".join(f"<p>{html.escape(problem)}</p>" for problem in problems)
    return f"<p>{legend or 'no run is chosen'}</p>{still.row(charts, width=WIDTH)}{_means(tables, metrics)}{notes}"


def chart(curves, colours):
    """Return curves, name -> (n, 2) of step and value, in one SVG chart."""
    points = np.concatenate(list(curves.values()))
    (first, low), (last, high) = points.min(axis=0), points.max(axis=0)
    x = lambda step: LEFT + (step - first) / ((last - first) or 1) * (WIDTH - LEFT - RIGHT)
    y = lambda value: HEIGHT - BOTTOM - (value - low) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)
    lines = ""
    for name, rows in curves.items():
        places = [(x(step), y(value)) for step, value in rows]
        path = " ".join(f"{across:.1f},{up:.1f}" for across, up in places)
        words = html.escape(f"{name}: {rows[-1, 1]:.4g} at step {rows[-1, 0]:,.0f}")
        dots = "".join(f'<circle cx="{across:.1f}" cy="{up:.1f}" r="2.5"/>' for across, up in places)
        lines += f'<g stroke="{colours[name]}" fill="{colours[name]}"><title>{words}</title>'
        lines += f'<polyline points="{path}" fill="none" stroke-width="2"/>{dots}</g>'
    text = f'fill="{figures.INK}" font-size="11" font-family="system-ui,sans-serif"'
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{html.escape(", ".join(curves))}">'
        f'<path d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}" fill="none" stroke="{figures.INK}"/>{lines}'
        f'<text {text} x="{LEFT - 5}" y="{y(low) + 4:.1f}" text-anchor="end">{low:.4g}</text>'
        f'<text {text} x="{LEFT - 5}" y="{y(high) + 4:.1f}" text-anchor="end">{high:.4g}</text>'
        f'<text {text} x="{LEFT}" y="{HEIGHT - 8}">{first:,.0f}</text>'
        f'<text {text} x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">step {last:,.0f}</text></svg>'
    )


def _means(tables, metrics):
    rows = ""
    for table in tables:
        means = evaluation.summary(table, by=["run", "dataset", "model"])
        for key, values in means[[name for name in metrics if name in means]].iterrows():
            cells = [*map(html.escape, key), *(f"{value:#.4g}" for value in values)]
            rows += "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
    heads = ["run", "photographs", "model", *(figures.label(name) for name in metrics)]
    head = "".join(f"<th>{html.escape(name)}</th>" for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""


def control(known, chosen, metrics):
    """Return the control as a widget."""
    import ipywidgets

    listed = ipywidgets.SelectMultiple(
        options=list(known), value=chosen, rows=min(12, max(4, len(known))), layout={"width": "260px"}
    )
    seen = ipywidgets.HTML(layout={"flex": "1 1 420px"})

    def refresh(change=None):
        seen.value = view([known[name] for name in listed.value], metrics)

    listed.observe(refresh, "value")
    refresh()
    return ipywidgets.HBox([listed, seen], layout={"flex_flow": "row wrap"})
