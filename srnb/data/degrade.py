"""HR -> LR: named, versioned degradations. uint8 gives uint8, as in files; floats in [0, 1] give the same float type.

A custom degradation is a chain of words, applied from left to right: "blur1.2 bicubic noise5 jpeg60" is a Gaussian blur
(sigma in pixels at that point), bicubic downscaling, Gaussian noise (sigma in 8-bit levels), and JPEG (quality).
"""

import re
from functools import partial

import numpy as np

from srnb.data import images, realesrgan, resize


def degrade(hr, *, scale, name="bicubic", seed=0):
    """Degrade HR (H, W, C) or a batch (N, H, W, C), H and W multiples of `scale`, to LR of H/scale, W/scale.

    `seed`, an int or a sequence of ints, decides what a random degradation does; every picture of a batch gets its own.
    "realesrgan" has a fast form for batches, see `realesrgan.patches`: another draw than that of the picture alone.
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
    generators = [np.random.default_rng([*seed, i]) for i in range(len(batch))]
    if hr.ndim > 3 and "batch" in degradation:
        lr = degradation["batch"](batch, scale, generators)
    else:
        lr = np.stack([function(picture, scale, each) for picture, each in zip(batch, generators, strict=True)])
    return lr.reshape(*hr.shape[:-3], *lr.shape[1:])


def bicubic(hr, scale):
    """MATLAB's imresize: the degradation of the classic benchmarks."""
    return resize.imresize(hr, 1 / scale)


def blur_bicubic(hr, scale, *, sigma=1.0):
    """Gaussian blur, then bicubic (Johnson et al. 2016, section 4.2), rounded once at the end for uint8."""
    picture = _blurred(images.from_uint8(hr) if hr.dtype == np.uint8 else hr, sigma)
    lr = resize.imresize(picture, 1 / scale)
    return images.to_uint8(lr) if hr.dtype == np.uint8 else lr


DEGRADATIONS = {
    "bicubic": {"function": bicubic, "version": 1, "random": False},
    "blur-bicubic": {"function": blur_bicubic, "version": 1, "random": False},
    "realesrgan": {
        "function": realesrgan.photograph,
        "batch": realesrgan.patches,
        "version": 1,
        "random": True,
    },
}


CHAIN = re.compile(r"(blur|noise|jpeg)(\d+\.?\d*)|bicubic")


def find(name):
    """Return the dict of function, version and random of a degradation: one of DEGRADATIONS, or a chain of words.

    Raises ValueError for another name.
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
    """Degrade by `steps`, pairs of a word and its number, in order; uint8 is rounded once at the end."""
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
            picture = images.compressed(picture, int(number))
    return images.to_uint8(picture) if hr.dtype == np.uint8 else picture.clip(0, 1).astype(hr.dtype)


def label(name):
    """Return name and version of a degradation as one word, for file names and records."""
    return f"{name.replace(' ', '-')}-{find(name)['version']}"


def _blurred(picture, sigma):
    from scipy.ndimage import gaussian_filter1d

    for axis in (-3, -2):
        picture = gaussian_filter1d(picture, sigma, axis=axis, mode="nearest")
    return picture
