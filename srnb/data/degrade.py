"""HR -> LR: named, versioned degradations. uint8 gives uint8, as files hold it; float in [0, 1] gives that float.

A degradation of one's own is a chain of words, done from left to right: "blur1.2 bicubic noise5 jpeg60" is a Gaussian
blur (sigma in pixels of where it stands), bicubic down to size, Gaussian noise (sigma in 8-bit levels), JPEG (quality).
"""

import io
import math
import re
from functools import partial

import numpy as np
from PIL import Image

from srnb.data import images, resize

KERNEL_SIZE = 21
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # as JPEG weighs them

# Real-ESRGAN (arXiv 2107.10833), the x4 recipe of its published options; sigma of the noise in 8-bit levels
KERNELS = {"iso": 0.45, "aniso": 0.25, "gen-iso": 0.12, "gen-aniso": 0.03, "plateau-iso": 0.12, "plateau-aniso": 0.03}
FILTERS = ("area", "bilinear", "bicubic")
STAGES = (
    {"blur": 1.0, "sigma": (0.2, 3.0), "change": (0.2, 0.7, 0.1), "size": (0.15, 1.5), "noise": 30, "poisson": 3.0},
    {"blur": 0.8, "sigma": (0.2, 1.5), "change": (0.3, 0.4, 0.3), "size": (0.3, 1.2), "noise": 25, "poisson": 2.5},
)
JPEG_QUALITY = (30, 95)


def degrade(hr, *, scale, name="bicubic", seed=0):
    """Degrade HR (H, W, C) or a batch (N, H, W, C), H and W multiples of `scale`, to LR of H/scale, W/scale.

    `seed`, an int or a sequence of ints, decides what a random degradation does; every picture of a batch gets its own.
    Raises ValueError for an unknown name or a size that is no multiple.
    """
    degradation = find(name)
    if hr.shape[-3] % scale or hr.shape[-2] % scale:
        raise ValueError(f"`hr` must be cropped to a multiple of {scale}. Received: shape={hr.shape}")
    function = degradation["function"]
    if not degradation["random"]:
        return function(hr, scale)
    batch = hr.reshape(-1, *hr.shape[-3:])
    seed = list(np.atleast_1d(seed))
    lr = np.stack([function(picture, scale, np.random.default_rng([*seed, i])) for i, picture in enumerate(batch)])
    return lr.reshape(*hr.shape[:-3], *lr.shape[1:])


def bicubic(hr, scale):
    """MATLAB's imresize: the degradation of the classic benchmarks."""
    return resize.imresize(hr, 1 / scale)


def blur_bicubic(hr, scale, *, sigma=1.0):
    """Gaussian blur, then bicubic (Johnson et al. 2016, section 4.2), rounded once at the end for uint8."""
    picture = _blurred(images.from_uint8(hr) if hr.dtype == np.uint8 else hr, sigma)
    lr = resize.imresize(picture, 1 / scale)
    return images.to_uint8(lr) if hr.dtype == np.uint8 else lr


def realesrgan(hr, scale, generator):
    """Blur, resize, noise, JPEG, twice, then down to size with a sinc filter (Real-ESRGAN, section 3); 8-bit values.

    Resizing does not smooth before it samples, as in the original: aliasing is one of the defects to be learnt.
    """
    height, width = hr.shape[0] // scale, hr.shape[1] // scale
    picture = images.from_uint8(images.to_uint8(hr))
    for stage, reference in zip(STAGES, (hr.shape[:2], (height, width)), strict=True):
        if generator.random() < stage["blur"]:
            picture = _filter(picture, _random_kernel(stage["sigma"], generator))
        low, high = stage["size"]
        change = generator.choice(3, p=stage["change"])
        ratio = (generator.uniform(1, high), generator.uniform(low, 1), 1.0)[change]
        size = [max(1, int(n * ratio)) for n in reference]
        picture = _interpolate(picture, *size, generator.choice(FILTERS))
        picture = _noise(picture, stage["noise"], stage["poisson"], generator)
        if stage is STAGES[0]:
            picture = _jpeg(picture, generator)
    sinc = _sinc(generator.uniform(math.pi / 3, math.pi)) if generator.random() < 0.8 else None
    compress_last, name = generator.random() < 0.5, generator.choice(FILTERS)
    if not compress_last:
        picture = _jpeg(picture, generator)
    picture = _interpolate(picture, height, width, name)
    if sinc is not None:
        picture = _filter(picture, sinc)
    if compress_last:
        picture = _jpeg(picture, generator)
    lr = images.to_uint8(picture)
    return lr if hr.dtype == np.uint8 else (lr / 255).astype(hr.dtype)


DEGRADATIONS = {
    "bicubic": {"function": bicubic, "version": 1, "random": False},
    "blur-bicubic": {"function": blur_bicubic, "version": 1, "random": False},
    "realesrgan": {"function": realesrgan, "version": 1, "random": True},
}


CHAIN = re.compile(r"(blur|noise|jpeg)(\d+\.?\d*)|bicubic")


def find(name):
    """Return the function, the version and the randomness of a degradation: one of DEGRADATIONS, or a chain of words.

    Raises ValueError for anything else.
    """
    if name in DEGRADATIONS:
        return DEGRADATIONS[name]
    words = [CHAIN.fullmatch(word) for word in str(name).split()]
    if not all(words) or [word[0] for word in words].count("bicubic") != 1:
        raise ValueError(
            f"a degradation must be one of {', '.join(DEGRADATIONS)}, or words as in 'blur1.2 bicubic noise5 jpeg60', "
            f"bicubic once. Received: {name!r}"
        )
    qualities = [float(word[2]) for word in words if word[1] == "jpeg"]
    if not all(1 <= quality <= 100 for quality in qualities):
        raise ValueError(f"the quality of JPEG must be 1 to 100. Received: {name!r}")
    steps = [(word[1] or word[0], float(word[2] or 0)) for word in words]
    return {"function": partial(chain, steps=steps), "version": 1, "random": any(kind == "noise" for kind, _ in steps)}


def chain(hr, scale, generator=None, *, steps):
    """Degrade by pairs of a word and its number, one after the other, rounded once at the end for uint8."""
    if hr.ndim == 4:
        return np.stack([chain(picture, scale, generator, steps=steps) for picture in hr])
    picture = images.from_uint8(hr) if hr.dtype == np.uint8 else hr
    for kind, number in steps:
        if kind == "blur":
            picture = _blurred(picture, number)
        elif kind == "bicubic":
            picture = resize.imresize(picture, 1 / scale)
        elif kind == "noise":
            picture = picture + generator.standard_normal(picture.shape, np.float32) * np.float32(number / 255)
        else:
            picture = _compressed(picture, int(number))
    return images.to_uint8(picture) if hr.dtype == np.uint8 else picture.clip(0, 1).astype(hr.dtype)


def label(name):
    """Return name and version of a degradation, as file names and records have it."""
    return f"{name.replace(' ', '-')}-{find(name)['version']}"


def _blurred(picture, sigma):
    from scipy.ndimage import gaussian_filter1d

    for axis in (-3, -2):
        picture = gaussian_filter1d(picture, sigma, axis=axis, mode="nearest")
    return picture


def _random_kernel(sigma, generator):
    size = generator.integers(3, 11) * 2 + 1  # 7, 9, ... 21
    if generator.random() < 0.1:
        return _sinc(generator.uniform(math.pi / (3 if size < 13 else 5), math.pi), size)
    kind = generator.choice(list(KERNELS), p=list(KERNELS.values()))
    first, second, angle = generator.uniform(*sigma), generator.uniform(*sigma), generator.uniform(-math.pi, math.pi)
    if kind.endswith("-iso") or kind == "iso":
        second = first
    beta = 1.0
    if kind.startswith("gen"):
        beta = generator.uniform(0.5, 1) if generator.random() < 0.5 else generator.uniform(1, 4)
    if kind.startswith("plateau"):
        beta = 1.0 if generator.random() < 0.5 else generator.uniform(1, 2)
    return _kernel(size, first, second, angle, beta, plateau=kind.startswith("plateau"))


def _kernel(size, first, second, angle, beta, *, plateau=False):
    """Return exp(-q^beta / 2) or 1 / (1 + q^beta) with q = x^T S^-1 x, (size, size), sum 1."""
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    q = ((along / first) ** 2 + (across / second) ** 2) ** beta
    kernel = 1 / (1 + q) if plateau else np.exp(-0.5 * q)
    return kernel / kernel.sum()


def _sinc(cutoff, size=KERNEL_SIZE):
    """Return the circular low-pass filter w J1(w r) / (2 pi r), which rings, (size, size), sum 1."""
    from scipy.special import j1

    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radius = np.hypot(x, y)
    middle = radius == 0
    radius[middle] = 1
    kernel = np.where(middle, cutoff**2 / (4 * math.pi), cutoff * j1(cutoff * radius) / (2 * math.pi * radius))
    return kernel / kernel.sum()


def _filter(picture, kernel):
    """Convolve (H, W, C) with a square kernel, mirrored at the border without repeating the edge."""
    from scipy import fft

    margin = kernel.shape[0] // 2
    index = [_mirrored(n, margin) for n in picture.shape[:2]]
    planes = np.ascontiguousarray(picture[index[0]][:, index[1]].transpose(2, 0, 1))
    size = [fft.next_fast_len(n, real=True) for n in planes.shape[1:]]
    spectrum = fft.rfft2(planes, size) * fft.rfft2(kernel.astype(np.float32), size)
    inside = [slice(2 * margin, n) for n in planes.shape[1:]]
    return fft.irfft2(spectrum, size)[:, *inside].transpose(1, 2, 0)


def _mirrored(n, margin):
    """Return which of n rows stand at -margin .. n + margin - 1, where a mirror is at the middle of the edge rows."""
    period = max(2 * (n - 1), 1)
    i = np.arange(-margin, n + margin) % period
    return np.minimum(i, period - i) if n > 1 else i


def _interpolate(picture, height, width, name):
    """Resize (H, W, C) to any size without antialiasing, as torch.nn.functional.interpolate does it."""
    for size in (height, width):  # rows, turn, what were the columns, turn back
        taps, weights = _taps(picture.shape[0], size, name)
        parts = (weights[:, k, None, None] * picture[taps[:, k]] for k in range(taps.shape[1]))
        picture = sum(parts).swapaxes(0, 1)
    return picture


def _taps(n, m, name):
    """Return which of n inputs make each of m outputs, (m, taps), and their weights."""
    i = np.arange(m)
    if name == "area":
        first, last = i * n // m, -(-(i + 1) * n // m)
        taps = first[:, None] + np.arange((last - first).max())
        weights = (taps < last[:, None]) / (last - first)[:, None]
    else:
        u = (i + 0.5) * n / m - 0.5
        if name == "bilinear":
            u = u.clip(0, n - 1)
        taps = np.floor(u)[:, None].astype(int) + (np.arange(2) if name == "bilinear" else np.arange(-1, 3))
        x = abs(u[:, None] - taps)
        if name == "bilinear":
            weights = 1 - x
        else:  # Keys' cubic, a = -0.75
            weights = np.where(x <= 1, (1.25 * x - 2.25) * x * x + 1, ((-0.75 * x + 3.75) * x - 6) * x + 3)
    return taps.clip(0, n - 1), weights.astype(np.float32)


def _noise(picture, sigma, poisson, generator):
    grey = generator.random() < 0.4
    if generator.random() < 0.5:
        shape = (*picture.shape[:2], 1) if grey else picture.shape
        noise = generator.standard_normal(shape, np.float32) * generator.uniform(1, sigma) / 255
    else:
        values = images.to_uint8((picture @ GREY)[..., None] if grey else picture)
        levels = 2 ** math.ceil(math.log2(max(np.count_nonzero(np.bincount(values.ravel())), 2)))
        source = images.from_uint8(values)
        noise = (generator.poisson(source * levels) / levels - source) * generator.uniform(0.05, poisson)
    return (picture + noise).clip(0, 1).astype(np.float32)


def _jpeg(picture, generator):
    return _compressed(picture, int(generator.uniform(*JPEG_QUALITY)))


def _compressed(picture, quality):
    buffer = io.BytesIO()
    Image.fromarray(images.to_uint8(picture)).save(buffer, format="JPEG", quality=quality)
    return images.from_uint8(np.asarray(Image.open(buffer, formats=["JPEG"])))
