"""The live panel of a training: its curves, notices, and a held-out crop over time.

Plain HTML with SVG and WebP inside, made from the run's folder: the same in a live cell, in a saved notebook without a
kernel, and in the report. Without its script it shows the last state of the crop.
"""

import html
import uuid
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from srnb.data import images
from srnb.reports import charts, embedded

TEMPLATES = Path(__file__).parent / "templates"
FRAMES = 12  # moments of a crop that are kept, the first and the last among them, so that a page stays light


class Panel:
    """The `view` of `Trainer.fit` for a stage of a run; calling it returns the present state of the training as HTML.

    reference: metric -> value of bicubic on what a validation looks at, drawn dashed; recorded in run.json, where the
        report finds it.
    crops: name -> (H, W, 3) in [0, 1] of the part of which `fit` keeps a `picture`: before the training and, last, HR.
        They are written into the run's figures, where the report finds them.
    """

    def __init__(self, run, stage, *, reference=None, crops=None):
        self.run, self.stage, self.reference, self.crops = run, stage, reference, crops or {}
        self.key = f"t{uuid.uuid4().hex[:10]}"  # the place of the slider outlives a renewal under it
        self.seen, self.shown, self.recorded = None, "", False

    def __call__(self):
        self._record()
        log = self.run.folder / "log.jsonl"
        seen = log.stat().st_size if log.is_file() else 0, _frames(self.run, self.stage)
        if seen != self.seen:
            self.seen, self.shown = seen, self._draw()
        return self.shown

    def _record(self):
        """Write, once, what the report needs."""
        for name, picture in self.crops.items():
            images.write(self.run.figures / f"{self.stage}-crop-{name}.png", picture)
        self.crops = {}
        if self.reference and not self.recorded:
            self.run.update(references=(self.run.read().get("references") or {}) | {self.stage: self.reference})
        self.recorded = True

    def _draw(self):
        stages = charts.of_log(self.run.read_log(), reference={self.stage: self.reference})
        stage = next((stage for stage in stages if stage["name"] == self.stage), {"charts": [], "notices": []})
        notices = "".join(f"<li>{html.escape(notice)}</li>" for notice in stage["notices"])
        main, aside = ([c for c in stage["charts"] if (c["kind"] == "aside") == last] for last in (False, True))
        folded = f"<details><summary>more</summary>{charts.markup(aside)}</details>" if aside else ""
        return _alive(
            (f'<ul class="notices">{notices}</ul>' if notices else "")
            + _through_time(self.run, self.stage)
            + charts.markup(main)
            + folded,
            self.key,
        )


def crop(run, stage):
    """Return the watched crop of a stage over time as HTML, an empty string if there is none."""
    body = _through_time(run, stage) if _frames(run, stage) else ""
    return _alive(body, f"t{uuid.uuid4().hex[:10]}") if body else ""


def _frames(run, stage):
    """Return the files of the steps to show."""
    paths = sorted((run.folder / "figures").glob(f"{stage}-{'[0-9]' * 8}.png"))
    places = np.linspace(0, len(paths) - 1, min(FRAMES, len(paths))).round().astype(int)
    return [paths[place] for place in places]


def _through_time(run, stage):
    paths = sorted((run.folder / "figures").glob(f"{stage}-crop-*.png"))
    still = {path.stem.removeprefix(f"{stage}-crop-"): path for path in paths}
    truth = still.pop("HR", None)
    moments = [(int(path.stem[-8:]), path) for path in _frames(run, stage)]
    figures = [_figure(name, [_image(path, name)]) for name, path in still.items()]
    if moments:
        shown = [_image(path, f"step {step:,}", f' data-step="{step}"') for step, path in moments]
        figures.append(_figure(f"step {moments[-1][0]:,}", shown, ' class="moments"'))
    figures += [_figure("HR", [_image(truth, "HR")])] if truth else []
    slider = (
        f'<input type="range" min="0" max="{len(moments) - 1}" value="{len(moments) - 1}" '
        'aria-label="step of the training" hidden>'
    )
    return f'<div class="crop">{"".join(figures)}{slider if moments[1:] else ""}</div>' if figures else ""


def _figure(name, shown, attributes=""):
    return f"<figure{attributes}>{''.join(shown)}<figcaption>{html.escape(name)}</figcaption></figure>"


def _image(path, name, attributes=""):
    return f'<img src="{_webp(path, path.stat().st_mtime_ns)}" alt="{html.escape(name)}"{attributes}>'


@cache
def _webp(path, written):
    with Image.open(path) as picture:
        return embedded.webp(picture, quality=92)


def _alive(body, key):
    return (
        f'<div class="training" data-key="{key}"><style>{_template("charts.css")}{_template("panel.css")}</style>{body}'
        f'<script>(()=>{{document.querySelectorAll(".training[data-key={key}]:not([data-lives])").forEach((root)=>'
        f'{{root.dataset.lives="";({_template("panel.js")})(root)}})}})()</script></div>'
    )


@cache
def _template(name):
    return (TEMPLATES / name).read_text("utf-8").strip()
