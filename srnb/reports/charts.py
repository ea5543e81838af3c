"""The curves of a training as inline SVG in the style of the page, for the live panel and the report.

Their style is templates/charts.css.
"""

import html
import math

import numpy as np

from srnb.evaluation.metrics import METRICS

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 22  # margins, in the same units

BALANCE = ("real_logit", "fake_logit")
ASIDE = ("learning_rate", "images_per_second", "colour_drift", "loss_scale")  # for who wants to know


def of_log(log, *, reference=None):
    """Return for each stage of a run's log its charts, validation first, and the notices of the trainer.

    log: the frame of `runs.Run.read_log`. reference: stage -> {metric: value of bicubic on what a validation looks at},
    drawn dashed. A value that never changes has no chart. A chart is a dict of name, last (value), kind (validation,
    term, balance or aside) and svg; the discriminator's mean logits for real and fake share one chart.
    """
    stages = []
    for stage, rows in log.groupby("stage", sort=False) if "stage" in log else ():
        numbers = rows.drop(columns=["stage", "step"]).select_dtypes("number")
        charts = [
            _chart(name, _points(rows, name), (reference or {}).get(stage) or {})
            for name in sorted(numbers, key=lambda name: not name.startswith("validation_"))
            if name not in BALANCE and rows[name][np.isfinite(rows[name])].nunique() > 1
        ]
        if set(BALANCE) <= set(numbers) and rows[[*BALANCE]].notna().any(axis=None):
            charts.append(_balance([_points(rows, name) for name in BALANCE]))
        charts.sort(key=lambda chart: ("validation", "term", "balance", "aside").index(chart["kind"]))
        noticed = rows.reindex(columns=["step", "notice"]).dropna()
        notices = [f"step {row.step:,}: {row.notice}" for row in noticed.itertuples()]
        stages.append({"name": stage, "steps": f"{int(rows['step'].max()):,}", "charts": charts, "notices": notices})
    return stages


def markup(charts):
    """Return charts side by side as HTML."""
    shown = [
        f'<div class="chart {chart["kind"]}"><b>{html.escape(chart["name"])}</b><span>{chart["last"]}</span>'
        f"{chart['svg']}</div>"
        for chart in charts
    ]
    return f'<div class="charts">{"".join(shown)}</div>' if shown else ""


def _points(rows, name):
    """Return the steps and the finite values that were logged under a name."""
    kept = rows[np.isfinite(rows[name])]
    return kept["step"].to_numpy(float), kept[name].to_numpy(float)


def _chart(name, points, reference):
    metric = name.removeprefix("validation_") if name.startswith("validation_") else None
    title, dashed, values = name.replace("_", " "), reference.get(metric), points[1]
    if metric in METRICS:
        entry = METRICS[metric]
        title = f"{entry.name}{f' ({entry.unit})' if entry.unit else ''}, held out"
    said = f"{title} over {points[0][-1]:,.0f} steps, from {values[0]:.4g} to {values[-1]:.4g}"
    if dashed is not None:
        said += f"; bicubic {dashed:.4g}"
    return {
        "name": title,
        "last": f"{values[-1]:.4g}",
        "kind": "validation" if metric else "aside" if name in ASIDE else "term",
        "svg": _svg([points], {} if dashed is None else {"bicubic": dashed}, said, dots=metric is not None),
    }


def _balance(curves):
    (steps, real), (_, fake) = curves
    return {
        "name": "mean logit",
        "last": f'<i class="first">real {real[-1]:.3g}</i> <i class="second">fake {fake[-1]:.3g}</i>',
        "kind": "balance",
        "svg": _svg(
            curves,
            {"": 0.0},
            f"mean logit of the discriminator over {steps[-1]:,.0f} steps: for real patches from {real[0]:.3g} to "
            f"{real[-1]:.3g}, for fakes from {fake[0]:.3g} to {fake[-1]:.3g}",
        ),
    }


def _svg(curves, dashed, said, *, dots=False):
    """Draw curves, each (steps, values), and dashed lines, name -> value; `said` is the alternative text."""
    first, last = min(steps[0] for steps, _ in curves), max(steps[-1] for steps, _ in curves)
    ends = [end for _, values in curves for end in (values.min(), values.max())] + list(dashed.values())
    ticks = _ticks(min(ends), max(ends))
    low, high = min(*ticks, *ends), max(*ticks, *ends)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(step):
        return LEFT + (step - first) / max(last - first, 1) * across

    def y(value):
        return TOP + (high - value) / ((high - low) or 1) * down

    parts = [
        f'<path class="grid" d="M{LEFT} {y(tick):.1f}h{across}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>'
        for tick in ticks
    ]
    for step, anchor in ((first, "start"), (last, "end")):
        parts.append(f'<text x="{x(step):.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{step:,.0f}</text>')
    parts.append(f'<text x="{LEFT + across / 2}" y="{HEIGHT - 6}" text-anchor="middle">step</text>')
    for name, value in dashed.items():
        above = y(value) > TOP + 14
        parts.append(
            f'<path class="dashed" d="M{LEFT} {y(value):.1f}h{across}"/><text x="{LEFT + 4}" '
            f'y="{y(value) + (-4 if above else 12):.1f}">{name}</text>'
        )
    for (steps, values), name in zip(curves, ("first", "second"), strict=False):
        kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 2 * WIDTH)).round().astype(int))
        points = [(x(steps[place]), y(values[place])) for place in kept]
        parts.append(f'<polyline class="{name}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
        if (dots and len(points) <= 40) or len(points) == 1:
            parts += [f'<circle class="{name}" cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>' for a, b in points]
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(said)}">{"".join(parts)}</svg>'


def _ticks(low, high):
    """Return two to five round numbers between low and high."""
    span = (high - low) or abs(high) or 1
    unit = 10 ** math.floor(math.log10(span))
    step = next(factor * unit for factor in (0.25, 0.5, 1, 2, 2.5) if span / (factor * unit) <= 4.5)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _short(value):
    return (
        f"{value:.6g}" if value == 0 or abs(value) >= 1e-3 else f"{value:.1e}".replace(".0e", "e").replace("e-0", "e-")
    )
