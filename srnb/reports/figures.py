"""Static figures. Every function returns a matplotlib Figure, shown where it is returned; pictures are in [0, 1].

Each has a caption and an alternative text, which a notebook and a saved PNG or SVG carry to the report.
Backgrounds are transparent, and ink is a grey that reads on white and on dark pages alike.
"""

import functools
from fractions import Fraction
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from scipy import ndimage

from srnb.data import resize
from srnb.evaluation.metrics import METRICS

# Okabe and Ito: colours that colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#737b86"  # of text and axes: its contrast is 4.2 : 1 on white and on the report's dark page


STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
}
WIDEST = 10  # inches: a page shows a figure about 1000 pixels wide, and text of 8 points is then 11 pixels high


class Described(Figure):
    """A figure with a `caption`, what it shows and how to read it, and `alt`, what it says to who cannot see it."""

    caption = alt = ""

    def described(self, caption, alt):
        """Set both and return the figure."""
        self.caption, self.alt = caption, alt
        return self

    def savefig(self, target, **options):
        """Save as matplotlib does; a PNG or SVG has the caption as Title and the alternative text as Description."""
        form = options.get("format") or str(getattr(target, "suffix", "")).removeprefix(".") or "png"
        if form in ("png", "svg"):
            words = {"Title": self.caption, "Description": self.alt}
            options["metadata"] = words | (options.get("metadata") or {})
        super().savefig(target, **options)

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {}, {"image/png": {"alt": self.alt, "caption": self.caption}}  # beside the picture, which IPython makes


def themed(draw):
    """Let a function draw in STYLE, without a change for other figures of the process, and show names as they are."""

    @functools.wraps(draw)
    def drawn(*arguments, **options):
        with plt.rc_context(STYLE):
            result = draw(*arguments, **options)
        for text in _texts(result) if isinstance(result, Figure) else ():
            text.set_parse_math(False)  # two dollar signs in a file's name are no formula
        return result

    return drawn


def _texts(figure):
    legends = [*figure.legends, *(axis.legend_ for axis in figure.axes if axis.legend_)]
    ours = [text for axis in figure.axes for text in (axis.title, axis.xaxis.label, axis.yaxis.label, *axis.texts)]
    return [*figure.texts, *ours, *(text for legend in legends for text in legend.get_texts())]


@themed
def new(width, height, rows=1, columns=1, **options):
    """Return a figure of `width` x `height` inches and its axes, unknown to pyplot, which would show it twice.

    One that is wider than WIDEST is made smaller as a whole.
    """
    fit = min(1, WIDEST / width)
    size = {"figsize": (width * fit, height * fit), "dpi": 150, "layout": "constrained"}
    figure, axes = plt.subplots(rows, columns, FigureClass=Described, **size, **options)
    for axis in figure.axes:
        axis.tick_params(which="both", colors=INK)  # ticks are made when they are drawn, in the style of that moment
    plt.close(figure)
    return figure, axes


def label(metric):
    """Return the name of a metric with its unit and an arrow to its better side."""
    entry = METRICS[metric]
    unit = f" ({entry.unit})" if entry.unit else ""
    return f"{entry.name}{unit} {'↑' if entry.direction == 'higher' else '↓'}"


def captions(table, image, metrics=("psnr_y", "lpips_alex")):
    """Return for each model the values of an image in the tidy table as text, the `notes` of `strip`."""
    table = table[(table["image"] == image) & table["metric"].isin(metrics)]
    lines = {model: [] for model in table["model"]}
    for model, metric, value in table[["model", "metric", "value"]].itertuples(index=False):
        lines[model].append(f"{METRICS[metric].name} {value:.4g} {METRICS[metric].unit}".strip())
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
        axis.set(xticks=[], yticks=[])
    if box is not None:
        axis = axes.pop(0)
        axis.imshow(full.clip(0, 1))
        for colour, line in (("white", 3), (COLOURS[1], 1.5)):
            axis.add_patch(Rectangle((left, top), columns, rows, fill=False, edgecolor=colour, linewidth=line))
        axis.set_title("HR, whole", fontsize=9)
    for axis, (name, picture) in zip(axes, shown.items(), strict=True):
        scale = full.shape[0] / picture.shape[0]
        extent = (-0.5, picture.shape[1] * scale - 0.5, picture.shape[0] * scale - 0.5, -0.5)
        axis.imshow(picture.clip(0, 1), interpolation="nearest", extent=extent)
        axis.set(xlim=(left - 0.5, left + columns - 0.5), ylim=(top + rows - 0.5, top - 0.5))
        axis.set_title(name, fontsize=9)
        axis.set_xlabel((notes or {}).get(name, ""), fontsize=8)
    if title:
        figure.suptitle(title, fontsize=10)
    said = "; ".join(f"{name}: {text}" for name, text in (notes or {}).items() if name in shown).replace("\n", ", ")
    part = "HR whole with a square, then the square of each: " if box is not None else ""
    caption = f"{title or 'One scene'}. Left, the whole photograph with the part marked." if box is not None else title
    return figure.described(
        caption, f"{title + ': ' if title else ''}{part}{', '.join(shown)}.{' ' + said if said else ''}"
    )


@themed
def perception_distortion(points, *, line=()):
    """Draw the perception-distortion plane (Blau & Michaeli 2018); `points` is the frame of `evaluation.plane`.

    `line` names models to be joined in this order: a network, its interpolations, the other network.
    """
    figure, axis = new(5.8, 3.6)
    axis.plot(*points.loc[list(line)].to_numpy().T, color=INK, linewidth=1, zorder=1)
    between, dots = points.loc[list(line[1:-1])], []  # named: a legend that finds them by itself leaves out "_name"
    for (name, row), colour in zip(points.drop(between.index).iterrows(), COLOURS * len(points), strict=False):
        dots.append(axis.scatter(*row, s=54, color=colour, label=name, zorder=3))
    if len(between):
        dots.append(axis.scatter(*between.to_numpy().T, s=18, color=INK, label="between", zorder=2))
    axis.set_xlabel("RMSE on Y (grey levels) ↓", fontsize=9)
    axis.set_ylabel(label(points.columns[1]), fontsize=9)
    axis.margins(0.15)
    figure.legend(handles=dots, loc="outside right upper", fontsize=9, frameon=False)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    said = "; ".join(f"{name} {x:.2f} and {y:.3f}" for name, (x, y) in points.iterrows())
    return figure.described(
        "Perception against distortion: further left is nearer to the truth, further down looks more like a photo.",
        f"Scatter of {len(points)} models, RMSE across and {METRICS[points.columns[1]].name} up: {said}.",
    )


@themed
def cost_quality(points, *, quality="psnr_y"):
    """Draw quality against multiply-adds, a panel for each dataset; `points` is the frame of `evaluation.cost_plane`.

    Networks of papers are grey and named in place, bicubic is a dashed line. On a set that only papers have measured, a
    band stands for what our networks cost.
    """
    panels = list(points.groupby("dataset", sort=False))
    ours = points[~points["published"]].dropna(subset=["cost"]).drop_duplicates("model").set_index("model")["cost"]
    colours = dict(zip(ours.index, COLOURS * len(ours), strict=False))
    limits = points["cost"].min() / 3, points["cost"].max() * 3
    figure, axes = new(4.3 * len(panels) + 1.2, 3.4, columns=len(panels), squeeze=False)
    for axis, (dataset, rows) in zip(axes[0], panels, strict=True):
        known, theirs = (rows[rows["published"] == side].dropna(subset=["cost"]) for side in (False, True))
        for row in known.itertuples():
            axis.scatter(row.cost, row.quality, s=54, color=colours[row.model], zorder=3)
        for number, row in enumerate(theirs.sort_values(["cost", "quality"], ascending=[True, False]).itertuples()):
            axis.scatter(row.cost, row.quality, s=18, color=INK, zorder=2)
            place = {"xytext": (0, -11 if number % 2 else 5), "textcoords": "offset points", "ha": "center"}
            axis.annotate(row.model, (row.cost, row.quality), fontsize=7, **place)
        for level in rows.loc[rows["model"] == "bicubic", "quality"]:
            axis.axhline(level, color=INK, linestyle="--", linewidth=1)
            axis.annotate("bicubic", (0.02, level), xycoords=("axes fraction", "data"), fontsize=8, va="bottom")
        if known.empty and len(ours):
            axis.axvspan(ours.min() / 1.1, ours.max() * 1.1, color=INK, alpha=0.2, linewidth=0)
            axis.annotate(" ours", (ours.max() * 1.1, 0.96), xycoords=("data", "axes fraction"), fontsize=7)
        axis.set(xscale="log", xlim=limits)
        axis.xaxis.set_major_locator(LogLocator(subs=(1,) if limits[1] > 100 * limits[0] else (1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{dataset}, published" if rows["published"].all() else dataset, fontsize=9)
        axis.set_xlabel("multiply-adds for 1280x720 (10⁹) ↓", fontsize=9)
        axis.margins(0.15)
        axis.tick_params(labelsize=8, which="both")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel(label(quality), fontsize=9)
    handles = [axes[0, 0].scatter([], [], s=54, color=colour, label=name) for name, colour in colours.items()]
    figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False)
    said = "; ".join(f"{name} {cost:,.4g}" for name, cost in ours.items())
    names = ", ".join(points.loc[points["published"], "model"].unique())
    return figure.described(
        "What quality costs: further left is less work, further up nearer to the truth; networks of papers are grey.",
        f"{METRICS[quality].name} against multiply-adds on {', '.join(name for name, _ in panels)}. Multiply-adds in "
        f"10⁹: {said}.{f' From papers: {names}.' if names else ''}",
    )


@themed
def scatter(table, metrics, *, reference="bicubic"):
    """Draw for each metric the value of every model against that of `reference`, one dot per image.

    On the line a model equals the reference; it is better on the side that the title names. Images are named if there
    are no more than a dozen.
    """
    figure, axes = new(3.5 * len(metrics), 3.6, columns=len(metrics), squeeze=False)
    models = [name for name in table["model"].unique() if name != reference]
    for axis, metric in zip(axes[0], metrics, strict=True):
        values = table[table["metric"] == metric].pivot(index=["dataset", "image"], columns="model", values="value")
        for name, colour in zip(models, COLOURS * len(models), strict=False):
            axis.scatter(values[reference], values[name], s=18, color=colour, alpha=0.8, label=name, zorder=2)
        names = values.index.get_level_values("image") if len(values) <= 12 else ()
        for name, (_, row) in zip(names, values.iterrows(), strict=False):
            place = row[reference], row[models].max()
            axis.annotate(name, place, xytext=(0, 5), textcoords="offset points", fontsize=7, ha="center")
        axis.margins(0.15)
        axis.axline((values[reference].min(), values[reference].min()), slope=1, color=INK, linewidth=1, zorder=1)
        axis.set_title(
            f"{label(metric)}, better {'above' if METRICS[metric].direction == 'higher' else 'below'}", fontsize=9
        )
        axis.set_xlabel(reference, fontsize=9)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel("model", fontsize=9)
    dots = [dot for dot in axes[0][0].collections if dot.get_label() in models]
    figure.legend(handles=dots, loc="outside lower center", ncols=len(models), fontsize=8, frameon=False)
    named = " and ".join(METRICS[metric].name for metric in metrics)
    return figure.described(
        f"Photograph by photograph, {named} against {reference}; on the line both are equal.",
        f"Scatter for {named}: {', '.join(models)} against {reference}, a dot for each photograph.",
    )


@themed
def agreement(frame):
    """Draw the frame of `evaluation.agreement`: blue is the same order of models, red the reverse."""
    names = [METRICS[metric].name for metric in frame.index]
    figure, axis = new(1.5 + 0.85 * len(names), 0.8 + 0.5 * len(names))
    axis.imshow(frame.to_numpy(), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for row, values in enumerate(frame.to_numpy()):
        for column, value in enumerate(values):
            ink = "white" if abs(value) > 0.6 else "black"
            axis.text(column, row, f"{value:.2f}" if value == value else "–", ha="center", va="center", color=ink)
    axis.set_xticks(range(len(names)), [fill(name, 10) for name in names], fontsize=8)
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    pairs = [
        f"{names[row]} and {names[column]} {frame.iat[row, column]:.2f}"
        for row in range(len(names))
        for column in range(row)
    ]
    return figure.described(
        "How far metrics agree on the order of models: rank correlation on each photograph, averaged.",
        f"Table of rank correlations: {'; '.join(pairs)}.",
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
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
    for axis, (name, picture) in zip(axes[0], shown.items(), strict=False):
        axis.imshow(picture.clip(0, 1))
        axis.set_title(name, fontsize=9)
    for row, maps, text in ((axes[1], errors, "error (grey levels)"), (axes[2], judged, "LPIPS alex")):
        limit = max(np.quantile(each, 0.995) for each in maps.values())
        for axis, name in zip(row, shown, strict=False):
            drawn = axis.imshow(maps[name], cmap="magma", vmin=0, vmax=limit)
            axis.set_xlabel(f"mean {maps[name].mean():.3g}", fontsize=8)
        bar = figure.colorbar(drawn, cax=row[-1])
        bar.set_label(text, fontsize=8)
        bar.ax.tick_params(labelsize=7, colors=INK)
        bar.outline.set_visible(False)
    figure.suptitle(title, fontsize=10)
    said = "; ".join(
        f"{name} {errors[name].mean():.3g} grey levels and LPIPS {judged[name].mean():.3g}" for name in shown
    )
    return figure.described(
        f"{title}: where pixels are wrong, in the middle, is not where a network sees a difference, below.",
        f"Pictures with two maps each, whose means are: {said}.",
    )


@themed
def spectra(curves, *, reference="HR", limit=None):
    """Draw at which frequencies pictures have as much power as `reference`; `curves` is name -> (frequency, power).

    The curves are of `maps.spectrum`, `limit` is the highest frequency that LR can hold, drawn dashed.
    """
    figure, axis = new(6.4, 3)
    frequencies, power = curves[reference]
    ends = []
    for (name, (_, own)), colour in zip(((n, c) for n, c in curves.items() if n != reference), COLOURS, strict=False):
        share = np.exp(ndimage.gaussian_filter1d(np.log((own + 1e-9) / (power + 1e-9)), 3, mode="nearest"))
        axis.plot(frequencies, share, color=colour, label=name)
        ends.append(f"{name} {np.interp(0.35, frequencies, share):.2g}")
    axis.axhline(1, color=INK, linewidth=1)
    if limit is not None:
        axis.axvline(limit, color=INK, linestyle="--", linewidth=1)
        axis.annotate(" beyond LR", (limit, 0.02), xycoords=("data", "axes fraction"), fontsize=8)
    axis.set(yscale="log")
    axis.set_xlabel("frequency (cycles per pixel)", fontsize=9)
    axis.set_ylabel(f"power beside {reference}", fontsize=9)
    axis.tick_params(labelsize=8, which="both")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    return figure.described(
        f"How much detail of each frequency a result has beside {reference}, which is 1; right of the dashed line lies "
        "what the small picture cannot hold.",
        f"Curves of the power spectrum over that of {reference}; at 0.35 cycles per pixel: {', '.join(ends)}.",
    )


@themed
def intervals(differences, gains, *, title="", dot="photographs"):
    """Draw for each metric the interval of every model's mean difference, where there are enough photographs for one.

    A small dot stands for each row of `gains`: a photograph and seed, or what else `dot` says that it is.

    `differences` and `gains` are the frames of `evaluation.intervals` and `evaluation.gains` of one dataset.
    """
    metrics, models = differences["metric"].unique(), differences["model"].unique()
    colours = dict.fromkeys(differences["verdict"], INK) | {"better": COLOURS[2], "worse": COLOURS[1]}
    size = 2.9 * len(metrics) + 1, 0.9 + 0.26 * len(models)
    figure, axes = new(*size, columns=len(metrics), sharey=True, squeeze=False)
    figure.suptitle(title, fontsize=10)
    lines = {model: number for number, model in enumerate(models)}
    for axis, metric in zip(axes[0], metrics, strict=True):
        axis.axvline(0, color=INK, linewidth=0.8)
        dots = gains[gains["metric"] == metric]
        for row in differences[differences["metric"] == metric].itertuples():
            line = lines[row.model]
            axis.plot([row.low, row.high], [line] * 2, color=colours[row.verdict], linewidth=2.5, zorder=3)
            axis.scatter(row.difference, line, s=26, color=colours[row.verdict], zorder=4)
            values = dots.loc[dots["model"] == row.model, "difference"]
            axis.scatter(values, [line] * len(values), s=7, color=INK, zorder=5)
        axis.set_title(label(metric), fontsize=9)
        axis.tick_params(labelsize=8)
    axes[0, 0].set_yticks(range(len(models)), models, parse_math=False)
    axes[0, 0].invert_yaxis()
    counts = ", ".join(f"{count} {verdict}" for verdict, count in differences["verdict"].value_counts().items())
    return figure.described(
        f"{title or 'Mean differences'}: bars are intervals of the mean difference, small dots single {dot}; "
        "what holds zero is unclear.",
        f"Intervals of {', '.join(models)} in {', '.join(METRICS[metric].name for metric in metrics)}: {counts}.",
    )


@themed
def rates(frame, *, chosen, term="pixel"):
    """Draw a loss over the learning rate that made it, from the frame of `training.rehearse`; `chosen` is marked."""
    figure, axis = new(5.2, 2.4)
    axis.plot(frame["learning_rate"], frame[term], color=COLOURS[0], alpha=0.3)
    axis.plot(frame["learning_rate"], frame[term].rolling(5, center=True, min_periods=1).median(), color=COLOURS[0])
    axis.axvline(chosen, color=COLOURS[1], linestyle="--")
    axis.annotate(f" {chosen:g}", (chosen, 0.92), xycoords=("data", "axes fraction"), fontsize=8, color=COLOURS[1])
    axis.set(xscale="log", yscale="log")
    axis.set_xlabel("learning rate", fontsize=8)
    axis.set_title(f"{term} loss while the rate grows from step to step", fontsize=9)
    axis.tick_params(labelsize=8, which="both")
    axis.spines[["top", "right"]].set_visible(False)
    return figure.described(
        f"A rehearsal in which the learning rate grows from step to step; {chosen:g}, dashed, is the one chosen.",
        f"Curve of the {term} loss over learning rates from {frame['learning_rate'].min():.2g} to "
        f"{frame['learning_rate'].max():.2g}, with a mark at {chosen:g}.",
    )


@themed
def rehearsals(frames, *, term="pixel"):
    """Draw the loss of several short trainings over their steps; `frames` is a dict of name -> frame."""
    figure, axis = new(6.4, 2.8)
    for (name, frame), colour in zip(frames.items(), COLOURS, strict=False):
        smooth = frame[term].rolling(9, center=True, min_periods=1).median()
        axis.plot(range(1, len(frame) + 1), smooth, color=colour, label=name)
    axis.set(yscale="log")
    axis.set_xlabel("step", fontsize=8)
    axis.set_title(f"{term} loss", fontsize=9)
    axis.tick_params(labelsize=8, which="both")
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", fontsize=8, frameon=False)
    ends = ", ".join(f"{name} {frame[term].iloc[-1]:.3g}" for name, frame in frames.items())
    return figure.described(
        f"Short trainings side by side: the {term} loss over their steps.", f"Curves that end at: {ends}."
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
        axis.set_axis_off()
    for axis, (name, picture, options) in zip(axes.flat, panels, strict=False):
        axis.imshow(picture, interpolation="nearest", **options)
        axis.set_title(name.replace("_", " "), fontsize=9)
    return figure.described(
        "Where losses push a picture: red asks for darker pixels, blue for brighter ones; each map has its own scale.",
        f"Pictures {', '.join(shown)}, then gradients of {', '.join(maps)}.".replace("_", " "),
    )


@themed
def gallery(pictures, *, columns=7, size=1.6):
    """Draw many photographs small; `pictures` is a dict of name -> picture."""
    rows = -(-len(pictures) // columns)
    figure, axes = new(size * columns, size * rows, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (name, picture) in zip(axes.flat, pictures.items(), strict=False):
        axis.imshow(picture.clip(0, 1))
        axis.set_title(name, fontsize=8)
    return figure.described(f"{len(pictures)} photographs, small.", f"Photographs: {', '.join(pictures)}.")


@themed
def kernels(scale):
    """Draw what bicubic does when it makes a picture `scale` times smaller, with and without antialiasing.

    Left: the weights of the pixels of HR in one pixel of LR. Right: the share of each frequency that they let through.
    """
    size = 8 * scale + 1
    impulses = np.eye(size * scale)[:, None]  # (H, 1, C): every channel has one bright pixel
    antialiased = resize.imresize(impulses, Fraction(1, scale))[size // 2, 0]  # the middle output
    place = np.arange(size * scale) - (size // 2 * scale + (scale - 1) / 2)  # of each input, seen from that output
    interpolated = resize.kernel(place) / resize.kernel(place).sum()
    frequencies, x = np.linspace(0, 0.5, 400), np.linspace(-2 * scale - 1, 2 * scale + 1, 1001)
    figure, (left, right) = new(8.4, 2.8, columns=2)
    shown = {"with antialiasing": (antialiased, 1 / scale), "without": (interpolated, 1)}
    for (name, (weights, narrowing)), colour in zip(shown.items(), COLOURS, strict=False):
        left.plot(x, resize.kernel(x, scale=narrowing), color=colour, linewidth=1)
        taps = weights != 0
        left.scatter(place[taps], weights[taps], s=14, color=colour, label=name)
        response = abs(np.exp(-2j * np.pi * frequencies[:, None] * place) @ weights)
        right.plot(frequencies, response, color=colour)
    right.axvline(0.5 / scale, color=INK, linestyle="--", linewidth=1)
    left.set_title("weight in one pixel of LR", fontsize=9)
    left.set_xlabel("distance (pixels of HR)", fontsize=8)
    right.set_title("share that passes", fontsize=9)
    right.set_xlabel("frequency (cycles per pixel of HR)", fontsize=8)
    left.legend(fontsize=8, frameon=False)
    for axis in (left, right):
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    return figure.described(
        f"Bicubic, {scale} times smaller, with and without antialiasing: left its weights, right what passes.",
        f"Without antialiasing frequencies beyond the dashed line at {0.5 / scale:g} cycles pass and fold back; with "
        "it they are mostly held off.",
    )


@themed
def batch(lr, hr, *, count=8, size=1.3):
    """Draw the first `count` pairs of a batch: inputs above, targets below, both at the same size."""
    count = min(count, len(hr))
    figure, axes = new(size * count, 2 * size, 2, count, squeeze=False)
    for axis, picture in zip(axes.flat, [*lr[:count], *hr[:count]], strict=True):
        axis.imshow(picture.clip(0, 1), interpolation="nearest")
        axis.set(xticks=[], yticks=[])
    axes[0, 0].set_ylabel(f"LR {lr.shape[1]}×{lr.shape[2]}", fontsize=8)
    axes[1, 0].set_ylabel(f"HR {hr.shape[1]}×{hr.shape[2]}", fontsize=8)
    return figure.described(
        f"The first {count} pairs of a batch: inputs above, targets below.",
        f"{count} patches of LR, {lr.shape[1]}×{lr.shape[2]} pixels, above their HR, {hr.shape[1]}×{hr.shape[2]}.",
    )


@themed
def content(table):
    """Draw photographs by how much there is to learn from them; `table` has file, split, entropy, gradient."""
    figure, axis = new(6.4, 3.4)
    for (split, rows), colour, marker in zip(table.groupby("split", sort=False), COLOURS, "os", strict=False):
        axis.scatter(rows["entropy"], rows["gradient"], color=colour, marker=marker, label=split)
        for row in rows.itertuples() if len(table) <= 40 else ():
            axis.annotate(row.file, (row.entropy, row.gradient), xytext=(4, 3), textcoords="offset points", fontsize=7)
    axis.set(xlabel="entropy of grey levels (bits)", ylabel="gradient energy (levels²)", yscale="log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.legend(fontsize=8, frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    splits = ", ".join(f"{count} {split}" for split, count in table["split"].value_counts().items())
    return figure.described(
        "How much there is to learn from each photograph: entropy of its grey levels, and energy of its gradient.",
        f"Scatter of photographs, {splits}, entropy across and gradient energy up.",
    )
