"""Where losses push a photograph, and what the discriminator takes for real, at a place that is clicked on."""

import functools
import html
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from srnb import backend
from srnb.evaluation import inference, maps
from srnb.reports import embedded
from srnb.reports.controls import still
from srnb.reports.controls.pointer import Pointer

DARKER, BRIGHTER = (0xC8, 0x32, 0x3C), (0x2E, 0x7D, 0xC8)  # what is asked of a pixel; also: fake, real
SIDE = 96  # pixels of the square that is looked at


@dataclass
class Moment:
    """A training as it stands: `picture` is what the generator makes of the photograph.

    terms: name -> (weight, function of (hr, sr)), as of `objectives.terms`; one that remembers earlier calls is left
        out. critic and adversarial: the discriminator, and the function of real and fake logits; None without one.
    """

    picture: np.ndarray
    terms: dict
    critic: Any = None
    adversarial: Any = None

    @functools.cached_property
    def gradients(self):
        """A function of (hr, sr), see `maps.gradients`."""
        losses = {name: loss for name, (_, loss) in self.terms.items() if not hasattr(loss, "variables")}
        if self.critic is not None:
            losses["adversarial"] = lambda hr, sr: self.adversarial(self.critic(hr), self.critic(sr))[0]
        return maps.gradients(losses)

    @functools.cached_property
    def compiled(self):
        """The inference of the discriminator, see `maps.logits`."""
        return backend.compile_network(self.critic)

    def seen(self, picture):
        """Return what the losses and the discriminator see of a picture: luma where that takes one channel."""
        grey = self.critic is not None and self.critic.input_shape[-1] == 1
        return inference.luma(picture) if grey else picture


def show(moments, hr, *, area, window):
    """Display the maps of each moment in a part of a photograph.

    moments: name -> `Moment`. hr: (H, W, 3) in [0, 1]. area: rows and columns, as slices, to begin with.
    window: pixels on a side of the squares that a discriminator of one logit is asked for, see `maps.logits`.
    """
    still.show(view(moments, hr, area, window), lambda: control(moments, hr, area, window))


def view(moments, hr, area, window):
    """Return the HTML of a part: for each moment the picture, the gradient of every loss, and the logits."""
    rows = []
    area = tuple(slice(side.start, side.stop - (side.stop - side.start) % 16) for side in area)  # what a U-Net halves
    for name, moment in moments.items():
        shown = {f"SR, {name}": moment.picture[area], "HR": hr[area]}
        sr_seen, hr_seen = map(moment.seen, shown.values())
        shown |= {
            term.replace("_", " "): signed(gradient.sum(axis=-1), f"gradient of {term}")
            for term, gradient in moment.gradients(hr_seen, sr_seen).items()
        }
        notes = {}
        if moment.critic is not None:
            logits = {
                f"logit of {kind}": maps.logits(moment.critic, picture, window=window, compiled=moment.compiled)
                for kind, picture in (("SR", sr_seen), ("HR", hr_seen))
            }
            middle = np.mean([each.mean() for each in logits.values()])
            limit = max(np.abs(each - middle).max() for each in logits.values())
            notes = {kind: f"mean {each.mean():.3g}" for kind, each in logits.items()}
            shown |= {kind: signed(middle - each, kind, limit=limit) for kind, each in logits.items()}
        rows.append(still.row(shown, notes=notes, width=150))
    return "".join(rows)


def signed(values, name, *, limit=None):
    """Return an <img> of a map: positive is red, negative blue, and the page shows through what is near zero."""
    limit = limit or float(np.quantile(np.abs(values), 0.995)) or 1.0
    ink = np.where(values[..., None] > 0, DARKER, BRIGHTER)
    opaque = np.minimum(np.abs(values) / limit, 1)[..., None] * 255
    picture = Image.fromarray(np.concatenate([ink, opaque], axis=-1).astype("uint8"), "RGBA")
    address = embedded.webp(picture, quality=90)
    return f'<img src="{address}" alt="{html.escape(name)}" style="image-rendering:pixelated">'


def control(moments, hr, area, window):
    """Return the control as a widget."""
    import ipywidgets

    place = Pointer(hr, min(SIDE, *hr.shape[:2]))
    place.centre = tuple((part.start + part.stop) // 2 for part in area[::-1])
    seen = ipywidgets.HTML(layout={"flex": "1 1 420px"})

    def refresh(change=None):
        seen.value = view(moments, hr, place.area, window)

    place.observe(refresh, "centre")
    refresh()
    asked = ipywidgets.VBox([place], layout={"width": "320px"})
    return ipywidgets.HBox([asked, seen], layout={"flex_flow": "row wrap"})
