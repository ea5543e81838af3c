"""Degradations against scipy, scikit-image and their definitions."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

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
