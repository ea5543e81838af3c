"""Tiles that leave no seam and fit into memory, invisible pixels, the PNG file: the page's scripts in node."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from srnb import models
from srnb.reports.web import network


@pytest.mark.parametrize("size", [(1, 1), (256, 256), (5, 900), (4032, 3024), (777, 333)], ids=str)
@pytest.mark.parametrize(("margin", "workers", "pixels"), [(2, 1, 1e9), (19, 2, 60_000), (60, 8, 40_000)])
def test_tiles_cover_the_picture_once_and_see_all_that_counts(javascript, size, margin, workers, pixels):
    width, height = size
    tiles = javascript(f"planTiles({width}, {height}, {margin}, {workers}, {pixels})")
    seen = np.zeros((height, width), "uint8")
    for tile in tiles:
        left, top, right, bottom = (tile["window"][side] for side in ("left", "top", "right", "bottom"))
        seen[tile["top"] : tile["top"] + tile["height"], tile["left"] : tile["left"] + tile["width"]] += 1
        assert (left, top) == (max(tile["left"] - margin, 0), max(tile["top"] - margin, 0))
        assert right == min(tile["left"] + tile["width"] + margin, width)
        assert bottom == min(tile["top"] + tile["height"] + margin, height)
        assert (right - left) * (bottom - top) <= pixels
    assert (seen == 1).all()
    assert len(tiles) >= min(workers, width * height // 64**2)


def test_tiles_of_a_wide_picture_are_low(javascript):
    tiles = javascript("planTiles(8000, 700, 19, 2, 1e9, 131)")
    assert {tile["height"] for tile in tiles} <= set(range(1, 132)) and sum(
        tile["width"] * tile["height"] for tile in tiles
    ) == 8000 * 700


def test_memory_of_a_tile_is_known_beforehand(javascript, in_node):
    model = models.build("srresnet", blocks=2, width=16, skip="bilinear")
    description, _ = network.encode([model])
    floats = javascript(f"floatsPerPixel({json.dumps(description)})")
    small, large = (in_node([model], np.zeros((side, side, 3), "float32"))[1]["memory"] for side in (64, 192))
    needed = 4 * floats * (192**2 - 64**2)
    assert 0.9 * needed < large - small < 1.5 * needed  # what is freed leaves gaps


def test_tiles_give_what_the_whole_picture_gives(javascript, in_node):
    """The reach that the page works with is enough: a tile with its margin, against the same place of the whole."""
    model = models.build("srresnet", blocks=2, width=8, skip="bicubic")
    reach = network.encode([model])[0]["reach"]
    lr = np.random.default_rng(0).random((60, 70, 3), dtype=np.float32)
    whole, _ = in_node([model], lr)
    tile, _ = in_node([model], lr[24 - reach : 40 + reach, 24 - reach : 40 + reach])
    inner = slice(4 * reach, 4 * (reach + 16))
    np.testing.assert_array_equal(tile[inner, inner], whole[96:160, 96:160])


def test_invisible_pixels_take_the_nearest_visible_colour(javascript):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (30, 40, 4), dtype="uint8")
    pixels[..., 3] = 255 * (random.random((30, 40)) < 0.02)
    call = f"const pixels = Uint8Array.from({pixels.ravel().tolist()}); fillInvisible(pixels, 40, 30); pixels"
    filled = np.array(javascript(call)).reshape(30, 40, 4)
    visible = pixels[..., 3] > 0
    exact = ndimage.distance_transform_edt(~visible)
    colours = {tuple(pixels[place][:3]): place for place in zip(*np.nonzero(visible), strict=True)}
    origin = np.array([[colours[tuple(colour[:3])] for colour in row] for row in filled])
    own = np.hypot(*(origin - np.indices((30, 40)).transpose(1, 2, 0)).transpose(2, 0, 1))
    assert (abs(own - exact) < 1e-9).mean() > 0.98 and (own - exact).max() < 1
    np.testing.assert_array_equal(filled[..., 3], pixels[..., 3])


def test_where_nothing_is_visible_nothing_changes(javascript):
    pixels = [1, 2, 3, 0] * 4
    assert javascript(f"const pixels = Uint8Array.from({pixels}); fillInvisible(pixels, 2, 2); pixels") == pixels


@pytest.mark.parametrize("alpha", [False, True])
def test_png_is_what_pillow_reads(javascript, alpha):
    pixels = np.random.default_rng(0).integers(0, 256, (205, 13, 4), dtype="uint8")
    strips = [f"Uint8Array.from({part.ravel().tolist()})" for part in (pixels[:4], pixels[4:])]
    call = (
        f"(async () => {{ const png = createPng(13, 205, {str(alpha).lower()});"
        f"await png.write({strips[0]}); await png.write({strips[1]});"
        "return btoa(String.fromCharCode(...new Uint8Array(await (await png.finish()).arrayBuffer()))) })()"
    )
    picture = Image.open(io.BytesIO(base64.b64decode(javascript(call))))
    assert picture.mode == ("RGBA" if alpha else "RGB")
    np.testing.assert_array_equal(np.asarray(picture), pixels if alpha else pixels[..., :3])
