"""A control and its still: the state of the control at a few settings, as plain HTML that needs no kernel.

Both are outputs of the cell. While the control is alive, CSS hides the still. In a headless run there is only the
still, and where a notebook is opened without its kernel the still reappears and the dead control is hidden.
"""

import html

import numpy as np
from IPython.display import HTML, display
from PIL import Image

from srnb import progress
from srnb.data import images
from srnb.reports import embedded

ALIVE = "control-alive"  # class of a control that a kernel answers
CHILD = ".jp-OutputArea-child"  # an output in JupyterLab
STYLE = (
    f"{CHILD}:has(.control-still)+{CHILD}:not(:has(.{ALIVE})),"
    f"{CHILD}:has(.control-still):has(+{CHILD} .{ALIVE}){{display:none}}"
    ".control-row{display:grid;grid-template-columns:repeat(auto-fit,minmax(120px,1fr));gap:10px;align-items:start}"
    ".control-row figure{margin:0;min-width:0}"
    ".control-row figcaption{font:12px/1.5 system-ui,sans-serif}"
    ".control-row img,.control-row svg{display:block;width:100%;height:auto}"
)


def show(still, build=None):
    """Display a still or, if someone watches, in its place the widget that `build()` returns."""
    display(HTML(f'<style>{STYLE}</style><div class="control-still">{still}</div>'))
    if build and progress.is_watched():
        control = build()
        control.add_class(ALIVE)
        view = control._repr_mimebundle_()
        display(view | {"text/plain": ""}, raw=True)  # the text is shown where widgets are not: the still is enough


def row(pictures, *, notes=None, width=240):
    """Return pictures side by side as HTML; `pictures` is a dict of name -> (H, W, 3) in [0, 1], or HTML."""
    cells = []
    for name, picture in pictures.items():
        shown = picture if isinstance(picture, str) else image(picture, name, width=width)
        note = html.escape((notes or {}).get(name, "")).replace("\n", "<br>")
        caption = f"{html.escape(name)}{'<br>' if note else ''}{note}"
        cells.append(f'<figure style="max-width:{width}px">{shown}<figcaption>{caption}</figcaption></figure>')
    return f'<div class="control-row">{"".join(cells)}</div>'


def image(picture, name, *, width=240):
    """Return an <img> of a picture in [0, 1], `width` pixels wide on the page; a smaller one is shown pixelated."""
    squares = ' style="image-rendering:pixelated"' if picture.shape[1] < width else ""
    return f'<img src="{address(picture)}" alt="{html.escape(name)}" width="{width}"{squares}>'


def address(picture, *, quality=90):
    """Return a picture in [0, 1] as a data address."""
    return embedded.webp(Image.fromarray(np.asarray(images.to_uint8(picture))), quality=quality)


def problem(error):
    """Return an error as HTML, to be shown in place of a result."""
    return f'<span style="color:#d1495b">{html.escape(str(error))}</span>'
