"""Blur kernels, and pictures blurred by them and resized: step by step, or at once by matrices where they are small.

Resizing does not smooth before it samples; borders are mirrored for a blur and repeated for a resize.
"""

import functools
import math
from typing import NamedTuple

import numpy as np

from srnb.data.resize import PRODUCT

KERNEL_SIZE = 21
NEGLIGIBLE = 1e-2  # sum of what a kernel may lack in `patches`: a few tenths of a level in a photograph


class Kernel(NamedTuple):
    """What a random blur kernel is: a sinc filter if it has a cut-off, else of the Gaussian family."""

    size: int = KERNEL_SIZE
    cutoff: float = 0.0
    first: float = 1.0  # the two sigmas
    second: float = 1.0
    angle: float = 0.0
    beta: float = 1.0
    plateau: bool = False


def alone(kernel):
    """Return one kernel (size, size) without the zeros around it."""
    margin = (KERNEL_SIZE - kernel.size) // 2
    return made([kernel])[0, margin : KERNEL_SIZE - margin, margin : KERNEL_SIZE - margin]


def made(kernels):
    """Return kernels (n, 21, 21), each in the middle of zeros, sum 1."""
    sizes, cutoffs, *shape = (np.array(column)[:, None, None] for column in zip(*kernels, strict=True))
    reach = np.abs(np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2)
    inside = np.maximum(reach[:, None], reach) <= sizes // 2
    made = np.where(inside, gaussian(KERNEL_SIZE, *shape), 0)
    rings = np.flatnonzero(cutoffs)
    if len(rings):
        made[rings] = np.where(inside[rings], sinc(KERNEL_SIZE, cutoffs[rings]), 0)
    return made / made.sum(axis=(1, 2), keepdims=True)


def gaussian(size, first, second, angle, beta, plateau):
    """Return exp(-q^beta / 2), or 1 / (1 + q^beta) for a plateau, with q = x^T S^-1 x: (size, size) or (n, size, size).

    first, second, angle, beta and plateau are numbers or arrays (n, 1, 1).
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    q = (along / first) ** 2 + (across / second) ** 2
    np.power(q, beta, out=q, where=np.not_equal(beta, 1))  # slow, and most kernels are plain Gaussians
    return np.where(plateau, 1 / (1 + q), np.exp(-0.5 * q))


def sinc(size, cutoff):
    """Return the circular low-pass filter w J1(w r) / (2 pi r), which rings; `cutoff` as in `gaussian`."""
    from scipy.special import j1

    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radii, where = np.unique(np.hypot(x, y), return_inverse=True)
    away = np.where(radii > 0, radii, 1)
    values = np.where(radii > 0, cutoff * j1(cutoff * away) / (2 * math.pi * away), cutoff**2 / (4 * math.pi))
    return values[..., 0, where] if np.ndim(cutoff) else values[where]


def separated(kernels):
    """Return for each kernel columns and rows (k, 21) whose k outer products add up to it; None where there is none.

    Gaussian elimination with the largest entry as pivot: nearly as few terms as by singular values (2.9 on average, 1
    for a round Gaussian), for all kernels at once. What is left away is NEGLIGIBLE.
    """
    there = [i for i, kernel in enumerate(kernels) if kernel]
    terms = [None] * len(kernels)
    if not there:
        return terms
    rest = made([kernels[i] for i in there]).astype(np.float32)
    n, columns, rows, ranks = np.arange(len(rest)), [], [], np.full(len(rest), KERNEL_SIZE)
    size = np.abs(rest).reshape(len(rest), -1)
    for rank in range(1, KERNEL_SIZE + 1):
        top, left = np.divmod(size.argmax(axis=1), KERNEL_SIZE)
        pivots = rest[n, top, left]
        columns.append(rest[n, :, left])
        rows.append(rest[n, top] / np.where(pivots, pivots, 1)[:, None])
        rest -= columns[-1][:, :, None] * rows[-1][:, None]
        size = np.abs(rest).reshape(len(rest), -1)
        ranks[(size.sum(axis=1) <= NEGLIGIBLE) & (ranks == KERNEL_SIZE)] = rank
        if ranks.max() <= rank:
            break
    columns, rows = np.stack(columns, axis=1), np.stack(rows, axis=1)
    for i, at in enumerate(there):
        own, across = columns[i, : ranks[i]], rows[i, : ranks[i]]
        terms[at] = own / (own.sum(axis=1) @ across.sum(axis=1)), across  # brightness stays
    return terms


# blur and resize, step by step


def convolve(picture, kernel):
    """Convolve (H, W, C) with a square kernel, mirrored at the border without repeating the edge."""
    from scipy import fft

    margin = kernel.shape[0] // 2
    index = [_mirrored(n, margin) for n in picture.shape[:2]]
    planes = np.ascontiguousarray(picture[index[0]][:, index[1]].transpose(2, 0, 1))
    size = [fft.next_fast_len(n, real=True) for n in planes.shape[1:]]
    spectrum = fft.rfft2(planes, size) * fft.rfft2(kernel.astype(np.float32), size)
    inside = [slice(2 * margin, n) for n in planes.shape[1:]]
    return fft.irfft2(spectrum, size)[:, *inside].transpose(1, 2, 0)


@functools.lru_cache(1024)
def _mirrored(n, margin):
    """Return which of n rows stand at -margin .. n + margin - 1, where a mirror is at the middle of the edge rows."""
    period = max(2 * (n - 1), 1)
    i = np.arange(-margin, n + margin) % period
    return np.minimum(i, period - i) if n > 1 else i


def interpolate(picture, height, width, name):
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


# blur and resize of a small picture, as matrices


def blurred_and_resized(picture, terms, size, name):
    """Filter planes (C, H, W), given by `separated`, then resize them: a sum of products R X S."""
    if terms is None:
        terms, margin = np.ones((2, 1, 1), np.float32), 0
    else:
        margin = KERNEL_SIZE // 2
        picture = _padded(picture, margin)
    sides = [_banded(n - 2 * margin, m, name, taps) for n, m, taps in zip(picture.shape[1:], size, terms, strict=True)]
    return _product(picture, *sides)


def _padded(picture, margin):
    """Continue planes (C, H, W) by their mirror image, as `_mirrored` says."""
    planes, height, width = picture.shape
    if min(height, width) <= margin:
        rows, columns = _mirrored(height, margin), _mirrored(width, margin)
        return picture[:, rows[:, None], columns]
    padded = np.empty((planes, height + 2 * margin, width + 2 * margin), picture.dtype)
    inside = padded[:, margin:-margin]
    inside[:, :, margin:-margin] = picture
    inside[:, :, :margin], inside[:, :, -margin:] = picture[:, :, margin:0:-1], picture[:, :, -2 : -margin - 2 : -1]
    padded[:, :margin], padded[:, -margin:] = inside[:, margin:0:-1], inside[:, -2 : -margin - 2 : -1]
    return padded


def resized_and_blurred(picture, terms, size, name):
    """Resize planes (C, H, W), then filter them."""
    sides = []
    for axis, (n, m) in enumerate(zip(picture.shape[1:], size, strict=True)):
        matrix, first, last = _banded(n, m, name, np.ones((1, 1), np.float32))
        if terms is not None:
            matrix = (terms[axis] @ _shifts(m)).reshape(-1, m, m) @ matrix
            first, last = np.zeros(m, int), np.full(m, n)
        sides.append((matrix, first, last))
    return _product(picture, *sides)


@functools.lru_cache(64)
def _shifts(n):
    """Return (21, n n): to each tap of a filter, the matrix that moves n rows by it, mirrored at the border."""
    shifts = np.zeros((KERNEL_SIZE, n, n), np.float32)
    source = np.lib.stride_tricks.sliding_window_view(_mirrored(n, KERNEL_SIZE // 2), n)
    shifts[np.arange(KERNEL_SIZE)[:, None], np.arange(n), source] = 1
    return shifts.reshape(KERNEL_SIZE, n * n)


def _banded(n, m, name, taps):
    """Return the matrices (k, m, n + 2 margin) that filter by `taps` (k, 2 margin + 1), then resize from n to m.

    And where the non-zero part of each row begins and ends, (m,) both. The filter takes the margin away.
    """
    start, weights = _window(n, m, name)
    count, width = weights.shape[1], taps.shape[1]
    shifted = np.zeros((len(taps), count, count + width - 1), np.float32)
    for k in range(count):
        shifted[:, k, k : k + width] = taps
    matrix = np.zeros((len(taps), m * (n + width - 1)), np.float32)
    matrix[:, _places(n, m, name, width)] = (weights @ shifted).reshape(len(taps), -1)
    return matrix.reshape(-1, m, n + width - 1), start, start + count + width - 1


@functools.lru_cache(1024)
def _places(n, m, name, width):
    """Return where in the flat matrix of `_banded` its non-zero part stands."""
    start, weights = _window(n, m, name)
    rows = np.arange(m) * (n + width - 1) + start
    return (rows[:, None] + np.arange(weights.shape[1] + width - 1)).ravel()


@functools.lru_cache(1024)
def _window(n, m, name):
    """Return `_taps` as the first of adjacent inputs, (m,), and the weights of all, (m, count)."""
    taps, weights = _taps(n, m, name)
    count = min(taps.shape[1], n)
    start = np.minimum(taps[:, 0], n - count)
    adjacent = np.zeros((m, count), np.float32)
    np.add.at(adjacent, (np.arange(m)[:, None], taps - start[:, None]), weights)  # at the border inputs repeat
    return start, adjacent


def _product(picture, rows, columns):
    """Return the sum over k of R_k X S_k^T for planes X (C, H, W): only where the matrices are not zero."""
    (left, *left_bands), (right, *right_bands) = rows, columns
    terms, height, width = len(left), left.shape[1], right.shape[1]
    half = np.empty((terms, len(picture), height, picture.shape[2]), np.float32)
    for part, band in _blocks(*left_bands, picture.shape[2]):
        np.matmul(left[:, None, part, band], picture[:, band], out=half[:, :, part])
    half = half.reshape(terms, -1, half.shape[-1])
    whole = np.empty((len(picture) * height, width), np.float32)
    for part, band in _blocks(*right_bands, half.shape[1]):
        products = half[:, :, band] @ right[:, part, band].swapaxes(1, 2)
        whole[:, part] = products[0] if terms == 1 else products.sum(axis=0)
    return whole.reshape(len(picture), height, width)


def _blocks(first, last, other):
    """Yield slices of outputs and of the inputs that they need, few enough for one thread of BLAS."""
    first, last, begin = first.tolist(), last.tolist(), 0
    while begin < len(first):
        end = min(begin + 32, len(first))
        while end > begin + 1 and (end - begin) * (last[end - 1] - first[begin]) * other > PRODUCT:
            end -= 1
        yield slice(begin, end), slice(first[begin], last[end - 1])
        begin = end
