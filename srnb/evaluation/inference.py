"""Upscaling with a trained network: pictures and files, in tiles where they are large, and the self-ensemble."""

import math
from pathlib import Path

import keras
import numpy as np
import psutil
from scipy import ndimage

from srnb import backend, models, runs, shipped
from srnb.data import images, png, resize
from srnb.evaluation.metrics import grey as to_grey
from srnb.models import forward

BLEND = 8  # LR pixels over which two neighbouring tiles fade into each other
# RGB in [0, 1] to YCbCr of BT.601 in studio range: MATLAB's rgb2ycbcr, whose first row is `metrics.luma`
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], "float32") / 255
YCBCR_OFFSET = np.array([16, 128, 128], "float32") / 255
TILE = 192  # side of a tile of LR pixels for a function, of which nobody knows what it needs
MEMORY = 4 * 2**30  # bytes that maps may take where nothing is said, if that is not more than a quarter of what is free


def load(path):
    """Return a generator, given the name of one that ships, a run's folder (for its last stage), or a weight file.

    A weight file is one in a run's folder, a .safetensors that carries its spec, or a published one for PyTorch: .pth,
    .pt, .safetensors. Raises FileNotFoundError or ValueError if there is no such network.
    """
    return described(path)[0]


def described(path):
    """Return a generator and its spec, see `load`."""
    if str(path) in shipped.names():
        return _built(shipped.card(str(path))["spec"], shipped.file(str(path)))
    path = Path(path)
    if path.suffix in (".pth", ".pt"):
        return models.from_published(path)
    if path.is_dir():
        trained = runs.Run(path).generators()
        if not trained:
            raise FileNotFoundError(f"a run folder must hold weights/gan.weights.h5 or pretrained. Received: {path}")
        path = list(trained.values())[-1]
    if not path.is_file():
        raise FileNotFoundError(f"a model must be a run folder or a weight file in it. Received: {path}")
    spec = models.spec_of(path) if path.suffix == ".safetensors" else None
    spec = spec or runs.Run(path.parent.parent).read().get("generator")
    if not spec and path.suffix == ".safetensors":
        return models.from_published(path)
    if not spec:
        raise ValueError(f"weights must lie in a run folder whose run.json names the generator. Received: {path}")
    return _built(spec, path)


def _built(spec, path):
    try:
        model = models.build(spec)
    except ValueError as error:
        raise ValueError(f"the spec of {path} must be that of a network. Received: {error}") from None
    models.load_weights(model, path)
    return model, spec


def ends(path):
    """Return {name: network} for an argument of `load`: one network, or two that can be blended.

    Two are returned for a run with both stages, and for a shipped network that was trained from another one, which then
    comes first.
    """
    if str(path) in shipped.names():
        return {name: load(name) for name in (shipped.origin(str(path)), str(path)) if name}
    trained = runs.Run(path).generators()
    return {stage: load(file) for stage, file in trained.items()} or {Path(path).name.partition(".")[0]: load(path)}


def upscale(model, lr, **options):
    """Return `lr` upscaled by `model`: float32 (scale H, scale W, 3) in [0, 1]; `options` are those of `strips`."""
    return np.concatenate(list(strips(model, lr, **options)))


def luma(images):
    """Return what a network of one channel sees of RGB images (..., H, W, 3) in [0, 1]: Y of BT.601, (..., H, W, 1)."""
    return images @ YCBCR[:1].T + YCBCR_OFFSET[0]


def strips(
    model,
    lr,
    *,
    tile=None,
    overlap=None,
    memory=None,
    precision="float32",
    ensemble=False,
    batch_size=1,
    progress=None,
):
    """Yield `lr`, float (H, W, 3) in [0, 1], upscaled by `model`, from top to bottom, which saves memory.

    A strip is a row of tiles, float32 and clipped to [0, 1].
    model: a network of `srnb.models` or, with `overlap` given, any function of a batch (N, H, W, 3). A network with one
        channel gets the luma, Y of BT.601 in studio range; chroma is upscaled by bicubic, as in the papers.
    tile: the side of a tile in pixels of `lr`; 0 stands for the whole picture. By default a picture that needs more
        than `memory` is processed in tiles.
    overlap: pixels around each tile. By default they cover the network's receptive field, so that tiling changes
        nothing.
    memory: bytes, by default a quarter of the free memory, at most 4 GiB. The part before the upscaling of a network
        that sees the whole picture (attention, global pooling) is not tiled; raises ValueError, with the size that
        fits, if that needs more.
    precision: "float32", "bfloat16" or "auto", see `backend.precision`.
    ensemble: average over the eight flips and rotations of the picture (Lim et al. 2017).
    batch_size: the number of tiles per batch, after each of which `progress(done, total)` is called.
    """
    if np.ndim(lr) != 3 or lr.shape[-1] != 3 or 0 in lr.shape or lr.dtype.kind != "f":
        raise ValueError(f"lr must have shape (height, width, 3) and be float. Received: {np.shape(lr)}, {lr.dtype}")
    fits = tile in (None, 0) or tile >= 2 * BLEND
    if not fits or (overlap or 0) < 0 or batch_size < 1 or (memory is not None and memory <= 0):
        raise ValueError(
            f"tile must be 0 or at least {2 * BLEND}, overlap at least 0, batch_size at least 1, memory above 0. "
            f"Received: {tile}, {overlap}, {batch_size}, {memory}"
        )
    memory = memory or min(MEMORY, psutil.virtual_memory().available // 4)
    options = {"tile": tile, "overlap": overlap, "ensemble": ensemble, "batch_size": batch_size, "progress": progress}
    if not isinstance(model, keras.Model):
        yield from _strips(_Function(model), lr, **options)
        return
    network = _Network(model, backend.precision(precision), memory // (batch_size * (8 if ensemble else 1)))
    if model.input_shape[-1] == 1:
        ycbcr = lr.astype("float32") @ YCBCR.T + YCBCR_OFFSET
        yield from _in_colour(_of_whole_cells(network, ycbcr[..., :1], options), ycbcr[..., 1:])
    else:
        yield from _of_whole_cells(network, lr, options)


def _of_whole_cells(network, lr, options):
    """Yield the strips of `lr`, which the network sees continued by its mirror image to whole cells."""
    height, width = lr.shape[:2]
    beyond, row = (-height % network.cell, -width % network.cell), 0
    if not any(beyond):
        yield from _strips(network, lr, **options)
        return
    padded = np.pad(lr, [(0, beyond[0]), (0, beyond[1]), (0, 0)], "symmetric")
    for strip in _strips(network, padded, **options):
        factor = strip.shape[1] // padded.shape[1]
        rest = height * factor - row
        row += len(strip)
        if rest > 0:
            yield strip[:rest, : width * factor]


def _in_colour(upscaled, chroma):
    """Yield strips of luma as RGB, with the same rows of the upscaled chroma."""
    row = 0
    to_rgb = np.linalg.inv(YCBCR).T
    for strip in upscaled:
        ycbcr = np.concatenate([strip, _enlarged(chroma, row, strip)], axis=-1)
        row += len(strip)
        yield np.clip((ycbcr - YCBCR_OFFSET) @ to_rgb, 0, 1)


def _enlarged(image, row, strip):
    """Return the rows of the bicubic upscaling of `image` that belong to a strip, from `row` on."""
    factor = strip.shape[1] // image.shape[1]
    first, last = row // factor, (row + len(strip)) // factor
    above = min(first, 3)  # bicubic looks at two rows beyond
    return resize.imresize(image[first - above : last + 3], factor)[above * factor :][: len(strip)]


def _strips(network, lr, *, tile, overlap, ensemble, batch_size, progress):
    (rows, height), (columns, width) = network.tiles(lr.shape[:2], tile, overlap)
    answer = _checked(network)
    done, carry = 0, None
    for *row, top in rows:
        canvas = None
        for first in range(0, len(columns), batch_size):
            batch = columns[first : first + batch_size]
            tiles = np.stack([lr[top : top + height, left : left + width] for *_, left in batch])
            outputs = _eightfold(answer, tiles) if ensemble else answer(tiles)
            factor = outputs.shape[1] // height
            _, rows_here, fade_rows = _share(*row, top, lr.shape[0], factor)
            if canvas is None:
                canvas = np.zeros((len(fade_rows), lr.shape[1] * factor, outputs.shape[-1]), "float32")
            for (*column, left), output in zip(batch, outputs, strict=True):
                there, columns_here, fade_columns = _share(*column, left, lr.shape[1], factor)
                canvas[:, there] += output[rows_here, columns_here] * fade_rows[:, None] * fade_columns
            done += len(batch)
            if progress:
                progress(done, len(rows) * len(columns))
        if carry is not None:
            canvas[: len(carry)] += carry
        ready = len(canvas) if row[1] == lr.shape[0] else len(canvas) - BLEND * factor
        carry = canvas[ready:].copy()
        yield np.clip(canvas[:ready], 0, 1, out=canvas[:ready])


def upscale_file(model, source, target, **options):
    """Upscale an image file to a PNG file, strip by strip; `options` are those of `strips`.

    Transparency (upscaled by bicubic), a single grey channel and 16 bits per channel are kept. The result is upright
    and in sRGB. Returns its width and height. Raises what `images.read` raises.
    """
    lr = images.read(source, background=(0, 0, 0))
    grey, transparent, bits = images.kind(source)
    alpha = None
    if transparent:  # over black it reads colour * alpha, over white 1 - alpha more
        alpha = np.clip(1 - (images.read(source, background=(1, 1, 1)) - lr)[..., :1], 0, 1)
        lr = np.clip(lr / np.maximum(alpha, 1e-6), 0, 1)
        if 0 < np.count_nonzero(alpha) < alpha.size:  # what is invisible goes on as what is not: no fringe bleeds in
            nearest = ndimage.distance_transform_edt(alpha[..., 0] == 0, return_distances=False, return_indices=True)
            lr = lr[tuple(nearest)]
    return png.write(target, _layers(strips(model, lr, **options), alpha, grey), bits=bits)


def _layers(upscaled, alpha, grey):
    """Yield strips as grey if the picture was grey, with the same rows of the upscaled alpha."""
    row = 0
    for strip in upscaled:
        layers = [to_grey(strip) if grey else strip]
        if alpha is not None:
            layers.append(_enlarged(alpha, row, strip))
        row += len(strip)
        yield np.concatenate(layers, axis=-1) if len(layers) > 1 else layers[0]


def _windows(length, tile, margin, cell=1):
    """Divide `length` pixels into equal shares of at most `tile`; return [(first, last, window start)], window size.

    All windows have the same size, so that a network is compiled once. They extend `margin` pixels beyond their share,
    except at the border of the picture, which the network must see as it would without tiles. All of this is in whole
    cells, where `tile` and `margin` are not, in more.
    """
    tile, margin = (math.ceil(pixels / cell) * cell for pixels in (tile, margin))
    if length <= tile + 2 * margin:
        return [(0, length, 0)], length
    count, window = math.ceil(length / tile), tile + 2 * margin
    edges = [round(i * length / count / cell) * cell for i in range(count + 1)]
    starts = [min(max(first - margin, 0), length - window) for first in edges[:-1]]
    return list(zip(edges[:-1], edges[1:], starts, strict=True)), window


def _share(first, last, start, length, factor):
    """Return the slices of a share in the upscaled picture and in its window, and its weights, faded at the ends."""
    low, high = max(first - BLEND // 2, 0), min(last + BLEND // 2, length)
    position = low + (np.arange((high - low) * factor, dtype="float32") + 0.5) / factor
    fade = np.ones(len(position), "float32")
    if first > 0:
        fade *= np.clip((position - first) / BLEND + 0.5, 0, 1)
    if last < length:
        fade *= np.clip((last - position) / BLEND + 0.5, 0, 1)
    return slice(low * factor, high * factor), slice((low - start) * factor, (high - start) * factor), fade[:, None]


def _checked(network):
    """Return `network` with a check of its results."""

    def answer(batch):
        outputs = network(batch)
        if not np.isfinite(outputs).all():
            raise ValueError("The network must give finite values. Received: NaN or infinity; it is not usable")
        return outputs

    return answer


class _Function:
    """A function of a batch, with the interface of `_Network`."""

    cell = 1

    def __init__(self, function):
        self.function = function

    def __call__(self, batch):
        return np.asarray(keras.ops.convert_to_numpy(self.function(batch)), "float32")

    def tiles(self, shape, tile, overlap):
        side = max(shape) if tile == 0 or overlap is None else tile or TILE
        return tuple(_windows(length, side, (overlap or 0) + BLEND // 2) for length in shape)


class _Network:
    """A network that stays within `memory` bytes; its part after the upscaling has tiles of its own."""

    def __init__(self, model, precision, memory):
        self.model, self.memory, self.scale = model, memory, models.scale(model)
        self.body, *self.tail = forward.halves(model, precision)
        self.cell = math.lcm(*(half.cell for half in (self.body, *self.tail)))

    def tiles(self, shape, tile, overlap):
        """Return the rows and columns of tiles for a picture of this shape, each as from `_windows`."""
        reach = sum(half.reach for half in (self.body, *self.tail)) if overlap is None else overlap
        if not math.isfinite(reach):
            self._must_fit(shape)
            tile = 0
        margin = 0 if tile == 0 else math.ceil(reach) + BLEND // 2
        if tile is not None:
            return tuple(_windows(length, tile or max(shape), margin, self.cell) for length in shape)
        # what leaves the network is there twice, on the framework's side and as NumPy's, and then in a row of tiles
        values = 4 * self.scale**2 * self.model.output_shape[-1]

        def needs(height, width):
            return self.body.memory(height * width) + values * (2 * height * width + height * shape[1])

        return _fitting(shape, margin, needs, self.memory, self.cell)

    def _must_fit(self, shape):
        needed = self.body.memory(math.prod(shape))
        if needed > self.memory:
            linear, quadratic = self.body.linear, self.body.quadratic
            root = math.sqrt(linear**2 + 4 * quadratic * self.memory)
            pixels = int(2 * self.memory / (linear + root))  # of linear p + quadratic p² = memory
            side = math.isqrt(pixels)
            raise ValueError(
                f"a picture must fit into memory whole for {self.model.name}, which looks at all of it at once: about "
                f"{side}x{side} pixels in {self.memory / 2**30:.1f} GiB. Received: {shape[1]}x{shape[0]}, which need "
                f"{needed / 2**30:.1f} GiB"
            )

    def __call__(self, batch):
        maps = self.body.run(batch)
        if not self.tail:
            return np.asarray(keras.ops.convert_to_numpy(maps[0]), "float32")
        (tail,) = self.tail
        shape = batch.shape[1:3]
        (rows, height), (columns, width) = _fitting(
            shape, math.ceil(tail.reach), lambda *sides: tail.memory(math.prod(sides)), self.memory, self.cell
        )
        if (height, width) == shape:
            return np.asarray(keras.ops.convert_to_numpy(tail.run(*maps)[0]), "float32")
        outputs = np.empty((len(batch), *(side * self.scale for side in shape), self.model.output_shape[-1]), "float32")
        for first, last, top in rows:
            for begin, end, left in columns:
                part = tail.run(*(each[:, top : top + height, left : left + width] for each in maps))[0]
                rows_there, columns_there = _scaled(first, last, self.scale), _scaled(begin, end, self.scale)
                rows_here = _scaled(first - top, last - top, self.scale)
                columns_here = _scaled(begin - left, end - left, self.scale)
                part = keras.ops.convert_to_numpy(part)
                outputs[:, rows_there, columns_there] = part[:, rows_here, columns_here]
        return outputs


def _scaled(first, last, factor):
    return slice(first * factor, last * factor)


def _fitting(shape, margin, needs, memory, cell):
    """Return the rows and columns, as from `_windows`, of the cheapest tiles that fit into `memory`.

    `needs(height, width)` returns the bytes for a window. If none fits, the smallest is used.
    """
    sides = [
        [
            _windows(length, math.ceil(length / count), margin, cell)
            for count in range(1, max(length // (2 * BLEND), 1) + 1)
        ]
        for length in shape
    ]
    best = None
    for rows, height in sides[0]:
        for columns, width in sides[1]:
            fits = needs(height, width) <= memory
            cost = (not fits, len(rows) * len(columns) * height * width if fits else needs(height, width))
            if best is None or cost < best[0]:
                best = cost, (rows, height), (columns, width)
    return best[1:]


def _eightfold(forward, batch):
    """Return the mean over the eight flips and rotations of a batch, each result transformed back."""
    total = 0
    for turns in range(4):
        for flip in (1, -1):
            answer = forward(np.ascontiguousarray(np.rot90(batch, turns, (1, 2))[:, :, ::flip]))
            total = total + np.rot90(answer[:, :, ::flip], -turns, (1, 2))
    return total / 8
