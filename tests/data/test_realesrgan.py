"""Real-ESRGAN's degradation against scipy, scikit-image, its definitions, and its fast form against the other."""

import hashlib
import math

import numpy as np
import pytest
from scipy import ndimage, stats
from skimage.measure import block_reduce

from srnb.data import datasets, degrade, filters, images, realesrgan


@pytest.fixture(scope="module")
def hr():
    return images.to_uint8(images.read(datasets.photographs("sample", "test")[0])[:96, :120])


def normal(kernel):
    return kernel / kernel.sum()


def test_a_photograph_is_degraded_as_ever():
    """The card of compact-photo, and shards with LR, hold what these seeds gave in November 2026."""
    y, x = np.mgrid[:64, :80]
    picture = np.stack([3 * y % 256, 3 * x % 256, y * x % 256], axis=-1).astype(np.uint8)
    total = hashlib.sha256()
    for seed in range(40):
        for scale in (2, 4):
            total.update(degrade.degrade(picture, scale=scale, name="realesrgan", seed=(0, seed)).tobytes())
    assert total.hexdigest() == "6fa918e7f5864fd8fe62543c9e9ab947fda0bcc3d70021a9ebba29c8b8253b66"


def drawn_twice(hr, count):
    """The LR of `count` seeds, by either form, as whole numbers."""
    generators = [[np.random.default_rng([5, i]) for i in range(count)] for _ in range(2)]
    slow = np.stack([realesrgan.photograph(hr, 4, generator) for generator in generators[0]])
    return slow.astype(int), realesrgan.patches(np.stack([hr] * count), 4, generators[1]).astype(int)


def test_patches_are_degraded_as_photographs_are(hr):
    """The same draws give the same picture where none is of Poisson noise, one in four; JPEG makes more of rounding."""
    slow, fast = drawn_twice(hr, 160)
    differences = np.abs(slow - fast).mean(axis=(1, 2, 3))
    assert 0.12 < (differences < 2.5).mean() < 0.4 and np.median(differences) > 3
    bicubic = degrade.degrade(hr, scale=4).astype(int)
    for measure in (
        np.mean,
        np.std,
        lambda lr: np.abs(lr - bicubic).mean(),
        lambda lr: np.abs(np.diff(lr, axis=0)).mean(),
    ):
        assert stats.ks_2samp([measure(lr) for lr in slow], [measure(lr) for lr in fast]).pvalue > 0.02


@pytest.mark.parametrize("shape", [(96, 120), (23, 40), (9, 31), (4, 5), (1, 1)])
def test_matrices_blur_and_resize_as_the_steps_do(hr, shape):
    generator = np.random.default_rng(1)
    picture = images.from_uint8(hr[: shape[0], : shape[1]])
    planes = picture.transpose(2, 0, 1) * 255
    kernels = [None, *(realesrgan._draw_kernel((0.2, 3.0), generator) for _ in range(30))]
    for kernel, terms in zip(kernels, filters.separated(kernels), strict=True):
        size = [max(1, int(side * generator.uniform(0.15, 1.5))) for side in shape]
        name = realesrgan.FILTERS[generator.integers(3)]
        blurred = picture if kernel is None else filters.convolve(picture, filters.alone(kernel))
        expected = filters.interpolate(blurred, *size, name) * 255
        found = filters.blurred_and_resized(planes, terms, size, name).transpose(1, 2, 0)
        assert np.abs(found - expected).max() < 2.6 and np.abs(found - expected).mean() < 0.2
        resized = filters.interpolate(picture, *size, name)
        expected = resized if kernel is None else filters.convolve(resized, filters.alone(kernel))
        found = filters.resized_and_blurred(planes, terms, size, name).transpose(1, 2, 0)
        assert np.abs(found - expected * 255).max() < 2.6 and np.abs(found - expected * 255).mean() < 0.2


def test_few_terms_make_up_a_kernel():
    generator = np.random.default_rng(2)
    kernels = [realesrgan._draw_kernel((0.2, 3.0), generator) for _ in range(200)]
    terms = filters.separated([None, *kernels])
    assert terms[0] is None
    for (columns, rows), kernel in zip(terms[1:], filters.made(kernels), strict=True):
        assert np.abs(columns.T @ rows - kernel).sum() <= filters.NEGLIGIBLE * (1.1 + np.abs(kernel).sum())
        assert (columns.T @ rows).sum() == pytest.approx(1, abs=1e-5)
    assert np.mean([len(columns) for columns, _ in terms[1:]]) < 3


@pytest.mark.parametrize("levels", [2, 16, 128, 256])
def test_counts_are_of_poisson(levels):
    generator = np.random.default_rng(3)
    for value in (0, 1, 9, 10, 11, 40, 128, 255):
        mean = value * levels / 255
        counts = realesrgan._poisson(np.full((100, 100), value, np.uint8), levels, generator)
        assert counts.min() >= 0 and (counts == np.floor(counts)).all()
        if value == 0:
            assert counts.max() == 0
            continue
        assert counts.mean() == pytest.approx(mean, abs=4 * math.sqrt(mean / 10000))
        assert counts.var() == pytest.approx(mean, rel=0.1 + 0.1 / math.sqrt(mean))
        below = [(counts <= limit).mean() for limit in np.arange(int(2 * mean) + 3)]
        np.testing.assert_allclose(below, stats.poisson.cdf(np.arange(int(2 * mean) + 3), mean), atol=0.02)


def test_noise_and_jpeg_of_planes_are_those_of_pictures(hr):
    planes = hr.transpose(2, 0, 1).astype(np.float32)
    found = realesrgan._jpeg_in_levels(planes, np.random.default_rng(0)).transpose(1, 2, 0)
    expected = realesrgan._jpeg(images.from_uint8(hr), np.random.default_rng(0))
    np.testing.assert_array_equal(found, images.to_uint8(expected))
    deviations = np.zeros((2, 200))
    for seed in range(200):
        one, two = np.random.default_rng(seed), np.random.default_rng(seed)
        pair = [
            realesrgan._noise(images.from_uint8(hr), realesrgan.STAGES[0], one) * 255 - hr,
            realesrgan._noise_in_levels(planes.copy(), realesrgan.STAGES[0], two).transpose(1, 2, 0) - hr,
        ]
        deviations[:, seed] = [noise.std() for noise in pair]
        grey = [np.median(np.ptp(noise, axis=2)) < 0.01 for noise in pair]
        assert grey[0] == grey[1]
    assert 0.4 < np.isclose(*deviations, rtol=1e-3).mean() < 0.6, "Gaussian noise is the same, one time in two"
    assert stats.ks_2samp(*deviations).pvalue > 0.05


def test_gaussian_kernel_has_the_covariance_of_its_sigmas():
    kernel = normal(filters.gaussian(41, 3.0, 1.5, 0.5, 1.0, False))
    y, x = np.mgrid[-20:21, -20:21]
    covariance = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    turn = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    np.testing.assert_allclose(covariance, turn @ np.diag([9, 2.25]) @ turn.T, atol=1e-4)
    one = np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2)
    np.testing.assert_allclose(
        normal(filters.gaussian(7, 1.2, 1.2, 0, 1.0, False)), np.outer(one, one) / one.sum() ** 2, atol=1e-12
    )


def test_generalised_kernels_at_hand_computed_places():
    for plateau, value in ((False, math.exp(-0.5 * 4**0.7)), (True, 1 / (1 + 4**0.7))):
        kernel = filters.gaussian(9, 1.0, 1.0, 0.0, 0.7, plateau)
        assert kernel[4, 6] / kernel[4, 4] == pytest.approx(value)


def test_sinc_passes_low_and_stops_high_frequencies():
    response = np.abs(np.fft.fft2(normal(filters.sinc(101, math.pi / 2)), (202, 202)))
    radius = np.hypot(*np.meshgrid(*[np.abs(np.fft.fftfreq(202)) * 2 * math.pi] * 2))
    assert response[radius < 1.3].min() > 0.94 and response[(radius > 1.9)].max() < 0.06


def test_random_kernels_are_normal_and_odd():
    generator = np.random.default_rng(0)
    kernels = [filters.alone(realesrgan._draw_kernel((0.2, 3.0), generator)) for _ in range(400)]
    assert {len(kernel) for kernel in kernels} == set(range(7, 22, 2))
    assert all(kernel.sum() == pytest.approx(1) for kernel in kernels)
    ringing = sum(kernel.min() < -1e-6 for kernel in kernels) / len(kernels)
    assert 0.06 < ringing < 0.15  # sinc: one in ten


def test_filter_equals_scipy(hr):
    kernel = normal(filters.gaussian(9, 2.0, 1.0, 0.3, 1.0, False))
    picture = images.from_uint8(hr)
    expected = ndimage.convolve(picture, kernel[..., None], mode="mirror")
    np.testing.assert_allclose(filters.convolve(picture, kernel), expected, atol=1e-5)


def test_interpolation_equals_its_definitions(hr):
    picture = images.from_uint8(hr)
    np.testing.assert_allclose(
        filters.interpolate(picture, 24, 30, "area"), block_reduce(picture, (4, 4, 1), np.mean), atol=1e-6
    )
    y, x = ((np.arange(m) + 0.5) * n / m - 0.5 for m, n in ((70, 96), (131, 120)))
    places = np.meshgrid(y, x, indexing="ij")
    for channel in range(3):
        expected = ndimage.map_coordinates(picture[..., channel], places, order=1, mode="nearest")
        np.testing.assert_allclose(filters.interpolate(picture, 70, 131, "bilinear")[..., channel], expected, atol=1e-5)
    # Keys' cubic with a = -0.75 a quarter away from a sample, by hand
    taps, weights = filters._taps(8, 16, "bicubic")
    assert taps[7].tolist() == [2, 3, 4, 5]
    np.testing.assert_allclose(weights[7], [-0.1055, 0.8789, 0.2617, -0.0352], atol=1e-4)


def test_noise_is_as_strong_as_asked(hr):
    flat = np.full((200, 200, 3), 0.5, np.float32)
    generator = np.random.default_rng(0)
    residues = [(realesrgan._noise(flat, realesrgan.STAGES[0], generator) - flat) * 255 for _ in range(40)]
    assert max(residue.std() for residue in residues) < 110 and np.mean([residue.mean() for residue in residues]) < 0.5
    grey = np.mean([np.ptp(residue, axis=2).max() < 1e-3 for residue in residues])
    assert 0.2 < grey < 0.6  # two in five
