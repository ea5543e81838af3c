"""MATLAB's bicubic `imresize` with antialiasing: the resizer that the published LR pictures were made with.

For each dimension of length n, scale s, output i = 1..ceil(n s) (Keys' cubic h with a = -0.5):
    u = i/s + (1 - 1/s)/2,   weight of input j:  h(u - j) for s >= 1,  h(s (u - j)) for s < 1,  divided by their sum.
The scale is rational, so every weight is a fraction. They are kept as whole numbers with one denominator per output:
sums of whole numbers are exact in floating point, hence uint8 results are exact on any machine, in any order of sums.
"""

import functools
import math
from fractions import Fraction

import numpy as np

BORDERS = ("replicate", "symmetric")
BLOCK = 16  # outputs per matrix product: enough for BLAS, few enough that its matrix is mostly weights
PRODUCT = 2**18  # multiplications up to which OpenBLAS uses one thread: several would wait more than work here


def imresize(image, scale, *, border="replicate"):
    """Resize (..., H, W, C) by a rational `scale` to (..., ceil(H scale), ceil(W scale), C).

    uint8 is rounded half up and clipped after each pass, rows first, as in MATLAB; float32 and float64 are not.
    `border` says how the image is extended: "replicate" as in the LR files of the classic benchmarks, "symmetric" as in
    newer versions of MATLAB. Raises ValueError for other shapes, dtypes, scales and borders.
    """
    ratio = as_ratio(scale)
    if image.ndim < 3:
        raise ValueError(f"`image` must be (..., H, W, C). Received: shape={image.shape}")
    if image.dtype not in (np.uint8, np.float32, np.float64):
        raise ValueError(f"`image` must be uint8, float32 or float64. Received: {image.dtype}")
    if border not in BORDERS:
        raise ValueError(f"`border` must be one of {BORDERS}. Received: {border!r}")
    if ratio == 1:
        return image.copy()
    *batch, height, width, channels = image.shape
    rows = _pass(image.reshape(*batch, height, width * channels), ratio, border)
    rows = rows.reshape(*batch, -1, width, channels).swapaxes(-3, -2)  # (..., W, h, C)
    columns = _pass(rows.reshape(*batch, width, -1), ratio, border)
    return np.ascontiguousarray(columns.reshape(*batch, -1, rows.shape[-2], channels).swapaxes(-3, -2))


def kernel(x, *, scale=1):
    """Return Keys' cubic kernel: the unnormalised weights of inputs `x` pixels away from an output, an array like `x`.

    For a scale below 1 the kernel is widened by 1 / scale: that is the antialiasing.
    """
    narrowing = min(scale, 1)
    x = np.abs(np.asarray(x, "float64")) * narrowing
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return narrowing * np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def crop_to_multiple(image, scale):
    """Crop (..., H, W, C) at the bottom and right to multiples of `scale`, as is customary for HR.

    Raises ValueError if a side is shorter than `scale`.
    """
    height, width = (n - n % scale for n in image.shape[-3:-1])
    if min(height, width) == 0:
        raise ValueError(f"an image must be at least {scale} pixels high and wide. Received: shape={image.shape}")
    return image[..., :height, :width, :]


def as_ratio(scale):
    """Return `scale`, such as 4, 1/3, 0.375 or Fraction(2, 3), as a Fraction.

    Raises ValueError unless it is a positive ratio with a denominator of at most 1000.
    """
    ratio = Fraction(scale).limit_denominator(1000)
    if ratio <= 0 or not math.isclose(ratio, scale, rel_tol=1e-9):
        raise ValueError(f"`scale` must be a positive ratio with a denominator of at most 1000. Received: {scale}")
    return ratio


def _pass(x, ratio, border):
    """Resize (..., n, K) along n."""
    out = np.empty((*x.shape[:-2], math.ceil(x.shape[-2] * ratio), x.shape[-1]), x.dtype)
    exact = _exact_dtype(ratio)
    for first, inputs, weights, sums in _blocks(x.shape[-2], ratio, border):
        source, target = x[..., inputs, :], out[..., first : first + len(weights), :]
        if x.dtype == np.uint8:
            source, total, weights = source.astype(exact), np.empty(target.shape, exact), weights.astype(exact)
        else:
            total, weights = target, (weights / sums).astype(x.dtype)
        columns = max(1, PRODUCT // weights.size)
        for start in range(0, x.shape[-1], columns):
            part = np.s_[..., start : start + columns]
            np.matmul(weights, source[part], out=total[part])
        if x.dtype == np.uint8:
            total /= sums.astype(exact)
            total += 0.5
            np.floor(total, out=total)
            target[:] = np.clip(total, 0, 255, out=total)
    return out


@functools.lru_cache(64)
def _blocks(n, ratio, border):
    """Return [(first output, slice of inputs, whole-number weights (outputs, inputs), their sums (outputs, 1))]."""
    left, phases = _phases(ratio)
    p, q = ratio.numerator, ratio.denominator
    blocks = []
    for start in range(0, math.ceil(n * ratio), BLOCK):
        i = np.arange(start, min(start + BLOCK, math.ceil(n * ratio)))
        weights = phases[i % p]
        taps = (left[i % p] + q * (i // p))[:, None] + np.arange(phases.shape[1])
        mirrored = np.minimum(taps % (2 * n), 2 * n - 1 - taps % (2 * n))
        taps = taps.clip(0, n - 1) if border == "replicate" else mirrored
        first, last = taps.min(), taps.max()
        matrix = np.zeros((len(i), last - first + 1))
        np.add.at(matrix, (np.arange(len(i))[:, None], taps - first), weights)
        sums = weights.sum(axis=1, keepdims=True)
        blocks.append((start, slice(first, last + 1), matrix, sums))
    return blocks


@functools.lru_cache(64)
def _exact_dtype(ratio):
    """Return the float type in which sums of weighted 8-bit levels are exact and quotients round correctly."""
    _, phases = _phases(ratio)
    largest, divisor = 256 * np.abs(phases).sum(axis=1).max(), phases.sum(axis=1).max()
    return np.float32 if largest < 2**24 and divisor < 2**13 else np.float64


@functools.lru_cache(64)
def _phases(ratio):
    """Return (first tap (p,), whole-number weights (p, taps)) of the p outputs after which the pattern repeats."""
    p, q = ratio.numerator, ratio.denominator
    s = min(ratio, 1)
    taps = math.ceil(4 / s)
    left, whole = [], []
    for i in range(p):
        u = Fraction(i * q, p) + Fraction(q - p, 2 * p)  # counted from 0
        left.append(math.floor(u - 2 / s) + 1)
        weights = [_cubic(s * (u - j)) for j in range(left[-1], left[-1] + taps)]
        unit = math.lcm(*(w.denominator for w in weights))
        numbers = [int(w * unit) for w in weights]
        divisor = math.gcd(*numbers)
        whole.append([number // divisor for number in numbers])
    return np.array(left), np.array(whole, np.float64)


def _cubic(x):
    x = abs(x)
    if x <= 1:
        return (Fraction(3, 2) * x - Fraction(5, 2)) * x * x + 1
    if x < 2:
        return ((Fraction(-1, 2) * x + Fraction(5, 2)) * x - 4) * x + 2
    return Fraction(0)
