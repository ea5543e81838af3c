"""The bytes of an image file -> float32 RGB: depth, transparency, colour profile, orientation; for `images.read`."""

import io
import struct
import sys

import numpy as np
from PIL import Image, ImageCms

from srnb.data import tiff

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "AVIF")

PROBE = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round().astype(np.uint8)] * 3), axis=-1).reshape(27, 27, 3)

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


def decode(data, max_pixels, background):
    """Decode the bytes of an image file to upright sRGB over `background`: float32 (H, W, 3) in [0, 1]."""
    with _opened(data) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise ValueError(f"a picture must have at most {max_pixels} pixels. Received: {width}x{height}")
        if picture.format == "PNG":
            with _opened(data, ("PNG",)) as probe:
                probe.verify()  # the checksums, which decoding does not look at
        elif picture.format == "TIFF":
            tiff.require_whole(data)
        with tiff.heard():
            array = _sixteen_bit(picture, data)
            array = _eight_bit(picture) if array is None else _srgb16(array, picture.info.get("icc_profile"))
        orientation = picture.getexif().get(0x0112)  # read last: TIFF turns itself and drops the tag
    if array.shape[2] == 4:
        array, alpha = array[..., :3], array[..., 3:]
        array = array * alpha + np.asarray(background, np.float32) * (1 - alpha)
    array = UPRIGHT.get(orientation, lambda a: a)(array)
    return np.ascontiguousarray(array, np.float32)


def kind(data):
    """Return (is grey, has transparency, bits per channel: 8 or 16) of the bytes of an image file.

    Grey is what a file declares, or a palette of greys alone: pixels are not looked at.
    """
    with _opened(data) as picture:
        bits = 16 if _depth(picture) > 8 else 8
        grey = picture.mode in ("1", "L", "LA", "La") or picture.mode[0] == "I"
        if picture.format == "PNG":  # Pillow opens 16-bit grey with alpha as RGBA
            grey |= _layout(picture) == "LA;16B"
        if picture.mode == "P":
            colours = np.reshape(picture.getpalette("RGB"), (-1, 3))
            grey = bool((colours == colours[:, :1]).all())
        return grey, _transparent(picture), bits


def _transparent(picture):
    return picture.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in picture.info


def _depth(picture):
    """Return the bits per channel that a file declares."""
    if picture.format == "TIFF":
        return max(picture.tag_v2.get(258, (1,)))
    if picture.format == "PPM":
        return 16 if _levels(picture) > 255 else 8
    return 16 if picture.format == "PNG" and "16" in _layout(picture) else 8


def _layout(picture):
    """Return what Pillow calls the raw mode: how the channels lie in the file."""
    arguments = picture.tile[0][3]
    return arguments if isinstance(arguments, str) else arguments[0]


def _levels(picture):
    """Return the largest value of a PPM or PGM."""
    arguments = picture.tile[0][3]
    return 65535 if _layout(picture) == "I;16B" else 255 if isinstance(arguments, str) else arguments[1]


def _opened(data, formats=FORMATS):
    """Open like Image.open, without its pixel limit: that one is global to the process, and `decode` has its own.

    Raises Image.UnidentifiedImageError.
    """
    Image.init()
    for name in formats:
        factory, accepts = Image.OPEN[name]
        accepted = accepts(data[:16]) if accepts else True
        if accepted and not isinstance(accepted, str):  # text says why a plugin cannot
            try:
                return factory(io.BytesIO(data), "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise Image.UnidentifiedImageError("no format knows these bytes")


def _eight_bit(picture):
    """Decode to float32 (H, W, 3 or 4) sRGB."""
    if picture.mode in ("I", "F"):
        raise ValueError(f"an image must hold 8 or 16 bits per channel. Received: mode {picture.mode}")
    alpha = None
    if _transparent(picture):
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
    array = array if alpha is None else np.concatenate([array, alpha], axis=2)
    return np.divide(array, np.float32(255), dtype=np.float32)


def _to_srgb(picture, profile):
    """Convert an 8-bit picture from its ICC profile; one that is sRGB within a level keeps its pixels."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    space = source.profile.xcolor_space.strip()
    if space == "GRAY" and picture.mode == "RGB":
        picture = picture.convert("L")
    transform = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), picture.mode, "RGB")
    if picture.mode in ("L", "RGB"):
        probe = Image.fromarray(PROBE).convert(picture.mode)
        moved = np.asarray(ImageCms.applyTransform(probe, transform)).astype(int) - np.asarray(probe.convert("RGB"))
        if np.abs(moved).max() <= 1:
            return picture
    return ImageCms.applyTransform(picture, transform)


def _sixteen_bit(picture, data):
    """Decode a file that declares 16 bits per channel to float32 (H, W, 3 or 4); return None for any other."""
    bits = _depth(picture)
    if bits <= 8:
        return None
    if bits > 16:
        raise ValueError(f"an image must hold 8 or 16 bits per channel. Received: {bits}")
    codec, _, offset = picture.tile[0][:3]
    raw = _layout(picture)
    if picture.format == "PPM":
        maximum = _levels(picture)
        if codec == "ppm_plain":
            raise ValueError(f"a plain-text PPM or PGM must have at most 255 levels. Received: {maximum}")
        shape = picture.height, picture.width, 3 if raw == "RGB" else 1
        array = np.frombuffer(data, ">u2", np.prod(shape), offset).reshape(shape).astype(np.float32) / maximum
        return array.clip(0, 1).repeat(3 // shape[2], axis=2)
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
        little = raw[-1] == "L" or (raw[-1] == "N" and sys.byteorder == "little")
        low = _redecode(data, raw[:-1] + ("B" if little else "L"))
        array = np.asarray(picture).astype(np.uint16) << 8 | low
    else:
        raise ValueError(f"this layout of {bits}-bit channels is not supported. Received: {raw}")
    if transparent is not None and array.shape[2] == 3:
        opaque = (array != np.asarray(transparent, array.dtype)).any(axis=2, keepdims=True)
        array = np.concatenate([array, opaque * np.uint16(65535)], axis=2)
    return array.astype(np.float32) / 65535


def _redecode(data, raw):
    """Decode again, taking the stored bytes for the layout `raw`."""
    with _opened(data) as picture:
        arguments = picture.tile[0][3]
        arguments = raw if isinstance(arguments, str) else (raw, *arguments[1:])
        picture.tile = [type(tile)(*tile[:3], arguments) for tile in picture.tile]
        return np.asarray(picture)


def _srgb16(array, profile):
    """Convert float RGB or RGBA from its ICC profile; one that is sRGB within an 8-bit level keeps its pixels."""
    if not profile:
        return array
    probe = PROBE / 255
    if np.abs(_from_profile(probe, profile) - probe).max() <= 1 / 255:
        return array
    return np.concatenate([_from_profile(array[..., :3], profile), array[..., 3:]], axis=2).astype(np.float32)


def _from_profile(colour, profile):
    """Convert float RGB from a profile of curves and a matrix (ICC.1:2010 section F.3) to sRGB, in full precision."""
    tags = {}
    for i in range(struct.unpack_from(">I", profile, 128)[0]):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        tags[name] = profile[offset : offset + size]
    bands = b"r", b"g", b"b"
    if profile[16:20] == b"RGB " and all(band + kind in tags for band in bands for kind in (b"XYZ", b"TRC")):
        colorants = np.stack([struct.unpack(">3i", tags[band + b"XYZ"][8:20]) for band in bands], axis=1) / 65536
        linear = np.stack([_curve(tags[band + b"TRC"], colour[..., i]) for i, band in enumerate(bands)], axis=-1)
        linear = linear @ (np.linalg.inv(SRGB_TO_XYZ) @ colorants).T
    elif profile[16:20] == b"GRAY" and b"kTRC" in tags:
        linear = _curve(tags[b"kTRC"], colour)
    else:
        raise ValueError("an ICC profile of a 16-bit picture must be made of curves and a matrix. Received: a table")
    linear = linear.clip(0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


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
