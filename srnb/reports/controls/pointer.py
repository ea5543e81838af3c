"""A photograph to click on, which ipywidgets lacks, hence a small anywidget."""

from fractions import Fraction

import anywidget
import traitlets

from srnb.data import resize
from srnb.reports import inspector
from srnb.reports.controls import still

SHOWN = 480  # pixels of the longer side that the page gets: enough to choose a place


class Pointer(anywidget.AnyWidget):
    """A photograph with a square on it: `centre` (x, y) and `side` are in pixels of the photograph.

    A click or a drag moves the square; so do the arrow keys, by a pixel of the page or, with Shift, by ten.
    """

    _esm = (inspector.TEMPLATES / "pointer.js").read_text("utf-8")
    picture = traitlets.Unicode().tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    side = traitlets.Int(1).tag(sync=True)
    centre = traitlets.Tuple(traitlets.Int(), traitlets.Int(), default_value=(0, 0)).tag(sync=True)

    def __init__(self, photograph, side, **options):
        super().__init__(**options)
        self.put(photograph, side)

    def put(self, photograph, side, centre=None):
        """Show another photograph, (H, W, 3) in [0, 1], with the square at `centre` (x, y), or in the middle."""
        height, width = photograph.shape[:2]
        smaller = resize.imresize(photograph, Fraction(1, 1 + max(height, width) // SHOWN))
        with self.hold_sync():
            self.picture = still.address(smaller, quality=80)
            self.width, self.height, self.side = width, height, side
            self.centre = centre or (width // 2, height // 2)

    def cut(self, picture):
        """Return the part of a picture, of the photograph's size, inside the square."""
        return picture[self.area]

    @property
    def area(self):
        """The square as slices of rows and columns."""
        return square(self.height, self.width, self.centre, self.side)


def square(height, width, centre, side):
    """Return as slices the square of `side` pixels inside a picture that is nearest to a centre (x, y)."""
    sides = [min(side, length) for length in (height, width)]
    starts = [
        min(max(middle - half // 2, 0), length - half)
        for middle, half, length in zip(centre[::-1], sides, (height, width), strict=True)
    ]
    return tuple(slice(start, start + length) for start, length in zip(starts, sides, strict=True))
