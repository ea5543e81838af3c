"""imresize against MATLAB: published vectors, every LR file of the benchmark sets, and a plain port of the formula."""

import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from srnb.data import images, resize

BENCHMARKS = Path(os.environ.get("SRNB_DATA", "")) / "benchmarks"
SCALES = (Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), Fraction(3, 7), Fraction(5, 6), Fraction(7, 5), 2, 3, 4)


def port(image, scale, border):
    """MATLAB's imresize for (H, W, C) floats, written after its description, one output row at a time."""

    def cubic(x):
        x = abs(x)
        if x <= 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x <= 2 else 0.0

    for _ in range(2):
        n, s = image.shape[0], min(float(scale), 1.0)
        rows = []
        for i in range(1, math.ceil(n * scale) + 1):
            u = i / scale + 0.5 * (1 - 1 / scale)
            total, weight_sum = 0.0, 0.0
            for j in range(math.floor(u - 2 / s), math.floor(u - 2 / s) + math.ceil(4 / s) + 2):
                weight = cubic(s * (u - j))
                k = min(max(j, 1), n) if border == "replicate" else (j - 1) % (2 * n) + 1
                total = total + weight * image[min(k, 2 * n + 1 - k) - 1]
                weight_sum += weight
            rows.append(total / weight_sum)
        image = np.stack(rows).swapaxes(0, 1)
    return image


def test_published_uint8_vectors():
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    replicate = [[24, 28, 33, 37], [89, 93, 98, 102], [153, 157, 162, 166], [218, 222, 227, 231]]
    symmetric = [[23, 27, 32, 36], [89, 93, 98, 102], [153, 157, 162, 166], [219, 223, 228, 232]]
    assert resize.imresize(ramp, 1 / 4)[..., 0].tolist() == replicate
    assert resize.imresize(ramp, 1 / 4, border="symmetric")[..., 0].tolist() == symmetric


def test_published_float_vector():
    i, j = np.mgrid[:12, :12]
    picture = (60.0 * ((i + j) % 5))[..., None]
    expected = [[118.2899, 120.0616, 117.9723], [120.0616, 120.0070, 119.8905], [117.9723, 119.8905, 118.4731]]
    np.testing.assert_allclose(resize.imresize(picture, 1 / 4)[..., 0], expected, atol=5e-5)
    rounded = [[118, 120, 118], [120, 120, 120], [118, 120, 119]]
    assert resize.imresize(picture.astype(np.uint8), 1 / 4)[..., 0].tolist() == rounded


def test_published_weights():
    half = [-0.001709, -0.010986, -0.018311, -0.011963, 0.022705, 0.097412, 0.181885, 0.240967]
    impulse = np.eye(64)[:, :, None]
    np.testing.assert_allclose(_first_pass(impulse, 1 / 4)[8, 26:42], half + half[::-1], atol=5e-7)
    np.testing.assert_allclose(
        _first_pass(impulse, 4)[128, 30:34], [-0.043945, 0.389648, 0.727539, -0.073242], atol=5e-7
    )
    np.testing.assert_allclose(
        _first_pass(impulse, 4)[129, 30:34], [-0.006836, 0.090820, 0.963867, -0.047852], atol=5e-7
    )


def _first_pass(picture, scale):
    """The weights that make each output of the first pass: the response to unit vectors."""
    n = len(picture)
    return np.stack([resize.imresize(np.repeat(picture[:, i : i + 1], n, axis=1), scale)[:, 0, 0] for i in range(n)], 1)


@pytest.mark.benchmark
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_matlab_lr_file_bit_for_bit(scale):
    files = sorted(BENCHMARKS.glob(f"*/LR_bicubic/X{scale}/*.png"))
    assert len(files) == {2: 19, 3: 19, 4: 119}[scale]
    for file in files:
        hr = images.read(file.parents[2] / "HR" / f"X{scale}" / f"{file.stem}.webp")
        lr = resize.imresize(images.to_uint8(hr), 1 / scale)
        np.testing.assert_array_equal(lr, images.to_uint8(images.read(file)), str(file))


@pytest.mark.parametrize("border", resize.BORDERS)
@pytest.mark.parametrize("scale", SCALES)
def test_float_equals_the_port(scale, border):
    picture = np.random.default_rng(0).random((13, 10, 2))
    expected = port(picture, scale, border)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        found = resize.imresize(picture.astype(dtype), scale, border=border)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, atol=tolerance)


@pytest.mark.parametrize("scale", SCALES)
def test_uint8_is_the_exact_sum_rounded_half_up_after_each_pass(scale):
    """Fractions as reference: no rounding error, so ties are decided and not left to chance."""
    picture = np.random.default_rng(1).integers(0, 256, (9, 7, 1), np.uint8)
    picture[:5] = picture[:5] // 128 * 255  # overshoot, to be clipped
    exact = picture.astype(object)
    for _ in range(2):
        exact = _exact_rows(exact, Fraction(scale)).swapaxes(0, 1)
    np.testing.assert_array_equal(resize.imresize(picture, scale), exact.astype(np.uint8))


def _exact_rows(picture, scale):
    n, s, rows = len(picture), min(scale, 1), []
    for i in range(1, math.ceil(n * scale) + 1):
        u = i / scale + (1 - 1 / scale) / 2
        taps = range(math.floor(u - 2 / s), math.ceil(u + 2 / s) + 1)
        weights = [_cubic(s * (u - j)) for j in taps]
        total = sum(w * picture[min(max(j, 1), n) - 1] for w, j in zip(weights, taps, strict=True)) / sum(weights)
        rows.append([[min(max(math.floor(v + Fraction(1, 2)), 0), 255) for v in pixel] for pixel in total])
    return np.array(rows, object)


def _cubic(x):
    x = abs(x)
    if x <= 1:
        return Fraction(3, 2) * x**3 - Fraction(5, 2) * x**2 + 1
    return -(x**3) / 2 + Fraction(5, 2) * x**2 - 4 * x + 2 if x <= 2 else Fraction(0)


def test_batches_sizes_and_small_pictures():
    batch = np.random.default_rng(2).integers(0, 256, (3, 17, 31, 3), np.uint8)
    for scale in (1 / 4, 1 / 3, 3):
        resized = resize.imresize(batch, scale)
        assert resized.shape == (3, math.ceil(17 * Fraction(scale).limit_denominator(9)), math.ceil(31 * scale), 3)
        np.testing.assert_array_equal(resized[1], resize.imresize(batch[1], scale))
    assert resize.imresize(batch[:, :1, :1], 4).std(axis=(1, 2)).max() == 0  # one pixel stays one colour
    assert resize.imresize(batch, 1) is not batch


def test_large_pictures_equal_their_parts():
    """The blocks in which the product is computed leave no seams."""
    picture = np.random.default_rng(3).integers(0, 256, (1200, 90, 3), np.uint8)
    whole = resize.imresize(picture, 1 / 4)
    np.testing.assert_array_equal(whole[10:150], resize.imresize(picture[:640], 1 / 4)[10:150])


def test_crop_to_multiple():
    picture = np.arange(7 * 9 * 3).reshape(7, 9, 3)
    np.testing.assert_array_equal(resize.crop_to_multiple(picture, 4), picture[:4, :8])
    with pytest.raises(ValueError, match="at least 8 pixels"):
        resize.crop_to_multiple(picture, 8)


@pytest.mark.parametrize("scale", [0, -1, math.pi, 1e-5])
def test_scale_must_be_a_ratio(scale):
    with pytest.raises(ValueError, match="Received"):
        resize.imresize(np.zeros((8, 8, 3)), scale)


def test_wrong_arguments_are_named():
    for image, options in (
        (np.zeros((8, 8)), {}),
        (np.zeros((8, 8, 3), int), {}),
        (np.zeros((8, 8, 3)), {"border": "wrap"}),
    ):
        with pytest.raises(ValueError, match="Received"):
            resize.imresize(image, 1 / 2, **options)
