"""The curves of a training as inline SVG, whose text and colours are those of the page."""

import html
import math

import numpy as np

from srnb.evaluation.metrics import METRICS

WIDTH, HEIGHT = 300, 150
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 22  # margins, in the same units


def of_log(log, *, reference=None):
    """Return for each stage of a run's log its charts, validation first, and what the trainer noticed.

    `log` is the frame of `runs.Run.read_log`; `reference` a dict of metric -> value of bicubic on the photographs of
    validation, drawn dashed. What never changes has no chart.
    """
    stages = []
    for stage, rows in log.groupby("stage", sort=False) if "stage" in log else ():
        numbers = rows.drop(columns=["stage", "step"]).select_dtypes("number")
        charts = []
        for name in sorted(numbers, key=lambda name: not name.startswith("validation_")):
            kept = rows[np.isfinite(rows[name])]
            if kept[name].nunique() > 1:
                steps, values = kept["step"].to_numpy(float), kept[name].to_numpy(float)
                charts.append(_chart(name, steps, values, reference or {}))
        noticed = rows.reindex(columns=["step", "notice"]).dropna()
        notices = [f"step {row.step:,}: {row.notice}" for row in noticed.itertuples()]
        stages.append({"name": stage, "steps": f"{int(rows['step'].max()):,}", "charts": charts, "notices": notices})
    return stages


def _chart(name, steps, values, reference):
    metric = name.removeprefix("validation_") if name.startswith("validation_") else None
    title, dashed = name.replace("_", " "), reference.get(metric)
    if metric in METRICS:
        entry = METRICS[metric]
        title = f"{entry.name}{f' ({entry.unit})' if entry.unit else ''}, held out"
    said = f"{title} over {steps[-1]:,.0f} steps, from {values[0]:.4g} to {values[-1]:.4g}"
    if dashed is not None:
        said += f"; bicubic {dashed:.4g}"
    return {
        "name": title,
        "last": f"{values[-1]:.4g}",
        "validation": metric is not None,
        "svg": _svg(steps, values, dashed, said, dots=metric is not None),
    }


def _svg(steps, values, dashed, said, *, dots):
    shown = [*values, *([] if dashed is None else [dashed])]
    ticks = _ticks(min(shown), max(shown))
    low, high = min(*ticks, *shown), max(*ticks, *shown)
    across, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def x(step):
        return LEFT + (step - steps[0]) / max(steps[-1] - steps[0], 1) * across

    def y(value):
        return TOP + (high - value) / ((high - low) or 1) * down

    parts = [
        f'<path class="grid" d="M{LEFT} {y(tick):.1f}h{across}"/>'
        f'<text x="{LEFT - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>'
        for tick in ticks
    ]
    ends = ((steps[0], "start"), (steps[-1], "end"))
    parts += [f'<text x="{x(step):.1f}" y="{HEIGHT - 6}" text-anchor="{a}">{step:,.0f}</text>' for step, a in ends]
    parts.append(f'<text x="{LEFT + across / 2}" y="{HEIGHT - 6}" text-anchor="middle">step</text>')
    if dashed is not None:
        above = y(dashed) > TOP + 14
        parts.append(
            f'<path class="dashed" d="M{LEFT} {y(dashed):.1f}h{across}"/><text x="{LEFT + 4}" '
            f'y="{y(dashed) + (-4 if above else 12):.1f}">bicubic</text>'
        )
    kept = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), 2 * WIDTH)).round().astype(int))
    points = [(x(steps[place]), y(values[place])) for place in kept]
    parts.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>')
    if dots and len(points) <= 40:
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.4"/>' for a, b in points]
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
