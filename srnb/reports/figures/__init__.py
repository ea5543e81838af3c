"""Static figures. Every function returns a matplotlib Figure, shown where it is returned; pictures are in [0, 1].

Each has a caption and an alternative text, which a notebook and a saved PNG or SVG carry to the report.

drawing    how a figure looks: size, colours, letters, axes, and the words that it carries
pictures   photographs side by side, whole, in details, small, and as maps of what is wrong with them
planes     models and photographs as dots of a plane
verdicts   what is better than what, and whether metrics agree on it
curves     losses over steps and learning rates, power and weights over frequencies and distances
"""

from srnb.reports.figures.curves import kernels, rates, rehearsals, spectra
from srnb.reports.figures.drawing import COLOURS, INK, WIDEST, label, new, palette
from srnb.reports.figures.pictures import batch, captions, differences, gallery, gradients, strip
from srnb.reports.figures.planes import content, cost_quality, perception_distortion, scatter
from srnb.reports.figures.verdicts import agreement, intervals

__all__ = [
    "COLOURS",
    "INK",
    "WIDEST",
    "agreement",
    "batch",
    "captions",
    "content",
    "cost_quality",
    "differences",
    "gallery",
    "gradients",
    "intervals",
    "kernels",
    "label",
    "new",
    "palette",
    "perception_distortion",
    "rates",
    "rehearsals",
    "scatter",
    "spectra",
    "strip",
]
