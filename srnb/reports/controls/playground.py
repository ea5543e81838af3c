"""The degradation playground: the effect of a setting on a photograph, its spectrum, and a single point."""

import html

import numpy as np

from srnb.data import degrade, resize
from srnb.evaluation.metrics import grey
from srnb.reports.controls import still
from srnb.reports.controls.pointer import Pointer, square

SIDE = 192  # pixels of HR that are degraded: a multiple of 2, 3, 4 and 8
REACH = 4  # pixels of LR to either side of a point
OWN = "words of your own"
SPECTRUM = (-7, 0)  # powers of ten from black to white


def show(hr, *, scale, degradation, seed=0):
    """Display controls of scale, kind, blur, noise, JPEG and seed beside their effect on `hr`, (H, W, 3) in [0, 1]."""
    middle = hr[square(*hr.shape[:2], (hr.shape[1] // 2, hr.shape[0] // 2), SIDE)]
    kinds = dict.fromkeys([degradation, *degrade.DEGRADATIONS, "blur2 bicubic noise10 jpeg40"])
    rows = [view(middle, scale=scale, degradation=kind, seed=seed) for kind in kinds]
    still.show("".join(rows), lambda: control(hr, scale, degradation, seed))


def view(hr, *, scale, degradation, seed):
    """Return the effect of a degradation on `hr` as HTML: LR, its spectrum, and the kernel."""
    cut = resize.crop_to_multiple(hr, scale)
    lr = degrade.degrade(cut, scale=scale, name=degradation, seed=seed)
    pictures = {
        "HR": cut,
        f"LR of {degradation}, {scale} times smaller": lr,
        "spectrum of LR": spectrum(lr),
        **points(degradation, scale=scale, seed=seed),
    }
    return still.row(pictures, width=200)


def spectrum(picture):
    """Return the power spectrum of (H, W, 3) on a logarithmic scale as a grey picture, frequency zero in the middle."""
    luma = grey(picture)[..., 0]
    window = np.outer(np.hanning(luma.shape[0]), np.hanning(luma.shape[1]))
    power = np.abs(np.fft.fftshift(np.fft.fft2((luma - luma.mean()) * window))) ** 2 / window.sum() ** 2
    low, high = SPECTRUM
    level = (np.log10(power + 10.0 ** (low - 1)) - low) / (high - low)
    return np.repeat(level.clip(0, 1)[..., None], 3, axis=2).astype("float32")


def points(degradation, *, scale, seed):
    """Return {name: picture} of the effect on points: the kernel, or LR itself if noise would hide it."""
    if degradation in degrade.DEGRADATIONS and degrade.find(degradation)["random"]:
        return {"LR of points: their blur, noise and JPEG": spread(degradation, scale=scale, seed=seed)}
    words = [word for word in degradation.split() if not word.startswith(("noise", "jpeg"))]
    return {"kernel: what of a pixel of HR reaches one of LR": signed(kernel(" ".join(words), scale=scale))}


def spread(degradation, *, scale, seed=0):
    """Return LR of distant white points on grey, one for each position within a pixel of LR."""
    cell = 2 * REACH + 1
    hr = np.full((scale * cell * scale,) * 2, 0.5, "float32")
    for i, j in np.ndindex(scale, scale):
        hr[(i * cell + REACH) * scale + i, (j * cell + REACH) * scale + j] = 1
    return degrade.degrade(np.repeat(hr[..., None], 3, axis=2), scale=scale, name=degradation, seed=seed)


def kernel(degradation, *, scale):
    """Return the weight of a pixel of HR in one of LR, by distance in pixels of HR: (n, n), distance 0 in the middle.

    It is measured by degrading points. For an even scale its centre lies between two pixels of HR.
    """
    cell, lr = 2 * REACH + 1, spread(degradation, scale=scale).mean(axis=2)
    weights = np.empty((cell * scale,) * 2, "float32")
    for i, j in np.ndindex(scale, scale):
        point = lr[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell]
        weights[i::scale, j::scale] = point[::-1, ::-1]
    return 2 * weights - 1


def signed(values):
    """Return a picture of signed values: positive ones brighter than grey, negative ones darker."""
    level = 0.5 + 0.5 * values / (np.abs(values).max() or 1)
    return np.repeat(level[..., None], 3, axis=2).astype("float32")


def lines(scale, degradation):
    """Return the lines of a parameters cell that select this setting."""
    return f'scale = {scale}\ndegradation = "{degradation}"'


def control(hr, scale, degradation, seed):
    """Return the control as a widget."""
    import ipywidgets

    layout = {"width": "310px"}
    is_own = degradation not in degrade.DEGRADATIONS
    options = {"layout": layout, "continuous_update": True}
    kind = ipywidgets.Dropdown(
        options=[*degrade.DEGRADATIONS, OWN], value=OWN if is_own else degradation, description="kind", layout=layout
    )
    smaller = ipywidgets.Dropdown(options=sorted({2, 3, 4, 8, scale}), value=scale, description="scale", layout=layout)
    blur = ipywidgets.FloatSlider(0.0, min=0, max=4, step=0.1, description="blur", **options)
    noise = ipywidgets.FloatSlider(0.0, min=0, max=40, step=1, description="noise", **options)
    quality = ipywidgets.IntSlider(100, min=5, max=100, step=5, description="JPEG", **options)
    draw = ipywidgets.IntText(seed, description="seed", layout=layout)
    words = ipywidgets.Text(degradation if is_own else "", description="words", layout=layout, continuous_update=False)
    place = Pointer(hr, min(SIDE, *hr.shape[:2]))
    said, seen = ipywidgets.HTML(), ipywidgets.HTML(layout={"flex": "1 1 420px"})

    def slid(change=None):
        """Sliders make words."""
        parts = [f"blur{blur.value:g}" * (blur.value > 0), "bicubic", f"noise{noise.value:g}" * (noise.value > 0)]
        words.value = " ".join(filter(None, [*parts, f"jpeg{quality.value}" * (quality.value < 100)]))
        kind.value = OWN

    def refresh(change=None):
        words.disabled = kind.value != OWN  # the sliders make it that
        name = kind.value if kind.value != OWN else words.value
        try:
            seen.value = view(place.cut(hr), scale=smaller.value, degradation=name, seed=draw.value)
            said.value = (
                "for the parameters cell of notebook 1, then <i>Run All</i>:"
                f"<pre>{html.escape(lines(smaller.value, name))}</pre>"
            )
        except ValueError as error:
            said.value = still.problem(error)

    for slider in (blur, noise, quality):
        slider.observe(slid, "value")
    for widget in (kind, smaller, draw, words):
        widget.observe(refresh, "value")
    kind.observe(lambda change: change["new"] == OWN and not words.value and slid(), "value")
    place.observe(refresh, "centre")
    refresh()
    asked = [place, kind, smaller, blur, noise, quality, words, draw, said]
    asked = ipywidgets.VBox(asked, layout={"width": "340px"})
    return ipywidgets.HBox([asked, seen], layout={"flex_flow": "row wrap"})
