"""Any image file <-> float32 RGB array in [0, 1].

`read` decides by the content of a file and its declared depth, never by its name or its largest value; 16-bit files
keep 16 bits. What cannot be read exactly is refused with a ValueError that names the file and the reason.
JPEG, WebP, AVIF and others carry no checksum: a damaged file that still decodes cannot be told from a picture. PNG does
and it is checked here.
"""

import io
import os
import struct
import sys
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".avif")
MAX_PIXELS = 200_000_000  # a 14000x14000 picture; what claims more is taken for a decompression bomb

Image.MAX_IMAGE_PIXELS = None  # the limit is an argument of `read`, checked before anything is decoded

# IEC 61966-2-1 primaries under D50, as every ICC profile states its own
SRGB_TO_XYZ = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])

# EXIF orientation -> what brings the picture upright
UPRIGHT = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


def read(path, *, max_pixels=MAX_PIXELS, background=(1.0, 1.0, 1.0)):
    """Read an image file as upright sRGB: float32 (H, W, 3) in [0, 1].

    Transparent pixels are composited on `background` (RGB in [0, 1]); an embedded ICC profile is converted to sRGB; of
    an animation or a file of several pages the first picture is read.
    Raises FileNotFoundError, or ValueError for a file that is empty, truncated, damaged, no image, or over `max_pixels`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"an image file must exist. Received: {path}")
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path}: the file is empty")
    try:
        return _decode(data, max_pixels, np.asarray(background, np.float32))
    except Image.UnidentifiedImageError:
        raise ValueError(f"{path}: not an image of a known format ({', '.join(FORMATS)})") from None
    except (ValueError, OSError, SyntaxError, EOFError, struct.error, zlib.error, ImageCms.PyCMSError) as error:
        raise ValueError(f"{path}: {error}") from error
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError, RuntimeError) as error:
        raise ValueError(
            f"{path}: damaged file ({type(error).__name__}: {error})"
        ) from error  # what decoders trip over


def problems(paths, *, max_pixels=MAX_PIXELS):
    """Return {path: reason} of the files that `read` refuses."""

    def problem(path):
        try:
            read(path, max_pixels=max_pixels)
        except (ValueError, FileNotFoundError) as error:
            return str(error)

    with ThreadPoolExecutor() as pool:
        return {path: reason for path, reason in zip(paths, pool.map(problem, paths), strict=True) if reason}


def find(folder):
    """Return the image files in a folder and below, sorted by path. Raises FileNotFoundError when there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"a folder of images must exist. Received: {folder}")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"a folder must hold image files ({' '.join(SUFFIXES)}). Received: {folder}")
    return paths


def statistics(image):
    """Describe an image (H, W, 3) by what a super-resolution network can learn from it.

    entropy: of the grey histogram, in bits (0 to 8); gradient: mean squared difference of neighbouring grey levels, in
    levels of 255: how much detail there is per pixel.
    """
    grey = (image.astype(np.float64) @ [0.299, 0.587, 0.114]) * 255
    share = np.bincount(np.rint(grey.ravel()).astype(int), minlength=256) / grey.size
    share = share[share > 0]
    gradient = np.mean(np.diff(grey, axis=0) ** 2) + np.mean(np.diff(grey, axis=1) ** 2)
    height, width = image.shape[:2]
    return {"width": width, "height": height, "entropy": float(-share @ np.log2(share)), "gradient": float(gradient)}


def to_uint8(image):
    """Clip to [0, 1] and round half up to 0..255; uint8 passes through."""
    if image.dtype == np.uint8:
        return image
    return np.floor(np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def from_uint8(array):
    """Scale uint8 0..255 to float32 [0, 1]."""
    return np.divide(array, np.float32(255), dtype=np.float32)


def write(path, image, *, bits=8):
    """Write an RGB image (H, W, 3), uint8 or float in [0, 1] (clipped, rounded), as PNG with 8 or 16 bits per channel.

    The file appears under its name only when it is complete.
    """
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ValueError(f"an image is written as .png, without loss. Received: {path}")
    if bits not in (8, 16):
        raise ValueError(f"`bits` must be 8 or 16. Received: bits={bits}")
    if image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"`image` must be (H, W, 3). Received: shape={image.shape}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        if bits == 8:
            Image.fromarray(to_uint8(image)).save(temporary, format="PNG")
        else:
            image = from_uint8(image) if image.dtype == np.uint8 else image
            array = np.floor(np.clip(image.astype(np.float64), 0, 1) * 65535 + 0.5).astype(">u2")
            temporary.write_bytes(_png16(array))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _decode(data, max_pixels, background):
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise ValueError(f"a picture must have at most {max_pixels} pixels. Received: {width}x{height}")
        if picture.format == "PNG":
            with Image.open(io.BytesIO(data), formats=("PNG",)) as probe:
                probe.verify()  # the checksums, which decoding does not look at
        array = _sixteen_bit(picture, data)
        array = _eight_bit(picture) if array is None else _srgb16(array, picture.info.get("icc_profile"))
        orientation = picture.getexif().get(0x0112)  # read last: TIFF turns itself and drops the tag
    if array.shape[2] == 4:
        array, alpha = array[..., :3], array[..., 3:]
        array = array * alpha + background * (1 - alpha)
    array = UPRIGHT.get(orientation, lambda a: a)(array)
    return np.ascontiguousarray(array, np.float32)


def _eight_bit(picture):
    """Decode to float32 (H, W, 3 or 4) sRGB."""
    if picture.mode in ("I", "F"):
        raise ValueError(f"must hold 8 or 16 bits per channel. Received: 32-bit {picture.mode}")
    alpha = None
    if picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"))[..., None]
    profile = picture.info.get("icc_profile")
    if picture.mode not in ("L", "RGB", "CMYK", "LAB"):
        picture = picture.convert("L" if picture.mode == "1" else "RGB")
    if picture.mode == "LAB" and not profile:
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    if profile:
        picture = _to_srgb(picture, profile)
    array = np.asarray(picture.convert("RGB"))
    return from_uint8(array if alpha is None else np.concatenate([array, alpha], axis=2))


def _to_srgb(picture, profile):
    """Convert an 8-bit picture from its ICC profile; one that is sRGB within a level keeps its pixels."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space == "GRAY" and picture.mode == "RGB":
        picture = picture.convert("L")
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), picture.mode, "RGB")
    if picture.mode in ("L", "RGB"):
        grid = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(grid, grid, grid), axis=-1).reshape(27, 27, 3)
        probe = Image.fromarray(cube).convert(picture.mode)
        moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int) - np.asarray(probe.convert("RGB"))
        if np.abs(moved).max() <= 1:
            return picture
    return ImageCms.applyTransform(picture, transform)


def _sixteen_bit(picture, data):
    """Decode a file that declares 16 bits per channel to float32 (H, W, 3 or 4); return None for any other."""
    if not picture.tile:
        return None
    codec, _, offset, arguments = picture.tile[0][:4]
    raw = arguments if isinstance(arguments, str) else arguments[0]
    if picture.format == "PPM":
        maximum = 65535 if raw == "I;16B" else 255 if isinstance(arguments, str) else arguments[1]
        if maximum <= 255:
            return None
        if codec == "ppm_plain":
            raise ValueError(f"a plain-text PPM or PGM must have at most 255 levels. Received: {maximum}")
        shape = picture.height, picture.width, 3 if raw == "RGB" else 1
        array = np.frombuffer(data, ">u2", np.prod(shape), offset).reshape(shape).astype(np.float32) / maximum
        return array.clip(0, 1).repeat(3 // shape[2], axis=2)
    bits = max(picture.tag_v2.get(258, (1,))) if picture.format == "TIFF" else 16 if "16" in raw else 8
    if bits <= 8:
        return None
    transparent = picture.info.get("transparency")
    if picture.mode.startswith("I;16"):
        array = np.asarray(picture)[..., None].repeat(3, axis=2)
        if picture.format == "TIFF" and picture.tag_v2.get(262) == 0:  # white is zero
            array = 65535 - array
    elif raw == "LA;16B":  # four bytes per pixel, the width of RGBA
        high_low = _redecode(data, "RGBA").astype(np.uint16)
        array = (high_low[..., 0::2] << 8 | high_low[..., 1::2])[..., [0, 0, 0, 1]]
    elif raw[:-1] in ("RGB;16", "RGBA;16") and raw[-1] in "LBN":
        # Pillow keeps the high byte only. With the byte order swapped it gives the low one.
        low = _redecode(
            data, raw[:-1] + ("L" if raw[-1] == "B" or (raw[-1] == "N" and sys.byteorder == "big") else "B")
        )
        array = np.asarray(picture).astype(np.uint16) << 8 | low
    else:
        raise ValueError(f"this layout of {bits}-bit channels is not supported. Received: {raw}")
    if transparent is not None and array.shape[2] == 3:
        opaque = (array != np.asarray(transparent, array.dtype)).any(axis=2, keepdims=True)
        array = np.concatenate([array, opaque * np.uint16(65535)], axis=2)
    return array.astype(np.float32) / 65535


def _redecode(data, raw):
    """Decode again, taking the stored bytes for the layout `raw`."""
    with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
        arguments = picture.tile[0][3]
        arguments = raw if isinstance(arguments, str) else (raw, *arguments[1:])
        picture.tile = [type(tile)(*tile[:3], arguments) for tile in picture.tile]
        return np.asarray(picture)


def _srgb16(array, profile):
    """Convert float RGB from a matrix profile (ICC.1 section 8.3: curves, then colorants) to sRGB at full precision."""
    if not profile:
        return array
    tags = {}
    for i in range(struct.unpack_from(">I", profile, 128)[0]):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        tags[name] = profile[offset : offset + size]
    colour = array[..., :3]
    if profile[16:20] == b"RGB " and all(
        name in tags for name in (b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC")
    ):
        colorants = np.stack(
            [np.array(struct.unpack(">3i", tags[c + b"XYZ"][8:20])) / 65536 for c in (b"r", b"g", b"b")], 1
        )
        linear = np.stack([_curve(tags[c + b"TRC"], colour[..., i]) for i, c in enumerate((b"r", b"g", b"b"))], axis=-1)
        linear = linear @ (np.linalg.inv(SRGB_TO_XYZ) @ colorants).T
    elif profile[16:20] == b"GRAY" and b"kTRC" in tags:
        linear = _curve(tags[b"kTRC"], colour)
    else:
        raise ValueError("an ICC profile of a 16-bit picture must be made of curves and a matrix. Received: a table")
    linear = linear.clip(0, 1)
    colour = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.concatenate([colour, array[..., 3:]], axis=2).astype(np.float32)


def _curve(tag, x):
    """Evaluate an ICC tone curve ('curv' or 'para', ICC.1 sections 10.6 and 10.18) on values in [0, 1]."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        table = np.frombuffer(tag, ">u2", count, 12)
        if count < 2:
            return x ** (table[0] / 256) if count else x
        return np.interp(x, np.linspace(0, 1, count), table / 65535)
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = (1, 3, 4, 5, 7)[kind]
    g, a, b, c, d, e, f = (np.array(struct.unpack_from(f">{count}i", tag, 12)) / 65536).tolist() + [0.0] * (7 - count)
    if kind == 0:
        return x**g
    if kind < 3:  # below -b/a the curve is the constant c
        return np.clip(a * x + b, 0, None) ** g + c
    return np.where(x >= d, np.clip(a * x + b, 0, None) ** g + e, c * x + f)


def _png16(array):
    """Encode big-endian uint16 (H, W, 3) as PNG, each row as differences to its left neighbours (filter 1)."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    height, width = array.shape[:2]
    rows = array.view(np.uint8).reshape(height, width * 6)
    filtered = np.ones((height, 1 + width * 6), np.uint8)
    filtered[:, 1:7] = rows[:, :6]
    filtered[:, 7:] = rows[:, 6:] - rows[:, :-6]
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(filtered.tobytes())) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
