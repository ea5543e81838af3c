"""Real-ESRGAN's degradation (arXiv 2107.10833, section 3): blur, resize, noise, JPEG, twice, then down to size.

The x4 recipe of its published options, for any scale. Resizing does not smooth before it samples, as in the original:
aliasing is one of the defects to be learnt. `photograph` does it step by step; `patches` does the same to a batch of
small pictures in a third of the time: blur and resize become matrices, and Poisson noise comes from a table.
"""

import functools
import math

import numpy as np
from PIL import Image

from srnb.data import filters, images

GREY = np.array([0.299, 0.587, 0.114], np.float32)  # as JPEG weighs them

# sigma of the noise in 8-bit levels
KERNELS = {"iso": 0.45, "aniso": 0.25, "gen-iso": 0.12, "gen-aniso": 0.03, "plateau-iso": 0.12, "plateau-aniso": 0.03}
FILTERS = ("area", "bilinear", "bicubic")
STAGES = (
    {"blur": 1.0, "sigma": (0.2, 3.0), "change": (0.2, 0.7, 0.1), "size": (0.15, 1.5), "noise": 30, "poisson": 3.0},
    {"blur": 0.8, "sigma": (0.2, 1.5), "change": (0.3, 0.4, 0.3), "size": (0.3, 1.2), "noise": 25, "poisson": 2.5},
)
JPEG_QUALITY = (30, 95)

BITS = 12  # the Poisson noise of `patches` is one of 2^12 equally likely quantiles


def photograph(hr, scale, generator):
    """Degrade one picture (H, W, 3) of any size; 8-bit values, in the dtype of `hr`."""
    picture = images.from_uint8(images.to_uint8(hr))
    for number, reference in enumerate(_references(hr.shape, scale)):
        kernel, size, name = _draw_stage(STAGES[number], reference, generator)
        if kernel:
            picture = filters.convolve(picture, filters.alone(kernel))
        picture = filters.interpolate(picture, *size, name)
        picture = _noise(picture, STAGES[number], generator)
        if number == 0:
            picture = _jpeg(picture, generator)
    kernel, compress_last, name = _draw_last(generator)
    if not compress_last:
        picture = _jpeg(picture, generator)
    picture = filters.interpolate(picture, *reference, name)
    if kernel:
        picture = filters.convolve(picture, filters.alone(kernel))
    if compress_last:
        picture = _jpeg(picture, generator)
    return images.to_uint8(picture) if hr.dtype == np.uint8 else _as_float(images.to_uint8(picture), hr.dtype)


def patches(hr, scale, generators):
    """Degrade a batch (N, H, W, 3), each picture by a generator of its own.

    A picture's draws are those of `photograph` up to its first Poisson noise; as long as there is none the result is
    the same but for rounding.
    """
    pictures = list(images.to_uint8(hr).transpose(0, 3, 1, 2).astype(np.float32))  # planes, in levels of 0..255
    for number, reference in enumerate(_references(hr.shape[1:], scale)):
        kernels, sizes, names = zip(*(_draw_stage(STAGES[number], reference, each) for each in generators), strict=True)
        terms = filters.separated(kernels)
        for i, generator in enumerate(generators):
            picture = filters.blurred_and_resized(pictures[i], terms[i], sizes[i], names[i])
            picture = _noise_in_levels(picture, STAGES[number], generator)
            pictures[i] = picture if number else _jpeg_in_levels(picture, generator)
    kernels, compress_last, names = zip(*map(_draw_last, generators), strict=True)
    terms = filters.separated(kernels)
    lr = np.empty((len(hr), *reference, 3), np.uint8)
    for i, generator in enumerate(generators):
        picture = pictures[i] if compress_last[i] else _jpeg_in_levels(pictures[i], generator)
        picture = filters.resized_and_blurred(picture, terms[i], reference, names[i])
        picture = _jpeg_in_levels(picture, generator) if compress_last[i] else picture
        lr[i] = _levels(picture).transpose(1, 2, 0)
    return lr if hr.dtype == np.uint8 else _as_float(lr, hr.dtype)


def _references(shape, scale):
    """Return the sizes (height, width) that the two stages go by: that of HR, that of LR."""
    return shape[:2], (shape[0] // scale, shape[1] // scale)


def _as_float(levels, dtype):
    return (levels / 255).astype(dtype)


# what is drawn


def _draw_stage(stage, reference, generator):
    """Draw the kernel (None: no blur), the size and the filter of a stage."""
    kernel = _draw_kernel(stage["sigma"], generator) if generator.random() < stage["blur"] else None
    low, high = stage["size"]
    change = _draw(stage["change"], generator)
    ratio = (generator.uniform(1, high), generator.uniform(low, 1), 1.0)[change]
    size = [max(1, int(n * ratio)) for n in reference]
    return kernel, size, FILTERS[generator.integers(3)]


def _draw_last(generator):
    """Draw the sinc filter (None: none), whether it comes before JPEG, and the filter of the last resize."""
    kernel = filters.Kernel(cutoff=generator.uniform(math.pi / 3, math.pi)) if generator.random() < 0.8 else None
    return kernel, generator.random() < 0.5, FILTERS[generator.integers(3)]


def _draw_kernel(sigma, generator):
    size = int(generator.integers(3, 11)) * 2 + 1  # 7, 9, ... 21
    if generator.random() < 0.1:
        return filters.Kernel(size, cutoff=generator.uniform(math.pi / (3 if size < 13 else 5), math.pi))
    kind = list(KERNELS)[_draw(tuple(KERNELS.values()), generator)]
    first, second, angle = generator.uniform(*sigma), generator.uniform(*sigma), generator.uniform(-math.pi, math.pi)
    if kind.endswith("iso") and not kind.endswith("aniso"):
        second = first
    beta = 1.0
    if kind.startswith("gen"):
        beta = generator.uniform(0.5, 1) if generator.random() < 0.5 else generator.uniform(1, 4)
    if kind.startswith("plateau"):
        beta = 1.0 if generator.random() < 0.5 else generator.uniform(1, 2)
    return filters.Kernel(size, 0.0, first, second, angle, beta, kind.startswith("plateau"))


def _draw(shares, generator):
    """Do what `generator.choice(len(shares), p=shares)` does, to the bit, in a tenth of its time."""
    return int(_cumulative(shares).searchsorted(generator.random(), side="right"))


@functools.cache
def _cumulative(shares):
    total = np.cumsum(shares)
    return total / total[-1]


# noise and compression


def _noise(picture, stage, generator):
    grey = generator.random() < 0.4
    if generator.random() < 0.5:
        shape = (*picture.shape[:2], 1) if grey else picture.shape
        noise = generator.standard_normal(shape, np.float32) * generator.uniform(1, stage["noise"]) / 255
    else:
        values = images.to_uint8((picture @ GREY)[..., None] if grey else picture)
        levels, source = _poisson_levels(values), images.from_uint8(values)
        noise = (generator.poisson(source * levels) / levels - source) * generator.uniform(0.05, stage["poisson"])
    return (picture + noise).clip(0, 1).astype(np.float32)


def _poisson_levels(values):
    return 2 ** math.ceil(math.log2(max(np.count_nonzero(np.bincount(values.ravel())), 2)))


def _noise_in_levels(picture, stage, generator):
    """Do what `_noise` does to planes (C, H, W) in levels."""
    grey = generator.random() < 0.4
    if generator.random() < 0.5:
        noise = generator.standard_normal((*picture.shape[1:], 1 if grey else 3), np.float32)
        noise *= np.float32(generator.uniform(1, stage["noise"]))
        picture += noise.transpose(2, 0, 1)
    else:
        values = _levels(np.tensordot(GREY, picture, 1) if grey else picture)
        levels = _poisson_levels(values)
        noise = _poisson(values, levels, generator) * np.float32(255 / levels)
        noise -= values
        noise *= np.float32(generator.uniform(0.05, stage["poisson"]))
        picture += noise
    return np.clip(picture, 0, 255, out=picture)


def _poisson(values, levels, generator):
    """Draw counts of mean values * levels / 255, uint16, for uint8 `values`."""
    places = values.astype(np.intp)
    places <<= BITS
    places |= generator.integers(2**16, size=values.shape, dtype=np.uint16) >> (16 - BITS)
    return _counts(levels).take(places, mode="wrap")  # else each place is looked at once more, to raise an error


@functools.cache
def _counts(levels):
    """Return to each value of a pixel in turn the 2^BITS counts that are equally likely, flat."""
    from scipy.special import pdtr

    shares, counts = (np.arange(2**BITS) + 0.5) / 2**BITS, np.arange(2 * levels + 20)
    quantiles = [pdtr(counts, value * levels / 255).searchsorted(shares) for value in range(256)]
    return np.concatenate(quantiles).astype(np.uint16)


def _levels(picture):
    """Round levels to uint8."""
    return np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)


def _draw_quality(generator):
    return int(generator.uniform(*JPEG_QUALITY))


def _jpeg(picture, generator):
    return images.compressed(picture, _draw_quality(generator))


def _jpeg_in_levels(picture, generator):
    """Do what `_jpeg` does to planes (C, H, W) in levels."""
    height, width = picture.shape[1:]
    pixels = np.empty((height, width, 4), np.uint8)  # as Pillow keeps them: not copied
    for channel, plane in enumerate(_levels(picture)):  # a transposed copy takes three times as long
        pixels[..., channel] = plane
    image = Image.frombuffer("RGBX", (width, height), pixels, "raw", "RGBX", 0, 1)
    # coded without a header of Pillow's own, which takes it as long as the pixels of a patch
    data = image.tobytes("jpeg", "RGB", _draw_quality(generator))
    decoded = Image.frombytes("RGB", (width, height), data, "jpeg", "RGB", "")
    return np.ascontiguousarray(np.asarray(decoded).transpose(2, 0, 1), np.float32)
