"""Shards: a photograph is decoded once whatever set it stands in, and nothing half written takes a name."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import noise
import numpy as np
import pytest

from srnb.data import degrade, images, resize, shards


def names(index):
    return [Path(photograph["path"]).name for photograph in shards.read(index)["photographs"]]


def test_a_photograph_is_decoded_once_for_all_sets(tmp_path, monkeypatch):
    paths = noise.photographs(tmp_path, [(40, 40), (40, 44), (40, 48)])
    read, seen = images.read, []
    monkeypatch.setattr(images, "read", lambda path, **options: seen.append(path.name) or read(path, **options))
    first = shards.prepare(paths[:2], tmp_path / "shards")
    progress = []
    second = shards.prepare(paths, tmp_path / "shards", progress=progress.append)
    assert sorted(seen) == ["0.png", "1.png", "2.png"] and progress == [1, 2, 3]
    assert len(list((tmp_path / "shards").glob("*.npy"))) == 3
    assert names(first) == ["0.png", "1.png"] and names(second) == ["0.png", "1.png", "2.png"]
    images.write(paths[0], np.zeros((36, 36, 3)))  # the same name with other contents is another shard
    third = shards.prepare(paths, tmp_path / "shards")
    assert seen[3:] == ["0.png"]
    assert shards.read(third)["photographs"][0]["shape"] == [36, 36, 3]
    assert shards.read(second)["photographs"][0]["shape"] == [40, 40, 3]  # a set that is trained on stays as it was
    assert not [path for path in (tmp_path / "shards").iterdir() if path.name.startswith(".")]


def test_shards_of_another_user_serve(tmp_path, monkeypatch):
    paths = noise.photographs(tmp_path, [(40, 40)])
    first = shards.prepare(paths, tmp_path / "shards")

    def refuse(path, times):
        raise PermissionError(errno.EPERM, "Operation not permitted", str(path))

    monkeypatch.setattr(os, "utime", refuse)
    assert shards.prepare(paths, tmp_path / "shards") == first


def test_a_file_is_opened_once_for_all_that_notebook_1_does(tmp_path):
    paths = noise.photographs(tmp_path, [(40, 40), (40, 44), (40, 48), (40, 52)])
    train, test = [str(path) for path in paths[:3]], [str(paths[3])]
    program = f"""
import collections, sys
from srnb.data import duplicates, images, shards
opened = collections.Counter()
sys.addaudithook(lambda event, arguments: opened.update([str(arguments[0])]) if event == "open" else None)
index = [shards.prepare(paths, {str(tmp_path / "shards")!r}) for paths in ({train}, {test})]
for part in index:
    for path, picture in shards.pictures(part):
        images.statistics(images.from_uint8(picture))
duplicates.require_disjoint(duplicates.hashes(shards.pictures(index[0])), shards.pictures(index[1]))
print([opened[path] for path in {train + test}])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[1, 1, 1, 1]", done.stderr


def test_fingerprint_depends_on_contents_not_on_order_or_place(tmp_path):
    indices = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        paths = noise.photographs(tmp_path / folder, [(20, 20), (20, 24)])
        indices.append(shards.prepare(paths[:: 1 if folder == "one" else -1], tmp_path / "shards"))
    assert shards.fingerprint(indices[0]) == shards.fingerprint(indices[1])
    images.write(paths[0], np.zeros((20, 20, 3)))
    assert shards.fingerprint(shards.prepare(paths, tmp_path / "shards")) != shards.fingerprint(indices[0])


def test_pictures_are_what_the_files_hold(tmp_path):
    paths = noise.photographs(tmp_path, [(20, 20), (20, 24)])
    shown = dict(shards.pictures(shards.prepare(paths, tmp_path / "shards")))
    assert list(shown) == paths
    for path, picture in shown.items():
        np.testing.assert_array_equal(picture, images.to_uint8(images.read(path)))


def test_preparing_lr_leaves_the_set_without_lr_alone(tmp_path):
    (path,) = noise.photographs(tmp_path, [(41, 39)])
    plain = shards.prepare([path], tmp_path / "shards")
    low = shards.prepare([path], tmp_path / "shards", scale=2, copies=1)
    assert shards.read(plain)["lr"] is None
    assert shards.read(low)["lr"] == {"scale": 2, "degradation": "bicubic-1", "copies": 1}
    (layout,) = shards.read(low)["photographs"][0]["lr"]
    hr = resize.crop_to_multiple(images.to_uint8(images.read(path)), 2)
    np.testing.assert_array_equal(np.load(low.parent / layout["file"]), degrade.degrade(hr, scale=2))
    assert sum(shards.size(low).values()) == sum(file.stat().st_size for file in low.parent.glob("*.npy"))


def test_copies_differ_and_are_the_same_each_time(tmp_path):
    (path,) = noise.photographs(tmp_path, [(40, 40)])
    contents = []
    for folder in ("1", "2"):
        index = shards.prepare([path], tmp_path / folder, scale=4, degradation="realesrgan", copies=3)
        files = [index.parent / layout["file"] for layout in shards.read(index)["photographs"][0]["lr"]]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1] and len(set(contents[0])) == 3


@pytest.mark.parametrize(("copies", "degradation"), [(2, "bicubic"), (-1, "realesrgan"), (1, "cubic")])
def test_copies_that_cannot_be(tmp_path, copies, degradation):
    with pytest.raises(ValueError, match="Received"):
        shards.prepare([], tmp_path, scale=4, degradation=degradation, copies=copies)


def test_unreadable_photographs_are_listed_and_skipped_only_on_request(tmp_path):
    paths = noise.photographs(tmp_path, [(40, 40), (40, 44)])
    bad = [tmp_path / "cut.png", tmp_path / "gone.png"]
    bad[0].write_bytes(paths[0].read_bytes()[:100])
    with pytest.raises(ValueError, match=r"(?s)cut\.png.*gone\.png"):
        shards.prepare(paths + bad, tmp_path / "shards")
    index = shards.prepare(paths + bad, tmp_path / "shards", skip_unreadable=True)
    assert names(index) == ["0.png", "1.png"]
    assert {Path(path).name for path in shards.read(index)["refused"]} == {"cut.png", "gone.png"}
    with pytest.raises(ValueError, match="one at least"):
        shards.prepare(bad, tmp_path / "other", skip_unreadable=True)


def test_a_photograph_without_lr_is_named(tmp_path):
    paths = noise.photographs(tmp_path, [(40, 40), (3, 40)])
    with pytest.raises(ValueError, match=r"1\.png: to prepare LR both sides must be at least 4"):
        shards.prepare(paths, tmp_path / "shards", scale=4, copies=1)


@pytest.mark.parametrize("text", ["", '{"lr": null, "photogr', "[]", "{}", "\x00"])
def test_a_damaged_index_is_named(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(ValueError, match=r"delete it.*index\.json"):
        shards.read(tmp_path / "index.json")


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs a way to have one core only")
def test_memory_does_not_grow_with_the_photographs(tmp_path):
    """All that notebook 1 does with them, in a process of its own; twenty photographs more are 60 MB of pixels."""
    program = """if True:
        import os, resource, sys
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # a thread for each core has a picture in memory
        from srnb.data import duplicates, images, shards
        index = shards.prepare(sys.argv[2:], sys.argv[1])
        for path, picture in shards.pictures(index):
            images.statistics(images.from_uint8(picture))
        duplicates.hashes(shards.pictures(index))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    """
    levels = np.random.default_rng(0).integers(0, 256, (24, 20, 20, 3), np.uint8)
    for number, small in enumerate(levels):
        images.write(tmp_path / f"{number}.png", small.repeat(50, axis=0).repeat(50, axis=1))
    paths = sorted(tmp_path.glob("*.png"))
    peaks = []
    for count in (4, 24):
        command = [sys.executable, "-c", program, tmp_path / f"shards {count}", *paths[:count]]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert peaks[1] - peaks[0] < 40_000, peaks  # KiB


def test_what_no_index_needs_is_unused_once_it_is_old(tmp_path):
    paths = noise.photographs(tmp_path, [(20, 20), (20, 24), (20, 28)])
    pool = tmp_path / "shards"
    both, other = shards.prepare(paths[:2], pool), shards.prepare(paths[1:], pool)
    (pool / "of an earlier version").mkdir()
    (pool / "of an earlier version" / "a.npy").write_bytes(bytes(100))
    assert shards.unused([both], pool) == {}  # all of it is fresh
    for path in pool.iterdir():
        os.utime(path, (0, 0))
    unused = shards.unused([both], pool)
    alone = shards.read(other)["photographs"][1]["file"]
    assert {path.name for path in unused} == {other.name, alone, "of an earlier version"}
    assert unused[pool / "of an earlier version"] == 100
    shards.remove(unused)
    assert all((pool / photograph["file"]).is_file() for photograph in shards.read(both)["photographs"])
    assert shards.indices(pool) == [both] and len(list(pool.iterdir())) == 3
    shards.prepare(paths[:1], pool)
    assert shards.unused([], pool).keys() == {both, pool / shards.read(both)["photographs"][1]["file"]}


def test_a_full_disk_leaves_whole_shards_only(tmp_path, small_disk):
    paths = noise.photographs(tmp_path, [(300, 400), (300, 401), (300, 402), (300, 403)])  # 352 KiB each
    with pytest.raises(OSError, match=r"No space left on device.*disk"):
        shards.prepare(paths, small_disk)
    left = list(small_disk.iterdir())
    assert 1 <= len(left) <= 2 and all(np.load(file).shape[0] == 300 for file in left)
    images.write(tmp_path / "0.png", np.zeros((30, 30, 3)))
    for file in left[1:]:
        file.unlink()
    index = shards.prepare(paths[:1], small_disk)  # with room again, it is used again
    assert Path(index).parent == small_disk and names(index) == ["0.png"]
