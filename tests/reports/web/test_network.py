"""The engine of the page gives what Keras gives, for every network that it takes, and says why it takes no other."""

import keras
import numpy as np
import pytest

from srnb import models, shipped
from srnb.data import datasets, images
from srnb.evaluation import inference
from srnb.reports import inspector
from srnb.reports.web import network

# name of the zoo or spec -> overrides that make it small
NETWORKS = {
    "srcnn": {"width": 16},
    "vdsr": {"blocks": 3, "width": 16},
    "drrn": {"blocks": 2, "width": 16},
    "edsr": {"blocks": 2, "width": 16},
    "edsr_baseline": {"blocks": 1, "width": 12, "scale": 3},
    "srresnet": {"blocks": 2, "width": 16, "skip": "bilinear", "residual_scale": 0.5},
    "msrresnet": {"blocks": 2, "width": 16, "scale": 2},
    "rrdb": {"blocks": 1, "width": 16, "growth": 8},
    "johnson": {"blocks": 2, "width": 16},
    "compact": {"blocks": 2, "width": 24},
    "gated": {"blocks": 2, "width": 16},
    "srvgg": {"blocks": 2, "width": 16},
}
SPECS = {
    "bicubic and 27 maps": {"scale": 3, "body": {"add": "k3n27s1 shuffle3", "skip": "bicubic3"}},
    "transposed, even and odd": {"body": "k4n6s1/2 prelu k5n5s1/3 batch lrelu(0.1) k2n3s1 rescale(0.5, 0.25)"},
    "functions": {"body": "k1n4s1 sigmoid k3n4s1 tanh k3n5s1 gelu k3n4s1 silu k3n3s1 softplus nearest2"},
    "read twice": {"body": ["k3n8s1 keep(a) relu", {"add": "batch relu k3n8s1", "skip": "recall(a)"}, "k3n3s1"]},
    "gate": {"body": ["k3n8s1", {"multiply": "k1n8s1 sigmoid"}, "k3n3s1"]},
    "spectral": {"conv": {"spectral": True}, "body": "k3n8s1 lrelu(0.2) k3n3s1"},
    "a network inside": {
        "body": [{"concat": {"model": {"name": "in", "body": "k3n3s1 prelu"}}, "skip": "k3n5s1"}, "k3n3s1"]
    },
}


def build(name, **overrides):
    """A network with weights and statistics that are those of no fresh one."""
    model, random = models.build(name, **overrides), np.random.default_rng(1)
    for variable in model.variables:
        array = variable.numpy()
        if "variance" in variable.path:
            variable.assign(random.uniform(0.5, 2, array.shape))
        elif array.ndim < 4:
            variable.assign(array + random.normal(0, 0.1, array.shape))
    return model


def picture(height, width):
    return np.random.default_rng(0).random((height, width, 3), dtype=np.float32)


def check(in_node, model, lr, **options):
    wanted = keras.ops.convert_to_numpy(model(lr[None]))[0]
    result, report = in_node([model], lr, **options)
    assert result.shape == wanted.shape
    assert abs(result - wanted).max() < 4e-4 * abs(wanted).max()  # kernels have 15 bits
    assert report["rising"] and report["last"] == pytest.approx(1)
    return report


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_of_the_zoo(in_node, name):
    check(in_node, build(name, **NETWORKS[name]), picture(11, 14))


@pytest.mark.parametrize("name", SPECS)
def test_layers(in_node, name):
    check(in_node, build(SPECS[name]), picture(11, 14))


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (2, 7), (70, 5)], ids=str)
def test_sizes_from_a_pixel_on(in_node, shape):
    check(in_node, build("srresnet", blocks=1, width=8, skip="bicubic"), picture(*shape))


def test_relaxed_simd_gives_the_same(in_node):
    report = check(in_node, build("srresnet", blocks=1, width=8), picture(9, 9), relaxed=True)
    assert report["relaxed"]


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_blend_is_that_of_models(in_node, share):
    ends = [build("srresnet", blocks=1, width=8, skip="bilinear") for _ in range(2)]
    for first, second in zip(*(end.variables for end in ends), strict=True):
        second.assign(first.numpy() * 1.2)
    wanted = keras.ops.convert_to_numpy(models.interpolate(*ends, share)(picture(8, 9)[None]))[0]
    result, _ = in_node(ends, picture(8, 9), share=share)
    np.testing.assert_allclose(result, wanted, atol=4e-4 * abs(wanted).max())


def test_memory_is_used_again(in_node):
    """A long network needs no more memory than a short one, but for its weights."""
    short, long = (build("vdsr", blocks=blocks, width=8) for blocks in (3, 12))
    lr = picture(60, 60)
    assert in_node([long], lr)[1]["memory"] - in_node([short], lr)[1]["memory"] < 200_000


@pytest.mark.benchmark
@pytest.mark.parametrize("name", shipped.names())
def test_ten_photographs_are_those_of_keras(in_node, name):
    """Of ten photographs, their middle: at most one of 255, in at most 0.5 % of values."""
    model, differing = inference.load(name), []
    pairs = [*datasets.pairs("Set5", scale=4), *datasets.pairs("Set14", scale=4)[:5]]
    for _, path in pairs:
        lr = inspector.middle([images.read(path)], 72)[0]
        wanted = images.to_uint8(keras.ops.convert_to_numpy(model(lr[None]))[0]).astype(int)
        difference = abs(images.to_uint8(in_node([model], lr)[0]) - wanted)
        assert difference.max() <= 1, path
        differing.append((difference > 0).mean())
    print(f"{name}: {np.mean(differing):.3%} of the values differ by 1, {max(differing):.3%} of a photograph's")
    assert len(differing) == 10 and np.mean(differing) <= 0.005


def test_ends_must_be_one_network():
    ends = [build("srresnet", blocks=blocks, width=8) for blocks in (1, 2)]
    with pytest.raises(ValueError, match="a blend must be of one network"):
        network.encode(ends)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"body": "k3n8s1 channel_attention(2) k3n3s1"}, "looks at the whole picture at once"),
        ({"body": "k3n8s1 attention k3n3s1"}, "looks at the whole picture at once"),
        ({"body": "k3n8s1 maxpool2 k3n12s1 shuffle2"}, "its layer maxpool"),
        ({"body": "k3n8s2 k3n12s1 shuffle2"}, "its convolution conv has a form"),
        ({"channels": 1, "body": "k3n1s1"}, "takes and gives no RGB pictures"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_it_does_not_take(spec, reason):
    with pytest.raises(ValueError, match=reason):
        network.encode([models.build(spec)])


def test_weights_must_be_finite():
    model = build("srcnn", width=4)
    model.variables[0].assign(model.variables[0].numpy() * np.nan)
    with pytest.raises(ValueError, match="the weights must be finite"):
        network.encode([model])
