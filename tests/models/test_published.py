"""Import of PyTorch weights. The comparisons need torch, which is not in the lock: `pip install torch` to run them."""

import pickle
import re
import zipfile
from collections import OrderedDict

import keras
import numpy as np
import pytest
from safetensors.numpy import save_file

from srnb import models
from srnb.models import published


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="compares with the reference networks in PyTorch")


def reference(torch, naming):
    """A state dict of random weights under the names of `naming`, and the reference's forward pass in torch calls.

    Written from the description of the networks in their papers, with the parameter names of their public code.
    """
    functional, state = torch.nn.functional, OrderedDict()
    generator = torch.Generator().manual_seed(0)

    def conv(name, inputs, maps, kernel=3, bias=True, stride=1):
        state[f"{name}.weight"] = (
            torch.randn(maps, inputs, kernel, kernel, generator=generator) * 0.5 / (kernel * inputs**0.5)
        )
        if bias:
            state[f"{name}.bias"] = torch.randn(maps, generator=generator) * 0.1
        bias = state.get(f"{name}.bias")
        return lambda x: functional.conv2d(x, state[f"{name}.weight"], bias, stride, (kernel - 1) // 2)

    def lrelu(x, slope=0.2):
        return functional.leaky_relu(x, slope)

    def enlarge(x, mode):
        corners = {} if mode == "nearest" else {"align_corners": False}
        return functional.interpolate(x, scale_factor=2, mode=mode, **corners)

    shuffle = functional.pixel_shuffle
    if naming.startswith("RRDB"):
        old, unshuffle = naming == "RRDB, ESRGAN", naming.endswith("x2")
        trunk, rdb = ("RRDB_trunk", "RDB") if old else ("body", "rdb")
        names = ["conv_body", "conv_up1", "conv_up2", "conv_hr"]
        if old:
            names = ["trunk_conv", "upconv1", "upconv2", "HRconv"]
        first = conv("conv_first", 12 if unshuffle else 3, 4)
        blocks = [
            [
                [conv(f"{trunk}.{i}.{rdb}{j}.conv{k}", 4 + 2 * (k - 1), 2 if k < 5 else 4) for k in range(1, 6)]
                for j in (1, 2, 3)
            ]
            for i in range(2)
        ]
        after, up1, up2, high = (conv(name, 4, 4) for name in names)
        last = conv("conv_last", 4, 3)

        def dense(x, convs):
            maps = x
            for layer in convs[:-1]:
                maps = torch.cat((maps, lrelu(layer(maps))), 1)
            return x + 0.2 * convs[-1](maps)

        def forward(x):
            x = first(functional.pixel_unshuffle(x, 2) if unshuffle else x)
            y = x
            for block in blocks:
                z = y
                for convs in block:
                    z = dense(z, convs)
                y = y + 0.2 * z
            x = x + after(y)
            x = lrelu(up2(enlarge(lrelu(up1(enlarge(x, "nearest"))), "nearest")))
            return last(lrelu(high(x)))

    elif naming.startswith("MSRResNet"):
        first = conv("conv_first", 3, 4)
        blocks = [[conv(f"body.{i}.conv{k}", 4, 4) for k in (1, 2)] for i in range(2)]
        up1, up2 = conv("upconv1", 4, 16), conv("upconv2", 4, 16)
        high, last = conv("conv_hr", 4, 4), conv("conv_last", 4, 3)

        def forward(x):
            y = lrelu(first(x), 0.1)
            for a, b in blocks:
                y = y + b(functional.relu(a(y)))
            for up in (up1, up2):
                y = lrelu(shuffle(up(y), 2), 0.1)
            base = functional.interpolate(x, scale_factor=4, mode="bilinear", align_corners=False)
            return last(lrelu(high(y), 0.1)) + base

    elif naming.startswith("EDSR"):
        basic = naming == "EDSR, BasicSR"
        first = conv("conv_first" if basic else "head.0", 3, 4)
        pair = (("conv1", "conv2"), ("body.0", "body.2"))[not basic]
        blocks = [[conv(f"body.{i}.{name}", 4, 4) for name in pair] for i in range(2)]
        after = conv("conv_after_body" if basic else "body.2", 4, 4)
        up1, up2 = (conv(f"upsample.{i}" if basic else f"tail.0.{i}", 4, 16) for i in (0, 2))
        last = conv("conv_last" if basic else "tail.1", 4, 3)
        mean = torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1)
        if not basic:
            state["sub_mean.weight"], state["sub_mean.bias"] = torch.eye(3).view(3, 3, 1, 1), -255 * mean.ravel()

        def forward(x):
            x = first((x - mean) * 255)
            y = x
            for a, b in blocks:
                y = y + 0.1 * b(functional.relu(a(y)))
            return last(shuffle(up2(shuffle(up1(x + after(y)), 2)), 2)) / 255 + mean

    elif naming.startswith("SRVGG"):
        layers = [conv("body.0", 3, 4), conv("body.2", 4, 4), conv("body.4", 4, 4)]
        for number in (1, 3, 5):
            state[f"body.{number}.weight"] = torch.rand(4, generator=generator)
        last = conv("body.6", 4, 48)

        def forward(x):
            y = x
            for number, layer in enumerate(layers):
                y = functional.prelu(layer(y), state[f"body.{2 * number + 1}.weight"])
            return shuffle(last(y), 4) + functional.interpolate(x, scale_factor=4, mode="nearest")

    else:
        spectral = torch.nn.utils.spectral_norm
        plain = [(3, 4, 3, 1), (4, 8, 4, 2), (8, 16, 4, 2), (16, 32, 4, 2), (32, 16, 3, 1), (16, 8, 3, 1), (8, 4, 3, 1)]
        plain += [(4, 4, 3, 1), (4, 4, 3, 1), (4, 1, 3, 1)]
        net = torch.nn.ModuleDict()
        for i, (inputs, maps, kernel, stride) in enumerate(plain):
            edge = i in (0, 9)
            layer = torch.nn.Conv2d(inputs, maps, kernel, stride, 1, bias=edge)
            net[f"conv{i}"] = layer if edge else spectral(layer)

        def unet(x):
            x0 = lrelu(net["conv0"](x))
            x1 = lrelu(net["conv1"](x0))
            x2 = lrelu(net["conv2"](x1))
            x3 = lrelu(net["conv3"](x2))
            y = lrelu(net["conv4"](enlarge(x3, "bilinear"))) + x2
            y = lrelu(net["conv5"](enlarge(y, "bilinear"))) + x1
            y = lrelu(net["conv6"](enlarge(y, "bilinear"))) + x0
            return net["conv9"](lrelu(net["conv8"](lrelu(net["conv7"](y)))))

        unet(torch.rand(1, 3, 16, 16, generator=generator))  # a training step moves the vectors of the norms
        net.eval()
        return net.state_dict(), unet
    return state, forward


NETWORKS = {
    "RRDB, ESRGAN": ("rrdb", {"blocks": 2, "width": 4, "growth": 2}),
    "RRDB, BasicSR": ("rrdb", {"blocks": 2, "width": 4, "growth": 2}),
    "MSRResNet, BasicSR": ("msrresnet", {"blocks": 2, "width": 4}),
    "EDSR, BasicSR": ("edsr", {"blocks": 2, "width": 4}),
    "EDSR, EDSR-PyTorch": ("edsr", {"blocks": 2, "width": 4}),
    "SRVGGNetCompact, Real-ESRGAN": ("srvgg", {"blocks": 2, "width": 4}),
    "U-Net discriminator, BasicSR": ("unet_sn_discriminator", {"width": 4}),
}


def compare(torch, model, forward):
    picture = np.random.default_rng(0).random((2, 16, 24, 3), dtype=np.float32)
    with torch.no_grad():
        expected = forward(torch.from_numpy(picture.transpose(0, 3, 1, 2))).numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(picture)), expected, atol=1e-4)


@pytest.mark.parametrize("naming", NETWORKS)
def test_published_weights_give_the_reference_output(torch, tmp_path, naming):
    state, forward = reference(torch, naming)
    torch.save({"params_ema": state} if "BasicSR" in naming else state, tmp_path / "net.pth")
    name, sizes = NETWORKS[naming]
    model = models.build(name, **sizes)
    assert models.load_published(model, tmp_path / "net.pth") == naming
    compare(torch, model, forward)


OLDER = {  # the names that ESRGAN's files had at first, for two blocks
    r"conv_first": "model.0",
    r"RRDB_trunk\.(\d+)\.RDB(\d+)\.conv(\d+)": r"model.1.sub.\1.RDB\2.conv\3.0",
    r"trunk_conv": "model.1.sub.2",
    r"upconv1": "model.3",
    r"upconv2": "model.6",
    r"HRconv": "model.8",
    r"conv_last": "model.10",
}


@pytest.mark.parametrize("naming", published.GENERATORS)
def test_a_generator_is_built_from_what_its_file_says(torch, tmp_path, naming):
    state, forward = reference(torch, naming.removesuffix(" before 2019"))
    if naming.endswith("2019"):
        for old, new in OLDER.items():
            state = {
                re.sub(rf"{old}\.(\w+)", rf"{new}.\g<{re.compile(old).groups + 1}>", key): state[key] for key in state
            }
    torch.save({"params": state} if "BasicSR" in naming else state, tmp_path / "net.pth")
    model, spec = models.from_published(tmp_path / "net.pth")
    save_file({key: tensor.numpy() for key, tensor in state.items()}, tmp_path / "net.safetensors")
    twin, spec_of_twin = models.from_published(tmp_path / "net.safetensors")
    assert spec_of_twin == spec
    for array, own in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, own)
    name = published.GENERATORS[naming][0]
    assert spec["name"] == name and (spec["blocks"], spec["width"], spec["scale"]) == (2, 4, 4)
    assert spec.get("growth", 2) == 2
    if name == "edsr":  # a narrow one has no factor on its residuals; the reference has 0.1
        assert spec["residual_scale"] == 1.0
        model_with = models.build("edsr", **{**NETWORKS[naming][1], "residual_scale": 0.1})
        model_with.set_weights(model.get_weights())
        model = model_with
    compare(torch, model, forward)


def test_rrdb_for_x2_computes_on_pixels_folded_into_channels(torch, tmp_path):
    state, forward = reference(torch, "RRDB, BasicSR, x2")
    torch.save({"params_ema": state}, tmp_path / "net.pth")
    model, spec = models.from_published(tmp_path / "net.pth")
    assert (spec["name"], spec["scale"], spec["channels"], spec["blocks"]) == ("rrdb_unshuffle", 2, 3, 2)
    compare(torch, model, forward)
    twin = models.build("rrdb_unshuffle", blocks=2, width=4, growth=2)
    assert models.load_published(twin, tmp_path / "net.pth") == "RRDB, BasicSR"
    for array, own in zip(twin.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(array, own)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", published.SETS)
def test_weights_in_bfloat16_among_other_things_are_found(torch, tmp_path, key, zipped):
    state, forward = reference(torch, "SRVGGNetCompact, Real-ESRGAN")
    halves = {name: tensor.bfloat16() for name, tensor in state.items()}
    for name, tensor in halves.items():
        state[name].copy_(tensor)  # the reference computes with the rounded ones
    whole = {"epoch": 3, key: halves, "optimizer": {"state": {0: {"step": 7}}, "param_groups": [{"lr": 1e-4}]}}
    torch.save(whole, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    model, _ = models.from_published(tmp_path / "net.pth")
    compare(torch, model, forward)


def test_a_file_that_is_no_known_generator_is_refused_on_one_line(torch, tmp_path):
    def refused(state, message):
        torch.save(state, tmp_path / "net.pth")
        with pytest.raises(ValueError, match=message) as error:
            models.from_published(tmp_path / "net.pth")
        assert "\n" not in str(error.value)

    refused(
        {"conv1.weight": torch.zeros(64, 3, 7, 7)}, r"generator: RRDB.* Received: 1 weights, first conv1.weight \(64,"
    )
    refused({"epoch": 3}, "Received: 0 weights$")
    state, _ = reference(torch, "RRDB, BasicSR")
    refused({**state, "extra.weight": torch.zeros(3)}, "Received 1 differences, the first: unknown: extra.weight")
    refused({key: state[key] for key in state if key != "conv_hr.bias"}, "the first: missing: conv_hr.bias")
    refused({**state, "conv_first.weight": torch.zeros(4, 5, 3, 3)}, "Received: 5 channels in")


@pytest.mark.parametrize("zipped", [True, False])
def test_reading_is_what_torch_wrote(torch, tmp_path, zipped):
    tensors = {
        "a": torch.randn(3, 4),
        "b": torch.randn(2, 3, 4).permute(2, 0, 1)[1:],
        "c": torch.arange(5),
        "d": torch.ones(()),
    }
    tensors["e"] = torch.nn.Parameter(torch.randn(3)).half()
    torch.save({"params": tensors, "step": 3}, tmp_path / "net.pth", _use_new_zipfile_serialization=zipped)
    found = published.read_pytorch(tmp_path / "net.pth")
    assert found["step"] == 3
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found["params"][name], tensor.detach().numpy())


def write_pth(path, tree, storage=b""):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/data.pkl", pickle.dumps(tree))
        archive.writestr("net/data/0", storage)


def test_a_file_that_names_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return print, ("run",)

    write_pth(tmp_path / "evil.pth", {"params": Evil()})
    with pytest.raises(ValueError, match=r"must be a PyTorch file of tensors. Received: the name builtins.print"):
        published.read_pytorch(tmp_path / "evil.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ValueError, match="must be a PyTorch file of tensors"):
        published.read_pytorch(tmp_path / "text.pth")
    with pytest.raises(FileNotFoundError):
        published.read_pytorch(tmp_path / "missing.pth")


def test_whatever_is_damaged_is_told_in_one_line_that_names_the_file(tmp_path):
    path, random = tmp_path / "net.pth", np.random.default_rng(0)
    write_pth(path, {"params": {f"layer{n}": [n, float(n), (n, str(n))] for n in range(20)}})
    whole = path.read_bytes()
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(len(whole), size=3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            published.read_pytorch(path)
        except ValueError as error:
            assert str(error).startswith(f"{path} must be a PyTorch file")
            refused += 1
    assert refused > 100


def test_a_tensor_cannot_reach_beyond_its_storage():
    storage = published._Storage("<f4", np.zeros(6, np.float32))
    with pytest.raises(pickle.UnpicklingError, match="in a storage of 6"):
        published._Tensor(storage, 0, (1000000, 1000000), (0, 0)).array()
    assert published._Tensor(storage, 0, (2, 3), (3, 1)).array().shape == (2, 3)
    for offset, shape, strides in ((1, (2, 3), (3, 1)), (0, (2, 3), (4, 1)), (3, (2,), (-1,)), (0, (2, 3), (1,))):
        with pytest.raises(pickle.UnpicklingError):
            published._Tensor(storage, offset, shape, strides).array()


def test_other_weights_are_refused_with_every_difference(monkeypatch):
    model = models.build("msrresnet", blocks=1, width=4)
    names = {
        "conv_first": (4, 3),
        "body.0.conv1": (4, 4),
        "body.0.conv2": (4, 4),
        "upconv1": (16, 4),
        "upconv2": (16, 4),
    }
    names |= {"conv_hr": (5, 4), "extra": (4, 4)}  # one of another size, one too many, conv_last is missing
    tree = {f"{name}.weight": np.zeros((*shape, 3, 3)) for name, shape in names.items()}
    tree |= {f"{name}.bias": np.zeros(shape[0]) for name, shape in names.items()}
    monkeypatch.setattr(published, "read_pytorch", lambda path: {"params": tree})
    with pytest.raises(ValueError, match=r"must fit msrresnet \(MSRResNet, BasicSR\). Received 6 differences") as error:
        models.load_published(model, "net.pth")
    lines = str(error.value).splitlines()
    assert "missing: conv_last.weight (3, 4, 3, 3)" in lines
    assert "other shape: conv_hr.weight must be (4, 4, 3, 3), is (5, 4, 3, 3)" in lines
    with pytest.raises(ValueError, match="srresnet must be one of RRDB"):
        models.load_published(models.build("srresnet", blocks=1, width=4), "net.pth")
