"""Where photographs come from: the bundled sample, the benchmark sets, any folder of the user's."""

import hashlib
import importlib.util
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srnb import images

DATA = Path(__file__).resolve().parent.parent / "data"

# Photographs that scikit-image ("skimage") and scikit-learn ("sklearn") ship; licences in data/README.md.
SAMPLE = {
    "train": [
        ("sklearn", "flower.jpg"),
        ("skimage", "motorcycle_left.png"),
        ("skimage", "rocket.jpg"),
        ("skimage", "ihc.png"),
        ("skimage", "hubble_deep_field.jpg"),
        ("skimage", "camera.png"),
        ("skimage", "coins.png"),
        ("skimage", "brick.png"),
        ("skimage", "grass.png"),
        ("skimage", "gravel.png"),
    ],
    "test": [
        ("skimage", "astronaut.png"),
        ("skimage", "chelsea.png"),
        ("sklearn", "china.jpg"),
        ("skimage", "coffee.png"),
    ],
}
FOLDERS = {"skimage": "data", "sklearn": "datasets/images"}
HOLD_OUT = 10  # one in so many of a user's own photographs is held out


def photographs(name, split="all"):
    """Return the HR files of a set ("sample", "Set5", ...) or of a folder, sorted by name.

    split "train" and "test" part `sample` as listed and a folder by a hash of each file's content, so that a picture
    keeps its side when others come or go. Raises FileNotFoundError with what to do when the set is not there.
    """
    if split not in ("all", "train", "test"):
        raise ValueError(f"`split` must be 'all', 'train' or 'test'. Received: {split!r}")
    if name == "sample":
        chosen = SAMPLE["train"] + SAMPLE["test"] if split == "all" else SAMPLE[split]
        roots = {p: Path(importlib.util.find_spec(p).origin).parent / FOLDERS[p] for p in FOLDERS}
        return sorted((roots[package] / file for package, file in chosen), key=lambda path: path.name)
    paths = images.find(_folder(name))
    if split == "all":
        return paths
    order = sorted(paths, key=lambda path: hashlib.sha256(path.read_bytes()).digest())
    held_out = set(order[: max(1, len(paths) // HOLD_OUT)])
    return [path for path in paths if (path in held_out) == (split == "test")]


def pairs(name, *, scale):
    """Return [(HR path, LR path or None)] of a set for a scale, matched by stem.

    Raises ValueError for a picture without its partner.
    """
    if name == "sample" or Path(name).is_dir():
        return [(hr, None) for hr in photographs(name)]
    folder = _folder(name).parent.parent
    hr = {path.stem: path for path in images.find(folder / "HR" / f"X{scale}")}
    lr = {path.stem: path for path in images.find(folder / "LR_bicubic" / f"X{scale}")}
    if hr.keys() != lr.keys():
        raise ValueError(
            f"every HR must have an LR of the same stem. Received: {sorted(hr.keys() ^ lr.keys())} unpaired"
        )
    return [(hr[stem], lr[stem]) for stem in sorted(hr)]


def fingerprint(paths):
    """Return one sha256 over the names and contents of files."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: Path(path).name):
        total.update(Path(path).name.encode())
        total.update(hashlib.sha256(Path(path).read_bytes()).digest())
    return total.hexdigest()


def overlap(train, test):
    """Return [(train file, test file)] that show the same photograph, also recompressed, resized or mirrored.

    Two files do when at most 8 of the 64 bits of their perceptual hashes differ; of unrelated photographs, 12 and more.
    A small crop of a photograph is not found.
    """
    import imagehash
    from PIL import Image

    def look(path):
        picture = Image.fromarray(images.to_uint8(images.read(path)))
        views = picture, picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return np.stack([imagehash.phash(view).hash.ravel() for view in views])

    with ThreadPoolExecutor() as pool:
        known, looks = np.stack([views[0] for views in pool.map(look, train)]), list(pool.map(look, test))
    found = []
    for path, views in zip(test, looks, strict=True):
        distance = (known[:, None] != views).sum(axis=2).min(axis=1)
        found += [(train[i], path) for i in np.flatnonzero(distance <= 8)]
    return found


def require_disjoint(train, test):
    """Raise ValueError with the names when a photograph stands in both `train` and `test`."""
    both = overlap(train, test)
    if both:
        names = ", ".join(f"{Path(a).name} = {Path(b).name}" for a, b in both)
        raise ValueError(f"no photograph may be both trained and tested on. Received: {names}")


def _folder(name):
    if Path(name).is_dir():
        return Path(name)
    for root in (os.environ.get("SRNB_DATA"), DATA):
        folder = Path(root or "/nonexistent") / "benchmarks" / name / "HR" / "X4"
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"a set must be 'sample', a benchmark under $SRNB_DATA, or a folder. Received: {name!r}")
