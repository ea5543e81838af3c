"""Shards on disk -> shuffled, cropped, augmented (lr, hr) batches: bounded memory, a pure function of (seed, step).

A shard is one picture as a plain .npy file of uint8, named by the hash of its source: any tool opens it, a crop reads only
its own rows, an interrupted preparation goes on where it stopped, and pictures that two sets share are stored once.
"""

import functools
import hashlib
import json
import os
import queue
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from srnb import degrade, images

INDEX = "index.json"


def prepare(paths, folder, *, progress=None):
    """Write photographs as shards into `folder` and return it. What is already there is kept.

    `progress(done, total)` is called after each picture. Raises ValueError with all files that cannot be read.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    entries, refused = [], []
    for done, path in enumerate(paths, 1):
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()[:20]
        shard = folder / f"{digest}.npy"
        try:
            if not shard.exists():
                _save(shard, images.to_uint8(images.read(path)))
            entries.append({"name": Path(path).name, "file": shard.name, "shape": np.load(shard, mmap_mode="r").shape})
        except ValueError as error:
            refused.append(str(error))
        if progress:
            progress(done, len(paths))
    if refused:
        raise ValueError("every photograph must be readable. Received:\n" + "\n".join(refused))
    temporary = folder / f".{uuid.uuid4().hex}"
    temporary.write_text(json.dumps(entries, indent=1))
    os.replace(temporary, folder / INDEX)
    return folder


class Patches:
    """Batches of (lr, hr) float32 NHWC in [0, 1] from the shards of a folder.

    `patch_size` is that of HR. LR is made on the fly from the crop with a margin around it, so it equals the crop of the whole
    picture's LR, and is 8-bit as a file would be. `augment` turns and mirrors (8 ways).
    """

    def __init__(self, folder, *, patch_size, scale, batch_size, seed, degradation="bicubic", augment=True):
        if patch_size % scale:
            raise ValueError(f"`patch_size` must be a multiple of `scale` {scale}. Received: {patch_size}")
        index = Path(folder) / INDEX
        if not index.is_file():
            raise FileNotFoundError(f"shards must be prepared first (patches.prepare). Received: {folder}")
        self.folder, self.entries = Path(folder), json.loads(index.read_text())
        self.patch_size, self.scale, self.batch_size = patch_size, scale, batch_size
        self.seed, self.degradation, self.augment = seed, degradation, augment
        small = [e["name"] for e in self.entries if min(e["shape"][:2]) < patch_size]
        if small:
            raise ValueError(f"pictures must be at least `patch_size` {patch_size} high and wide. Received: {small}")
        self._order = functools.lru_cache(4)(self._shuffled)

    def batch(self, step):
        """Return batch number `step`: lr (N, h, w, 3), hr (N, H, W, 3)."""
        margin = 2 * self.scale
        crops = []
        for i in range(self.batch_size):
            epoch, position = divmod(step * self.batch_size + i, len(self.entries))
            entry = self.entries[self._order(epoch)[position]]
            generator = np.random.default_rng([self.seed, step, i])
            crop = self._crop(entry, generator, margin)
            if self.augment:
                crop = np.rot90(crop, generator.integers(4))
                crop = crop[:, ::-1] if generator.integers(2) else crop
            crops.append(crop)
        hr = np.stack(crops)
        seed = np.random.SeedSequence([self.seed, step]).generate_state(1)[0]
        lr = degrade.degrade(hr, scale=self.scale, name=self.degradation, seed=seed)[:, 2:-2, 2:-2]
        return images.from_uint8(lr), images.from_uint8(hr[:, margin:-margin, margin:-margin])

    def stream(self, start_step=0, *, workers=2):
        """Yield batch(start_step), batch(start_step + 1), ... made ahead by threads; the same with any number of them."""
        with ThreadPoolExecutor(workers) as pool:
            pending = queue.SimpleQueue()
            for step in range(start_step, start_step + 2 * workers):
                pending.put(pool.submit(self.batch, step))
            step = start_step + 2 * workers
            try:
                while True:
                    batch = pending.get().result()
                    pending.put(pool.submit(self.batch, step))
                    step += 1
                    yield batch
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _shuffled(self, epoch):
        return np.random.default_rng([self.seed, 2**32, epoch]).permutation(len(self.entries))

    def _crop(self, entry, generator, margin):
        height, width = entry["shape"][:2]
        top = generator.integers(height - self.patch_size + 1)
        left = generator.integers(width - self.patch_size + 1)
        rows = np.arange(top - margin, top + self.patch_size + margin).clip(0, height - 1)
        columns = np.arange(left - margin, left + self.patch_size + margin).clip(0, width - 1)
        picture = np.load(self.folder / entry["file"], mmap_mode="r")
        return picture[rows[0] : rows[-1] + 1][rows - rows[0]][:, columns]


def _save(path, array):
    temporary = path.with_name(f".{uuid.uuid4().hex}.npy")
    try:
        np.save(temporary, array)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
