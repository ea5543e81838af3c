"""Shards on disk -> shuffled, cropped, augmented (lr, hr) batches: bounded memory, a pure function of (seed, step).

A shard is one photograph, decoded, in a plain .npy file named after its source's contents. A patch reads only its own
rows of it, any tool opens it, and an interrupted preparation goes on where it stopped. Chosen by measurement, 96x96
crops per CPU second: .npy 20,600; ArrayRecord of 256x256 tiles raw 12,700, compressed 3,900, as WebP 815, as PNG 547.
The price is disk: 3 bytes a pixel, three times WebP.
"""

import functools
import hashlib
import itertools
import json
import math
import mmap
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srnb import files
from srnb.data import degrade, images

INDEX = "index.json"
VERSION = b"1"  # of what a shard holds; part of its name
GEOMETRIC = ("flip", "rotate")
PIXEL = np.dtype("V3")  # three bytes that NumPy moves as one
AUGMENTATIONS = (*GEOMETRIC, "channels", "colour", "mixup", "cutblur")


def augmentations(text):
    """Return the names in a comma-separated text as a tuple. Raises ValueError unless `Patches` knows all of them."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not set(names) <= set(AUGMENTATIONS) or len(set(names)) < len(names):
        raise ValueError(f"`augment` must name some of {','.join(AUGMENTATIONS)}, each once. Received: {text!r}")
    return names


def default_folder(fingerprint):
    """Return where the shards of a set with this fingerprint are kept: $SRNB_CACHE/shards or ~/.cache/srnb/shards."""
    return files.cache() / "shards" / fingerprint[:16]


def prepare(paths, folder, *, scale=None, degradation="bicubic", skip_unreadable=False, progress=None):
    """Write photographs as shards into `folder` and return the folder. What is already there is kept.

    With a `scale` their LR is written too, for `Patches(prepared=True)`; the degradation must not be random.
    `progress(done)` is called after each.
    Raises ValueError with the list of unreadable files unless `skip_unreadable`.
    """
    if scale and degrade.DEGRADATIONS[degradation]["random"]:
        raise ValueError(f"a random degradation is made on the fly, never prepared. Received: {degradation!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries, refused = [], []

    def shard(path):
        try:
            return entries, _shard(Path(path), folder, scale, degradation)
        except ValueError as error:
            return refused, str(error)

    with ThreadPoolExecutor() as pool:
        for done, (kind, result) in enumerate(pool.map(shard, paths), 1):
            kind.append(result)
            if progress:
                progress(done)
    if not entries or (refused and not skip_unreadable):
        raise ValueError("every photograph must be readable, and one at least. Received:\n" + "\n".join(refused))
    files.write_text(folder / INDEX, json.dumps(entries, indent=1))
    return folder


class Patches:
    """Batches of (lr, hr), float32 NHWC in [0, 1], 8-bit values as in files, from the shards of a folder.

    `patch_size` is that of HR. Each epoch takes one patch of every photograph, in an order of its own; a photograph
    smaller than a patch is continued by its mirror image. LR is made from the patch with a margin around it, so it is
    the patch of the whole photograph's LR; `prepared` takes it from disk, with patches at multiples of the scale.
    `augment` names what is done: "flip", "rotate" (by 90 degrees); and to every second patch "channels" (shuffled),
    "colour" (brightness, contrast), "mixup", "cutblur" (Yoo et al. 2020). All change HR before LR is made, but for
    "cutblur", which is about LR only. With LR prepared only the first three are possible.
    The position in the data is the number of the next step, nothing else.
    """

    def __init__(
        self, folder, *, patch_size, scale, batch_size, seed, degradation="bicubic", augment=GEOMETRIC, prepared=False
    ):
        if patch_size % scale:
            raise ValueError(f"`patch_size` must be a multiple of `scale` {scale}. Received: {patch_size}")
        if degradation not in degrade.DEGRADATIONS:
            raise ValueError(f"`degradation` must be one of {sorted(degrade.DEGRADATIONS)}. Received: {degradation!r}")
        possible = AUGMENTATIONS[:3] if prepared else AUGMENTATIONS
        if not set(augment) <= set(possible):
            raise ValueError(f"`augment` must name some of {possible}. Received: {augment}")
        index = Path(folder) / INDEX
        if not index.is_file():
            raise FileNotFoundError(f"shards must be prepared first (patches.prepare). Received: {folder}")
        self.folder, self.entries = Path(folder), json.loads(index.read_text())
        self.patch_size, self.scale, self.batch_size, self.seed = patch_size, scale, batch_size, seed
        self.degradation, self.augment, self.prepared = degradation, tuple(augment), prepared
        self._order = functools.lru_cache(4)(self._shuffled)
        if prepared:
            self._check_prepared()

    def batch(self, step):
        """Return batch number `step`: lr (N, h, w, 3), hr (N, H, W, 3)."""
        n, size, scale = self.batch_size, self.patch_size, self.scale
        generator = np.random.default_rng([self.seed, step])
        places, turns, flips = generator.random((n, 2)), generator.integers(4, size=n), generator.integers(2, size=n)
        turns, flips = turns * ("rotate" in self.augment), flips * ("flip" in self.augment)
        margin = 0 if self.prepared else 2 * scale
        hr = np.empty((n, size + 2 * margin, size + 2 * margin), PIXEL)
        lr = np.empty((n, size // scale, size // scale), PIXEL)
        for i in range(n):
            epoch, position = divmod(step * n + i, len(self.entries))
            entry = self.entries[self._order(epoch)[position]]
            unit = scale if self.prepared else 1
            room = [max(extent - size, 0) // unit + 1 for extent in entry["shape"][:2]]
            top, left = (int(place * places_left) * unit for place, places_left in zip(places[i], room, strict=True))
            hr[i] = _turned(self._crop(entry, top, left, size, margin), turns[i], flips[i])
            if self.prepared:
                small = entry[self._lr_key]
                lr[i] = _turned(self._crop(small, top // scale, left // scale, size // scale, 0), turns[i], flips[i])
        hr, lr = (batch.view(np.uint8).reshape(*batch.shape, 3) for batch in (hr, lr))
        if self.prepared:
            if "channels" in self.augment:
                hr, lr = _channels(generator, hr, lr)
            return images.from_uint8(lr), images.from_uint8(hr)
        for name in self.augment:
            if name in PHOTOMETRIC:
                (hr,) = PHOTOMETRIC[name](generator, hr)
        lr = degrade.degrade(hr, scale=scale, name=self.degradation, seed=[self.seed, step])[:, 2:-2, 2:-2]
        hr = hr[:, margin:-margin, margin:-margin]
        if "cutblur" in self.augment:
            lr = _cutblur(generator, lr, hr, scale)
        return images.from_uint8(lr), images.from_uint8(hr)

    def stream(self, start_step=0, *, workers=2):
        """Yield batch(start_step), batch(start_step + 1), ...: made ahead by threads, the same with any number."""
        pool = ThreadPoolExecutor(workers)
        ahead = 2 * workers
        tasks = deque(pool.submit(self.batch, step) for step in range(start_step, start_step + ahead))
        try:
            for step in itertools.count(start_step + ahead):
                batch = tasks.popleft().result()
                tasks.append(pool.submit(self.batch, step))
                yield batch
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    @property
    def parameters(self):
        """What decides the batches beside the photographs, as JSON keeps it: a resumed training must share it."""
        names = ("patch_size", "scale", "batch_size", "seed", "degradation", "prepared")
        return {name: getattr(self, name) for name in names} | {"augment": list(self.augment)}

    @property
    def _lr_key(self):
        return f"x{self.scale} {_label(self.degradation)}"

    def _check_prepared(self):
        missing = [entry["name"] for entry in self.entries if self._lr_key not in entry]
        if missing:
            raise ValueError(f"LR {self._lr_key} must be prepared for all. Received: none for {missing[:5]}")
        small = [entry["name"] for entry in self.entries if min(entry["shape"][:2]) < self.patch_size]
        if small:
            raise ValueError(f"with LR prepared, a photograph must be at least a patch large. Received: {small[:5]}")

    def _shuffled(self, epoch):
        return np.random.default_rng([self.seed, epoch, 2**32]).permutation(len(self.entries))

    def _crop(self, entry, top, left, size, margin):
        """Return (size + 2 margin) squared pixels around a patch, on disk; only their rows are read, then let go."""
        path = os.path.join(self.folder, entry["file"])
        with open(path, "rb", buffering=0) as file:
            buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(buffer) != entry["offset"] + math.prod(entry["shape"]):
            raise ValueError(f"a shard must be whole; prepare the set again. Received: {path}")
        picture = np.ndarray(entry["shape"][:2], PIXEL, buffer, entry["offset"])
        index = []
        for start, extent in ((top, picture.shape[0]), (left, picture.shape[1])):
            if start >= margin and start + size + margin <= extent:
                index.append(slice(start - margin, start + size + margin))
            else:  # the edge goes on outside; a mirror image fills what is missing to a patch
                i = np.arange(start - margin, start + size + margin).clip(0, max(extent, size) - 1) % (2 * extent)
                index.append(np.minimum(i, 2 * extent - 1 - i))
        return picture[index[0]][:, index[1]]


def _shard(path, folder, scale, degradation):
    """Write the shards of one photograph unless they are there; return its entry of the index."""
    data = path.read_bytes() if path.is_file() else b""
    digest = hashlib.sha256(VERSION + data).hexdigest()[:20]
    file, picture = folder / f"{digest}.npy", None
    if not file.exists():
        picture = images.to_uint8(images.read(path))
        _save(file, picture)
    entry = {"name": path.name, **_layout(file)}
    if scale:
        file = folder / f"{digest}.x{scale}.{_label(degradation)}.npy"
        if not file.exists():
            hr = np.load(folder / f"{digest}.npy") if picture is None else picture
            hr = hr[: hr.shape[0] // scale * scale, : hr.shape[1] // scale * scale]
            lr = degrade.degrade(hr, scale=scale, name=degradation)
            _save(file, lr)
        entry[f"x{scale} {_label(degradation)}"] = _layout(file)
    return entry


def _label(degradation):
    return f"{degradation}-{degrade.DEGRADATIONS[degradation]['version']}"


def _save(path, array):
    with files.whole(path) as temporary:
        np.save(temporary, array)


def _layout(file):
    array = np.load(file, mmap_mode="r")
    return {"file": file.name, "offset": array.offset, "shape": array.shape}


def _turned(patch, turns, flip):
    """Turn a patch by 90 degrees as numpy.rot90 does, then mirror it left to right."""
    if turns % 2:
        patch = patch.swapaxes(0, 1)
    rows, columns = ((1, 1), (-1, 1), (-1, -1), (1, -1))[turns]
    return patch[::rows, :: -columns if flip else columns]


def _channels(generator, *batches):
    """Shuffle the colour channels of every second patch, in all batches alike."""
    orders = [generator.permutation(3) if generator.integers(2) else np.arange(3) for _ in batches[0]]
    return [np.stack([patch[..., order] for patch, order in zip(batch, orders, strict=True)]) for batch in batches]


def _colour(generator, hr):
    """Change contrast by up to a quarter and brightness by up to a tenth."""
    chosen = generator.integers(2, size=len(hr))
    contrast = 1 + chosen * generator.uniform(-0.25, 0.25, len(hr))
    brightness = chosen * generator.uniform(-0.1, 0.1, len(hr))
    picture = images.from_uint8(hr)
    middle = picture.mean(axis=(1, 2, 3), keepdims=True)
    contrast, brightness = contrast[:, None, None, None], brightness[:, None, None, None]
    return [images.to_uint8((picture - middle) * contrast + middle + brightness)]


def _mixup(generator, hr):
    """Blend with another patch of the batch, weight from Beta(1.2, 1.2)."""
    chosen = generator.integers(2, size=len(hr))
    weight = np.where(chosen, generator.beta(1.2, 1.2, len(hr)), 1)[:, None, None, None]
    picture = images.from_uint8(hr)
    return [images.to_uint8(weight * picture + (1 - weight) * picture[generator.permutation(len(hr))])]


def _cutblur(generator, lr, hr, scale):
    """Let a part of LR be as sharp as HR: HR sampled, not averaged; the network must see where there is less to do."""
    lr = lr.copy()
    for i in np.flatnonzero(generator.integers(2, size=len(lr))):
        height, width = (generator.uniform(0.2, 0.7, 2) * lr.shape[1:3]).astype(int) + 1
        top, left = generator.integers(lr.shape[1] - height + 1), generator.integers(lr.shape[2] - width + 1)
        sharp = hr[i, scale // 2 :: scale, scale // 2 :: scale]
        lr[i, top : top + height, left : left + width] = sharp[top : top + height, left : left + width]
    return lr


PHOTOMETRIC = {"channels": _channels, "colour": _colour, "mixup": _mixup}
