"""Any image file <-> float32 RGB array in [0, 1].

`read` decides by the content of a file and its declared depth, never by its name or its largest value; 16-bit files
keep 16 bits. What cannot be read exactly is refused with a ValueError that names the file and the reason. The checksums
of PNG are checked. JPEG, WebP, AVIF and others have none: a damaged file that still decodes passes for a picture.
"""

import io
import os
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from srnb.data import decoding, png

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".avif")
PILLOW = (ImageCms.PyCMSError, Image.DecompressionBombError)  # its errors that are nothing but an Exception
MAX_PIXELS = 200_000_000  # a 14000x14000 picture; what claims more is taken for a decompression bomb


def read(path, *, data=None, max_pixels=MAX_PIXELS, background=(1.0, 1.0, 1.0)):
    """Read an image file as upright sRGB: float32 (H, W, 3) in [0, 1].

    `data` are the file's bytes, if they have been read already. Transparent pixels are composited on `background` (RGB
    in [0, 1]); an embedded ICC profile is converted to sRGB; of an animation or a file of several pages the first
    picture is read.
    Raises FileNotFoundError, or ValueError for a file that is empty, truncated, damaged, too large or no image.
    """
    path = Path(path)
    if data is None:
        if not path.is_file():
            raise FileNotFoundError(f"an image file must exist. Received: {path}")
        data = path.read_bytes()
    if not data:
        raise ValueError(f"{path}: the file is empty")
    try:
        return decoding.decode(data, max_pixels, background)
    except Image.UnidentifiedImageError:
        raise ValueError(f"{path}: not an image of a known format ({', '.join(decoding.FORMATS)})") from None
    except (ValueError, OSError, SyntaxError, EOFError, struct.error, zlib.error, *PILLOW) as error:
        raise ValueError(f"{path}: {error}") from error
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError, RuntimeError) as error:
        raise ValueError(
            f"{path}: damaged file ({type(error).__name__}: {error})"
        ) from error  # what decoders trip over


def kind(path):
    """Return (is grey, has transparency, bits per channel: 8 or 16) of an image file that `read` accepts."""
    return decoding.kind(Path(path).read_bytes())


def problems(paths, *, max_pixels=MAX_PIXELS, progress=None):
    """Return {path: reason} of the files that `read` refuses; `progress(done)` is called after each file."""

    def problem(path):
        try:
            read(path, max_pixels=max_pixels)
        except (ValueError, FileNotFoundError) as error:
            return str(error)

    found = {}
    with ThreadPoolExecutor() as pool:
        for done, (path, reason) in enumerate(zip(paths, pool.map(problem, paths), strict=True), 1):
            if reason:
                found[path] = reason
            if progress:
                progress(done)
    return found


def find(folder):
    """Return the image files in a folder and below, sorted by path, without hidden ones. Nothing is opened.

    Raises FileNotFoundError if there are none, ValueError if one is not a regular file, OSError if a folder cannot be
    listed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"a folder of images must exist. Received: {folder}")
    paths = sorted(path for path in _below(folder) if path.suffix.lower() in SUFFIXES)
    special = [str(p) for p in paths if not p.is_file()]  # opening a FIFO or a device might never end
    if special:
        raise ValueError(
            "a picture must be a regular file; remove or rename what is a folder, a dangling link, a pipe or a device. "
            f"Received: {', '.join(special[:5])}{' …' if len(special) > 5 else ''}"
        )
    if not paths:
        raise FileNotFoundError(f"a folder must hold image files ({' '.join(SUFFIXES)}). Received: {folder}")
    return paths


def _below(folder):
    """Yield what is in a folder and below, without hidden names. Links are followed, to each folder once: no loops."""

    def fail(error):
        raise error

    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=fail):
        real = os.path.realpath(place)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            yield from (Path(place, name) for name in (*folders, *names) if not name.startswith("."))
        seen.add(real)


def statistics(image):
    """Describe how much a super-resolution network can learn from an image, float (H, W, 3) in [0, 1].

    Returns width and height in pixels; entropy of the grey histogram, in bits (0 to 8); gradient: mean squared
    difference of neighbouring grey levels (0-255), a measure of detail per pixel.
    """
    grey = (image.astype(np.float64) @ [0.299, 0.587, 0.114]) * 255
    share = np.bincount(np.rint(grey.ravel()).astype(int), minlength=256) / grey.size
    share = share[share > 0]
    height, width = image.shape[:2]
    gradient = sum(np.mean(np.diff(grey, axis=axis) ** 2) for axis in (0, 1) if grey.shape[axis] > 1)
    return {"width": width, "height": height, "entropy": float(-share @ np.log2(share)), "gradient": float(gradient)}


def to_uint8(image):
    """Clip floats to [0, 1] and round half up to uint8 0..255; uint8 passes through unchanged."""
    if image.dtype == np.uint8:
        return image
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def from_uint8(array):
    """Scale uint8 0..255 to float32 [0, 1]."""
    return np.divide(array, np.float32(255), dtype=np.float32)


def compressed(image, quality):
    """Return an image (H, W, 3) after JPEG of a quality (1 to 100): float32 in [0, 1]."""
    buffer = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(buffer, format="JPEG", quality=quality)
    return from_uint8(np.asarray(Image.open(buffer, formats=["JPEG"])))


def write(path, image, *, bits=8):
    """Write an RGB image (H, W, 3), uint8 or float in [0, 1] (clipped, rounded), as PNG with 8 or 16 bits per channel.

    The file appears under its name only when it is complete. Raises ValueError for another shape or file suffix.
    """
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"`image` must be (H, W, 3). Received: shape={image.shape}")
    png.write(path, [from_uint8(image) if image.dtype == np.uint8 else image], bits=bits)
