"""Batches: what they are made of, that only (seed, step) decides it, that memory stays bounded."""

import io
import json
import math
import subprocess
import sys

import noise
import numpy as np
import psutil
import pytest

from srnb.data import degrade, images, patches, resize, shards


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Five photographs of odd sizes."""
    return noise.photographs(
        tmp_path_factory.mktemp("photographs"), [(61, 83), (64, 50), (97, 48), (55, 55), (120, 71)]
    )


@pytest.fixture(scope="module")
def index(places):
    return shards.prepare(places, places[0].parent / "shards")


@pytest.fixture(scope="module")
def prepared(places):
    """The same with LR for x4."""
    return shards.prepare(places, places[0].parent / "shards", scale=4, copies=1)


def make(index, **options):
    return patches.Patches(index, **{"patch_size": 32, "scale": 4, "batch_size": 6, "seed": 3, **options})


def levels(batch):
    """The 8-bit levels that a float batch stands for."""
    np.testing.assert_allclose(batch * 255, np.rint(batch * 255), atol=1e-4)
    return images.to_uint8(batch)


def test_shapes_and_ranges(index):
    lr, hr = make(index).batch(0)
    assert lr.shape == (6, 8, 8, 3) and hr.shape == (6, 32, 32, 3)
    assert lr.dtype == hr.dtype == np.float32
    assert min(lr.min(), hr.min()) >= 0 and max(lr.max(), hr.max()) <= 1


def test_batch_is_a_function_of_seed_and_step(index):
    source, twin = make(index), make(index)
    for step in (5, 0, 70):
        for first, second in zip(source.batch(step), twin.batch(step), strict=True):
            np.testing.assert_array_equal(first, second)
    assert (source.batch(0)[1] != source.batch(1)[1]).any()
    assert (source.batch(0)[1] != make(index, seed=4).batch(0)[1]).any()


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_stream_is_the_same_with_any_number_of_workers_and_from_any_step(index, workers):
    source = make(index)
    stream = source.stream(workers=workers)
    for step in range(8):
        for found, expected in zip(next(stream), source.batch(step), strict=True):
            np.testing.assert_array_equal(found, expected)
    stream.close()
    resumed = source.stream(8, workers=workers)
    np.testing.assert_array_equal(next(resumed)[0], source.batch(8)[0])
    resumed.close()


def test_every_epoch_takes_each_photograph_once(index):
    source = make(index, batch_size=5)
    seen = []
    source._crop = lambda entry, *rest: seen.append(entry["path"]) or np.zeros((48, 48), patches.PIXEL)
    for step in range(4):
        source.batch(step)
    epochs = [tuple(seen[i : i + 5]) for i in range(0, 20, 5)]
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len(set(seen)) == 5 and len(set(epochs)) > 1


def test_sampling_by_pixels_draws_photographs_in_proportion(index):
    """Bounds: six standard deviations of the binomial distribution."""
    source = make(index, batch_size=100, sampling="pixels")
    drawn = np.concatenate([source.plan(step)[0].photographs for step in range(40)])
    pixels = np.array([math.prod(entry["shape"][:2]) for entry in source.entries])
    shares = pixels / pixels.sum()
    found = np.bincount(drawn, minlength=len(pixels)) / len(drawn)
    assert (abs(found - shares) < 6 * np.sqrt(shares * (1 - shares) / len(drawn))).all()
    assert max(shares) > 2 * min(shares)
    np.testing.assert_array_equal(source.batch(7)[1], make(index, batch_size=100, sampling="pixels").batch(7)[1])
    assert source.parameters == make(index, batch_size=100).parameters | {"sampling": "pixels"}
    with pytest.raises(ValueError, match=r"`sampling` must be one of photographs, pixels\. Received: 'areas'"):
        make(index, sampling="areas")


@pytest.mark.parametrize("degradation", ["bicubic", "blur-bicubic"])
def test_lr_is_the_patch_of_the_whole_pictures_lr(tmp_path, degradation):
    """Thanks to the margin: no border of the patch shows in LR."""
    (path,) = noise.photographs(tmp_path, [(96, 80)])
    source = make(shards.prepare([path], tmp_path / "shards"), augment=(), degradation=degradation)
    whole = images.to_uint8(images.read(path))
    checked = 0
    for step in range(8):
        for lr, hr in zip(*map(levels, source.batch(step)), strict=True):
            top, left = _place(whole, hr)
            if degradation == "blur-bicubic" and not (12 <= top <= 50 and 12 <= left <= 34):
                continue  # 4 sigma reach further than the margin: within a level of it
            aligned = whole[top % 4 : 96 - (-top) % 4, left % 4 : 80 - (-left) % 4]
            expected = degrade.degrade(resize.crop_to_multiple(aligned, 4), scale=4, name=degradation)
            expected = expected[top // 4 : top // 4 + 8, left // 4 : left // 4 + 8]
            inner = np.s_[2:-2, 2:-2] if degradation == "blur-bicubic" else np.s_[:]
            if top % 4 == left % 4 == 0 or (top >= 8 and left >= 8 and top <= 52 and left <= 36):
                np.testing.assert_array_equal(lr[inner], expected[inner])
                checked += 1
    assert checked > 3


def _place(whole, patch):
    windows = np.lib.stride_tricks.sliding_window_view(whole, (32, 32, 3))[:, :, 0]
    (place,) = np.argwhere((windows == patch).all(axis=(2, 3, 4)))
    return place


def test_augmentation_comes_before_lr():
    """Flips commute with imresize bit by bit; quarter turns but for the rounding between its passes."""
    hr = np.random.default_rng(0).integers(0, 256, (48, 48, 3), np.uint8)
    lr = degrade.degrade(hr, scale=4)
    for turns in range(4):
        for flip in (False, True):
            turned = degrade.degrade(np.ascontiguousarray(patches._turned(hr, turns, flip)), scale=4)
            expected = patches._turned(lr, turns, flip)
            assert np.abs(turned.astype(int) - expected).max() <= turns % 2
            floats = degrade.degrade(patches._turned(hr / 255, turns, flip), scale=4)
            np.testing.assert_allclose(
                floats, patches._turned(degrade.degrade(hr / 255, scale=4), turns, flip), atol=1e-12
            )


def test_turning_is_numpys():
    patch = np.arange(12).reshape(3, 4)
    for turns in range(4):
        np.testing.assert_array_equal(patches._turned(patch, turns, False), np.rot90(patch, turns))
        np.testing.assert_array_equal(patches._turned(patch, turns, True), np.fliplr(np.rot90(patch, turns)))


@pytest.mark.parametrize("augment", ["flip", "rotate", "channels", "colour", "mixup", "zoom"])
def test_lr_follows_hr_through_every_augmentation(index, augment):
    plain, changed = make(index, augment=()), make(index, augment=(augment,))
    differs = 0
    for step in range(4):
        lr, hr = map(levels, changed.batch(step))
        own = degrade.degrade(hr, scale=4)  # without the margin: only the border may differ
        np.testing.assert_array_equal(lr[:, 2:-2, 2:-2], own[:, 2:-2, 2:-2])
        differs += (hr != levels(plain.batch(step)[1])).any(axis=(1, 2, 3)).sum()
    assert 6 <= differs <= 23  # some of 24, not all


def test_zoom_makes_a_larger_square_smaller(tmp_path):
    """On a ramp of 2 levels a pixel, n times the side gives 2 n levels a pixel."""
    ramp = np.broadcast_to(2 * np.arange(100, dtype=np.uint8)[None, :, None], (90, 100, 3))
    images.write(tmp_path / "ramp.png", images.from_uint8(ramp))
    source, sides = make(shards.prepare([tmp_path / "ramp.png"], tmp_path / "shards"), augment=("zoom",)), []
    for step in range(10):
        sides.append(source.plan(step)[0].sides)
        slopes = np.diff(source.batch(step)[1] * 255, axis=2)[:, :, 4:-4].mean(axis=(1, 2, 3))
        np.testing.assert_allclose(slopes, 2 * sides[-1] / 32, atol=0.1)
    sides = np.concatenate(sides)
    assert sides.min() == 32 and 50 < sides.max() < 64 and 15 <= (sides == 32).sum() <= 45


def test_augmentations_are_read_from_text():
    assert patches.augmentations("flip, rotate,cutblur") == ("flip", "rotate", "cutblur")
    assert patches.augmentations("") == ()
    for text in ("flip,turn", "flip,flip", "Flip"):
        with pytest.raises(ValueError, match=f"some of flip,rotate,channels.*Received: {text!r}"):
            patches.augmentations(text)


def test_parameters_are_what_decides_the_batches(index, prepared):
    source = make(index, augment=("flip",))
    assert json.loads(json.dumps(source.parameters)) == source.parameters
    same = {name: value for name, value in source.parameters.items() if name != "lr_copies"}
    np.testing.assert_array_equal(make(index, **same).batch(1)[1], source.batch(1)[1])
    for changed in ({"augment": ()}, {"seed": 4}, {"degradation": "blur-bicubic"}):
        assert make(index, **changed).parameters != source.parameters
    assert make(prepared, augment=("flip",)).parameters != source.parameters


def test_cutblur_sharpens_a_part_of_lr_and_leaves_hr_alone(index):
    plain, changed = make(index, augment=()), make(index, augment=("cutblur",))
    (lr, hr), (sharp, same) = plain.batch(0), changed.batch(0)
    np.testing.assert_array_equal(hr, same)
    touched = (lr != sharp).any(axis=3)
    assert touched.any() and not touched.all(axis=(1, 2)).any()
    np.testing.assert_array_equal(sharp[touched], hr[:, 2::4, 2::4][touched])


def test_tone_gives_hr_the_brightness_and_colour_of_lr_and_leaves_lr_alone(index):
    options = {"degradation": "bicubic noise60", "patch_size": 48}
    plain, changed = make(index, augment=(), **options), make(index, augment=("tone",), **options)
    (lr, hr), (same, toned) = plain.batch(0), changed.batch(0)
    np.testing.assert_array_equal(lr, same)
    means = [picture.mean(axis=(1, 2)) for picture in (lr, hr, toned)]
    assert np.abs(means[0] - means[1]).max() > 0.02  # clipped noise
    assert np.abs(means[0] - means[2]).max() < 0.004
    detail = [picture[:, 1:] - picture[:, :-1] for picture in (hr, toned)]
    inside = (toned[:, 1:] % 1 > 0) & (toned[:, :-1] % 1 > 0)  # where nothing reaches black or white
    assert np.abs(detail[0] - detail[1])[inside].max() < 2.5 / 255
    clean = make(index, augment=("tone",)).batch(0)
    assert np.abs(clean[1] - make(index, augment=()).batch(0)[1]).max() < 4 / 255


def test_prepared_lr_is_lr_on_the_fly(prepared):
    source = make(prepared, augment=())
    for lr, hr in zip(*map(levels, source.batch(0)), strict=True):
        np.testing.assert_array_equal(lr[2:-2, 2:-2], degrade.degrade(hr, scale=4)[2:-2, 2:-2])
    turned = make(prepared)
    for lr, hr in zip(*map(levels, turned.batch(1)), strict=True):
        own = degrade.degrade(hr, scale=4).astype(int)
        assert np.abs(lr[2:-2, 2:-2] - own[2:-2, 2:-2]).max() <= 1
    lr, hr = map(levels, make(prepared, augment=("channels",)).batch(0))
    np.testing.assert_array_equal(lr[:, 2:-2, 2:-2], degrade.degrade(hr, scale=4)[:, 2:-2, 2:-2])


def test_every_copy_of_a_random_degradation_is_drawn(tmp_path):
    (path,) = noise.photographs(tmp_path, [(32, 32)])  # a single place for a patch
    index = shards.prepare([path], tmp_path / "shards", scale=4, degradation="realesrgan", copies=3)
    source = make(index, degradation="realesrgan", augment=())
    (entry,) = source.entries
    copies = [np.load(tmp_path / "shards" / copy["file"]) for copy in entry["lr"]]
    seen = {tuple((lr == copy).all() for copy in copies) for step in range(4) for lr in levels(source.batch(step)[0])}
    assert seen == {(True, False, False), (False, True, False), (False, False, True)}


@pytest.mark.parametrize("size", [(20, 50), (50, 20), (9, 9), (32, 32), (33, 35), (1, 1)])
def test_photographs_smaller_than_a_patch_go_on_as_their_mirror_image(tmp_path, size):
    (path,) = noise.photographs(tmp_path, [size])
    source = make(shards.prepare([path], tmp_path / "shards"), augment=())
    whole = images.to_uint8(images.read(path))
    lr, hr = map(levels, source.batch(0))
    grown = whole
    while min(grown.shape[:2]) < 32:
        grown = np.pad(grown, [(0, grown.shape[0]), (0, grown.shape[1]), (0, 0)], "symmetric")
    grown = grown[: max(size[0], 32), : max(size[1], 32)]
    for patch in hr:
        windows = np.lib.stride_tricks.sliding_window_view(grown, (32, 32, 3))[:, :, 0]
        assert (windows == patch).all(axis=(2, 3, 4)).any()
    np.testing.assert_array_equal(lr[:, 2:-2, 2:-2], degrade.degrade(hr, scale=4)[:, 2:-2, 2:-2])


def test_crops_reach_every_place(tmp_path):
    (path,) = noise.photographs(tmp_path, [(37, 35)])
    source = make(shards.prepare([path], tmp_path / "shards"), augment=(), batch_size=50)
    whole = images.to_uint8(images.read(path))
    places = {tuple(_place(whole, patch)) for step in range(6) for patch in levels(source.batch(step)[1])}
    assert places == {(top, left) for top in range(6) for left in range(4)}


def test_wrong_arguments_are_named(index, prepared, tmp_path):
    for options in ({"patch_size": 30}, {"degradation": "none"}, {"augment": ("spin",)}):
        with pytest.raises(ValueError, match="Received"):
            make(index, **options)
    for options in ({"augment": ("mixup",)}, {"scale": 2}, {"patch_size": 64}, {"degradation": "blur-bicubic"}):
        with pytest.raises(ValueError, match=r"with LR prepared|LR must be prepared as asked for"):
            make(prepared, **options)
    with pytest.raises(FileNotFoundError, match="by notebook 1"):
        make(tmp_path)


def test_a_cut_or_missing_shard_is_refused(tmp_path):
    index = shards.prepare(noise.photographs(tmp_path, [(40, 40)]), tmp_path / "shards")
    (shard,) = index.parent.glob("*.npy")
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ValueError, match="must be whole"):
        make(index).batch(0)
    shard.unlink()
    with pytest.raises(FileNotFoundError, match="a shard must be there"):
        make(index).batch(0)


def test_memory_does_not_grow_with_the_data(tmp_path):
    """20 GB of (sparse) shards; batches from everywhere in them cost less than 100 MB."""
    shape, entries = (13560, 2040, 3), []
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    for i in range(242):
        with (tmp_path / f"{i}.npy").open("wb") as shard:
            shard.write(header.getvalue())
            shard.truncate(shard.tell() + math.prod(shape))
        entries.append({"path": f"{i}", "file": f"{i}.npy", "offset": header.tell(), "shape": shape, "lr": []})
    (tmp_path / "index.json").write_text(json.dumps({"lr": None, "photographs": entries, "refused": {}}))
    assert sum(file.stat().st_size for file in tmp_path.glob("*.npy")) > 20e9
    process = psutil.Process()
    before = process.memory_info().rss
    source = make(tmp_path / "index.json", patch_size=96, batch_size=16)
    stream = source.stream()
    for _ in range(12):
        next(stream)
    stream.close()
    assert process.memory_info().rss - before < 100e6 and process.memory_info().rss < 1.5 * 2**30


def test_no_framework_is_imported():
    imported = "import sys; from srnb.data import images, resize, degrade, datasets, patches"
    program = f"{imported}; print({{'keras', 'tensorflow', 'jax'}} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "set()\n"
