"""slider, widgets: every picture once, the same middle of each, and no widget without a kernel."""

import re

import numpy as np
import pytest

from srnb.reports import slider, widgets


def test_slider_holds_each_picture_once_and_shows_bicubic_against_gan():
    names = ["bicubic", "pretrained", "gan", "HR"]
    pictures = {name: np.full((20, 30, 3), 0.5, "float32") for name in names}
    text = slider.slider(pictures)
    assert text.count("data:image/webp") == 4 and "--a:1.5000" in text
    chosen = re.findall(r'value="(\d)" checked', text)
    assert [names[int(number)] for number in chosen] == ["bicubic", "gan"]
    with pytest.raises(ValueError, match="two pictures at least"):
        slider.slider({"HR": pictures["HR"]})


def test_slider_cuts_the_same_middle_out_of_every_picture(monkeypatch):
    shown = []
    monkeypatch.setattr(slider, "_data_uri", lambda picture: shown.append(picture) or "data:")
    full = np.random.default_rng(0).random((43 * 4, 80 * 4, 3), "float32")
    slider.slider({"LR": full[::4, ::4], "HR": full}, largest=101)
    assert [picture.shape[:2] for picture in shown] == [(25, 25), (100, 100)]
    np.testing.assert_array_equal(shown[0], shown[1][::4, ::4])


def test_compare_is_a_widget_only_where_someone_watches(monkeypatch):
    pictures = {name: np.zeros((4, 4, 3), "float32") for name in ("a", "b")}
    monkeypatch.delenv("SRNB_HEADLESS", raising=False)
    widget = widgets.compare(pictures)
    assert isinstance(widget, widgets.Compare) and "compare" in widget.html
    monkeypatch.setenv("SRNB_HEADLESS", "1")
    assert "compare" in widgets.compare(pictures).data
