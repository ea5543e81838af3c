"""Malformed pictures of every format, the same for the same seed: cut, changed, garbled, mislabelled, or bombs.

    python tests/data/malformed.py FOLDER

writes 500 of them. Where `whole` is None nothing whole is in the file, so reading must refuse it; any other may be read
or refused. Neither may crash, hang, or take more memory than a picture of 48 by 40 pixels deserves.
"""

import functools
import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from srnb.data import datasets

SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "WEBP": ".webp",
    "TIFF": ".tif",
    "BMP": ".bmp",
    "GIF": ".gif",
    "PPM": ".ppm",
    "AVIF": ".avif",
}
LIMIT = 65_000  # pixels on a side that `oversized` claims, where the format has room for as many


def malformed(count=500, seed=0):
    """Yield (format, damage, content, whole): the bytes of a damaged file, and of the file that it was, or None."""
    whole = _whole()
    for i in range(count):
        kind = tuple(SUFFIXES)[i % len(SUFFIXES)]
        damages = [*MAY_BE_READ, *MUST_BE_REFUSED, *(PNG_ONLY if kind == "PNG" else ())]
        damage = damages[i // len(SUFFIXES) % len(damages)]
        function = (MAY_BE_READ | MUST_BE_REFUSED | PNG_ONLY)[damage]
        content = function(whole[kind], np.random.default_rng([seed, i]), kind)
        yield kind, damage, content, None if damage in MUST_BE_REFUSED else whole[kind]


def write(folder, count=500, seed=0):
    """Write `malformed` files into a folder, made if need be; return {path: whether reading must refuse it}."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = {}
    for i, (kind, damage, content, whole) in enumerate(malformed(count, seed)):
        path = folder / f"{i:03d} {kind} {damage}{SUFFIXES[kind]}"
        path.write_bytes(content)
        written[path] = whole is None
    return written


def _whole():
    picture = Image.open(datasets.photographs("sample", "test")[0]).convert("RGB").crop((100, 40, 148, 80))
    files = {}
    for kind in SUFFIXES:
        buffer = io.BytesIO()
        picture.save(buffer, kind, **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
        files[kind] = buffer.getvalue()
    return files


def _cut(content, generator, kind):
    return content[: generator.integers(1, len(content) - 20)]


def _flipped(content, generator, kind):
    changed = bytearray(content)
    for place in generator.integers(0, len(content), generator.integers(1, 4)):
        changed[place] ^= 1 << generator.integers(8)
    return bytes(changed)


def _part(content, generator):
    return sorted(generator.integers(0, len(content), 2))


def _zeroed(content, generator, kind):
    start, stop = _part(content, generator)
    return content[:start] + bytes(stop - start) + content[stop:]


def _removed(content, generator, kind):
    start, stop = _part(content, generator)
    return content[:start] + content[stop:]


def _repeated(content, generator, kind):
    start, stop = _part(content, generator)
    return content[:stop] + content[start:stop] * int(generator.integers(1, 20)) + content[stop:]


def _noisy(content, generator, kind):
    """Noise behind a header that is right."""
    start = generator.integers(4, 64)
    return content[:start] + generator.bytes(len(content) - start)


def _prolonged(content, generator, kind):
    return content + generator.bytes(int(generator.integers(1, 5000)))


def _oversized(content, generator, kind):
    """A header that claims more pixels than anyone should make room for."""
    changed = bytearray(content)
    if kind == "PNG":
        return content[:8] + _chunk(b"IHDR", struct.pack(">II", LIMIT, LIMIT) + content[24:29]) + content[33:]
    if kind == "PPM":
        return content.replace(b"48 40", b"%d %d" % (LIMIT, LIMIT), 1)
    if kind == "JPEG":  # start of frame: marker, length, depth, height, width
        place = next(content.index(marker) for marker in (b"\xff\xc0", b"\xff\xc2") if marker in content)
        struct.pack_into(">HH", changed, place + 5, LIMIT, LIMIT)
    elif kind == "BMP":
        struct.pack_into("<ii", changed, 18, LIMIT, LIMIT)
    elif kind == "GIF":
        struct.pack_into("<HH", changed, 6, LIMIT, LIMIT)
        struct.pack_into("<HH", changed, content.index(b"\x2c\0\0\0\0\x30\0\x28\0") + 5, LIMIT, LIMIT)
    elif kind == "WEBP":
        struct.pack_into("<HH", changed, content.index(b"\x9d\x01\x2a") + 3, 16383, 16383)
    elif kind == "AVIF":
        struct.pack_into(">II", changed, content.index(b"ispe") + 8, LIMIT, LIMIT)
    elif kind == "TIFF":
        (start,) = struct.unpack_from("<I", content, 4)
        for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
            if struct.unpack_from("<H", content, entry)[0] in (256, 257):
                struct.pack_into("<HIHH", changed, entry + 2, 3, 1, LIMIT, 0)
    return bytes(changed)


def _empty(content, generator, kind):
    return b""


def _zeros(content, generator, kind):
    return bytes(len(content))


def _noise(content, generator, kind):
    return generator.bytes(len(content))


def _text(content, generator, kind):
    return b"<!DOCTYPE html>\n<html><body>404: no such picture</body></html>\n"


def _archive(content, generator, kind):
    return b"PK\x03\x04" + content


def _chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


@functools.cache
def _inflating():
    """A hundred megabytes of zeros in less than one."""
    return zlib.compress(bytes(100_000_000), 1)


def _with_chunk(name):
    """Insert a chunk before the pixels; its checksum is right, what it holds is not."""

    def insert(content, generator, kind):
        bodies = {
            b"iCCP": b"p\0\0" + zlib.compress(generator.bytes(400)),
            b"zTXt": b"t\0\0" + _inflating(),
            b"eXIf": b"MM\0*" + generator.bytes(60),
            b"tRNS": generator.bytes(3),
            b"PLTE": generator.bytes(7),
        }
        place = content.index(b"IDAT") - 4
        return content[:place] + _chunk(name, bodies[name]) + content[place:]

    return insert


def _bomb(content, generator, kind):
    """Pixels that unpack to a hundred megabytes where the header promises 48 by 40."""
    return content[:33] + _chunk(b"IDAT", _inflating()) + _chunk(b"IEND", b"")


def _coloured(content, generator, kind):
    """A header that takes the pixels for another colour type, such as a palette that is not there."""
    header = bytearray(content[16:29])
    header[8:10] = [(8, 3), (1, 0), (16, 6), (8, 7), (4, 2)][generator.integers(5)]
    return content[:8] + _chunk(b"IHDR", bytes(header)) + content[33:]


MAY_BE_READ = {
    "flipped": _flipped,
    "zeroed": _zeroed,
    "with a part removed": _removed,
    "with a part repeated": _repeated,
    "noisy": _noisy,
    "prolonged": _prolonged,
}
MUST_BE_REFUSED = {
    "cut": _cut,
    "oversized": _oversized,
    "empty": _empty,
    "zeros": _zeros,
    "noise": _noise,
    "text": _text,
    "archive": _archive,
}
PNG_ONLY = {
    **{f"with a wrong {name.decode()}": _with_chunk(name) for name in (b"iCCP", b"zTXt", b"eXIf", b"tRNS", b"PLTE")},
    "bomb": _bomb,
    "coloured otherwise": _coloured,
}


if __name__ == "__main__":
    print(f"{len(write(sys.argv[1]))} malformed pictures in {sys.argv[1]}")
