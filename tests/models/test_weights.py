import gc
import json

import keras
import numpy as np
import pytest
from safetensors import safe_open

from srnb import models
from srnb.models import weights

SMALL = {"blocks": 1, "width": 4, "scale": 2}


@pytest.fixture
def network():
    return models.build("srresnet", **SMALL)


def values(model):
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in weights.variables(model).items()}


def assert_equal(a, b):
    assert values(a).keys() == values(b).keys()
    for name, value in values(a).items():
        np.testing.assert_array_equal(value, values(b)[name])


def disturbed(model, amount):
    copy = keras.models.clone_model(model)
    rng = np.random.default_rng(0)
    copy.set_weights([weight + amount * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return copy


@pytest.mark.parametrize("kind", [".weights.h5", ".safetensors"])
def test_weights_come_back_equal(network, tmp_path, kind):
    saved = disturbed(network, 1.0)
    models.save_weights(saved, tmp_path / "new folder" / f"g{kind}")
    models.load_weights(network, tmp_path / "new folder" / f"g{kind}")
    assert_equal(network, saved)
    assert [path.name for path in (tmp_path / "new folder").iterdir()] == [f"g{kind}"]


@pytest.mark.parametrize("kind", [".weights.h5", ".safetensors"])
def test_every_difference_is_listed_and_nothing_is_loaded(network, tmp_path, kind):
    before = network.get_weights()
    models.save_weights(models.build("srresnet", blocks=2, width=5, scale=2), tmp_path / f"g{kind}")
    with pytest.raises(ValueError, match="must have the same weights") as error:
        models.load_weights(network, tmp_path / f"g{kind}")
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    lines = str(error.value).splitlines()
    assert f"Received {len(lines) - 1} differences" in lines[0]
    assert sum(line.startswith("unknown: ") for line in lines) == 13  # the second block
    if kind == ".safetensors":
        assert "other shape: conv/kernel must be (9, 9, 3, 4), is (9, 9, 3, 5)" in lines
        assert "unknown: residual2.conv/kernel (3, 3, 5, 5)" in lines


def test_file_names_and_missing_files(network, tmp_path):
    with pytest.raises(ValueError, match=r"must end in .weights.h5 or .safetensors. Received: .*g.pth"):
        models.save_weights(network, tmp_path / "g.pth")
    with pytest.raises(FileNotFoundError):
        models.load_weights(network, tmp_path / "g.safetensors")


@pytest.mark.parametrize("kind", [".weights.h5", ".safetensors"])
def test_a_damaged_file_is_named(network, tmp_path, kind):
    models.save_weights(network, tmp_path / f"g{kind}")
    content, before = (tmp_path / f"g{kind}").read_bytes(), network.get_weights()
    half = len(content) // 2
    for damaged in (b"", b"noise" * 99, content[:half], content[:half] + bytes(2000) + content[half + 2000 :]):
        (tmp_path / f"g{kind}").write_bytes(damaged)
        if kind == ".weights.h5" or len(damaged) < len(content):  # zeros among numbers are numbers
            with pytest.raises(ValueError, match=rf"must be whole\. Received: .*g{kind} \("):
                models.load_weights(network, tmp_path / f"g{kind}")
            for old, new in zip(before, network.get_weights(), strict=True):
                np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize("kind", [".weights.h5", ".safetensors"])
def test_a_full_disk_is_said_in_a_line_that_names_the_file(network, small_disk, kind, capfd):
    with open(small_disk / "filler", "wb") as file:
        file.write(bytes(2**20 - 2**14))
    with pytest.raises(OSError, match=rf"No space left on device.*network\{kind}"):
        models.save_weights(network, small_disk / f"network{kind}")
    del network
    gc.collect()  # where HDF5 has failed, it fails again as its objects are taken away
    assert "Traceback" not in capfd.readouterr().err
    assert [path.name for path in small_disk.iterdir()] == ["filler"]


def test_inner_networks_keep_their_names(tmp_path):
    parts = {"g": models.build("srresnet", **SMALL), "d": models.build("srgan_discriminator", width=2, grid=1)}
    gan = models.build({"body": [{"model": "g"}, {"model": "d"}]}, parts=parts)
    models.save_weights(gan, tmp_path / "gan.safetensors")
    with safe_open(tmp_path / "gan.safetensors", "np") as file:
        names = set(file.keys())
    assert {"srresnet/conv/kernel", "srgan_discriminator/conv/kernel"} <= names
    models.load_weights(gan, tmp_path / "gan.safetensors")


def test_ends_of_an_interpolation_are_equal_to_the_bit(network):
    other = disturbed(network, 0.01)
    assert_equal(models.interpolate(network, other, 0), network)
    assert_equal(models.interpolate(network, other, 1.0), other)
    middle = values(models.interpolate(network, other, 0.25))
    for name, value in values(network).items():
        np.testing.assert_allclose(middle[name], 0.75 * value + 0.25 * values(other)[name], atol=1e-6)


def test_only_related_networks_are_interpolated(network, tmp_path):
    with pytest.raises(ValueError, match="must have the same weights"):
        models.interpolate(network, models.build("srresnet", blocks=2, width=4, scale=2), 0.5)
    with pytest.raises(ValueError, match="must be the same network"):
        models.interpolate(network, models.build("srresnet", **SMALL, skip="bilinear"), 0.5)
    with pytest.raises(ValueError, match=r"alpha must lie in 0 … 1. Received: 2"):
        models.interpolate(network, network, 2)
    with pytest.warns(UserWarning, match="fine-tuned from the other"):
        models.interpolate(network, models.build("srresnet", **SMALL), 0.5)
    network.trainable = False  # neither freezing nor a way through files makes it another network
    network.save(tmp_path / "g.keras")
    assert_equal(models.interpolate(network, keras.saving.load_model(tmp_path / "g.keras"), 0.5), network)


def test_a_spec_and_its_weights_are_the_whole_network(network, tmp_path):
    models.save_weights(network, tmp_path / "g.safetensors")
    spec = json.loads(json.dumps(models.resolve("srresnet", **SMALL)))
    again = models.build(spec)
    models.load_weights(again, tmp_path / "g.safetensors")
    picture = np.random.default_rng(0).random((1, 5, 5, 3), dtype=np.float32)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(model(picture)) for model in (network, again)))


def test_a_network_starts_from_one_of_another_scale():
    small = {"width": 4, "blocks": 1}
    source, model = models.build("compact", scale=4, **small), models.build("compact", scale=2, **small)
    tail = {name: variable.numpy() for name, variable in weights.variables(model).items()}
    anew = models.transfer(model, source)
    assert anew == ["conv_3/kernel", "conv_3/bias"]  # 4 x 4 sub-pixels there, 2 x 2 here
    theirs = weights.variables(source)
    for name, variable in weights.variables(model).items():
        np.testing.assert_array_equal(variable.numpy(), tail[name] if name in anew else theirs[name].numpy())
    assert models.transfer(models.build("compact", scale=4, **small), source) == []
    with pytest.raises(ValueError, match="must share weights with the network it starts from"):
        models.transfer(models.build({"body": "k1n3s1"}), source)


def test_a_blend_is_normalised_by_its_own_largest_singular_value():
    spec = {"body": "k3n8s1(spectral=true) attention(spectral=true)"}
    a, b = models.build(spec), models.build(spec)
    for name, variable in weights.variables(b).items():
        original = weights.variables(a)[name].numpy()
        variable.assign(-original if name == "conv/left" else original)  # the other sign of the same vector
    blend = models.interpolate(a, b, 0.5)
    layer = blend.get_layer("conv")
    kernel = layer.layer.kernel.numpy().reshape(-1, 8)
    left = layer.left.numpy()
    np.testing.assert_allclose(np.linalg.norm(left), 1, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(left @ kernel), np.linalg.norm(kernel, 2), rtol=1e-3)
