"""inference: tiles and turns must not change a picture, whatever its size."""

import keras
import numpy as np
import pytest

from srnb import inference, models


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    network = models.build("srresnet", blocks=1, width=4, scale=2)
    for variable in network.trainable_variables:  # away from their initial zeros and ones
        variable.assign_add(keras.random.normal(variable.shape, stddev=0.05, seed=1))
    return network


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(0).random((61, 97, 3), dtype="float32")


def test_without_tiles_it_is_the_network_clipped(network, lr):
    expected = keras.ops.convert_to_numpy(network(lr[None], training=False))[0].clip(0, 1)
    sr = inference.upscale(network, lr, tile=0)
    assert sr.dtype == np.float32 and sr.shape == (122, 194, 3)
    np.testing.assert_allclose(sr, expected, atol=1e-6)


@pytest.mark.parametrize(("tile", "batch_size"), [(16, 1), (16, 3), (40, 2), (61, 1)])
def test_tiles_that_cover_the_receptive_field_change_nothing(network, lr, tile, batch_size):
    whole = inference.upscale(network, lr, tile=0)
    tiled = inference.upscale(network, lr, tile=tile, batch_size=batch_size)
    np.testing.assert_allclose(tiled, whole, atol=1e-5)  # the issue allows 1/255


def test_the_receptive_field_is_not_larger_than_it_must_be(network, lr):
    whole = inference.upscale(network, lr, tile=0)
    radius = models.receptive_field(network) // 2
    short = inference.upscale(network, lr, tile=16, overlap=max(radius - inference.BLEND, 0))
    assert np.abs(short - whole).max() > 1e-5


def test_short_overlaps_fade_instead_of_leaving_a_seam():
    def shifted(batch):  # each window comes out in another brightness: the worst seam
        return np.full((*batch.shape[:1], *(2 * n for n in batch.shape[1:3]), 3), batch.mean(), "float32")

    ramp = np.linspace(0, 1, 64, dtype="float32")[None, :, None].repeat(64, 0).repeat(3, 2)
    sr = inference.upscale(shifted, ramp, tile=16, overlap=0)
    steps = np.abs(np.diff(sr[..., 0], axis=1))
    assert sr.max() - sr.min() > 0.5 and steps.max() < 0.04  # four plateaus 0.25 apart, each step spread over 16 pixels


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 90), (33, 2)])
def test_any_size_is_possible(network, shape):
    lr = np.random.default_rng(1).random((*shape, 3), dtype="float32")
    whole = inference.upscale(network, lr, tile=0)
    assert whole.shape == (2 * shape[0], 2 * shape[1], 3)
    np.testing.assert_allclose(inference.upscale(network, lr, tile=16), whole, atol=1e-5)


def test_the_ensemble_is_the_mean_over_eight_orientations(network, lr):
    lr = lr[:20, :30]
    expected = 0
    for flipped in (False, True):
        for turns in range(4):
            turned = np.rot90(lr.transpose(1, 0, 2) if flipped else lr, turns)
            answer = keras.ops.convert_to_numpy(network(turned[None].copy(), training=False))[0]
            answer = np.rot90(answer, -turns)
            expected = expected + (answer.transpose(1, 0, 2) if flipped else answer) / 8
    sr = inference.upscale(network, lr, ensemble=True)
    np.testing.assert_allclose(sr, expected.clip(0, 1), atol=1e-5)
    np.testing.assert_allclose(inference.upscale(network, lr, ensemble=True, tile=16), sr, atol=1e-5)


def test_strips_come_from_top_to_bottom_and_progress_is_told(network, lr):
    seen = []
    strips = list(inference.strips(network, lr, tile=16, progress=lambda done, total: seen.append((done, total))))
    assert len(strips) == 4 and max(len(strip) for strip in strips) < 61
    np.testing.assert_array_equal(np.concatenate(strips), inference.upscale(network, lr, tile=16))
    assert seen == [(number, 28) for number in range(1, 29)]


def test_the_network_keeps_its_weights_and_still_works(network, lr):
    before = [keras.ops.convert_to_numpy(variable) for variable in network.variables]
    strips = inference.strips(network, lr, tile=16)
    next(strips)
    network(lr[None, :8, :8])  # used by someone else between two strips
    list(strips)
    for variable, value in zip(network.variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)


def test_what_cannot_be_upscaled_is_refused(network):
    for bad in (np.zeros((8, 8), "float32"), np.zeros((8, 8, 4), "float32"), np.zeros((0, 8, 3), "float32")):
        with pytest.raises(ValueError, match="lr must have shape"):
            inference.upscale(network, bad)
    with pytest.raises(ValueError, match="float"):
        inference.upscale(network, np.zeros((8, 8, 3), "uint8"))
    with pytest.raises(ValueError, match="tile must"):
        inference.upscale(network, np.zeros((8, 8, 3), "float32"), tile=4)
    with pytest.raises(ValueError, match="finite"):
        inference.upscale(lambda batch: batch * np.nan, np.ones((8, 8, 3), "float32"))
