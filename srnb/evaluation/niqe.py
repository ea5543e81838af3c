"""NIQE (Mittal, Soundararajan and Bovik 2013): how far the statistics of a picture are from those of natural ones.

It needs no original. Local contrast is normalised, and the histograms of the result and of products of neighbours are
described by 18 numbers for each block of 96x96 pixels, at full and at half size. `niqe.npz` holds the mean and the
covariance of these 36 over 125 natural photographs, as the authors have published them and BasicSR 1.4.2 holds them.
"""

from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage, special

from srnb.data import resize

BLOCK = 96
SHAPES = np.arange(200, 10001) / 1000  # exponents that are tried for a generalised Gaussian
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))


def score(y):
    """Return NIQE, lower is better, of a picture's luma: (H, W), whole levels 0-255, as MATLAB has them.

    Rows and columns beyond a multiple of 96 are left out. Raises ValueError unless two blocks fit that are not flat.
    """
    rows, columns = (n // BLOCK for n in y.shape)
    if rows * columns < 2:
        raise ValueError(f"NIQE must have two blocks of {BLOCK}x{BLOCK} pixels. Received: {y.shape[1]}x{y.shape[0]}")
    y = np.asarray(y[: rows * BLOCK, : columns * BLOCK], "float64")
    half = resize.imresize(y[..., None], 0.5, border="symmetric")[..., 0]
    numbers = np.hstack([_features(y, BLOCK), _features(half, BLOCK // 2)])
    whole = numbers[np.isfinite(numbers).all(axis=1)]
    if len(whole) < 2:
        raise ValueError(f"NIQE must have two blocks with something in them. Received: {len(whole)} of {len(numbers)}")
    mean, covariance = _published()["mean"], _published()["covariance"]
    away = np.nanmean(numbers, axis=0) - mean
    return float(np.sqrt(away @ np.linalg.pinv((np.cov(whole, rowvar=False) + covariance) / 2) @ away))


def _features(y, size):
    """Return the 18 numbers of each block of size x size pixels, (blocks, 18); NaN for those of a flat one."""
    mean = _smooth(y)
    contrast = np.sqrt(np.abs(_smooth(y * y) - mean * mean))
    normalised = (y - mean) / (contrast + 1)
    rows, columns = (n // size for n in y.shape)
    blocks = normalised.reshape(rows, size, columns, size).swapaxes(1, 2).reshape(-1, size, size)
    shape, left, right = _asymmetric_gaussian(blocks)
    numbers = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:  # within the block, from its end to its beginning
        shape, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, shift, axis=(1, 2)))
        numbers += [shape, (right - left) * special.gamma(2 / shape) / special.gamma(1 / shape), left, right]
    return np.stack(numbers, axis=1)


def _smooth(y):
    """Return the mean over a Gaussian window of 7x7, sigma 7/6.

    By BasicSR's window, to the bit, and in its order: in flat areas the signs of rounding errors make up the result.
    """
    return ndimage.convolve(y, _published()["window"], mode="nearest")


def _asymmetric_gaussian(blocks):
    """Return the exponent and both scales, (blocks,) each, of generalised Gaussians fitted by moments (equation 7)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        left, right = (np.sqrt(_mean_where(blocks, sign)) for sign in (blocks < 0, blocks > 0))
        ratio = left / right
        moments = np.abs(blocks).mean(axis=(1, 2)) ** 2 / np.square(blocks).mean(axis=(1, 2))
        moments *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    ratios, scales = _of_shapes()
    at = np.searchsorted((ratios[1:] + ratios[:-1]) / 2, moments)  # the nearest
    return np.where(np.isfinite(moments), SHAPES[at], np.nan), left * scales[at], right * scales[at]


def _mean_where(blocks, chosen):
    """Return the mean square of the chosen pixels of each block."""
    return np.where(chosen, np.square(blocks), 0).sum(axis=(1, 2)) / chosen.sum(axis=(1, 2))


@cache
def _of_shapes():
    """Return E|x|^2 / E x^2, rising, and the scale over the standard deviation, for each of SHAPES."""
    one, two, three = (special.gamma(n / SHAPES) for n in (1, 2, 3))
    return two**2 / (one * three), np.sqrt(one / three)


@cache
def _published():
    """Return the mean (36,) and the covariance (36, 36) of natural photographs, and the window (7, 7)."""
    with np.load(Path(__file__).with_suffix(".npz")) as held:
        return dict(held)
