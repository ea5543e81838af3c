"""gradients: where losses push and what a discriminator takes for real, on both backends."""

import base64
import io
import re

import ipywidgets
import keras
import numpy as np
import pytest
from PIL import Image

from srnb import losses, models
from srnb.evaluation import maps, metrics
from srnb.reports.controls import gradients

pytestmark = pytest.mark.backends


def brightness(output, channels=3):
    """Return a network that finds bright pictures real, with a map of logits or a single one."""
    picture = keras.Input((None, None, channels))
    if output == "map":
        return keras.Model(picture, keras.layers.AveragePooling2D(8)(10 * picture)[..., :1])
    return keras.Model(picture, keras.layers.GlobalAveragePooling2D()(10 * picture)[:, :1])


@pytest.mark.parametrize("output", ["map", "single"])
@pytest.mark.parametrize(("height", "width"), [(96, 96), (70, 90)])
def test_logits_are_high_where_the_discriminator_says_real(output, height, width):
    picture = np.zeros((height, width, 3), "float32")
    picture[:, : width // 2] = 1
    found = maps.logits(brightness(output), picture, window=16)
    assert found.shape == (height, width) and found.dtype == np.float32
    assert found[:, :8] == pytest.approx(10, abs=1e-3) and found[:, -8:] == pytest.approx(0, abs=1e-3)
    assert (np.diff(found[height // 2]) < 1e-3).all(), "it falls from the bright side to the dark one"


def test_gradients_are_those_of_each_loss():
    hr, sr = (np.random.default_rng(seed).random((8, 10, 3), "float32") for seed in (0, 1))
    found = maps.gradients({"l1": losses.PIXEL["l1"], "mse": losses.PIXEL["mse"]})(hr, sr)
    np.testing.assert_allclose(found["l1"], np.sign(sr - hr) / sr.size, rtol=1e-4)
    np.testing.assert_allclose(found["mse"], 2 * (sr - hr) / sr.size, rtol=1e-4)


@pytest.fixture(scope="module")
def moments():
    def moment(picture):
        critic = models.build("srgan_discriminator", width=4, grid=1)
        terms = {"pixel": (1.0, losses.PIXEL["l1"]), "history": (1.0, losses.HistoricalAverage(critic))}
        return gradients.Moment(picture, terms, critic, losses.adversarial_loss("vanilla"))

    hr = np.random.default_rng(0).random((120, 140, 3), "float32")
    return hr, {"before": moment(hr**2), "after <b>": moment(hr**1.1), "alone": gradients.Moment(hr**2, {})}


def test_a_discriminator_of_one_channel_judges_the_luma():
    hr = np.random.default_rng(0).random((40, 48, 3), "float32")
    critic = brightness("map", channels=1)
    moment = gradients.Moment(hr**2, {"pixel": (1.0, losses.PIXEL["mse"])}, critic, losses.adversarial_loss("vanilla"))
    np.testing.assert_allclose(moment.seen(hr), metrics.luma(255 * hr) / 255, atol=1e-6)
    page = gradients.view({"before": moment}, hr, np.s_[4:36, 4:36], 32)
    assert "gradient of pixel" in page and "logit of HR" in page


def test_a_row_for_each_moment(moments):
    hr, shown = moments
    page = gradients.view(shown, hr, np.s_[10:106, 20:116], 32)
    first, second, third = page.split("control-row")[1:]
    for row, name in ((first, "SR, before"), (second, "SR, after &lt;b&gt;")):
        assert re.findall("<figcaption>(.*?)(?:<br>.*?)?</figcaption>", row) == [
            *(name, "HR", "pixel", "adversarial", "logit of SR", "logit of HR")
        ]
        assert row.count("mean ") == 2 and row.count("data:image/webp") == 6
    assert third.count("<figure") == 2, "without a discriminator and terms only the pictures"


def test_a_detail_smaller_than_usual_suits_a_u_net():
    hr = np.random.default_rng(0).random((75, 90, 3), "float32")
    critic = models.build("unet_sn_discriminator", width=4)
    moment = gradients.Moment(hr**2, {}, critic, losses.adversarial_loss("vanilla"))
    page = gradients.view({"now": moment}, hr, np.s_[0:75, 10:85], 32)
    assert page.count("data:image/webp") == 5 and "logit of HR" in page


def test_a_click_looks_elsewhere(moments):
    hr, shown = moments
    control = gradients.control({"before": shown["before"]}, hr, np.s_[0:96, 0:96], 32)
    place, seen = control.children[0].children[0], control.children[1]
    assert isinstance(seen, ipywidgets.HTML) and place.centre == (48, 48)
    before = seen.value
    place.centre = (90, 60)
    assert seen.value != before and place.area == np.s_[12:108, 42:138]


def test_a_map_is_red_where_it_is_positive_and_clear_where_it_is_zero():
    values = np.zeros((4, 30), "float32")
    values[:, :10], values[:, 20:] = 1, -1
    address = re.search('base64,([^"]+)', gradients.signed(values, "<x>"))[1]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(address))).convert("RGBA")).astype(int)
    assert picture[2, 4, 0] > picture[2, 4, 2] and picture[2, 25, 2] > picture[2, 25, 0]
    assert picture[2, 4, 3] == 255 and picture[2, 15, 3] == 0
    assert "&lt;x&gt;" in gradients.signed(values, "<x>")
