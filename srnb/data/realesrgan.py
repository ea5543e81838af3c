"""Real-ESRGAN's degradation (arXiv 2107.10833, section 3): blur, resize, noise, JPEG, twice, then down to size.

The x4 recipe of its published options, for any scale. Resizing does not smooth before it samples, as in the original:
aliasing is one of the defects to be learnt. `photograph` does it step by step; `patches` does the same to a batch of
small pictures in a fifth of the time: blur and resize become matrices, and Poisson noise is made from a normal variate.
"""

import functools
import io
import math
from typing import NamedTuple

import numpy as np
from PIL import Image

from srnb.data import images

KERNEL_SIZE = 21
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # as JPEG weighs them

# sigma of the noise in 8-bit levels
KERNELS = {"iso": 0.45, "aniso": 0.25, "gen-iso": 0.12, "gen-aniso": 0.03, "plateau-iso": 0.12, "plateau-aniso": 0.03}
FILTERS = ("area", "bilinear", "bicubic")
STAGES = (
    {"blur": 1.0, "sigma": (0.2, 3.0), "change": (0.2, 0.7, 0.1), "size": (0.15, 1.5), "noise": 30, "poisson": 3.0},
    {"blur": 0.8, "sigma": (0.2, 1.5), "change": (0.3, 0.4, 0.3), "size": (0.3, 1.2), "noise": 25, "poisson": 2.5},
)
JPEG_QUALITY = (30, 95)

EXACT = 10  # Poisson means below which `patches` draws the counts themselves
NEGLIGIBLE = 1e-2  # sum of what a kernel may lack in `patches`: a few tenths of a level in a photograph
PRODUCT = 2**18  # multiplications up to which OpenBLAS uses one thread: several would wait more than work here


class Kernel(NamedTuple):
    """What a random blur kernel is: a sinc filter if it has a cut-off, else of the Gaussian family."""

    size: int = KERNEL_SIZE
    cutoff: float = 0.0
    first: float = 1.0  # the two sigmas
    second: float = 1.0
    angle: float = 0.0
    beta: float = 1.0
    plateau: bool = False


def photograph(hr, scale, generator):
    """Degrade one picture (H, W, 3) of any size; 8-bit values, in the dtype of `hr`."""
    picture = images.from_uint8(images.to_uint8(hr))
    for number, reference in enumerate(_references(hr.shape, scale)):
        kernel, size, name = _draw_stage(STAGES[number], reference, generator)
        if kernel:
            picture = _filter(picture, _alone(kernel))
        picture = _interpolate(picture, *size, name)
        picture = _noise(picture, STAGES[number], generator)
        if number == 0:
            picture = _jpeg(picture, generator)
    kernel, compress_last, name = _draw_last(generator)
    if not compress_last:
        picture = _jpeg(picture, generator)
    picture = _interpolate(picture, *reference, name)
    if kernel:
        picture = _filter(picture, _alone(kernel))
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
        terms = _separated(kernels)
        for i, generator in enumerate(generators):
            picture = _resampled(pictures[i], terms[i], sizes[i], names[i])
            picture = _noise_in_levels(picture, STAGES[number], generator)
            pictures[i] = picture if number else _jpeg_in_levels(picture, generator)
    kernels, compress_last, names = zip(*map(_draw_last, generators), strict=True)
    terms = _separated(kernels)
    lr = np.empty((len(hr), *reference, 3), np.uint8)
    for i, generator in enumerate(generators):
        picture = pictures[i] if compress_last[i] else _jpeg_in_levels(pictures[i], generator)
        picture = _refitted(picture, terms[i], reference, names[i])
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
    kernel = Kernel(cutoff=generator.uniform(math.pi / 3, math.pi)) if generator.random() < 0.8 else None
    return kernel, generator.random() < 0.5, FILTERS[generator.integers(3)]


def _draw_kernel(sigma, generator):
    size = int(generator.integers(3, 11)) * 2 + 1  # 7, 9, ... 21
    if generator.random() < 0.1:
        return Kernel(size, cutoff=generator.uniform(math.pi / (3 if size < 13 else 5), math.pi))
    kind = list(KERNELS)[_draw(tuple(KERNELS.values()), generator)]
    first, second, angle = generator.uniform(*sigma), generator.uniform(*sigma), generator.uniform(-math.pi, math.pi)
    if kind.endswith("iso") and not kind.endswith("aniso"):
        second = first
    beta = 1.0
    if kind.startswith("gen"):
        beta = generator.uniform(0.5, 1) if generator.random() < 0.5 else generator.uniform(1, 4)
    if kind.startswith("plateau"):
        beta = 1.0 if generator.random() < 0.5 else generator.uniform(1, 2)
    return Kernel(size, 0.0, first, second, angle, beta, kind.startswith("plateau"))


def _draw(shares, generator):
    """Do what `generator.choice(len(shares), p=shares)` does, to the bit, in a tenth of its time."""
    return int(_cumulative(shares).searchsorted(generator.random(), side="right"))


@functools.cache
def _cumulative(shares):
    total = np.cumsum(shares)
    return total / total[-1]


# kernels


def _alone(kernel):
    """Return one kernel (size, size) without the zeros around it."""
    margin = (KERNEL_SIZE - kernel.size) // 2
    return _made([kernel])[0, margin : KERNEL_SIZE - margin, margin : KERNEL_SIZE - margin]


def _made(kernels):
    """Return kernels (n, 21, 21), each in the middle of zeros, sum 1."""
    sizes, cutoffs, *shape = (np.array(column)[:, None, None] for column in zip(*kernels, strict=True))
    reach = np.abs(np.arange(KERNEL_SIZE) - KERNEL_SIZE // 2)
    inside = np.maximum(reach[:, None], reach) <= sizes // 2
    made = np.where(inside, _gaussian(KERNEL_SIZE, *shape), 0)
    rings = np.flatnonzero(cutoffs)
    if len(rings):
        made[rings] = np.where(inside[rings], _sinc(KERNEL_SIZE, cutoffs[rings]), 0)
    return made / made.sum(axis=(1, 2), keepdims=True)


def _gaussian(size, first, second, angle, beta, plateau):
    """Return exp(-q^beta / 2), or 1 / (1 + q^beta) for a plateau, with q = x^T S^-1 x: (size, size) or (n, size, size).

    first, second, angle, beta and plateau are numbers or arrays (n, 1, 1).
    """
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    q = (along / first) ** 2 + (across / second) ** 2
    np.power(q, beta, out=q, where=np.not_equal(beta, 1))  # slow, and most kernels are plain Gaussians
    return np.where(plateau, 1 / (1 + q), np.exp(-0.5 * q))


def _sinc(size, cutoff):
    """Return the circular low-pass filter w J1(w r) / (2 pi r), which rings; `cutoff` as in `_gaussian`."""
    from scipy.special import j1

    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    radii, where = np.unique(np.hypot(x, y), return_inverse=True)
    away = np.where(radii > 0, radii, 1)
    values = np.where(radii > 0, cutoff * j1(cutoff * away) / (2 * math.pi * away), cutoff**2 / (4 * math.pi))
    return values[..., 0, where] if np.ndim(cutoff) else values[where]


def _separated(kernels):
    """Return for each kernel columns and rows (k, 21) whose k outer products add up to it; None where there is none.

    Gaussian elimination with the largest entry as pivot: nearly as few terms as by singular values (2.9 on average, 1
    for a round Gaussian), for all kernels at once. What is left away is NEGLIGIBLE.
    """
    there = [i for i, kernel in enumerate(kernels) if kernel]
    terms = [None] * len(kernels)
    if not there:
        return terms
    rest = _made([kernels[i] for i in there]).astype(np.float32)
    n, columns, rows, ranks = np.arange(len(rest)), [], [], np.full(len(rest), KERNEL_SIZE)
    for rank in range(1, KERNEL_SIZE + 1):
        top, left = np.divmod(np.abs(rest).reshape(len(rest), -1).argmax(axis=1), KERNEL_SIZE)
        pivots = rest[n, top, left]
        columns.append(rest[n, :, left])
        rows.append(rest[n, top] / np.where(pivots, pivots, 1)[:, None])
        rest -= columns[-1][:, :, None] * rows[-1][:, None]
        ranks[(np.abs(rest).sum(axis=(1, 2)) <= NEGLIGIBLE) & (ranks == KERNEL_SIZE)] = rank
        if ranks.max() <= rank:
            break
    columns, rows = np.stack(columns, axis=1), np.stack(rows, axis=1)
    for i, at in enumerate(there):
        own, across = columns[i, : ranks[i]], rows[i, : ranks[i]]
        terms[at] = own / (own.sum(axis=1) @ across.sum(axis=1)), across  # brightness stays
    return terms


# blur and resize, step by step


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


@functools.lru_cache(1024)
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


# blur and resize of a small picture, as matrices


def _resampled(picture, terms, size, name):
    """Filter planes (C, H, W), given by `_separated`, then resize them: a sum of products R X S."""
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


def _refitted(picture, terms, size, name):
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
    begin = 0
    while begin < len(first):
        end = min(begin + 32, len(first))
        while end > begin + 1 and (end - begin) * (last[end - 1] - first[begin]) * other > PRODUCT:
            end -= 1
        yield slice(begin, end), slice(first[begin], last[end - 1])
        begin = end


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
        noise = _poisson(values, levels, generator)
        noise *= np.float32(255 / levels)
        noise -= values
        noise *= np.float32(generator.uniform(0.05, stage["poisson"]))
        picture += noise
    return np.clip(picture, 0, 255, out=picture)


def _poisson(values, levels, generator):
    """Draw counts of mean values * levels / 255, float32, for uint8 `values`.

    From EXACT on by the quantile of Cornish and Fisher (1938) to its second order: mean, variance and skewness are
    those of Poisson, and no quantile is off by more than one.
    """
    mean = np.arange(256, dtype=np.float32) * np.float32(levels / 255)
    counts = generator.standard_normal(values.shape, np.float32)
    skewed = counts * counts
    skewed *= np.float32(1 / 6)
    counts *= np.sqrt(mean)[values]
    counts += skewed
    counts += (mean + np.float32(0.5 - 1 / 6))[values]
    np.floor(counts, out=counts)
    few = values < EXACT * 255 / levels
    counts[few] = generator.poisson(mean[values[few]])
    return counts


def _levels(picture):
    """Round levels to uint8."""
    return np.clip(picture + np.float32(0.5), 0, 255).astype(np.uint8)


def _draw_quality(generator):
    return int(generator.uniform(*JPEG_QUALITY))


def _jpeg(picture, generator):
    return images.compressed(picture, _draw_quality(generator))


def _jpeg_in_levels(picture, generator):
    """Do what `_jpeg` does to planes (C, H, W) in levels."""
    buffer, quality = io.BytesIO(), _draw_quality(generator)
    pixels = np.ascontiguousarray(_levels(picture).transpose(1, 2, 0))
    Image.fromarray(pixels).save(buffer, format="JPEG", quality=quality)
    # decoded without a look at the header, which takes Pillow as long as the pixels of a patch
    decoded = Image.frombytes("RGB", pixels.shape[1::-1], buffer.getvalue(), "jpeg", "RGB", "")
    return np.ascontiguousarray(np.asarray(decoded).transpose(2, 0, 1), np.float32)
