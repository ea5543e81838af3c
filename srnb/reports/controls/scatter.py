"""A scatter plot with a named dot for each photograph, which opens the photograph in the inspector.

Plain SVG and a few lines of script (plotly would weigh 4 MB, a widget would need a kernel), so that it works in a
report as well; the names can be read even where scripts may not run.
"""

import html

from IPython.display import HTML

from srnb.evaluation.metrics import METRICS
from srnb.reports import figures
from srnb.reports.controls.page import piece

SIDE, LEFT, RIGHT, TOP, BOTTOM = 330, 54, 12, 26, 40
STYLE = (
    ".scatter{font:13px/1.5 system-ui,sans-serif}.scatter svg{max-width:100%;height:auto;margin-right:14px}"
    ".scatter text{fill:currentColor;font:11px system-ui,sans-serif}.scatter .title{font-size:12px}"
    ".scatter circle{cursor:pointer;outline:0;fill-opacity:.8}.scatter .same{stroke:currentColor;stroke-width:2}"
    ".scatter p{margin:4px 0;min-height:1.5em}.scatter i{display:inline-block;width:10px;height:10px;"
    "border-radius:5px;margin:0 5px 0 12px}"
)
HINT = "A dot is a photograph: its name is here while you point at it, and a click opens it in the inspector."


def show(table, metrics, *, reference="bicubic"):
    """Return as HTML a panel per metric of the tidy `table`: the value of each model against that of `reference`."""
    models = [name for name in table["model"].unique() if name != reference]
    colours = figures.palette([reference, *models])
    del colours[reference]
    panels = "".join(_panel(table[table["metric"] == metric], metric, colours, reference) for metric in metrics)
    legend = "".join(f'<i style="background:{colour}"></i>{html.escape(name)}' for name, colour in colours.items())
    content = f'{panels}<div>{legend}</div><p class="said" aria-live="polite">{HINT}</p>'
    return HTML(f"<style>{STYLE}</style>{piece(content, kind='scatter', script='scatter.js')}")


def _panel(table, metric, colours, reference):
    values = table.pivot(index=["dataset", "image"], columns="model", values="value")
    shown = values[[reference, *colours]]
    low, high = shown.min().min(), shown.max().max()
    low, high = low - 0.06 * (high - low or 1), high + 0.06 * (high - low or 1)
    width, height = SIDE - LEFT - RIGHT, SIDE - TOP - BOTTOM
    x = lambda value: LEFT + (value - low) / (high - low) * width
    y = lambda value: SIDE - BOTTOM - (value - low) / (high - low) * height
    entry, dots = METRICS[metric], ""
    for model, colour in colours.items():
        for (_, image), row in shown.iterrows():
            words = f"{image}: {model} {row[model]:.4g}, {reference} {row[reference]:.4g} {entry.unit}".strip()
            dots += (
                f'<circle tabindex="0" data-photograph="{html.escape(image)}" cx="{x(row[reference]):.1f}" '
                f'cy="{y(row[model]):.1f}" r="5.5" fill="{colour}"><title>{html.escape(words)}</title></circle>'
            )
    side = "above" if entry.direction == "higher" else "below"
    ticks = "".join(
        f'<text x="{x(value):.1f}" y="{SIDE - BOTTOM + 14}" text-anchor="middle">{value:.3g}</text>'
        f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.3g}</text>'
        for value in (shown.min().min(), shown.max().max())
    )
    ink = f'stroke="{figures.INK}" fill="none"'
    return (
        f'<svg viewBox="0 0 {SIDE} {SIDE}" width="{SIDE}" role="group" aria-label="{html.escape(entry.name)}">'
        f'<path d="M{LEFT} {TOP}V{SIDE - BOTTOM}H{SIDE - RIGHT}" {ink}/>'
        f'<path d="M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}" {ink} stroke-dasharray="4 4"/>{dots}{ticks}'
        f'<text class="title" x="{LEFT}" y="14">{html.escape(figures.label(metric))}, better {side} the line</text>'
        f'<text x="{LEFT + width / 2}" y="{SIDE - 8}" text-anchor="middle">{html.escape(reference)}</text>'
        f'<text transform="translate(12 {TOP + height / 2}) rotate(-90)" text-anchor="middle">network</text></svg>'
    )
