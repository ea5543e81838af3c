"""A network drawn from its spec, from the input at the top to the output: `diagram.draw("srresnet")`.

A box is a layer with its normalisation and activation, a frame marked × 16 a block repeated sixteen times, an arc a
skip connection. Ink and fills are of medium brightness and the background is transparent, so that a drawing reads on
white and on black.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from html import escape

from srnb.models import spec as specs

INK, HUES = "#7d7d7d", {"convolution": "#4a8ad0", "size": "#d5822b", "attention": "#9d6ec9", "whole": "#4fa36c"}
CHARACTER, ROW, GAP, LANE, FRAME = 7.3, 26, 14, 20, 12  # pixels: a letter's width, a box's height, distances
SMALLEST, WIDEST = 150, 46  # pixels that a box is wide at least, letters at most
CONVOLUTION = re.compile(r"k\d+n\d+(?:s(1/)?(\d+))?")
ENLARGING, SHRINKING = ("nearest", "bilinear", "bicubic"), ("maxpool", "averagepool", "unshuffle")
WHOLE = ("adaptive", "globalaverage", "flatten", "dense", "minibatch")


@dataclass(frozen=True)
class Drawing:
    """An SVG drawing, which a notebook displays."""

    svg: str

    def _repr_svg_(self):
        return self.svg


@dataclass
class _Extent:
    """The extent of shapes to either side of the central column."""

    left: float = 0
    right: float = 0

    def cover(self, other):
        self.left, self.right = max(self.left, other.left), max(self.right, other.right)


def draw(spec, **overrides):
    """Draw a network; `spec` and `overrides` are those of `build`. Raises ValueError for a wrong spec."""
    spec = specs.resolve(spec, **overrides)
    pen = _Pen(spec)
    pen.entry(spec["body"], specs.Place("body", specs.values(spec)))
    pen = _Pen(spec, letters=min(pen.longest, WIDEST))  # once more, with all boxes as wide as the longest words
    extent = pen.pill(f"images · {spec['channels']} channel" + "s" * (spec["channels"] != 1))
    extent.cover(pen.entry(spec["body"], specs.Place("body", specs.values(spec))))
    extent.cover(pen.pill(pen.size()))
    left, right = extent.left + 6, extent.right + 6
    title = spec["name"] + (f" · {spec['paper']}" if "paper" in spec else "")
    options = [_argument(key, value) for key, value in spec.get("conv", {}).items()]
    note = ", ".join(option for option in options if option)
    note = f"every convolution: {note}" if note else ""
    right = max(right, CHARACTER * 0.92 * max(len(title), len(note)) - left)
    top = 26 + 18 * bool(note)
    wide, high = left + right, pen.y + top + 6
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-left:.0f} {-top} {wide:.0f} {high:.0f}" '
        f'width="{wide:.0f}" height="{high:.0f}" style="max-width:100%;height:auto" role="img" '
        f'aria-label="{escape(spec["name"])}, a diagram" fill="none" stroke="{INK}" stroke-width="1.3" '
        'font-family="ui-monospace, Menlo, Consolas, monospace" font-size="12">',
        _text(-left + 2, -top + 14, escape(title), anchor="start", size=11),
        _text(-left + 2, -top + 32, escape(note), anchor="start", size=11) if note else "",
        *pen.shapes,
        "</svg>",
    ]
    return Drawing("\n".join(line for line in lines if line))


class _Pen:
    """Draws down one column, x = 0, from `y` on; `scale` is the size of the maps there, relative to the input."""

    def __init__(self, spec, letters=0):
        self.blocks, self.width = spec.get("where", {}), max(SMALLEST, CHARACTER * letters + 20)
        self.longest = 0  # letters in a box so far
        self.shapes, self.y, self.scale = [], 0.0, Fraction(1)
        self.kept, self.open = {}, []  # places of the tensors that are kept; blocks inside one another

    def entry(self, entry, place):
        """Draw an entry and return its extent. Words that only act on the output of a layer share its box."""
        extent, row = _Extent(), []
        for step_place, step in specs.steps(entry, place):
            if isinstance(step, dict):
                extent.cover(self.row(row))
                extent.cover(self.structure(step, step_place))
                row = []
            elif step.name in self.blocks:
                extent.cover(self.row(row))
                extent.cover(self.block(step.name, {**step_place.values, **step.named}))
                row = []
            elif step.name == "keep":
                extent.cover(self.row(row))
                self.kept[step.positional[0]] = self.y
                row = []
            elif step.name == "recall":
                extent.cover(self.pill(f"from {step.positional[0]}"))
            elif step.name != "none":
                if row and _begins(step.name):
                    extent.cover(self.row(row))
                    row = []
                row.append((step, step_place))
        extent.cover(self.row(row))
        return extent

    def block(self, name, values):
        if name in self.open:
            raise ValueError(f"where.{name}: a block must not be a part of itself. Received: {' > '.join(self.open)}")
        self.open.append(name)
        extent = self.entry(self.blocks[name], specs.Place(f"where.{name}", values))
        self.open.pop()
        return extent

    def structure(self, step, place):
        kind = next(key for key in specs.STRUCTURES if key in step)
        if kind == "repeat":
            return self.repeat(step, place)
        if kind == "upscale":
            extent = _Extent()
            for factor in specs.factors(place.inside(".by").integer(step.get("by", "{scale}"))):
                extent.cover(self.entry(step["upscale"], place.inside(".upscale", factor=factor)))
            return extent
        if kind == "model":
            name = step["model"] if isinstance(step["model"], str) else step["model"].get("name", "network")
            return self.box(f"network {name}")
        return self.junction(kind, step, place)

    def junction(self, kind, step, place):
        """Draw a sum, a gate or a concatenation: its entry in the column, its skip as an arc around it."""
        start, scale = self.y, self.scale
        self.line(GAP / 2)
        self.y -= GAP / 2
        extent = self.entry(step[kind], place.inside(f".{kind}"))
        skip = place.inside(".skip").fill(step.get("skip", ""))
        factor = place.inside(".scale").fill(step.get("scale", 1))
        if factor != 1:
            extent.cover(self.pill(f"× {factor}"))
        if skip == "none":
            return extent
        recalled = re.fullmatch(r"\s*recall\((\w+)\)\s*", skip) if isinstance(skip, str) else None
        if recalled and recalled[1] in self.kept:
            start, skip = self.kept[recalled[1]], ""
        after, self.scale = self.scale, scale
        label = self.label(skip, place.inside(".skip"))
        self.scale = after
        wide = CHARACTER * len(label) + 12 if label else 0
        begin = start + 5
        self.line(max(GAP, begin + wide + 24 - self.y))  # the label stands upright on the arc
        lane, end = max(extent.right, self.width / 2) + LANE, self.y + 9
        low, high = (begin + end - wide) / 2, (begin + end + wide) / 2
        sign = {"add": "+", "multiply": "×", "concat": "‖"}[kind]
        self.shapes += [
            f'<circle cx="0" cy="{begin:.1f}" r="2.6" fill="{INK}" stroke="none"/>',
            f'<path d="M0 {begin:.1f}H{lane - 8:.1f}q8 0 8 8V{low:.1f}"/>',
            f'<path d="M{lane:.1f} {high:.1f}V{end - 8:.1f}q0 8 -8 8H11"/>',
            f'<path d="M17 {end - 4:.1f}l-6 4l6 4"/><circle cx="0" cy="{end:.1f}" r="9"/>',
            _text(0, end + 4.5, sign, size=14),
        ]
        if label:
            hue = HUES["size"] if label.startswith(ENLARGING) else INK
            self.shapes += [
                f'<g transform="translate({lane:.1f} {(low + high) / 2:.1f}) rotate(90)">',
                _box(-wide / 2, -10, wide, 20, hue, radius=10) + _text(0, 4, escape(label)) + "</g>",
            ]
        self.y = end + 9
        if kind == "multiply":  # a gate may be smaller than what it is multiplied with
            self.scale = scale
        extent.cover(_Extent(9, lane + 14))
        return extent

    def label(self, skip, place):
        """Return the words of the layers within a skip, on one line."""
        if not skip:
            return ""
        steps = specs.steps(skip, place)
        return " ".join(_shown(step, where) if isinstance(step, specs.Word) else "…" for where, step in steps)

    def repeat(self, step, place):
        times = place.inside(".times").integer(step.get("times"))
        block = step["repeat"]
        named = isinstance(block, str) and block in self.blocks
        self.line(GAP)
        top = self.y
        self.y += 22
        scale = self.scale
        extent = self.block(block, place.values) if named else self.entry(block, place.inside(".repeat"))
        self.scale = scale * (self.scale / scale) ** times if isinstance(self.scale, Fraction) else self.scale
        self.line(FRAME)
        left, right = extent.left + FRAME, extent.right + FRAME
        words = f"× {times}" + (", same weights" if step.get("shared") else "")
        name = f"{block} " if named else ""
        room = CHARACTER * (len(name) + len(words) + 2)
        right = max(right, room - left)
        self.shapes.append(
            f'<rect x="{-left:.1f}" y="{top:.1f}" width="{left + right:.1f}" height="{self.y - top:.1f}" rx="8" '
            f'stroke-dasharray="5 3" fill="{INK}" fill-opacity=".06"/>'
        )
        title = f'{escape(name)}<tspan font-weight="700">{escape(words)}</tspan>'
        self.shapes.append(_text(-left + 8, top + 15, title, anchor="start"))
        return _Extent(left, right)

    def row(self, row):
        """Draw a box for words that belong together; an empty row draws nothing."""
        if not row:
            return _Extent()
        before = self.scale
        for step, step_place in row:
            self.scale = _scaled(self.scale, step, step_place)
        extent = self.box("  ".join(_shown(*pair) for pair in row), _kind([step.name for step, _ in row]))
        if self.scale != before and not row[0][0].name.startswith("dense"):  # which says it itself
            size = self.size()
            self.shapes.append(_text(self.width / 2 + 6, self.y - ROW / 2 + 4, size, anchor="start", size=11))
            extent.cover(_Extent(0, self.width / 2 + 10 + CHARACTER * 0.92 * len(size)))
        return extent

    def box(self, words, kind=""):
        self.longest = max(self.longest, len(words))
        self.line(GAP)
        if len(words) > WIDEST:
            words = words[: WIDEST - 1] + "…"
        self.shapes.append(
            _box(-self.width / 2, self.y, self.width, ROW, HUES.get(kind, INK)) + _text(0, self.y + 17, escape(words))
        )
        self.y += ROW
        return _Extent(self.width / 2, self.width / 2)

    def pill(self, words):
        if self.y:
            self.line(GAP)
        wide = CHARACTER * len(words) + 16
        self.shapes.append(_box(-wide / 2, self.y, wide, 20, INK, radius=10) + _text(0, self.y + 14, escape(words)))
        self.y += 20
        return _Extent(wide / 2, wide / 2)

    def line(self, length):
        self.shapes.append(f'<path d="M0 {self.y:.1f}v{length:.1f}"/>')
        self.y += length

    def size(self):
        """Return the size of the maps at this point, relative to the input, as text."""
        if isinstance(self.scale, str):
            return self.scale
        above, below = self.scale.numerator, self.scale.denominator
        side = "{}" + (f"/{below}" if below > 1 else "")
        return " × ".join(side.format((str(above) if above > 1 else "") + letter) for letter in "HW")


def _begins(word):
    """Return whether a word starts a box of its own; the others join that of the layer before them."""
    kind = word.rstrip("0123456789")
    starts = (*ENLARGING, *SHRINKING, "adaptive", "globalaverage", "dense", "minibatch")
    return bool(CONVOLUTION.fullmatch(word)) or kind in starts or kind.endswith("attention")


def _kind(words):
    kinds = [word.rstrip("0123456789") for word in words]
    if any(kind.endswith("attention") for kind in kinds):
        return "attention"
    if any(
        kind in ("shuffle", *ENLARGING, *SHRINKING) or "s1/" in word for kind, word in zip(kinds, words, strict=True)
    ):
        return "size"
    if any(kind in WHOLE for kind in kinds):
        return "whole"
    return "convolution" if any(CONVOLUTION.fullmatch(word) for word in words) else ""


def _scaled(scale, step, place):
    """Return the size of the maps after a word relative to the input, as text where it is not a fixed factor."""
    kind, number = re.fullmatch(r"(.*?)(\d*)", step.name).groups()
    arguments = (int(number),) if number else step.positional
    match = CONVOLUTION.fullmatch(step.name)
    if kind in ("flatten", "globalaverage", "minibatch"):
        return "a vector"
    if kind == "dense":
        units = (arguments or (step.named.get("units"),))[0]
        return "a number" if units == 1 else f"{units} numbers"
    if kind == "adaptive":
        size = (arguments or (step.named.get("size"),))[0]
        return f"{size} × {size}"
    if not isinstance(scale, Fraction):
        return scale
    if match:
        stride = int(match[2] or 1)
        return scale * stride if match[1] else scale / stride
    if kind in ("shuffle", "unshuffle", *ENLARGING):
        factor = int((arguments or (step.named.get("factor", place.values.get("scale", 1)),))[0])
        return scale / factor if kind == "unshuffle" else scale * factor
    if kind in SHRINKING:
        return scale / int((arguments or (step.named.get("size", 2),))[0])
    return scale


def _shown(step, place):
    """Return a word as it is shown: without its initialiser, and with the factor if it resamples."""
    arguments = [_number(value) for value in step.positional]
    arguments += filter(None, (_argument(key, value) for key, value in step.named.items()))
    name = step.name
    if name in ("shuffle", "unshuffle", *ENLARGING) and not arguments and "scale" in place.values:
        name += str(place.values["scale"])
    return name + (f"({', '.join(arguments)})" if arguments else "")


def _argument(key, value):
    if key in ("msra", "start"):
        return ""
    if isinstance(value, bool):
        return key if value else f"no {key}"
    return f"{key}=…" if isinstance(value, list) else f"{key}={_number(value)}"


def _number(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _box(x, y, width, height, hue, *, radius=5):
    ground = f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" rx="{radius}" '
    return ground + f'fill="{hue}" fill-opacity=".14" stroke="{hue}"/>'


def _text(x, y, markup, *, anchor="middle", size=12):
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
    return f'<text {place} fill="{INK}" stroke="none">{markup}</text>'
