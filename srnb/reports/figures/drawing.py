"""How a figure looks: its size, colours, letters and axes, and the words that it carries.

Backgrounds are transparent, and ink is a grey that reads on white and on dark pages alike.
"""

import functools

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from srnb.evaluation.metrics import METRICS

# Okabe and Ito: colours that colour-blind readers can tell apart.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
INK = "#737b86"  # of text and axes: its contrast is 4.2 : 1 on white and on the report's dark page
STYLE = {
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("figure.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8),
    "axes.titlesize": 9,
    "figure.titlesize": 10,
}
SIDES = (  # of a dot, in the order in which its name tries them: offset in points, alignment across and up
    *(((5, 0), "left", "center"), ((-5, 0), "right", "center")),
    *(((0, 4), "center", "bottom"), ((0, -4), "center", "top")),
    *(((4, 4), "left", "bottom"), ((-4, 4), "right", "bottom"), ((4, -4), "left", "top"), ((-4, -4), "right", "top")),
)
DOT = 6  # pixels around the middle of a dot that a name keeps free
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
    for axis in figure.axes:  # ticks are made when they are drawn, in the style of that moment
        axis.tick_params(which="both", colors=INK, labelsize=STYLE["xtick.labelsize"])
    plt.close(figure)
    return figure, axes


def palette(models):
    """Return a colour for each model; blends of two networks, which not all figures show, have the last ones."""
    return dict(zip(sorted(models, key=lambda name: name.endswith("% gan")), COLOURS * len(models), strict=False))


def blank(axis):
    """Leave of an axis what is drawn on it, its title and its labels."""
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)


def dashed(axis, place, text, *, upright=True, height=0.98, colour=INK):
    """Draw a dashed line across an axis, upright at an x or level at a y, with a text beside it.

    The text of an upright line stands at a `height` of the axis, where no curve is.
    """
    if upright:
        axis.axvline(place, color=colour, linestyle="--", linewidth=1)
        where = {"text": f" {text}", "xy": (place, height), "xycoords": ("data", "axes fraction"), "va": "top"}
    else:
        axis.axhline(place, color=colour, linestyle="--", linewidth=1)
        where = {"text": text, "xy": (0.02, place), "xycoords": ("axes fraction", "data"), "va": "bottom"}
    axis.annotate(**where, color=colour)


def named(axis, text, point):
    """Write a name beside a point, for `apart` to find its place."""
    place = {"xytext": (5, 0), "textcoords": "offset points", "in_layout": False}
    axis.annotate(text, point, parse_math=False, **place)


def apart(figure):
    """Move each name of `named` to the first of SIDES where it covers no dot and no name before it, and is not cut off.

    To be called last: what covers what is known once the figure has its layout.
    """
    for text in _texts(figure):
        text.set_parse_math(False)
    figure.draw_without_rendering()
    for axis in figure.axes:
        offsets = [axis.transData.transform(dots.get_offsets()) for dots in axis.collections]
        taken = [Bbox([place - DOT, place + DOT]) for each in offsets for place in each]
        for text in [text for text in axis.texts if not text.get_in_layout()]:
            side = min(SIDES, key=lambda side: _harm(_placed(text, side), axis.bbox.padded(DOT), taken))
            taken.append(_placed(text, side))


def _placed(text, side):
    offset, across, up = side
    text.set(position=offset, ha=across, va=up)
    return text.get_window_extent()


def _harm(box, around, taken):
    """Return by how much a box leaves what is around it, in corners, and how many of others it covers."""
    return sum(not around.contains(*corner) for corner in (box.min, box.max)), box.count_overlaps(taken)


def label(metric):
    """Return the name of a metric with its unit and an arrow to its better side."""
    entry = METRICS[metric]
    unit = f" ({entry.unit})" if entry.unit else ""
    return f"{entry.name}{unit} {'↑' if entry.direction == 'higher' else '↓'}"
