"""maps: their means are the numbers, and they point to the place and the frequency that was changed."""

import numpy as np
import pytest
from scipy import ndimage

from srnb.data import datasets, images
from srnb.evaluation import maps, metrics


@pytest.fixture(scope="module")
def hr():
    return images.read(datasets.photographs("sample", "test")[0])[40:168, 60:188]


def test_maps_point_to_what_was_changed_and_mean_what_the_metric_says(hr):
    sr = hr.copy()
    sr[64:96, 32:64] = ndimage.gaussian_filter(hr[64:96, 32:64], (3, 3, 0))
    error, judged = maps.error(sr, hr), maps.lpips(sr, hr)
    assert error.shape == judged.shape == hr.shape[:2]
    for found in (error, judged):
        row, column = np.unravel_index(found.argmax(), found.shape)
        assert 60 <= row < 100 and 28 <= column < 68
    assert error[:32].max() == 0 and judged.mean() == pytest.approx(metrics.lpips(sr, hr), rel=0.05)
    flat = np.full_like(hr, 0.25)
    assert maps.error(flat + 0.1, flat) == pytest.approx(25.5, abs=1e-3)


def test_a_spectrum_has_its_power_at_the_frequency_of_the_wave():
    wave = 0.5 + 0.25 * np.sin(2 * np.pi * 0.2 * np.arange(120))[:, None, None] * np.ones((1, 100, 3))
    frequencies, power = maps.spectrum(wave)
    assert frequencies[[0, -1]] == pytest.approx([0.01, 0.5]) and len(power) == 50
    assert frequencies[power.argmax()] == pytest.approx(0.2, abs=0.011)


def test_blur_takes_power_from_high_frequencies_alone(hr):
    (frequencies, sharp), (_, soft) = maps.spectrum(hr), maps.spectrum(ndimage.gaussian_filter(hr, (1, 1, 0)))
    share = soft / sharp
    assert share[frequencies < 0.03].min() > 0.8 and share[frequencies > 0.3].max() < 0.2
