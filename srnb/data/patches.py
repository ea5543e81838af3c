"""Shards -> shuffled, cropped, augmented (lr, hr) batches: bounded memory, a pure function of (seed, step)."""

import contextlib
import functools
import itertools
import math
import mmap
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from srnb import provenance
from srnb.data import degrade, images, processes, resize, shards

GEOMETRIC = ("flip", "rotate")
PIXEL = np.dtype("V3")  # three bytes that NumPy moves as one
PREPARED = (*GEOMETRIC, "channels")  # what can be done to HR and LR alike
AUGMENTATIONS = (*PREPARED, "zoom", "colour", "mixup", "tone", "cutblur")
SAMPLINGS = ("photographs", "pixels")
DRAWS = 2**32  # sets the random numbers of degradations apart from all others of a seed
WORKERS = 8  # at most: beyond, what makes batches would keep the cores from what trains on them


def augmentations(text, *, prepared=False, resident=False):
    """Return the augmentations in a comma-separated text as a tuple.

    prepared: whether LR is read from disk; resident: whether photographs stay in the accelerator's memory. Both limit
    what is possible. Raises ValueError for a name that is unknown, impossible or repeated.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    possible = GEOMETRIC if resident else PREPARED if prepared else AUGMENTATIONS
    if not set(names) <= set(possible) or len(set(names)) < len(names):
        where = " from the accelerator's memory" if resident else " with LR prepared" if prepared else ""
        raise ValueError(f"`augment`{where} must name some of {','.join(possible)}, each once. Received: {text!r}")
    return names


def require_patch_size(patch_size, scale):
    """Raise ValueError unless the side of an HR patch is a multiple of `scale`."""
    if patch_size % scale:
        raise ValueError(f"`patch_size` must be a multiple of `scale` {scale}. Received: {patch_size}")


def require_sampling(sampling):
    """Return the name of a way to draw patches. Raises ValueError if there is none of that name."""
    if sampling not in SAMPLINGS:
        raise ValueError(f"`sampling` must be one of {', '.join(SAMPLINGS)}. Received: {sampling!r}")
    return sampling


class Plan(NamedTuple):
    """The n patches of a batch: arrays (n,), and `corners` (n, 2), first row and column in HR."""

    photographs: np.ndarray  # positions in the index
    copies: np.ndarray  # of their LR
    corners: np.ndarray
    turns: np.ndarray  # by 90 degrees, as numpy.rot90
    flips: np.ndarray  # left to right, after the turn
    sides: np.ndarray  # of the square that becomes the patch, larger than that if it is zoomed


class Patches:
    """Batches of (lr, hr), float32 NHWC in [0, 1] with 8-bit values as in files, from the shards of an index.

    patch_size: side of the HR patch, a multiple of `scale`; a photograph smaller than a patch is extended by
    reflection. LR is made from the patch and a margin of two LR pixels around it: by bicubic it equals a crop of the
    whole photograph's LR; wide blurs and the blocks of a JPEG file see the margin's end.
    If the index has prepared LR, a random copy of that is used, with patches at multiples of the scale.
    sampling: "photographs", each epoch takes one patch of every photograph, in a new order; "pixels", each patch comes
    from any photograph, with a probability in proportion to its pixels, as if large ones had been cut into tiles.
    augment: "flip", "rotate" (by 90 degrees); and for every second patch "channels" (shuffled), "zoom" (a square of up
    to twice the side, made smaller), "colour" (brightness, contrast), "mixup", "cutblur" (Yoo et al. 2020). All change
    HR before LR is made, except "cutblur", which changes LR only. With prepared LR only the first three are possible.
    "tone" gives the HR of every patch the local brightness and colour of its LR: noise that was clipped makes dark
    places lighter and light ones darker, and a network that learns to undo this does it to clean pictures, too.
    resident: `stream` cuts the same batches from photographs that stay in the accelerator's memory, 3 bytes per pixel;
    LR must be prepared, and only "flip" and "rotate" are possible.
    The only state is the number of the next step. Raises ValueError for arguments that do not fit together.
    """

    def __init__(
        self,
        index,
        *,
        patch_size,
        scale,
        batch_size,
        seed,
        degradation="bicubic",
        augment=GEOMETRIC,
        sampling="photographs",
        resident=False,
    ):
        require_patch_size(patch_size, scale)
        degrade.find(degradation)  # raises if there is none
        record = shards.read(index)
        self.folder, self.entries = Path(index).parent, record["photographs"]
        self.lr_copies = record["lr"]["copies"] if record["lr"] else 0
        self.patch_size, self.scale, self.batch_size, self.seed = patch_size, scale, batch_size, seed
        if resident and not self.lr_copies:
            raise ValueError("to stay in the accelerator's memory, LR must be prepared, lr_copies. Received: none")
        self.degradation, self.resident = degradation, resident
        self.augment = augmentations(",".join(augment), prepared=bool(self.lr_copies), resident=resident)
        self.sampling = require_sampling(sampling)
        if self.lr_copies:
            self._check_prepared(record["lr"])

    def plan(self, step):
        """Return the `Plan` of batch number `step`, and the generator of everything else in it that is random."""
        n, size = self.batch_size, self.patch_size
        generator = np.random.default_rng([self.seed, step])
        places, turns, flips = generator.random((n, 2)), generator.integers(4, size=n), generator.integers(2, size=n)
        turns, flips = turns * ("rotate" in self.augment), flips * ("flip" in self.augment)
        copies = generator.integers(self.lr_copies, size=n) if self.lr_copies else np.zeros(n, int)
        if self.sampling == "pixels":
            chosen = generator.choice(len(self.entries), n, p=self._shares)
        else:
            epochs, positions = np.divmod(step * n + np.arange(n), len(self.entries))
            orders = {epoch: _order(self.seed, epoch, len(self.entries)) for epoch in set(epochs)}
            chosen = np.array([orders[epoch][position] for epoch, position in zip(epochs, positions, strict=True)])
        unit = self.scale if self.lr_copies else 1
        shapes = np.array([self.entries[photograph]["shape"][:2] for photograph in chosen])
        sides = np.full(n, size)
        if "zoom" in self.augment:
            wanted = np.where(generator.integers(2, size=n), generator.uniform(1, 2, n), 1) * size
            sides = np.maximum(size, np.minimum(wanted.astype(int), shapes.min(axis=1)))
        corners = (places * (np.maximum(shapes - sides[:, None], 0) // unit + 1)).astype(int) * unit
        return Plan(chosen, copies, corners, turns, flips, sides), generator

    def batch(self, step):
        """Return batch number `step`: lr (N, h, w, 3) and hr (N, H, W, 3), float32 in [0, 1]."""
        return tuple(map(images.from_uint8, self.levels(step)))

    def levels(self, step):
        """Return batch number `step` in 8-bit levels, uint8."""
        n, size, scale = self.batch_size, self.patch_size, self.scale
        plan, generator = self.plan(step)
        margin = 0 if self.lr_copies else 2 * scale
        hr = np.empty((n, size + 2 * margin, size + 2 * margin), PIXEL)
        lr = np.empty((n, size // scale, size // scale), PIXEL)
        for i, (photograph, copy, (top, left), turns, flip, side) in enumerate(zip(*plan, strict=True)):
            entry = self.entries[photograph]
            patch = self._crop(entry, top, left, side, round(margin * side / size))
            hr[i] = _turned(patch if side == size else _made_smaller(patch, hr.shape[1]), turns, flip)
            if self.lr_copies:
                lr[i] = _turned(
                    self._crop(entry["lr"][copy], top // scale, left // scale, size // scale, 0), turns, flip
                )
        hr, lr = (batch.view(np.uint8).reshape(*batch.shape, 3) for batch in (hr, lr))
        if self.lr_copies:
            if "channels" in self.augment:
                hr, lr = _channels(generator, hr, lr)
            return lr, hr
        for name in self.augment:
            if name in PHOTOMETRIC:
                (hr,) = PHOTOMETRIC[name](generator, hr)
        # [seed, step] is the plan's stream, and [seed, number] that of a held-out photograph
        lr = degrade.degrade(hr, scale=scale, name=self.degradation, seed=[self.seed, step, DRAWS])[:, 2:-2, 2:-2]
        hr = hr[:, margin:-margin, margin:-margin]
        if "tone" in self.augment:
            hr = _toned(hr, lr, scale)
        if "cutblur" in self.augment:
            lr = _cutblur(generator, lr, hr, scale)
        return lr, hr

    def stream(self, start_step=0, *, workers=None):
        """Yield batch(start_step), batch(start_step + 1), ..., made in advance by `workers` threads.

        By default as many as there are cores, from two to `WORKERS`. Each has a process of its own where LR is made on
        the fly, by a random degradation or by more than two: threads would wait for one another's Python. With resident
        photographs the batches are tensors of the backend.
        """
        if self.resident:
            return (self._cut(self.plan(step)[0]) for step in itertools.count(start_step))
        return self._made_ahead(start_step, workers or min(max(2, provenance.cores()), WORKERS))

    def _made_ahead(self, start_step, count):
        with contextlib.ExitStack() as stack:
            make = self.batch
            if not self.lr_copies and (count > 2 or degrade.find(self.degradation)["random"]):
                make = stack.enter_context(contextlib.closing(processes.Pool(self, count))).batch
            pool = ThreadPoolExecutor(count)
            stack.callback(pool.shutdown, wait=False, cancel_futures=True)
            ahead = 2 * count
            tasks = deque(pool.submit(make, step) for step in range(start_step, start_step + ahead))
            for step in itertools.count(start_step + ahead):
                batch = tasks.popleft().result()
                tasks.append(pool.submit(make, step))
                yield batch

    @property
    def parameters(self):
        """What determines the batches beside the photographs, a dict for JSON that a resumed training must share."""
        names = ("patch_size", "scale", "batch_size", "seed", "degradation", "lr_copies")
        determined = {name: getattr(self, name) for name in names} | {"augment": list(self.augment)}
        if self.sampling != "photographs":  # trainings from before there was a choice can be resumed
            determined["sampling"] = self.sampling
        if degrade.find(self.degradation)["random"] and not self.lr_copies:
            determined["draws"] = DRAWS
        return determined

    @functools.cached_property
    def _cut(self):
        from srnb.data import resident

        return resident.load(self.folder, self.entries, patch_size=self.patch_size, scale=self.scale)

    def _check_prepared(self, prepared):
        wanted = {"scale": self.scale, "degradation": degrade.label(self.degradation)}
        if prepared != prepared | wanted:
            raise ValueError(f"LR must be prepared as asked for, {wanted}. Received: {prepared}")
        small = [Path(entry["path"]).name for entry in self.entries if min(entry["shape"][:2]) < self.patch_size]
        if small:
            raise ValueError(f"with LR prepared, a photograph must be at least a patch large. Received: {small[:5]}")

    @functools.cached_property
    def _shares(self):
        pixels = np.array([math.prod(entry["shape"][:2]) for entry in self.entries])
        return pixels / pixels.sum()

    def _crop(self, entry, top, left, size, margin):
        """Return (size + 2 margin)² pixels around a patch from disk; only their rows are read, and not kept."""
        path = os.path.join(self.folder, entry["file"])
        try:
            with open(path, "rb", buffering=0) as file:
                buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:
            raise FileNotFoundError(f"a shard must be there; prepare the set again. Received: {path}") from None
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


@functools.lru_cache(4)
def _order(seed, epoch, count):
    """Return the positions of `count` photographs in the order in which an epoch takes them."""
    return np.random.default_rng([seed, epoch, 2**32]).permutation(count)


def _turned(patch, turns, flip):
    """Rotate a patch by multiples of 90 degrees like numpy.rot90, then flip it left to right."""
    if turns % 2:
        patch = patch.swapaxes(0, 1)
    rows, columns = ((1, 1), (-1, 1), (-1, -1), (1, -1))[turns]
    return patch[::rows, :: -columns if flip else columns]


def _made_smaller(patch, side):
    """Resize a square of PIXELs to side x side, bicubic with antialiasing.

    By Pillow: HR need not be MATLAB's to the bit, and `resize.imresize` takes ten times as long.
    """
    picture = Image.fromarray(np.ascontiguousarray(patch).view(np.uint8).reshape(*patch.shape, 3))
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC)).view(PIXEL)[..., 0]


def _channels(generator, *batches):
    """Shuffle the colour channels of every second patch, in the same way in all batches."""
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


def _toned(hr, lr, scale, *, sigma=6):
    """Give HR what a Gaussian of `sigma` LR pixels leaves of LR, instead of what it leaves of HR."""
    n, height, width, channels = lr.shape
    small = hr.reshape(n, height, scale, width, scale, channels).mean(axis=(2, 4), dtype=np.float32)
    change = ndimage.gaussian_filter(lr - small, (0, sigma, sigma, 0), mode="reflect")
    return images.to_uint8((hr + resize.imresize(change, scale)) / 255)


def _cutblur(generator, lr, hr, scale):
    """Replace a part of LR by HR, sampled instead of averaged: the network must learn where there is less to do."""
    lr = lr.copy()
    for i in np.flatnonzero(generator.integers(2, size=len(lr))):
        height, width = (generator.uniform(0.2, 0.7, 2) * lr.shape[1:3]).astype(int) + 1
        top, left = generator.integers(lr.shape[1] - height + 1), generator.integers(lr.shape[2] - width + 1)
        sharp = hr[i, scale // 2 :: scale, scale // 2 :: scale]
        lr[i, top : top + height, left : left + width] = sharp[top : top + height, left : left + width]
    return lr


PHOTOMETRIC = {"channels": _channels, "colour": _colour, "mixup": _mixup}
