"""scenes: what stands beside what."""

import tracemalloc

import numpy as np
import pytest

from srnb import evaluation
from srnb.data import degrade, images, shards


def test_hr_is_cropped_and_lr_is_made_of_what_is_left(photographs):
    scene = next(evaluation.upscale_pairs({}, photographs, scale=4))
    file = images.read(photographs[0][0])
    np.testing.assert_array_equal(scene.hr, file[:48, :60])
    assert scene.lr.shape == (12, 15, 3) and scene.sr["bicubic"].shape == (48, 60, 3)


def test_a_detail_lies_on_the_grid_of_lr(photographs):
    scene = next(evaluation.upscale_pairs({}, photographs, scale=4))
    detail = scene.detail((10, 21, 18))
    np.testing.assert_array_equal(detail.hr, scene.hr[8:24, 20:36])
    np.testing.assert_array_equal(detail.lr, scene.lr[2:6, 5:9])
    np.testing.assert_array_equal(detail.sr["bicubic"], scene.sr["bicubic"][8:24, 20:36])
    assert detail.image == scene.image and detail.scale == 4


def test_a_photograph_that_is_small_itself_has_no_original(photographs):
    path, _ = photographs[0]
    scene = next(evaluation.upscale_pairs({}, [(None, path)], scale=4))
    assert scene.image == "photograph0" and scene.hr is None and list(scene.pictures) == ["LR", "bicubic"]
    np.testing.assert_array_equal(scene.lr, images.read(path))
    detail = scene.middle(64)
    assert detail.hr is None and detail.lr.shape == (16, 16, 3) and detail.sr["bicubic"].shape == (64, 64, 3)
    with pytest.raises(ValueError, match=r"photograph0: where there is no original, .* NIQE or LR PSNR. .*: PSNR Y"):
        evaluation.tabulate([scene], dataset="small", metrics=["lr_consistency", "psnr_y"])


def test_scenes_hold_bytes(tmp_path):
    """Three bytes a pixel and picture, where floats take twelve: 30 photographs of 12 megapixels in 2 GB, not 9."""
    shape, count = (600, 800), 4
    paths = [(tmp_path / f"{number}.png", None) for number in range(count)]
    for number, (path, _) in enumerate(paths):
        images.write(path, np.full((*shape, 3), 40 * number, np.uint8))
    list(evaluation.upscale_pairs({}, paths[:1], scale=4))
    tracemalloc.start()
    scenes = list(evaluation.upscale_pairs({"twice": lambda lr: evaluation.bicubic(lr, 4)}, paths, scale=4))
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    pixels = shape[0] * shape[1]
    assert len(scenes) == count and held < 1.1 * count * pixels * 3 * (3 + 1 / 16)
    assert most - held < 100 * pixels


def test_pictures_are_what_was_put_in_and_stay_so():
    random = np.random.default_rng(0)
    exact = images.from_uint8(random.integers(0, 256, (8, 8, 3), "uint8"))
    fine = (random.integers(0, 65536, (32, 32, 3)) / 65535).astype(np.float32)  # of a file of 16 bits
    scene = evaluation.Scene("one", exact, fine, sr={"a": fine * 0.5})
    scene.sr["b"] = np.repeat(np.repeat(exact, 4, 0), 4, 1)
    np.testing.assert_array_equal(scene.lr, exact)
    np.testing.assert_array_equal(scene.hr, fine)
    np.testing.assert_array_equal(scene.pictures["a"], fine * 0.5)
    np.testing.assert_array_equal(scene.pictures["b"][::4, ::4], exact)
    assert list(scene.pictures) == ["LR", "a", "b", "HR"] and scene.hr.dtype == scene.lr.dtype == np.float32
    for picture in scene.pictures.values():
        with pytest.raises(ValueError, match="read-only"):
            picture[0] = 0


def test_the_middle_is_a_square_on_the_grid_of_lr():
    hr = np.random.default_rng(0).integers(0, 256, (120, 200, 3), "uint8")
    scene = evaluation.Scene("one", images.from_uint8(hr[::4, ::4]), images.from_uint8(hr), sr={"same": hr / 255})
    for size, height, width, top, left in ((64, 64, 64, 28, 68), (100, 100, 100, 8, 48), (500, 120, 120, 0, 40)):
        middle = scene.middle(size)
        assert middle.hr.shape == (height, width, 3) and middle.lr.shape == (height // 4, width // 4, 3)
        np.testing.assert_array_equal(middle.hr, scene.hr[top : top + height, left : left + width])
        np.testing.assert_array_equal(middle.sr["same"], scene.sr["same"][top : top + height, left : left + width])
    assert scene.middle(0) is scene
    with pytest.raises(ValueError, match="at least 64 pixels"):
        scene.middle(63)


def test_photographs_of_one_name_stay_two(photographs, tmp_path):
    (tmp_path / "other").mkdir()
    twin = tmp_path / "other" / "photograph0.png"
    twin.write_bytes(photographs[1][0].read_bytes())
    third = tmp_path / "below" / "other" / "photograph0.png"
    third.parent.mkdir(parents=True)
    third.write_bytes(twin.read_bytes())
    pairs = [*photographs[:2], (twin, None), (third, None)]
    names = [scene.image for scene in evaluation.upscale_pairs({}, pairs, scale=4)]
    assert names == [
        f"photograph0.png ({tmp_path.name})",
        "photograph1",
        "photograph0.png (other) 3",
        "photograph0.png (other) 4",
    ]
    assert all("/" not in name for name in names)  # they name files of the run


def test_held_out_photographs_that_have_changed_are_refused(tmp_path):
    paths = [tmp_path / "one.png", tmp_path / "other.png"]
    for number, path in enumerate(paths):
        images.write(path, np.full((40, 40, 3), number / 2))
    index = shards.prepare(paths, tmp_path / "shards")
    data = {"test": [str(path) for path in paths], "scale": 2, "degradation": {"name": "bicubic", "version": 1}}
    data["fingerprints"] = {"test": shards.fingerprint(index)}
    assert len(list(evaluation.held_out(data))) == 2
    images.write(paths[1], np.full((40, 40, 3), 0.6))
    with pytest.raises(ValueError, match="must be as notebook 1 found them"):
        list(evaluation.held_out(data))


def test_held_out_scenes_are_those_of_the_run_made_small_as_it_says(photographs):
    data = {
        "test": [str(path) for path, _ in photographs[:2]],
        "scale": 2,
        "degradation": {"name": "realesrgan", "version": 1},
    }
    scenes = list(evaluation.held_out(data, {"half": lambda lr: np.full((50, 62, 3), 0.5, "float32")}, seed=3))
    expected = [
        degrade.degrade(images.to_uint8(scene.hr), scale=2, name="realesrgan", seed=(3, number))
        for number, scene in enumerate(scenes)
    ]
    for scene, lr in zip(scenes, expected, strict=True):
        np.testing.assert_array_equal(images.to_uint8(scene.lr), lr)
        assert list(scene.pictures) == ["LR", "bicubic", "half", "HR"] and scene.scale == 2
        np.testing.assert_array_equal(scene.sr["half"], images.from_uint8(np.full((50, 62, 3), 128, "uint8")))
    assert not np.array_equal(expected[0], degrade.degrade(images.to_uint8(scenes[0].hr), scale=2, name="realesrgan"))


def test_pictures_of_another_program_are_measured_as_those_of_a_network(photographs, tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    scenes = list(evaluation.upscale_pairs({}, photographs, scale=4))
    for scene, name in zip(scenes, ("{}.png", "{}_x4.png", "{}x4.png", "{}-ESRGAN.png", "{} out.png"), strict=True):
        images.write(folder / name.format(scene.image), scene.sr["bicubic"])
    elsewhere = evaluation.enlarged_elsewhere(folder, photographs, scale=4)
    for scene in evaluation.upscale_pairs({"elsewhere": elsewhere}, photographs, scale=4):
        np.testing.assert_array_equal(scene.sr["elsewhere"], scene.sr["bicubic"])

    images.write(folder / "photograph1_other.png", scenes[0].hr)
    with pytest.raises(ValueError, match=r"Received: photograph1_other\.png, photograph1_x4\.png for photograph1$"):
        evaluation.enlarged_elsewhere(folder, photographs, scale=4)
    images.write(folder / "photograph0.png", scenes[0].lr)
    elsewhere = evaluation.enlarged_elsewhere(folder, photographs[:1], scale=4)
    with pytest.raises(ValueError, match=r"photograph0\.png must have 60x48 pixels\. Received: 15x12"):
        next(evaluation.upscale_pairs({"elsewhere": elsewhere}, photographs[:1], scale=4))
    with pytest.raises(ValueError, match="Received: none for photograph10"):
        evaluation.enlarged_elsewhere(folder, [(tmp_path / "photograph10.png", None)], scale=4)
