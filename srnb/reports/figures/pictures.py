"""Photographs side by side, whole, in details, small, and as maps of what is wrong with them."""

import numpy as np
from matplotlib.patches import Rectangle

from srnb.evaluation.metrics import METRICS
from srnb.reports.figures.drawing import COLOURS, INK, WIDEST, blank, new, themed


def captions(table, image, metrics=("psnr_y", "lpips_alex")):
    """Return for each model the values of an image in the tidy table as text, the `notes` of `strip`."""
    table = table[(table["image"] == image) & table["metric"].isin(metrics)]
    lines = {model: [] for model in table["model"]}
    for model, metric, value in table[["model", "metric", "value"]].itertuples(index=False):
        entry = METRICS[metric]
        lines[model].append(f"{entry.name} {value:.{2 if entry.unit == 'dB' else 3}f} {entry.unit}".strip())
    return {model: "\n".join(each) for model, each in lines.items()}


@themed
def strip(shown, *, box=None, title="", notes=None, height=2.3):
    """Draw pictures of one scene side by side: LR | bicubic | ... | HR.

    `shown` is a dict of name -> picture. They may differ in scale; the last one, HR, gives the size. `box` (top, left,
    size), in its pixels, shows that part only, after the whole last picture with the part marked. `notes` is a dict of
    name -> text under a picture, `height` that of a picture in inches, less where there are many. Pixels are drawn as
    they are, never smoothed.
    """
    full = list(shown.values())[-1]
    top, left, rows, columns = (0, 0, *full.shape[:2]) if box is None else (box[0], box[1], box[2], box[2])
    ratios = [columns / rows] * len(shown)
    if box is not None:
        ratios.insert(0, full.shape[1] / full.shape[0])
    lines = 1 + max((text.count("\n") for text in (notes or {}).values()), default=-1)
    height = min(height, (WIDEST - 0.1 * len(ratios)) / sum(ratios))
    size = height * sum(ratios) + 0.1 * len(ratios), height + 0.35 + 0.2 * lines + (0.25 if title else 0)
    figure, axes = new(*size, columns=len(ratios), width_ratios=ratios, squeeze=False)
    axes = list(axes[0])
    for axis in axes:
        blank(axis)
    if box is not None:
        axis = axes.pop(0)
        axis.imshow(full.clip(0, 1))
        for colour, line in (("white", 3), (COLOURS[1], 1.5)):
            axis.add_patch(Rectangle((left, top), columns, rows, fill=False, edgecolor=colour, linewidth=line))
        axis.set_title("HR, whole")
    for axis, (name, picture) in zip(axes, shown.items(), strict=True):
        scale = full.shape[0] / picture.shape[0]
        extent = (-0.5, picture.shape[1] * scale - 0.5, picture.shape[0] * scale - 0.5, -0.5)
        axis.imshow(picture.clip(0, 1), interpolation="nearest", extent=extent)
        axis.set(xlim=(left - 0.5, left + columns - 0.5), ylim=(top + rows - 0.5, top - 0.5))
        axis.set_title(name)
        axis.set_xlabel((notes or {}).get(name, ""))
    if title:
        figure.suptitle(title, x=0.005, ha="left")  # where a page that is narrower begins
    said = "; ".join(f"{name}: {text}" for name, text in (notes or {}).items() if name in shown).replace("\n", ", ")
    part = "HR whole with a square, then the square of each: " if box is not None else ""
    return figure.described(
        f"{title}." if title else "Left, the whole photograph with the part marked." if box is not None else "",
        f"{title + ': ' if title else ''}{part}{', '.join(shown)}.{' ' + said if said else ''}",
    )


@themed
def gallery(pictures, *, columns=7, size=1.6):
    """Draw many photographs small; `pictures` is a dict of name -> picture."""
    rows = -(-len(pictures) // columns)
    figure, axes = new(size * columns, size * rows, rows, columns, squeeze=False)
    for axis in axes.flat:
        blank(axis)
    for axis, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        axis.imshow(picture.clip(0, 1))
        axis.set_title(name)
    return figure.described(f"{len(pictures)} photographs, small.", f"Photographs: {', '.join(pictures)}.")


@themed
def batch(lr, hr, *, count=8, size=1.3):
    """Draw the first `count` pairs of a batch: inputs above, targets below, both at the same size."""
    count = min(count, len(hr))
    figure, axes = new(size * count, 2 * size, 2, count, squeeze=False)
    for axis, picture in zip(axes.flat, [*lr[:count], *hr[:count]], strict=True):
        axis.imshow(picture.clip(0, 1), interpolation="nearest")
        blank(axis)
    axes[0, 0].set_ylabel(f"LR {lr.shape[1]}×{lr.shape[2]}")
    axes[1, 0].set_ylabel(f"HR {hr.shape[1]}×{hr.shape[2]}")
    return figure.described(
        f"The first {count} pairs of a batch: inputs above, targets below.",
        f"{count} patches of LR, {lr.shape[1]}×{lr.shape[2]} pixels, above their HR, {hr.shape[1]}×{hr.shape[2]}.",
    )


@themed
def differences(shown, errors, judged, *, title=""):
    """Draw pictures, below each where it errs, and below that where LPIPS minds; all three are name -> array.

    A row of maps has one scale, so that they can be compared.
    """
    columns = len(shown)
    height, width = next(iter(shown.values())).shape[:2]
    side = min(3.0, (WIDEST - 1.2) / columns)
    size = side * columns + 1.2, 3 * side * height / width + 1
    figure, axes = new(*size, 3, columns + 1, squeeze=False, width_ratios=[1] * columns + [0.04])
    axes[0, -1].set_axis_off()
    for axis in axes[:, :-1].flat:
        blank(axis)
    for axis, (name, picture) in zip(axes[0], shown.items(), strict=False):
        axis.imshow(picture.clip(0, 1))
        axis.set_title(name)
    for row, maps, text in ((axes[1], errors, "error (grey levels)"), (axes[2], judged, "LPIPS alex")):
        limit = max(np.quantile(each, 0.995) for each in maps.values())
        for axis, name in zip(row, shown, strict=False):
            drawn = axis.imshow(maps[name], cmap="magma", vmin=0, vmax=limit)
            axis.set_xlabel(f"mean {maps[name].mean():.3g}")
        bar = figure.colorbar(drawn, cax=row[-1])
        bar.set_label(text)
        bar.ax.tick_params(labelsize=7, colors=INK)
        bar.outline.set_visible(False)
    figure.suptitle(title, x=0.005, ha="left")
    said = "; ".join(
        f"{name} {errors[name].mean():.3g} grey levels and LPIPS {judged[name].mean():.3g}" for name in shown
    )
    return figure.described(
        f"{title}: where pixels are wrong, in the middle, is not where a network sees a difference, below.",
        f"Pictures with two maps each, whose means are: {said}.",
    )


@themed
def gradients(shown, maps, *, columns=5, size=2.1):
    """Draw where losses push a picture: `shown` are pictures, `maps` gradients of a loss, both name -> (H, W, 3).

    Each map, summed over colours, has a scale of its own: red asks for darker pixels, blue for brighter ones.
    """
    panels = [(name, picture.clip(0, 1), {}) for name, picture in shown.items()]
    for name, gradient in maps.items():
        total = np.asarray(gradient, "float32").sum(-1)
        limit = float(np.quantile(abs(total), 0.995)) or 1.0
        panels.append((name, total, {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}))
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = new(size * columns, (size + 0.2) * rows, rows, columns, squeeze=False)
    for axis in axes.flat:
        blank(axis)
    for axis, (name, picture, options) in zip(axes.flat, panels, strict=False):
        axis.imshow(picture, interpolation="nearest", **options)
        axis.set_title(name.replace("_", " "))
    return figure.described(
        "Where losses push a picture: red asks for darker pixels, blue for brighter ones; each map has its own scale.",
        f"Pictures {', '.join(shown)}, then gradients of {', '.join(maps)}.".replace("_", " "),
    )
