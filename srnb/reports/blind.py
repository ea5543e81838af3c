"""The blind test of `evaluation.blind` as its participants see it: a page in one file, a control in JupyterLab."""

import html
import io
import json
import uuid

import ipywidgets
import numpy as np
from PIL import Image

from srnb import files
from srnb.data import images
from srnb.evaluation import blind
from srnb.reports import embedded, report
from srnb.reports.controls import still

ZOOM = 2  # CSS pixels for each pixel of a picture


def page(run, test):
    """Write blind/index.html in the run's folder, which names no model and saves answers as a file; return its path."""
    pairs = blind.pictures(test, run)
    shown = [[_address(picture) for picture in pair] for pair in pairs]
    text = report.template("blind.html.j2").render(
        style=report.style(),
        run=run.name,
        question=blind.QUESTION,
        data=json.dumps({"id": test["id"], "run": run.name, "pairs": shown}).replace("<", "\\u003c"),
        width=ZOOM * len(pairs[0][0]),
    )
    path = run.folder / "blind" / "index.html"
    files.write_text(path, text)
    return path


def show(run, test):
    """Display the test as a control; in a batch, its first pair and the result so far."""
    pairs = blind.pictures(test, run)
    row = still.row(dict(zip(blind.SIDES, pairs[0], strict=True)), width=ZOOM * len(pairs[0][0]))
    found = html.escape(f"{len(pairs)} pairs, the first of them. {blind.QUESTION} So far: {blind.finding(run)}.")
    still.show(f"{row}<p>{found}</p>", lambda: control(run, test))


def control(run, test):
    """Return a widget that shows pair after pair, then stores the sitting and shows the result."""
    pairs, sides = blind.pictures(test, run), []
    width = f"{ZOOM * len(pairs[0][0])}px"
    views = [ipywidgets.Image(format="png", layout={"width": width}) for _ in blind.SIDES]
    buttons = [ipywidgets.Button(description=side, layout={"width": width}) for side in blind.SIDES]
    text = ipywidgets.HTML()

    def ask():
        if len(sides) < len(pairs):
            for view, picture in zip(views, pairs[len(sides)], strict=True):
                view.value = _png(picture)
            text.value = f"{blind.QUESTION} {len(sides) + 1} of {len(pairs)}"
            return
        for button in buttons:
            button.disabled = True
        blind.store(run, {"id": test["id"], "sitting": uuid.uuid4().hex[:12], "sides": sides})
        text.value = html.escape(blind.finding(run))

    def answer(button):
        sides.append(button.description)
        ask()

    for button in buttons:
        button.on_click(answer)
    ask()
    columns = [ipywidgets.VBox(pair) for pair in zip(views, buttons, strict=True)]
    return ipywidgets.VBox([text, ipywidgets.HBox(columns)])


def _picture(picture):
    return Image.fromarray(np.asarray(images.to_uint8(picture)))


def _png(picture):
    file = io.BytesIO()
    large = _picture(picture)
    large.resize([ZOOM * side for side in large.size], Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def _address(picture):
    """Return a picture as a data address, lossless so that compression is not judged."""
    file = io.BytesIO()
    _picture(picture).save(file, "WEBP", lossless=True)
    return embedded.address(file.getvalue(), "image/webp")
