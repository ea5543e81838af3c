"""niqe: the numbers of BasicSR 1.4.2 (its `niqe` on the same luma), the one that it publishes, and properties."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage import data

from srnb.data import images, resize
from srnb.evaluation import metrics


def picture(name):
    return images.from_uint8(getattr(data, name)())


@pytest.mark.parametrize(
    ("name", "expected"), [("astronaut", 3.0994229277), ("chelsea", 2.6255266797), ("coffee", 4.1153315883)]
)
def test_niqe_is_that_of_basicsr(name, expected):
    assert metrics.niqe(picture(name), border=0) == pytest.approx(expected, abs=1e-6)


@pytest.mark.benchmark
def test_niqe_of_baboon_is_the_published_one():
    (path,) = (Path(os.environ["SRNB_DATA"]) / "benchmarks" / "Set14" / "HR" / "X4").glob("baboon.*")
    assert metrics.niqe(images.read(path), border=0) == pytest.approx(5.7296, abs=1e-3)


def test_niqe_dislikes_noise_blur_and_bicubic():
    hr = picture("chelsea")
    noise = np.random.default_rng(0).normal(0, 0.1, hr.shape).astype("float32")
    enlarged = resize.imresize(resize.imresize(resize.crop_to_multiple(hr, 4), 1 / 4), 4).clip(0, 1)
    for worse in (hr + noise, ndimage.gaussian_filter(hr, (2, 2, 0)), enlarged):
        assert metrics.niqe(worse, border=4) > metrics.niqe(hr, border=4) + 1


def test_a_flat_part_of_a_picture_has_no_say():
    hr = picture("chelsea")[:288, :384]
    half = hr.copy()
    half[:, :96] = 0.5
    assert np.isfinite(metrics.niqe(half, border=0))


@pytest.mark.parametrize(("size", "border"), [((100, 190), 0), ((96, 192), 4)])
def test_niqe_must_have_two_blocks(size, border):
    with pytest.raises(ValueError, match=r"NIQE must have two blocks of 96x96 pixels. Received: \d+x\d+"):
        metrics.niqe(np.zeros((*size, 3), "float32"), border=border)


def test_a_picture_without_anything_in_it_has_no_score():
    with pytest.raises(ValueError, match=r"must have two blocks with something in them. Received: 0 of 6"):
        metrics.niqe(np.full((192, 288, 3), 0.5, "float32"), border=0)
