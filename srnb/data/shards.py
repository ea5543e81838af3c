"""Photographs decoded once, on disk: a pool of plain .npy files named by content, and an index for every set.

A patch reads only its own rows of a shard, any tool opens it, and an interrupted preparation goes on where it stopped.
All sets share the pool, so a set with one more photograph costs one more shard. Chosen by measurement, 96x96 crops per
CPU second: .npy 20,600; ArrayRecord of 256x256 tiles raw 12,700, compressed 3,900, as WebP 815, as PNG 547. The price
is disk: 3 bytes a pixel, three times WebP.
"""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srnb import files, runs
from srnb.data import degrade, images

VERSION = 2  # of what a shard holds; part of its name


def pool():
    """Return the folder of all shards and their indices: shards/ in the cache."""
    return files.cache() / "shards"


def prepare(paths, folder=None, *, scale=None, degradation="bicubic", copies=0, skip_unreadable=False, progress=None):
    """Write photographs as shards into `folder`, by default the pool, and return the path of their index.

    copies: how often their LR of this scale and degradation is written too, each with a draw of its own; 0: not at all,
    `patches.Patches` then makes LR on the fly. A degradation that is not random has one copy.
    What is already there is kept. `progress(done)` is called after each photograph.
    Raises ValueError with the list of unreadable files unless `skip_unreadable`.
    """
    require_copies(copies, degradation)
    folder = Path(folder or pool())
    entries, refused = [], []

    def shard(path):
        try:
            return entries, _shard(Path(path), folder, scale, degradation, copies)
        except (ValueError, FileNotFoundError) as error:
            return refused, (str(Path(path).absolute()), str(error))

    with ThreadPoolExecutor(runs.cores()) as threads:  # each has a whole picture in memory
        for done, (kind, result) in enumerate(threads.map(shard, paths), 1):
            kind.append(result)
            if progress:
                progress(done)
    if not entries or (refused and not skip_unreadable):
        reasons = "\n".join(reason for _, reason in refused)
        raise ValueError(
            f"every photograph must be readable (or skip_unreadable), and one at least. Received:\n{reasons}"
        )
    low = {"scale": scale, "degradation": degrade.label(degradation), "copies": copies} if copies else None
    text = json.dumps({"lr": low, "photographs": entries, "refused": dict(refused)}, indent=1)
    index = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:20]}.json"
    files.write_text(index, text)
    return index


def require_copies(copies, degradation):
    """Raise ValueError unless `degradation` is known and LR can be written in so many copies that differ."""
    is_random = degrade.find(degradation)["random"]
    if copies < 0 or (copies > 1 and not is_random):
        raise ValueError(
            f"copies of LR must be 0, 1, or more where the degradation is random. Received: {copies} of {degradation!r}"
        )


def read(index):
    """Return what an index says: "lr" (None, or scale, degradation and copies), "photographs", and "refused".

    A photograph has the path of its source, its sha256, where the pixels of its shard are, and under "lr" where those
    of its copies are. refused: {path: reason}. Raises FileNotFoundError when there is none, ValueError when it is
    damaged.
    """
    index = Path(index)
    if not index.is_file():
        raise FileNotFoundError(f"shards must be prepared first, by notebook 1. Received: {index}")
    try:
        record = json.loads(index.read_text("utf-8"))
        return {name: record[name] for name in ("lr", "photographs", "refused")}
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f"an index of shards must be whole; delete it and let notebook 1 prepare the set again. Received: {index}"
        ) from None


def pictures(index):
    """Yield (path of the source, its pixels) for every photograph: uint8 (H, W, 3), read from disk as they are used."""
    for photograph in read(index)["photographs"]:
        yield Path(photograph["path"]), np.load(Path(index).parent / photograph["file"], mmap_mode="r")


def fingerprint(index):
    """Return one sha256 over the names and contents of the photographs, whatever their order and place."""
    total = hashlib.sha256()
    contents = [(Path(photograph["path"]).name, photograph["sha256"]) for photograph in read(index)["photographs"]]
    for name, sha256 in sorted(contents):
        total.update(name.encode() + bytes.fromhex(sha256))
    return total.hexdigest()


def size(index):
    """Return the bytes on disk of the shards in an index, by file name."""
    folder = Path(index).parent
    names = {shard["file"] for photograph in read(index)["photographs"] for shard in [photograph, *photograph["lr"]]}
    return {name: (folder / name).stat().st_size for name in names if (folder / name).is_file()}


def indices(folder=None):
    """Return the paths of all indices, the one that was prepared last at the end."""
    return sorted(Path(folder or pool()).glob("*.json"), key=lambda index: index.stat().st_mtime)


def unused(keep, folder=None, *, days=1):
    """Return {path: bytes} of what `remove` may take: indices that `keep` does not name, and shards of no other index.

    What was asked for within so many days stays: somebody may be about to train on it.
    """
    folder, limit = Path(folder or pool()), time.time() - days * 24 * 3600
    keep = {Path(index) for index in keep}
    kept = [index for index in indices(folder) if index in keep or index.stat().st_mtime > limit]
    needed = {path.name for path in kept} | {name for index in kept for name in size(index)}
    rest = [path for path in folder.glob("*") if path.name not in needed and path.stat().st_mtime <= limit]
    return {path: _bytes(path) for path in sorted(rest)}


def remove(paths):
    """Remove what `unused` returned; indices first, so that none is left that names a shard which is gone."""
    for path in sorted(paths, key=lambda path: path.suffix != ".json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _bytes(path):
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _shard(path, folder, scale, degradation, copies):
    """Write the shards of one photograph unless they are there; return its entry of the index."""
    if not path.is_file():
        raise FileNotFoundError(f"an image file must exist. Received: {path}")
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    digest = sha256[:20]
    file, picture = folder / f"{digest}-{VERSION}.npy", None
    if not _kept(file):
        picture = images.to_uint8(images.read(path))
        _save(file, picture)
    entry = {"path": str(path.absolute()), "sha256": sha256, **_layout(file), "lr": []}
    for copy in range(copies):
        small = folder / f"{digest}-{VERSION}.x{scale}.{degrade.label(degradation)}.{copy}.npy"
        if not _kept(small):
            picture = np.load(file) if picture is None else picture
            if min(picture.shape[:2]) < scale:
                raise ValueError(
                    f"{path}: to prepare LR both sides must be at least {scale}. Received: {picture.shape}"
                )
            hr = picture[: picture.shape[0] // scale * scale, : picture.shape[1] // scale * scale]
            _save(small, degrade.degrade(hr, scale=scale, name=degradation, seed=[copy, int(digest[:8], 16)]))
        entry["lr"].append(_layout(small))
    return entry


def _kept(file):
    """Tell whether a shard is there, and note that it was asked for: what is clean-up's goes by that time."""
    try:
        os.utime(file, (time.time(), time.time()))
    except FileNotFoundError:
        return False
    return True


def _save(path, array):
    """Write an array as .npy; unlike np.save it says of a full disk that the disk is full."""
    array = np.ascontiguousarray(array)
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def _layout(file):
    """Return where a shard's pixels are: file, offset in bytes, shape (height, width, 3)."""
    array = np.load(file, mmap_mode="r")
    return {"file": file.name, "offset": array.offset, "shape": array.shape}
