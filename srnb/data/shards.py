"""Shards: photographs decoded once into plain .npy files, a pool named by content, with an index for each set.

A patch reads only its own rows of a shard, any tool can open one, and an interrupted preparation resumes where it
stopped. All sets share the pool, so adding a photograph to a set costs one shard. The format was chosen by measurement,
in 96x96 crops per CPU second: .npy 20,600; ArrayRecord of 256x256 tiles raw 12,700, compressed 3,900, as WebP 815, as
PNG 547. The price is disk space: 3 bytes per pixel, three times that of WebP.
"""

import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srnb import files, provenance
from srnb.data import degrade, images

VERSION = 2  # of what a shard holds; part of its name


def pool():
    """Return the folder of all shards and indices: shards/ in the cache."""
    return files.cache() / "shards"


def prepare(paths, folder=None, *, scale=None, degradation="bicubic", copies=0, skip_unreadable=False, progress=None):
    """Write photographs as shards into `folder`, by default the pool, and return the path of their index.

    copies: number of LR versions of this scale and degradation to prepare for each photograph, each with its own random
    draw. With 0, `patches.Patches` makes LR on the fly. A degradation that is not random has one copy.
    Existing shards are kept. `progress(done)` is called after each photograph.
    Raises ValueError with all unreadable files, with `skip_unreadable` only if no photograph is left.
    """
    require_copies(copies, degradation)
    folder = Path(folder or pool())
    entries, refused = [], []

    def shard(path):
        try:
            return entries, _shard(Path(path), folder, scale, degradation, copies)
        except (ValueError, FileNotFoundError) as error:
            return refused, (str(Path(path).absolute()), str(error))

    with ThreadPoolExecutor(provenance.cores()) as threads:  # each has a whole picture in memory
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
    """Raise ValueError unless `degradation` is known and can give that many different copies of LR."""
    is_random = degrade.find(degradation)["random"]
    if copies < 0 or (copies > 1 and not is_random):
        raise ValueError(
            f"copies of LR must be 0, 1, or more where the degradation is random. Received: {copies} of {degradation!r}"
        )


def read(index):
    """Return an index as a dict.

    lr: None, or a dict of scale, degradation and copies. photographs: a dict for each, with path and sha256 of its
    source; file, offset (bytes) and shape (height, width, 3) of its shard; and under lr the same three of each copy.
    refused: {path: reason}. Raises FileNotFoundError if there is no index, ValueError if it is damaged.
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
    """Yield (path of the source, pixels) for every photograph: uint8 (H, W, 3), memory-mapped."""
    for photograph in read(index)["photographs"]:
        yield Path(photograph["path"]), np.load(Path(index).parent / photograph["file"], mmap_mode="r")


def fingerprint(index):
    """Return one sha256 over the names and contents of the photographs, independent of their order and folder."""
    return _fingerprint({photograph["path"]: photograph["sha256"] for photograph in read(index)["photographs"]})


def fingerprint_of_files(paths):
    """Return the `fingerprint` that shards of these photographs would have now."""
    return _fingerprint({path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths})


def _fingerprint(contents):
    total = hashlib.sha256()
    for name, sha256 in sorted((Path(path).name, sha256) for path, sha256 in contents.items()):
        total.update(name.encode() + bytes.fromhex(sha256))
    return total.hexdigest()


def size(index):
    """Return {file name: bytes on disk} of the shards in an index."""
    folder = Path(index).parent
    names = {shard["file"] for photograph in read(index)["photographs"] for shard in [photograph, *photograph["lr"]]}
    return {name: (folder / name).stat().st_size for name in names if (folder / name).is_file()}


def indices(folder=None):
    """Return the paths of all indices, the newest last."""
    return sorted(Path(folder or pool()).glob("*.json"), key=lambda index: index.stat().st_mtime)


def unused(keep, folder=None, *, days=1):
    """Return {path: bytes} of what can be removed: indices not in `keep`, and shards that no other index needs.

    What was used within the last `days` days is not listed: somebody may be about to train on it.
    """
    folder, limit = Path(folder or pool()), time.time() - days * 24 * 3600
    keep = {Path(index) for index in keep}
    kept = [index for index in indices(folder) if index in keep or index.stat().st_mtime > limit]
    needed = {path.name for path in kept} | {name for index in kept for name in size(index)}
    rest = [path for path in folder.glob("*") if path.name not in needed and path.stat().st_mtime <= limit]
    return {path: _bytes(path) for path in sorted(rest)}


def remove(paths):
    """Remove the paths that `unused` returned, indices first, so that no index is left without its shards."""
    for path in sorted(paths, key=lambda path: path.suffix != ".json"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _bytes(path):
    return sum(file.stat().st_size for file in ([path] if path.is_file() else path.rglob("*")) if file.is_file())


def _shard(path, folder, scale, degradation, copies):
    """Write the shards of one photograph, unless they exist, and return its entry in the index."""
    if not path.is_file():
        raise FileNotFoundError(f"an image file must exist. Received: {path}")
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    digest = sha256[:20]
    file, picture = folder / f"{digest}-{VERSION}.npy", None
    if not _kept(file):
        picture = images.to_uint8(images.read(path, data=data))
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
    """Return whether a shard exists, and set its time to now: `unused` goes by it."""
    try:
        os.utime(file, (time.time(), time.time()))
    except FileNotFoundError:
        return False
    except OSError:  # of another user who shares the pool, or on a read-only disk
        return file.is_file()
    return True


def _save(path, array):
    """Write an array as .npy; unlike np.save, this reports a full disk as such."""
    array = np.ascontiguousarray(array)
    with files.whole(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(array))
        file.write(array.data)


def _layout(file):
    """Return where the pixels of a shard are: file, offset in bytes, shape (height, width, 3)."""
    array = np.load(file, mmap_mode="r")
    return {"file": file.name, "offset": array.offset, "shape": array.shape}
