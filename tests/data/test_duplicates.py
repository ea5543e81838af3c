"""A photograph is found again under another name, size, compression, or mirrored; an unrelated one is not."""

import numpy as np
import pytest
from PIL import Image

from srnb.data import datasets, duplicates, images, shards


def test_sees_through_compression_size_and_mirroring(tmp_path):
    train = datasets.photographs("sample", "test")[:3]
    hashes = duplicates.hashes(duplicates.decoded(train))
    picture = Image.open(train[0]).convert("RGB")
    picture.save(tmp_path / "again.jpg", quality=40)
    picture.resize((picture.width // 2, picture.height // 2)).save(tmp_path / "small.png")
    picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "mirrored.png")
    images.write(tmp_path / "unrelated.png", np.random.default_rng(0).random((64, 64, 3)))
    test = list(duplicates.decoded(images.find(tmp_path)))
    both = duplicates.overlap(hashes, test)
    assert {(a.name, b.name) for a, b in both} == {
        (train[0].name, name) for name in ("again.jpg", "small.png", "mirrored.png")
    }
    with pytest.raises(ValueError, match=rf"{train[0].name} = again\.jpg"):
        duplicates.require_disjoint(hashes, test)


def test_of_many_duplicates_the_first_are_named():
    train = {f"{number}.png": "0" * 16 for number in range(3000)}
    with pytest.raises(ValueError, match=r"Received: 0\.png = flat\.png, .* and 2990 more$"):
        duplicates.require_disjoint(train, [("flat.png", np.zeros((32, 32, 3), np.uint8))])


def test_shards_have_the_hashes_of_their_files(tmp_path):
    paths = datasets.photographs("sample", "test")[:2]
    index = shards.prepare(paths, tmp_path)
    assert duplicates.hashes(shards.pictures(index)) == duplicates.hashes(duplicates.decoded(paths))


def test_the_sample_is_split_without_overlap():
    train, test = (datasets.photographs("sample", split) for split in ("train", "test"))
    duplicates.require_disjoint(duplicates.hashes(duplicates.decoded(train)), duplicates.decoded(test))


@pytest.mark.benchmark
def test_set5_and_set14_share_a_photograph():
    """Known of old: Set5 'head' is Set14 'face'."""
    hashes = duplicates.hashes(duplicates.decoded(datasets.photographs("Set5")))
    both = duplicates.overlap(hashes, duplicates.decoded(datasets.photographs("Set14")))
    assert [(train.stem, test.stem) for train, test in both] == [("head", "face")]
