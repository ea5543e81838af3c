"""Degradations against scipy, scikit-image and their definitions."""

import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage.measure import block_reduce

from srnb.data import datasets, degrade, images, resize


@pytest.fixture(scope="module")
def hr():
    return images.to_uint8(images.read(datasets.photographs("sample", "test")[0])[:96, :120])


def test_bicubic_is_imresize(hr):
    np.testing.assert_array_equal(degrade.degrade(hr, scale=4), resize.imresize(hr, 1 / 4))


def test_blur_bicubic_blurs_first_and_rounds_once(hr):
    blurred = ndimage.gaussian_filter(hr.astype(np.float64), (1, 1, 0), mode="nearest")
    expected = resize.imresize(blurred, 1 / 4).clip(0, 255)
    found = degrade.degrade(hr, scale=4, name="blur-bicubic")
    assert found.dtype == np.uint8 and np.abs(found - expected).max() < 0.51


@pytest.mark.parametrize("name", [*degrade.DEGRADATIONS, "blur1.2 bicubic noise5 jpeg60", "jpeg30 bicubic"])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kind_and_size_of_the_result(hr, name, scale):
    lr = degrade.degrade(hr, scale=scale, name=name)
    assert lr.dtype == np.uint8 and lr.shape == (96 // scale, 120 // scale, 3)
    floats = degrade.degrade(images.from_uint8(hr), scale=scale, name=name)
    assert floats.dtype == np.float32
    assert np.abs(images.to_uint8(floats).astype(int) - lr).max() <= 1
    tiny = degrade.degrade(hr[None, : 2 * scale, : 2 * scale], scale=scale, name=name)
    assert tiny.shape == (1, 2, 2, 3)


def test_words_are_done_from_left_to_right(hr):
    word = {name: degrade.degrade(hr, scale=4, name=name) for name in ("bicubic", "blur1 bicubic", "bicubic jpeg20")}
    np.testing.assert_array_equal(word["blur1 bicubic"], degrade.degrade(hr, scale=4, name="blur-bicubic"))
    file, small = io.BytesIO(), resize.imresize(images.from_uint8(hr), 1 / 4)  # of floats, rounded once
    Image.fromarray(images.to_uint8(small)).save(file, "JPEG", quality=20)
    np.testing.assert_array_equal(word["bicubic jpeg20"], np.asarray(Image.open(file)))
    noisy = np.stack([degrade.degrade(hr, scale=4, name="bicubic noise10", seed=seed) for seed in range(20)])
    assert (noisy - word["bicubic"].astype(float)).std() == pytest.approx(10, rel=0.1)
    np.testing.assert_array_equal(noisy[3], degrade.degrade(hr, scale=4, name="bicubic noise10", seed=3))
    assert degrade.label("blur1.2 bicubic") == "blur1.2-bicubic-1", "the name of a file"


@pytest.mark.parametrize("name", ["blur1", "bicubic bicubic", "bicubic smear3", "bicubic jpeg0", "bicubic noise-1", ""])
def test_words_must_make_a_degradation(hr, name):
    with pytest.raises(ValueError, match=r"must be .*Received"):
        degrade.degrade(hr, scale=4, name=name)


def test_random_degradation_depends_on_seed_and_place_only(hr):
    batch = np.stack([hr, hr, 255 - hr])
    first, again = (degrade.degrade(batch, scale=4, name="realesrgan", seed=[7, 1]) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert (first[0] != first[1]).any()
    np.testing.assert_array_equal(degrade.degrade(batch[:2], scale=4, name="realesrgan", seed=[7, 1]), first[:2])
    assert (degrade.degrade(batch, scale=4, name="realesrgan", seed=[7, 2])[0] != first[0]).any()


def test_real_degradations_keep_the_picture(hr):
    """However bad, the average over many draws is the picture, in its colours and place."""
    many = degrade.degrade(np.stack([hr] * 40), scale=4, name="realesrgan", seed=3).astype(np.float64)
    bicubic = resize.imresize(hr.astype(np.float64), 1 / 4)
    assert np.abs(many.mean(axis=(0, 1, 2)) - bicubic.mean(axis=(0, 1))).max() < 6
    grey, expected = many.mean(axis=(0, 3)), bicubic.mean(axis=2)
    shifted = [np.corrcoef(np.roll(grey, s, axis=(0, 1)).ravel(), expected.ravel())[0, 1] for s in (-1, 0, 1)]
    assert shifted[1] > 0.95 and shifted[1] == max(shifted)


def test_wrong_arguments_are_named(hr):
    with pytest.raises(ValueError, match="realesrgan"):
        degrade.degrade(hr, scale=4, name="nonsense")
    with pytest.raises(ValueError, match="multiple of 7"):
        degrade.degrade(hr, scale=7)


def test_gaussian_kernel_has_the_covariance_of_its_sigmas():
    kernel = degrade._kernel(41, 3.0, 1.5, 0.5, 1.0)
    y, x = np.mgrid[-20:21, -20:21]
    covariance = [[(kernel * a * b).sum() for b in (x, y)] for a in (x, y)]
    turn = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    np.testing.assert_allclose(covariance, turn @ np.diag([9, 2.25]) @ turn.T, atol=1e-4)
    one = np.exp(-0.5 * (np.arange(-3, 4) / 1.2) ** 2)
    np.testing.assert_allclose(degrade._kernel(7, 1.2, 1.2, 0, 1.0), np.outer(one, one) / one.sum() ** 2, atol=1e-12)


def test_generalised_kernels_at_hand_computed_places():
    for plateau, value in ((False, math.exp(-0.5 * 4**0.7)), (True, 1 / (1 + 4**0.7))):
        kernel = degrade._kernel(9, 1.0, 1.0, 0.0, 0.7, plateau=plateau)
        assert kernel[4, 6] / kernel[4, 4] == pytest.approx(value)


def test_sinc_passes_low_and_stops_high_frequencies():
    response = np.abs(np.fft.fft2(degrade._sinc(math.pi / 2, 101), (202, 202)))
    radius = np.hypot(*np.meshgrid(*[np.abs(np.fft.fftfreq(202)) * 2 * math.pi] * 2))
    assert response[radius < 1.3].min() > 0.94 and response[(radius > 1.9)].max() < 0.06


def test_random_kernels_are_normal_and_odd():
    generator = np.random.default_rng(0)
    kernels = [degrade._random_kernel((0.2, 3.0), generator) for _ in range(400)]
    assert {len(kernel) for kernel in kernels} == set(range(7, 22, 2))
    assert all(kernel.sum() == pytest.approx(1) for kernel in kernels)
    ringing = sum(kernel.min() < -1e-6 for kernel in kernels) / len(kernels)
    assert 0.06 < ringing < 0.15  # sinc: one in ten


def test_filter_equals_scipy(hr):
    kernel = degrade._kernel(9, 2.0, 1.0, 0.3, 1.0)
    picture = images.from_uint8(hr)
    expected = ndimage.convolve(picture, kernel[..., None], mode="mirror")
    np.testing.assert_allclose(degrade._filter(picture, kernel), expected, atol=1e-5)


def test_interpolation_equals_its_definitions(hr):
    picture = images.from_uint8(hr)
    np.testing.assert_allclose(
        degrade._interpolate(picture, 24, 30, "area"), block_reduce(picture, (4, 4, 1), np.mean), atol=1e-6
    )
    y, x = ((np.arange(m) + 0.5) * n / m - 0.5 for m, n in ((70, 96), (131, 120)))
    places = np.meshgrid(y, x, indexing="ij")
    for channel in range(3):
        expected = ndimage.map_coordinates(picture[..., channel], places, order=1, mode="nearest")
        np.testing.assert_allclose(
            degrade._interpolate(picture, 70, 131, "bilinear")[..., channel], expected, atol=1e-5
        )
    # Keys' cubic with a = -0.75 a quarter away from a sample, by hand
    taps, weights = degrade._taps(8, 16, "bicubic")
    assert taps[7].tolist() == [2, 3, 4, 5]
    np.testing.assert_allclose(weights[7], [-0.1055, 0.8789, 0.2617, -0.0352], atol=1e-4)


def test_noise_is_as_strong_as_asked(hr):
    flat = np.full((200, 200, 3), 0.5, np.float32)
    generator = np.random.default_rng(0)
    residues = [(degrade._noise(flat, 30, 3.0, generator) - flat) * 255 for _ in range(40)]
    assert max(residue.std() for residue in residues) < 110 and np.mean([residue.mean() for residue in residues]) < 0.5
    grey = np.mean([np.ptp(residue, axis=2).max() < 1e-3 for residue in residues])
    assert 0.2 < grey < 0.6  # two in five
