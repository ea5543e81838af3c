"""forward: folded and cut in two, a network computes what it computed before."""

import keras
import numpy as np
import pytest

from srnb import models
from srnb.models import forward

NETWORKS = {
    "srresnet": {"blocks": 2, "width": 8},
    "compact": {"blocks": 1, "width": 8},
    "gated": {"blocks": 1, "width": 8},
    "asrgan_generator": {"blocks": 1, "width": 8},
    "johnson": {"blocks": 1, "width": 8},
    "drrn": {"blocks": 2, "width": 8},
    "rcan": {"groups": 1, "blocks": 1, "width": 8, "reduction": 4},
}
LR = np.random.default_rng(0).random((1, 11, 14, 3), dtype="float32")


def trained(name):
    """Return a small network whose weights, moving statistics included, are no longer those it started with."""
    network, random = models.build(name, **NETWORKS[name]), np.random.default_rng(1)
    for variable in network.variables:
        if "float" in variable.dtype:
            variable.assign(keras.ops.convert_to_numpy(variable) + random.uniform(0, 0.1, variable.shape))
    return network


def answer(halves, lr):
    maps = [lr]
    for half in halves:
        maps = half.run(*maps)
    (output,) = maps
    return keras.ops.convert_to_numpy(output)


@pytest.mark.backends
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_changes(name):
    network = trained(name)
    expected = keras.ops.convert_to_numpy(network(LR, training=False))
    got = answer(forward.halves(network), LR)
    np.testing.assert_allclose(got, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_weights_are_those_of_the_moment():
    network = trained("srresnet")
    before = answer(forward.halves(network), LR)
    for variable in network.variables:
        variable.assign(variable * 1.1)
    halves = forward.halves(network)
    expected = keras.ops.convert_to_numpy(network(LR, training=False))
    np.testing.assert_allclose(answer(halves, LR), expected, atol=1e-5 * np.abs(expected).max())
    assert np.abs(before - expected).max() > 1e-3
    assert forward.halves(network) is halves


def test_no_batch_normalisation_is_left_behind_a_convolution():
    steps, _ = forward._folded(*forward._steps(trained("srresnet")))
    assert not any(isinstance(step.layer, keras.layers.BatchNormalization) for step in steps)
    assert sum(step.norm is not None for step in steps) == 2 * NETWORKS["srresnet"]["blocks"] + 1


def test_the_cut_is_where_maps_are_fewest():
    body, tail = forward.halves(models.build("srresnet"))
    assert (
        body.reach == 4 + 33 and tail.reach < 3
    )  # the two enlarging convolutions and the last, on a grid 4 times finer
    assert body.memory(1) == 5 * 64 * 4  # the skip of all blocks, that of one, and a layer with something in hand
    assert tail.memory(1) == 3 * 64 * 4 * 16
    assert len(forward.halves(trained("drrn"))) == 1  # it enlarges first


def test_attention_needs_memory_for_pairs_of_pixels():
    body, _ = forward.halves(trained("asrgan_generator"))
    assert body.reach == np.inf
    positions = 1024 / 4**2  # of the pooled map
    assert body.memory(1024) - 1024 * body.linear == 2 * 4 * positions**2  # the weights, and their softmax


@pytest.mark.parametrize("name", ["srresnet", "compact", "rcan"])
def test_bfloat16_is_near(name):
    network = trained(name)
    expected = keras.ops.convert_to_numpy(network(LR, training=False))
    got = answer(forward.halves(network, "bfloat16"), LR)
    assert got.dtype == np.float32
    assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max()
    with pytest.raises(ValueError, match="precision must be"):
        forward.halves(network, "float16")


@pytest.mark.backends
@pytest.mark.parametrize("name", ["rcan", "asrgan_generator"])
def test_a_network_that_was_built_in_bfloat16_is_computed_in_float32_throughout(name):
    network = trained(name)
    expected, policy = answer(forward.halves(network), LR), keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")  # as in a training, which validates in float32
        half = models.build(name, **NETWORKS[name])
        half.set_weights(network.get_weights())
        np.testing.assert_allclose(answer(forward.halves(half), LR), expected, atol=1e-5 * np.abs(expected).max())
    finally:
        keras.config.set_dtype_policy(policy)
