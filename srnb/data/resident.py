"""Batches cut on the accelerator from photographs that stay in its memory, bit-identical to those of `Patches`.

The host sends four numbers for each patch: the array that holds its first pixel, that pixel's index, and the strides to
the next row and to the next column. Flips and rotations only change the strides.
"""

import numpy as np

from srnb.data import images

LARGEST = 2**31 - 1  # pixels in one array, since indices are int32: DIV2K takes two


def load(folder, photographs, *, patch_size, scale, largest=LARGEST):
    """Load the photographs of an index and all copies of their LR, 3 bytes per pixel; return the function that cuts.

    folder, photographs: those of an index with prepared LR, see `shards.read`.
    The function takes a `patches.Plan` and returns (lr, hr), tensors of the backend: float32 NHWC in [0, 1].
    """
    from keras import ops

    from srnb import backend

    hr = _Side(folder, [[photograph] for photograph in photographs], largest)
    lr = _Side(folder, [photograph["lr"] for photograph in photographs], largest)
    levels = images.from_uint8(np.arange(256, dtype=np.uint8))

    def gather(places, parts, extent):
        part, first, down, right = (places[:, column, None, None] for column in range(4))
        steps = ops.arange(extent, dtype="int32")
        index = first + down * steps[:, None] + right * steps
        pixels = ops.take(parts[0], ops.where(part == 0, index, 0), axis=0)
        for number, more in enumerate(parts[1:], start=1):
            there = part == number
            pixels = ops.where(there[..., None], ops.take(more, ops.where(there, index, 0), axis=0), pixels)
        return ops.take(levels, ops.cast(pixels, "int32"), axis=0)

    def both(lr_places, hr_places, *parts):
        count = len(lr.files)
        return gather(lr_places, parts[:count], patch_size // scale), gather(hr_places, parts[count:], patch_size)

    compiled = backend.compile_step(both, [])
    parts = [ops.convert_to_tensor(array) for side in (lr, hr) for array in side.load()]

    def cut(plan):
        first = lr.places(plan, plan.copies, plan.corners // scale, patch_size // scale)
        return compiled(first, hr.places(plan, 0, plan.corners, patch_size), *parts)

    return cut


class _Side:
    """HR or LR of a set, concatenated into as few arrays (pixels, 3) as `largest` allows, with each picture's place."""

    def __init__(self, folder, layouts, largest):
        self.widths = np.array([copies[0]["shape"][1] for copies in layouts])
        self.part, self.start = np.zeros((2, len(layouts), len(layouts[0])), int)
        self.files, filled = [[]], 0
        for i, copies in enumerate(layouts):
            for copy, layout in enumerate(copies):
                pixels = layout["shape"][0] * layout["shape"][1]
                if self.files[-1] and filled + pixels > largest:
                    self.files.append([])
                    filled = 0
                self.part[i, copy], self.start[i, copy] = len(self.files) - 1, filled
                self.files[-1].append(folder / layout["file"])
                filled += pixels

    def load(self):
        """Yield the arrays one by one, so that the host never holds all of them."""
        for files in self.files:
            yield np.concatenate([np.load(file, mmap_mode="r").reshape(-1, 3) for file in files])

    def places(self, plan, copies, corners, size):
        """Return (n, 4), int32: array and index of each patch's first pixel, strides to its next row and column."""
        first, down, right = _turned(size, plan.turns, plan.flips)
        stride = np.stack([self.widths[plan.photographs], np.ones_like(plan.photographs)], axis=-1)
        start = self.start[plan.photographs, copies] + ((first + corners) * stride).sum(axis=-1)
        distances = (down * stride).sum(axis=-1), (right * stride).sum(axis=-1)
        return np.stack([self.part[plan.photographs, copies], start, *distances], axis=-1).astype(np.int32)


def _turned(size, turns, flips):
    """Return first, down, right, each (n, 2): pixel (i, j) of the rotated patch is first + i * down + j * right.

    Rows and columns are those of the patch as stored; it is rotated as by numpy.rot90, then mirrored left to right.
    """
    last = size - 1
    first = np.array([(0, 0), (0, last), (last, last), (last, 0)])[turns]
    down = np.array([(1, 0), (0, -1), (-1, 0), (0, 1)])[turns]
    right = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])[turns]
    flipped = flips[:, None].astype(bool)
    return np.where(flipped, first + last * right, first), down, np.where(flipped, -right, right)
