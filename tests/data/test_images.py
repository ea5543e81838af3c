"""Reading against Pillow where Pillow is right, against the arrays that were written where it is not (16 bits)."""

import errno
import io
import os
import struct
import subprocess
import sys
import zlib

import malformed
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

from srnb.data import images

GENERATOR = np.random.default_rng(0)
RGB = GENERATOR.integers(0, 256, (14, 19, 3), np.uint8)
RGBA = np.concatenate([RGB, GENERATOR.integers(0, 256, (14, 19, 1), np.uint8)], axis=2)
DEEP = GENERATOR.integers(0, 65536, (14, 19, 4), np.uint16)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png16(array, *, profile=None, transparent=None):
    """A 16-bit PNG, unfiltered, written after the specification."""
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[array.shape[2]]
    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    extra = b"" if profile is None else chunk(b"iCCP", b"p\0\0" + zlib.compress(profile))
    extra += b"" if transparent is None else chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))
    body = chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def over_white(colour, alpha):
    return colour * alpha + (1 - alpha)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [
        *[(mode, "png") for mode in ("1", "L", "LA", "P", "RGB", "RGBA")],
        *[(mode, "tiff") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr")],
        *[(mode, "bmp") for mode in ("1", "L", "P", "RGB")],
        *[(mode, "gif") for mode in ("L", "P")],
        *[(mode, "ppm") for mode in ("1", "L", "RGB")],
        *[(mode, "jpeg") for mode in ("L", "RGB", "CMYK")],
        *[(mode, kind) for mode in ("RGB", "RGBA") for kind in ("webp", "avif")],
    ],
)
def test_eight_bit_formats(tmp_path, mode, kind):
    source = Image.fromarray(RGBA) if mode in ("LA", "RGBA") else Image.fromarray(RGB)
    path = tmp_path / "picture.dat"  # the name says nothing
    source.convert(mode).save(path, format=kind)
    expected = np.asarray(Image.open(path).convert("RGBA"), np.float32) / 255
    found = images.read(path)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_allclose(found, over_white(expected[..., :3], expected[..., 3:]), atol=1e-6)
    assert images.kind(path)[2] == 8
    if kind in ("png", "tiff", "bmp", "ppm") and mode not in ("P", "1"):
        assert images.kind(path)[:2] == (mode in ("L", "LA"), mode in ("LA", "RGBA"))


@pytest.mark.parametrize("side", [21, 53, 54, 55, 64, 387])
def test_eight_bits_are_not_guessed_from_strides_and_offsets(tmp_path, side):
    picture = Image.fromarray(GENERATOR.integers(0, 256, (side, side, 3), np.uint8))
    picture.save(tmp_path / "picture.bmp")
    picture.save(tmp_path / "picture.tiff", compression="tiff_lzw")
    for name in ("picture.bmp", "picture.tiff"):
        assert images.kind(tmp_path / name) == (False, False, 8)


@pytest.mark.parametrize("kind", ["gif", "png", "bmp", "tiff"])
@pytest.mark.parametrize("colour", [False, True])
def test_a_palette_of_greys_is_grey(tmp_path, kind, colour):
    picture = Image.fromarray(RGB).convert("RGB" if colour else "L").quantize(16)
    picture.save(tmp_path / f"picture.{kind}")
    assert images.kind(tmp_path / f"picture.{kind}") == (not colour, False, 8)


def test_the_kind_of_a_picture_beyond_pillows_limit(tmp_path):
    Image.new("1", (14000, 13000)).save(tmp_path / "large.png")
    assert images.kind(tmp_path / "large.png") == (True, False, 8)


TIFFS = {
    "tiff": {},
    "tiff big-endian": {"byteorder": ">"},
    "tiff deflate": {"compression": "deflate"},
    "tiff white is zero": {"photometric": "miniswhite"},
}


@pytest.mark.parametrize(
    ("kind", "bands"),
    [
        *[("png", n) for n in (1, 2, 3, 4)],
        *[(kind, n) for kind in TIFFS for n in (1, 3, 4) if n == 1 or "white" not in kind],
    ],
)
def test_sixteen_bits_are_kept(tmp_path, kind, bands):
    array, path = DEEP[..., :bands], tmp_path / "deep"
    if kind == "png":
        path.write_bytes(png16(array))
    else:
        options = {"photometric": "rgb" if bands > 2 else "minisblack", **TIFFS[kind]}
        tifffile.imwrite(path, array.squeeze(), extrasamples=["unassalpha"] if bands == 4 else None, **options)
    expected = array.astype(np.float64) / 65535
    if kind == "tiff white is zero":
        expected = 1 - expected
    if bands in (2, 4):
        expected = over_white(expected[..., :-1], expected[..., -1:])
    expected = np.broadcast_to(expected, (14, 19, 3))
    np.testing.assert_allclose(images.read(path), expected, atol=2e-7)
    assert images.kind(path) == (bands < 3, bands in (2, 4), 16)


def test_sixteen_bit_levels_stay_distinct(tmp_path):
    """A dark picture is not stretched, and 300 levels within one 8-bit level stay 300."""
    dark = np.arange(300, dtype=np.uint16).reshape(1, 300, 1).repeat(3, axis=2)
    (tmp_path / "dark.png").write_bytes(png16(dark))
    np.testing.assert_array_equal(np.rint(images.read(tmp_path / "dark.png") * 65535), dark)


@pytest.mark.parametrize("maximum", [100, 255, 1023, 65535])
@pytest.mark.parametrize("bands", [1, 3])
def test_netpbm_depths(tmp_path, maximum, bands):
    array = GENERATOR.integers(0, maximum + 1, (5, 7, bands)).astype(">u2" if maximum > 255 else "u1")
    header = f"P{5 if bands == 1 else 6}\n# made by hand\n7 5\n{maximum}\n".encode()
    (tmp_path / "picture.ppm").write_bytes(header + array.tobytes())
    expected = np.broadcast_to(array / maximum, (5, 7, 3))
    tolerance = 1e-6 if maximum >= 255 else 0.5 / 255
    np.testing.assert_allclose(images.read(tmp_path / "picture.ppm"), expected, atol=tolerance)
    assert images.kind(tmp_path / "picture.ppm") == (bands == 1, False, 16 if maximum > 255 else 8)


def test_transparent_colour_of_deep_png(tmp_path):
    key = DEEP[3, 4, :3]
    (tmp_path / "key.png").write_bytes(png16(DEEP[..., :3], transparent=key))
    found = images.read(tmp_path / "key.png", background=(0.2, 0.4, 0.6))
    np.testing.assert_allclose(found[3, 4], (0.2, 0.4, 0.6), atol=1e-6)
    np.testing.assert_allclose(found[0], DEEP[0, :, :3] / 65535, atol=1e-6)


def test_background_is_what_shines_through(tmp_path):
    Image.fromarray(RGBA).save(tmp_path / "alpha.png")
    alpha = RGBA[..., 3:] / 255
    expected = RGB / 255 * alpha + np.array([0.2, 0.4, 0.6]) * (1 - alpha)
    np.testing.assert_allclose(images.read(tmp_path / "alpha.png", background=(0.2, 0.4, 0.6)), expected, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp"])
def test_orientation_as_pillow_turns_it(tmp_path, orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    Image.fromarray(RGB).save(path, format=kind, exif=exif.tobytes())
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"), np.float32) / 255
    np.testing.assert_allclose(images.read(path), expected, atol=1e-6)
    assert images.read(path).shape[0] == (14 if orientation < 5 else 19)


def matrix_profile(gamma):
    """An ICC profile with Display P3 primaries and a pure gamma, written after ICC.1:2010."""
    fixed = lambda *values: struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(79),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249),
        b"rXYZ": b"XYZ \0\0\0\0" + fixed(0.51512, 0.24120, -0.00105),
        b"gXYZ": b"XYZ \0\0\0\0" + fixed(0.29198, 0.69225, 0.04189),
        b"bXYZ": b"XYZ \0\0\0\0" + fixed(0.15710, 0.06657, 0.78407),
        b"rTRC": gamma,
        b"gTRC": gamma,
        b"bTRC": gamma,
    }
    table, body = b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = 132 + len(table) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp") + bytes(28) + fixed(0.9642, 1.0, 0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


CURVES = {
    "gamma 1.8": b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(1.8 * 256), 0),
    "table": b"curv\0\0\0\0" + struct.pack(">I256H", 256, *(round((i / 255) ** 2.2 * 65535) for i in range(256))),
    "parametric": b"para\0\0\0\0"
    + struct.pack(">HH5i", 3, 0, *(round(v * 65536) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))),
}


@pytest.mark.parametrize("curve", CURVES)
def test_profile_of_8_and_16_bits(tmp_path, curve):
    """Eight bits as LittleCMS converts them; sixteen by our own matrix and curves, to the same within its rounding."""
    profile = matrix_profile(CURVES[curve])
    Image.fromarray(RGB).save(tmp_path / "eight.png", icc_profile=profile)
    (tmp_path / "sixteen.png").write_bytes(png16(RGB.astype(np.uint16) * 257, profile=profile))
    source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    expected = np.asarray(ImageCms.profileToProfile(Image.fromarray(RGB), source, target), np.float32) / 255
    eight, sixteen = images.read(tmp_path / "eight.png"), images.read(tmp_path / "sixteen.png")
    np.testing.assert_allclose(eight, expected, atol=1e-6)
    assert np.abs(eight - RGB / 255).max() > 0.02
    np.testing.assert_allclose(sixteen, expected, atol=1.6 / 255)


def test_srgb_profile_changes_nothing(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(RGB).save(tmp_path / "tagged.png", icc_profile=profile)
    np.testing.assert_array_equal(images.to_uint8(images.read(tmp_path / "tagged.png")), RGB)
    (tmp_path / "deep.png").write_bytes(png16(DEEP[..., :3], profile=profile))
    np.testing.assert_allclose(images.read(tmp_path / "deep.png"), DEEP[..., :3] / 65535, atol=1e-4)


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(RGB), Image.fromarray(255 - RGB)]
    for kind in ("gif", "webp", "png", "tiff"):
        options = {"lossless": True} if kind == "webp" else {}
        frames[0].save(tmp_path / "moving", format=kind, save_all=True, append_images=frames[1:], **options)
        first = np.asarray(Image.open(tmp_path / "moving").convert("RGB"))
        np.testing.assert_array_equal(images.to_uint8(images.read(tmp_path / "moving")), first)


def test_write_and_read_back(tmp_path):
    picture = GENERATOR.random((9, 11, 3), np.float32)
    images.write(tmp_path / "a" / "eight.png", picture)
    images.write(tmp_path / "sixteen.png", picture, bits=16)
    np.testing.assert_array_equal(images.to_uint8(images.read(tmp_path / "a" / "eight.png")), images.to_uint8(picture))
    np.testing.assert_allclose(images.read(tmp_path / "sixteen.png"), picture, atol=0.51 / 65535)
    np.testing.assert_array_equal(
        np.asarray(Image.open(tmp_path / "sixteen.png")), np.floor(picture * 65535.0 + 0.5).astype(int) >> 8
    )  # another reader agrees on the high byte
    images.write(tmp_path / "levels.png", RGB, bits=16)
    np.testing.assert_array_equal(images.to_uint8(images.read(tmp_path / "levels.png")), RGB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "levels.png", "sixteen.png"]


def test_write_refuses(tmp_path):
    for path, image, bits in (("a.jpg", RGB, 8), ("a.png", RGB[..., 0], 8), ("a.png", RGBA, 8), ("a.png", RGB, 12)):
        with pytest.raises(ValueError, match="Received"):
            images.write(tmp_path / path, image, bits=bits)
    assert not list(tmp_path.iterdir())


def test_rounding_is_half_up_and_defined_once():
    values = np.array([-1, 0, 0.5 / 255, 1.4999 / 255, 1.5 / 255, 1, 2], np.float64)
    assert images.to_uint8(values).tolist() == [0, 0, 1, 1, 2, 255, 255]
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(images.to_uint8(images.from_uint8(levels)), levels)
    assert images.from_uint8(levels).dtype == np.float32


def test_what_cannot_be_read_is_named(tmp_path):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no picture")
    Image.fromarray(RGB).save(tmp_path / "large.png")
    Image.fromarray(RGB[..., 0].astype(np.float32)).save(tmp_path / "float.tiff")
    tifffile.imwrite(
        tmp_path / "planes.tiff", DEEP[..., :3].transpose(2, 0, 1), photometric="rgb", planarconfig="separate"
    )
    (tmp_path / "plain.ppm").write_bytes(b"P3 1 1 1000 1 2 3")
    bomb = (
        chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bomb)
    reasons = {
        "empty.png": "empty",
        "text.jpg": "not an image",
        "float.tiff": "8 or 16 bits",
        "planes.tiff": "not supported",
        "plain.ppm": "255 levels",
        "bomb.png": "200000000 pixels",
        "missing.png": "must exist",
    }
    found = images.problems([tmp_path / name for name in (*reasons, "large.png")])
    assert {path.name for path in found} == set(reasons)
    for name, reason in reasons.items():
        assert reason in found[tmp_path / name] and str(tmp_path / name) in found[tmp_path / name]
    with pytest.raises(ValueError, match=r"at most 100 pixels\. Received: 19x14"):
        images.read(tmp_path / "large.png", max_pixels=100)


def test_what_libtiff_finds_is_the_reason_and_not_a_line_on_stderr(tmp_path, capfd):
    path = tmp_path / "damaged.tif"
    Image.fromarray(RGB).save(path, compression="tiff_lzw")
    whole = path.read_bytes()
    with Image.open(path) as picture:
        (start,), (length,) = picture.tag_v2[273], picture.tag_v2[279]
    path.write_bytes(whole[: start + 100] + bytes(length - 100) + whole[start + length :])
    assert images.problems([path])[path].startswith(f"{path}: libtiff: LZWDecode")
    assert capfd.readouterr().err == ""
    with Image.open(path) as picture, pytest.raises(OSError, match="decoder error"):
        picture.load()  # not by `images`: the message is not lost
    assert "libtiff: LZWDecode" in capfd.readouterr().err


def test_find_sorts_and_complains(tmp_path):
    with pytest.raises(FileNotFoundError, match="must hold image files"):
        images.find(tmp_path)
    for name in ("b.PNG", "a.jpg", "notes.txt", ".hidden.png", "below/c.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [str(path.relative_to(tmp_path)) for path in images.find(tmp_path)] == ["a.jpg", "b.PNG", "below/c.tif"]
    with pytest.raises(FileNotFoundError, match="must exist"):
        images.find(tmp_path / "nowhere")


def test_find_follows_links_without_going_round_and_leaves_hidden_folders_out(tmp_path):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "photographs"
    for path in (elsewhere / "a.png", folder / "own" / "b.png", folder / ".thumbnails" / "b.png"):
        path.parent.mkdir(parents=True)
        path.touch()
    (elsewhere / "back").symlink_to(folder)
    (folder / "linked").symlink_to(elsewhere)
    (folder / "own" / "up").symlink_to("..")
    assert [str(path.relative_to(folder)) for path in images.find(folder)] == ["linked/a.png", "own/b.png"]


def test_find_says_which_folder_it_cannot_list(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "a.png").touch()
    listed = os.scandir

    def refusing(path):
        if str(path).endswith("below"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)  # root may list everything
    with pytest.raises(PermissionError, match="below"):
        images.find(tmp_path)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (5, 1, 3)])
@pytest.mark.filterwarnings("error")
def test_statistics_of_a_line(shape):
    assert images.statistics(np.full(shape, 0.5, np.float32))["gradient"] == 0


def test_statistics_by_hand():
    flat, halves = np.full((4, 6, 3), 0.5, np.float32), np.zeros((4, 6, 3), np.float32)
    halves[:, 3:] = 1
    assert images.statistics(flat) == {"width": 6, "height": 4, "entropy": 0.0, "gradient": 0.0}
    found = images.statistics(halves)
    assert found["entropy"] == pytest.approx(1) and found["gradient"] == pytest.approx(255**2 / 5)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_malformed_files_are_refused_or_read_whole(tmp_path):
    """No crash, no hang. What is cut never passes; where there are checksums (PNG), nor does what was changed."""
    passed = 0
    for path, must_be_refused in malformed.write(tmp_path).items():
        try:
            found = images.read(path, max_pixels=10**6)
        except ValueError as error:
            assert str(path) in str(error), path.name
            continue
        passed += 1
        assert found.dtype == np.float32 and found.ndim == 3 and found.shape[2] == 3, path.name
        assert found.min() >= 0 and found.max() <= 1, path.name
        assert not must_be_refused, f"{path.name}: read though nothing whole was there"
    assert passed < 250


def test_malformed_png_is_read_only_as_what_it_was(tmp_path):
    passed = 0
    for kind, damage, content, whole in malformed.malformed():
        if kind == "PNG" and damage in malformed.MAY_BE_READ:
            (tmp_path / "damaged.png").write_bytes(content)
            (tmp_path / "whole.png").write_bytes(whole)
            try:
                found = images.read(tmp_path / "damaged.png")
            except ValueError:
                continue
            passed += 1
            np.testing.assert_array_equal(found, images.read(tmp_path / "whole.png"), damage)
    assert passed  # what follows its end is no part of the picture


def test_malformed_files_are_the_same_each_time(tmp_path):
    first, second = malformed.write(tmp_path / "1", 40), malformed.write(tmp_path / "2", 40)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [path.read_bytes() for path in first] != [path.read_bytes() for path in malformed.write(tmp_path, 40, 1)]


def test_only_regular_files_are_pictures(tmp_path):
    images.write(tmp_path / "good.png", np.zeros((8, 8, 3)))
    specials = {
        "link.png": lambda path: path.symlink_to(tmp_path / "nowhere"),
        "folder.png": lambda path: path.mkdir(),
        "pipe.png": os.mkfifo,
        "device.png": lambda path: path.symlink_to("/dev/zero"),
    }
    for name, create in specials.items():
        create(tmp_path / name)
        with pytest.raises(ValueError, match=f"regular file.*{name}"):
            images.find(tmp_path)
        (tmp_path / name).rmdir() if name == "folder.png" else (tmp_path / name).unlink()
    assert [path.name for path in images.find(tmp_path)] == ["good.png"]


def test_the_limit_of_pillow_stays_as_it_is_for_others(tmp_path, monkeypatch):
    program = "from PIL import Image; limit = Image.MAX_IMAGE_PIXELS; from srnb.data import images; "
    program += "print(limit == Image.MAX_IMAGE_PIXELS)"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout == "True\n"
    images.write(tmp_path / "large.png", np.zeros((30, 30, 3)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert images.read(tmp_path / "large.png").shape == (30, 30, 3)
