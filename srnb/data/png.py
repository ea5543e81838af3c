"""PNG files written from top to bottom, so that a picture never needs to be in memory as a whole (W3C 2003)."""

import struct
import zlib
from pathlib import Path

import numpy as np

from srnb import files

COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> grey, grey and alpha, RGB, RGB and alpha


def write(path, strips, *, bits=8):
    """Write strips (h, W, C), floats in [0, 1], below each other as one picture of 8 or 16 bits per channel, C 1 to 4.

    Returns its width and height.
    Values are clipped and rounded half up. The file appears under its name only when it is complete. Raises ValueError
    for another suffix than .png, for other bits, for strips that differ in width or channels, and for none at all.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"pictures are written as .png, without loss. Received: {path}")
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16. Received: {bits}")
    with files.whole(path) as temporary, open(temporary, "xb") as file:
        return _write(file, strips, bits)


def _write(file, strips, bits):
    file.write(b"\x89PNG\r\n\x1a\n")
    height, shape, compressor = 0, None, zlib.compressobj(6)
    for strip in strips:
        if shape is None:
            shape = strip.shape[1:]
            _chunk(file, b"IHDR", bytes(13))  # the height is known at the end
        if strip.shape[1:] != shape or shape[1] not in COLOUR_TYPES:
            raise ValueError(
                f"strips must have one width and 1 to 4 channels. Received: {shape}, then {strip.shape[1:]}"
            )
        height += len(strip)
        _chunk(file, b"IDAT", compressor.compress(_filtered(strip, bits)))
    if shape is None:
        raise ValueError("a picture must have at least one strip. Received: none")
    _chunk(file, b"IDAT", compressor.flush())
    _chunk(file, b"IEND", b"")
    file.seek(8)
    _chunk(file, b"IHDR", struct.pack(">IIBBBBB", shape[0], height, bits, COLOUR_TYPES[shape[1]], 0, 0, 0))
    return shape[0], height


def _filtered(strip, bits):
    """Return the filtered rows as bytes: each pixel less its left neighbour (filter type 1)."""
    levels = np.clip(strip, 0, 1)
    levels *= 2**bits - 1
    levels += 0.5
    levels = levels.astype(">u2" if bits == 16 else "u1")
    rows = np.ascontiguousarray(levels).view("u1").reshape(len(strip), -1)
    step = strip.shape[2] * bits // 8
    filtered = np.empty((rows.shape[0], rows.shape[1] + 1), "u1")
    filtered[:, 0] = 1
    filtered[:, 1 : 1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, 1 + step :])
    return filtered.tobytes()


def _chunk(file, name, content):
    file.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))
