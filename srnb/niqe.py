"""NIQE, a blind metric: how far local statistics are from those of photographs (Mittal, Soundararajan, Bovik 2013)."""

import hashlib
import importlib.util
import io
from functools import cache
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.special import gamma

from srnb import resize

BLOCK = 96  # pixels on a side; statistics are taken in each block, at full and at half size
TAPS = np.exp(-0.5 * (np.arange(-3, 4) / (7 / 6)) ** 2)  # 7x7 Gaussian of the authors' code, sigma 7/6
TAPS /= TAPS.sum()
SHAPES = np.arange(200, 10001) / 1000
RATIOS = gamma(2 / SHAPES) ** 2 / (gamma(1 / SHAPES) * gamma(3 / SHAPES))  # grows with the shape

# The statistics of 125 natural photographs: the authors' model, in a file of the package mmagic 1.2.0 (Apache-2.0)
PRISTINE = "evaluation/metrics/niqe_pris_params.npz"
PRISTINE_SHA256 = "2a7c182a68c9e7f1b2e2e5ec723279d6f65d912b6fcaf37eb2bf03d7367c4296"


def niqe(y):
    """Return NIQE of a luma picture (H, W) with values 0-255; lower is more natural.

    The picture is cut to whole blocks of 96 pixels. Raises ValueError for one that holds fewer than two, and
    FileNotFoundError where the package with the model is not installed.
    """
    height, width = (side - side % BLOCK for side in y.shape)
    if height * width < 2 * BLOCK**2:
        raise ValueError(f"NIQE must have two blocks of {BLOCK} pixels or more. Received: a picture of {y.shape}")
    y, features = y[:height, :width].astype("float64"), []
    for size in (BLOCK, BLOCK // 2):
        mean = _blur(y)
        deviation = np.sqrt(np.abs(_blur(y * y) - mean**2))
        blocks = ((y - mean) / (deviation + 1)).reshape(height // BLOCK, size, width // BLOCK, size)
        features.append(_features(blocks.swapaxes(1, 2).reshape(-1, size, size)))
        y = resize.imresize(y[..., None], 0.5, border="symmetric")[..., 0]
    features = np.concatenate(features, axis=1)
    features = features[~np.isnan(features).any(axis=1)]  # a block without any contrast has no statistics
    pristine_mean, pristine_covariance = _pristine()
    distance = pristine_mean - features.mean(axis=0)
    covariance = (pristine_covariance + np.cov(features, rowvar=False)) / 2
    return float(np.sqrt(distance @ np.linalg.pinv(covariance) @ distance))


def _blur(y):
    return ndimage.correlate1d(ndimage.correlate1d(y, TAPS, axis=0, mode="nearest"), TAPS, axis=1, mode="nearest")


def _features(blocks):
    """Return the 18 features of each block: of its values, and of their products with four neighbours."""
    shape, left, right = _asymmetric_gaussian(blocks)
    features = [shape, (left + right) / 2]
    for neighbour in ((0, 1), (1, 0), (1, 1), (1, -1)):
        shape, left, right = _asymmetric_gaussian(blocks * np.roll(blocks, neighbour, (1, 2)))
        features += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(features, axis=1)


def _asymmetric_gaussian(blocks):
    """Fit a generalised Gaussian with two sides to the values of each block: its shape and the scale of both sides."""
    squares, axes = blocks**2, (1, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt(np.mean(squares, axis=axes, where=blocks < 0))
        right = np.sqrt(np.mean(squares, axis=axes, where=blocks > 0))
        side = left / right
        ratio = np.abs(blocks).mean(axis=axes) ** 2 / squares.mean(axis=axes)
        ratio *= (side**3 + 1) * (side + 1) / (side**2 + 1) ** 2
    above = np.searchsorted(RATIOS, ratio).clip(1, len(RATIOS) - 1)
    nearest = above - (ratio - RATIOS[above - 1] < RATIOS[above] - ratio)
    shape = SHAPES[nearest]
    scale = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * scale, right * scale


@cache
def _pristine():
    package = importlib.util.find_spec("mmagic")  # finds it and runs none of it
    if package is None:
        raise FileNotFoundError("NIQE must have the model in the package mmagic 1.2.0. Received: it is not installed")
    path = Path(package.submodule_search_locations[0]) / PRISTINE
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != PRISTINE_SHA256:
        raise ValueError(f"{path} must have sha256 {PRISTINE_SHA256}. Received: {found}")
    model = np.load(io.BytesIO(content), allow_pickle=False)
    return model["mu_pris_param"].ravel(), model["cov_pris_param"]
