"""The distance between two pictures: plain NumPy functions, one picture at a time.

`sr` and `hr` are floats in [0, 1], shape (H, W, 3), or (H, W, 1) for a grey file. Both are quantised first, as in a
file: clipped and rounded half up to 8 bits. `METRICS` holds all metrics of a table, with unit, direction and protocol.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from srnb.data import images, resize

CHANNELS = {
    "y": "Y of BT.601 (16-235), not rounded",
    "y_rounded": "Y of BT.601 (16-235), rounded to integers",
    "rgb": "RGB",
}
SSIM_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)  # Wang et al. 2004: 11x11 Gaussian, sigma 1.5
SSIM_TAPS /= SSIM_TAPS.sum()
SSIM_C1, SSIM_C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2

LPIPS_NETS = {"alex": "alexnet", "vgg": "vgg16"}
PASS = 2**19  # pixels that go through its network together: VGG16 holds about a kilobyte for each


def luma(image):
    """Return Y of BT.601 in studio range, float64 (H, W, 1), of an RGB picture with values 0-255 (MATLAB rgb2ycbcr).

    A grey picture (H, W, 1) is returned as it is, as in MATLAB; pass a grey file as three equal channels for the other
    convention.
    """
    image = np.asarray(image, "float64")
    if image.shape[-1] == 1:
        return image
    return 16 + image @ np.array([[65.481], [128.553], [24.966]]) / 255


def grey(image):
    """Return the full-range luma (H, W, 1) of an RGB picture, as in JPEG: equal channels keep their value."""
    return image @ np.array([[0.299], [0.587], [0.114]], "float32")


def psnr(sr, hr, *, border, channel):
    """Return the peak signal-to-noise ratio in dB (infinite for equal pictures), peak 255.

    `border` pixels are cropped on each side; `channel` is 'y', 'y_rounded' or 'rgb' (one error over all channels).
    """
    sr, hr = _prepare(sr, hr, border, channel)
    error = np.mean((sr - hr) ** 2)
    return float(10 * np.log10(255**2 / error)) if error else float("inf")


def ssim(sr, hr, *, border, channel):
    """Return the structural similarity (Wang et al. 2004): 11x11 Gaussian windows of sigma 1.5 inside the picture.

    `border` and `channel` as in `psnr`; for 'rgb' it is the mean over the three channels.
    """
    sr, hr = _prepare(sr, hr, border, channel)
    if min(sr.shape[:2]) < 11:
        raise ValueError(f"Inside its border a picture must hold the 11x11 window of SSIM. Received: {sr.shape[:2]}")
    return float(np.mean([_ssim_channel(sr[..., i], hr[..., i]) for i in range(sr.shape[-1])]))


def lpips(sr, hr, *, net="alex"):
    """Return LPIPS v0.1 (Zhang et al. 2018) with its linear heads on `net`, 'alex' or 'vgg', over the whole picture.

    Published tables of super-resolution use 'alex' and crop no border.
    """
    return lpips_each([sr], hr, net=net)[0]


def lpips_each(pictures, hr, *, net="alex"):
    """Return a list of `lpips` for pictures of one original, which goes through the network once for all of them."""
    from keras import ops

    from srnb import losses

    taps, heads = _lpips_network(net)
    count, values = max(1, PASS // max(hr.shape[0] * hr.shape[1], 1)), []
    for first in range(0, len(pictures), count):
        pairs = [_network_pair(sr, hr) for sr in pictures[first : first + count]]
        batch = np.concatenate([sr for _, sr in pairs])
        maps = losses.lpips_maps(pairs[0][0], batch, features=taps, heads=heads)
        values += ops.convert_to_numpy(sum(ops.mean(each, axis=(1, 2)) for each in maps)).tolist()
    return values


def lpips_maps(sr, hr, *, net="alex"):
    """Return the maps (1, H, W), one per layer, whose means add up to `lpips`, as tensors of the framework."""
    from srnb import losses

    taps, heads = _lpips_network(net)
    hr, sr = _network_pair(sr, hr)
    return losses.lpips_maps(hr, sr, features=taps, heads=heads)


def dists(sr, hr):
    """Return DISTS (Ding et al. 2020) over the whole picture at its full size: the distance of textures and structures.

    Unlike LPIPS it compares statistics of feature maps, not positions, and so tolerates texture that is displaced.
    """
    from keras import ops

    from srnb import losses
    from srnb.models import features

    alpha, beta = features.dists_weights()
    hr, sr = _network_pair(sr, hr)
    return float(ops.convert_to_numpy(losses.dists(hr, sr, features=_dists_network(), alpha=alpha, beta=beta)))


def lr_consistency(sr, lr, *, border, channel):
    """Return the PSNR in dB between `lr` and `sr` downscaled again by MATLAB's bicubic: is it still that photograph?

    `border` is in pixels of `lr`.
    """
    scale = sr.shape[0] // lr.shape[0]
    if tuple(sr.shape[:2]) != (lr.shape[0] * scale, lr.shape[1] * scale):
        raise ValueError(f"sr must be a whole multiple of lr in size. Received: {sr.shape[:2]} and {lr.shape[:2]}")
    small = resize.imresize(images.to_uint8(sr), 1 / scale)
    return psnr(images.from_uint8(small), lr, border=border, channel=channel)


def colour_shift(sr, hr, *, border, channel="rgb", sigma=10.0):
    """Return the mean absolute difference of each channel, (C,) in grey levels (0-255), after a Gaussian blur of both.

    A network that only invents detail stays near zero; one that tints or darkens areas does not. `sigma` is in pixels.
    """
    sr, hr = _prepare(sr, hr, border, channel)
    return np.abs(ndimage.gaussian_filter(sr - hr, (sigma, sigma, 0))).mean(axis=(0, 1))


def niqe(sr, *, border):
    """Return NIQE (Mittal et al. 2013), which needs no original: the distance from natural pictures, lower is better.

    Raises ValueError unless two blocks of 96x96 pixels fit inside the border.
    """
    from srnb.evaluation import niqe

    (y, _) = _prepare(sr, np.clip(sr, 0, 1), border, "y_rounded")
    return niqe.score(y[..., 0])


def _quantised_pair(sr, hr):
    """Return both pictures as uint8 arrays. Raises ValueError for other shapes, dtypes or ranges."""
    sr, hr = np.asarray(sr), np.asarray(hr)
    if sr.shape != hr.shape or sr.ndim != 3 or sr.shape[-1] not in (1, 3):
        raise ValueError(f"Both pictures must have one shape (H, W, 3) or (H, W, 1). Received: {sr.shape}, {hr.shape}")
    if sr.dtype.kind != "f" or hr.dtype.kind != "f":
        raise ValueError(f"Both pictures must be floats in [0, 1]. Received: {sr.dtype}, {hr.dtype}")
    if not (np.isfinite(sr).all() and hr.min() >= 0 and hr.max() <= 1):
        raise ValueError(
            "sr must be finite and its reference must lie in [0, 1]. "
            f"Received: sr from {sr.min()} to {sr.max()}, reference from {hr.min()} to {hr.max()}"
        )
    return images.to_uint8(sr), images.to_uint8(hr)


def _network_pair(sr, hr):
    """Return hr and sr, quantised, as RGB batches for a network."""
    pair = reversed(_quantised_pair(sr, hr))
    pair = (np.repeat(each, 3, axis=-1) if each.shape[-1] == 1 else each for each in pair)
    return tuple(each[None].astype("float32") / 255 for each in pair)


def _prepare(sr, hr, border, channel):
    """Quantise, crop the border, select the channel; return both as float64 (H, W, 1 or 3), 0-255."""
    if channel not in CHANNELS:
        raise ValueError(f"channel must be one of {', '.join(CHANNELS)}. Received: {channel!r}")
    pair = _quantised_pair(sr, hr)
    height, width = pair[0].shape[:2]
    if border < 0 or 2 * border >= min(height, width):
        raise ValueError(f"border must leave something of a picture of {height}x{width}. Received: {border}")
    pair = [picture[border : height - border, border : width - border].astype("float64") for picture in pair]
    if channel == "rgb":
        return pair
    pair = [luma(picture) for picture in pair]
    return [np.floor(y + 0.5) for y in pair] if channel == "y_rounded" else pair


def _window_mean(image):
    """Return the Gaussian-weighted mean of every 11x11 window that lies inside the picture."""
    rows = ndimage.correlate1d(image, SSIM_TAPS, axis=0)[5:-5]
    return ndimage.correlate1d(rows, SSIM_TAPS, axis=1)[:, 5:-5]


def _ssim_channel(x, y):
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    variances = _window_mean(x * x + y * y) - mean_x**2 - mean_y**2
    covariance = _window_mean(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + SSIM_C1) / (mean_x**2 + mean_y**2 + SSIM_C1)
    return np.mean(luminance * (2 * covariance + SSIM_C2) / (variances + SSIM_C2))


@cache
def _lpips_network(net):
    """Return the feature network of LPIPS and its linear heads."""
    from srnb.models import features

    if net not in LPIPS_NETS:
        raise ValueError(f"net must be one of {', '.join(LPIPS_NETS)}. Received: {net!r}")
    name = LPIPS_NETS[net]
    return _in_float32(features.build, name, features.lpips_taps(name)), features.lpips_heads(name)


@cache
def _dists_network():
    from srnb.models import features

    return _in_float32(features.build, "vgg16", features.lpips_taps("vgg16"), pooling="l2")


def _in_float32(build, *arguments, **options):
    """Build a network in single precision, so that a metric is the same during a half-precision training."""
    import keras

    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return build(*arguments, **options)
    finally:
        keras.config.set_dtype_policy(policy)


def require(metric):
    """Raise ValueError unless `metric` is the name of one that `measure` can compute."""
    known = [name for name, entry in METRICS.items() if entry.compute]
    if metric not in known:
        raise ValueError(f"metric must be one of {', '.join(known)}. Received: {metric!r}")


def measure(metric, sr, *, hr, lr, border):
    """Return the value of `metric`, a name in `METRICS`, for one upscaled picture."""
    require(metric)
    return METRICS[metric].compute(sr, hr, lr, border)


class Metric(NamedTuple):
    """The entry of a metric. `compute` takes (sr, hr, lr, border); `protocol` has a {} for the border."""

    name: str
    unit: str
    direction: str
    protocol: str
    compute: Callable | None  # None: it is of the network, see `costs`
    each: Callable | None = None  # of (pictures, hr), in the thread that asks: many at once, by a network on all cores
    original: bool = True  # whether it looks at hr

    @property
    def decimals(self):
        """How many decimals a mean is shown with; for differences see `comparison.decimals`."""
        return 2 if self.unit == "dB" else 4


def _psnr(name, channel):
    return Metric(
        name,
        "dB",
        "higher",
        f"{CHANNELS[channel]}; 8 bit; border {{border}}",
        lambda sr, hr, lr, border: psnr(sr, hr, border=border, channel=channel),
    )


def _ssim(name, channel):
    return Metric(
        name,
        "",
        "higher",
        f"{CHANNELS[channel]}; 8 bit; 11x11 Gaussian, sigma 1.5; border {{border}}",
        lambda sr, hr, lr, border: ssim(sr, hr, border=border, channel=channel),
    )


def _lpips(name, net):
    return Metric(
        *(name, "", "lower", f"v0.1, {net}, RGB; 8 bit; whole picture"),
        lambda sr, hr, lr, border: lpips(sr, hr, net=net),
        partial(lpips_each, net=net),
    )


METRICS = {
    "psnr_y": _psnr("PSNR Y", "y"),
    "psnr_y_rounded": _psnr("PSNR Y rounded", "y_rounded"),
    "psnr_rgb": _psnr("PSNR RGB", "rgb"),
    "ssim_y": _ssim("SSIM Y", "y"),
    "ssim_y_rounded": _ssim("SSIM Y rounded", "y_rounded"),
    "ssim_rgb": _ssim("SSIM RGB", "rgb"),
    "lpips_alex": _lpips("LPIPS alex", "alex"),
    "lpips_vgg": _lpips("LPIPS vgg", "vgg"),
    "dists": Metric(
        *("DISTS", "", "lower", "VGG16 with L2 pooling, RGB; 8 bit; whole picture in its own size"),
        lambda sr, hr, lr, border: dists(sr, hr),
        lambda pictures, hr: [dists(sr, hr) for sr in pictures],
    ),
    "niqe": Metric(
        *("NIQE", "", "lower", f"{CHANNELS['y_rounded']}; 8 bit; blocks of 96x96; border {{border}}"),
        lambda sr, hr, lr, border: niqe(sr, border=border),
        original=False,
    ),
    "lr_consistency": Metric(
        "LR PSNR",
        "dB",
        "higher",
        "RGB; 8 bit; made small by MATLAB bicubic; whole picture",
        lambda sr, hr, lr, border: lr_consistency(sr, lr, border=0, channel="rgb"),
        original=False,
    ),
    "colour_shift": Metric(
        "colour shift",
        "grey levels",
        "lower",
        "mean over R, G, B; 8 bit; Gaussian, sigma 10; border {border}",
        lambda sr, hr, lr, border: float(colour_shift(sr, hr, border=border).mean()),
    ),
    "parameters": Metric("parameters", "k", "lower", "all numbers that the network holds, in thousands", None),
    "multiply_adds": Metric("multiply-adds", "G", "lower", "of convolutions, for a result of 1280x720, in 10⁹", None),
    "seconds_per_megapixel": Metric(
        *("time", "s/MP", "lower"),
        "wall time for each megapixel of the result; median of {repeats} runs after a first one; result of {picture}",
        None,
    ),
    "peak_memory": Metric(
        *("memory", "MiB", "lower"),
        "of the maps that are held at once, counted from the graph; result of {picture}, untiled",
        None,
    ),
}
COSTS = tuple(name for name, entry in METRICS.items() if entry.compute is None)
WITHOUT_ORIGINAL = tuple(name for name, entry in METRICS.items() if entry.compute and not entry.original)
