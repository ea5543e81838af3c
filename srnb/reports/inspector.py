"""The inspector: pictures of a scene side by side or under a line, in plain HTML, for JupyterLab and the report alike.

It zooms by wheel, pinch or key, to single screen pixels and beyond, drags, blinks, shows the difference from HR, and
the PSNR of the visible part. It is self-contained. Where its script may not run, as in an untrusted notebook, the
pictures are shown below each other.
"""

import base64
import html
import io
import uuid
from functools import cache
from pathlib import Path

import numpy as np
from IPython.display import HTML
from PIL import Image

from srnb.data import images

TEMPLATES = Path(__file__).parent / "templates"


def of_scenes(scenes, *, table=None, **options):
    """Return an inspector of `evaluation.Scene`s for a notebook, with their metrics from the tidy `table`.

    options: those of `inspector`.
    """
    from srnb.reports import figures  # matplotlib

    notes = {} if table is None else {scene.image: figures.captions(table, scene.image) for scene in scenes}
    return show({scene.image: scene.pictures for scene in scenes}, notes=notes, **options)


def show(scenes, **options):
    """Return an inspector for a notebook; the arguments are those of `inspector`."""
    return HTML(inspector(scenes, **options))


def save(scenes, folder):
    """Write the pictures of `evaluation.Scene`s to <folder>/<photograph>/<name>.png, in place of what was there.

    The report and the blind test read them from there; what an earlier evaluation left would be shown with the rest.
    """
    for earlier in Path(folder).glob("*/"):
        for path in earlier.glob("*.png"):
            path.unlink()
        if not any(earlier.iterdir()):
            earlier.rmdir()
    for scene in scenes:
        (Path(folder) / scene.image).mkdir(parents=True, exist_ok=True)
        for name, picture in scene.pictures.items():
            images.write(Path(folder) / scene.image / f"{name}.png", picture)


def inspector(scenes, *, left=None, right=None, notes=None, largest=900, keep=""):
    """Return the HTML of an inspector.

    scenes: photograph -> {name -> (H, W, 3) in [0, 1]}; all pictures of a photograph show the same scene, LR smaller,
        and all photographs have pictures of the same names.
    left, right: names shown first, by default bicubic (or the first) and the last but one: of LR, bicubic, pretrained,
        gan, HR, that is bicubic against gan.
    notes: photograph -> {name -> text} to show beside a name, such as its PSNR, see `figures.captions`.
    largest: larger pictures are cropped to the central `largest` pixels of a side.
    keep: a key, equal for inspectors that replace each other in one place, by which position and zoom are kept.
    Raises ValueError for fewer than two pictures.
    """
    names = list(next(iter(scenes.values()), {}))
    if len(names) < 2 or any(list(pictures) != names for pictures in scenes.values()):
        received = {photograph: list(pictures) for photograph, pictures in scenes.items()}
        raise ValueError(f"an inspector must have the same two pictures or more of every scene. Received: {received}")
    left = left or ("bicubic" if "bicubic" in names else names[0])
    right = right or names[-2 if len(names) > 2 else -1]
    shown = "".join(
        f'<div class="scene" data-name="{html.escape(photograph)}">'
        + "".join(
            _figure(name, picture, (notes or {}).get(photograph, {}).get(name, ""))
            for name, picture in zip(names, middle(pictures.values(), largest), strict=True)
        )
        + "</div>"
        for photograph, pictures in scenes.items()
    )
    key = f"i{uuid.uuid4().hex[:10]}"  # of this inspector alone: a page may hold several, and a notebook be shown twice
    return (
        f'<div class="inspector" id="{key}" data-left="{html.escape(left)}" data-right="{html.escape(right)}" '
        f'data-keep="{html.escape(keep)}">'
        f'<style>{_template("inspector.css")}</style><div class="still">{shown}</div>'
        f'<script>(()=>{{const each=document.querySelectorAll("#{key}:not([data-lives])");'
        f'each.forEach((root)=>{{root.dataset.lives="";({_template("inspector.js")})(root)}})}})()</script></div>'
    )


def middle(pictures, largest):
    """Crop pictures of one scene to the same central part, at most `largest` HR pixels a side, on the grid of LR."""
    pictures = list(pictures)
    full = max((picture.shape[:2] for picture in pictures), key=lambda shape: shape[0])
    factor = full[0] // min(picture.shape[0] for picture in pictures)
    window = [min(largest, size) // factor * factor for size in full]
    corner = [(size - kept) // 2 // factor * factor for size, kept in zip(full, window, strict=True)]
    cut = []
    for picture in pictures:
        scale = full[0] // len(picture)
        (top, left), (height, width) = ([each // scale for each in pair] for pair in (corner, window))
        cut.append(picture[top : top + height, left : left + width])
    return cut


def _figure(name, picture, note):
    name, note = html.escape(name), html.escape(" · ".join(note.splitlines()))
    return (
        f'<figure data-name="{name}" data-note="{note}"><img src="{_data_uri(picture)}" alt="{name}" width="320">'
        f"<figcaption>{name} {note}</figcaption></figure>"
    )


def _data_uri(picture):
    """Return a picture as a data address of WebP at quality 95, visually lossless at a tenth of the size."""
    file = io.BytesIO()
    Image.fromarray(np.asarray(images.to_uint8(picture))).save(file, "WEBP", quality=95, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


@cache
def _template(name):
    return (TEMPLATES / name).read_text("utf-8").strip()
