"""Batches from the accelerator's memory are those of `Patches.batch`, bit by bit."""

import noise
import numpy as np
import pytest

from srnb.data import patches, resident, shards

pytestmark = pytest.mark.backends
SIZES = [(61, 83), (64, 50), (97, 48), (55, 55), (120, 71)]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    return noise.photographs(tmp_path_factory.mktemp("photographs"), SIZES)


def make(photographs, *, copies=1, degradation="bicubic", scale=4, **options):
    folder = photographs[0].parent / "shards"
    index = shards.prepare(photographs, folder, scale=scale, degradation=degradation, copies=copies)
    options = {"patch_size": 32, "batch_size": 6, "seed": 3} | options
    return patches.Patches(index, scale=scale, degradation=degradation, **options)


@pytest.mark.parametrize("augment", [(), ("flip",), ("rotate",), ("flip", "rotate")], ids=",".join)
@pytest.mark.parametrize("largest", [resident.LARGEST, 12_000], ids=["one array", "several"])
def test_equal_to_the_batch(photographs, augment, largest):
    source = make(photographs, augment=augment)
    cut = resident.load(source.folder, source.entries, patch_size=32, scale=4, largest=largest)
    for step in range(4):
        pair = cut(source.plan(step)[0])
        for found, expected in zip(pair, source.batch(step), strict=True):
            found = np.asarray(found)
            assert found.dtype == np.float32
            np.testing.assert_array_equal(found, expected)


def test_every_turn_and_flip_is_drawn(photographs):
    source = make(photographs, resident=True)
    seen = set()
    for step in range(8):
        plan, _ = source.plan(step)
        seen |= set(zip(plan.turns.tolist(), plan.flips.tolist(), strict=True))
    assert len(seen) == 8
    for step, pair in zip(range(3, 11), source.stream(3), strict=False):
        np.testing.assert_array_equal(np.asarray(pair[1]), source.batch(step)[1])


def test_copies_of_a_random_degradation(photographs):
    source = make(photographs[:2], degradation="realesrgan", copies=3, scale=2, resident=True)
    for step, pair in zip(range(4), source.stream(), strict=False):
        np.testing.assert_array_equal(np.asarray(pair[0]), source.batch(step)[0])


def test_what_is_not_possible_is_refused(photographs):
    with pytest.raises(ValueError, match="LR must be prepared"):
        make(photographs, copies=0, resident=True)
    with pytest.raises(ValueError, match="must name some of flip,rotate"):
        make(photographs, augment=("channels",), resident=True)
