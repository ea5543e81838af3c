"""Upscaling with a trained network: pictures and files of any size, in tiles, and the geometric self-ensemble."""

import math
from pathlib import Path

import keras
import numpy as np
from scipy import ndimage

from srnb import backend, models, runs
from srnb.data import images, png, resize
from srnb.evaluation.metrics import grey as to_grey
from srnb.models import shipped

BLEND = 8  # LR pixels over which two neighbouring tiles fade into each other
# RGB in [0, 1] to YCbCr of BT.601 in studio range: MATLAB's rgb2ycbcr, whose first row is `metrics.luma`
YCBCR = np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], "float32") / 255
YCBCR_OFFSET = np.array([16, 128, 128], "float32") / 255
LARGE = 192**2  # LR pixels from which on a network is compiled for one picture: it then keeps fewer maps in memory


def load(path):
    """Return a generator: the name of one that ships, a run's folder (its newest stage), or a weight file.

    A weight file is one of a run, or what others have published for PyTorch: .pth, .pt. Raises FileNotFoundError or
    ValueError when there is no such network.
    """
    if str(path) in shipped.names():
        return shipped.load(str(path))
    path = Path(path)
    if path.suffix in (".pth", ".pt"):
        return models.from_published(path)[0]
    if path.is_dir():
        found = [path / "weights" / f"{stage}.weights.h5" for stage in ("gan", "pretrained")]
        found = [file for file in found if file.is_file()]
        if not found:
            raise FileNotFoundError(f"a run folder must hold weights/gan.weights.h5 or pretrained. Received: {path}")
        path = found[0]
    if not path.is_file():
        raise FileNotFoundError(f"a model must be a run folder or a weight file in it. Received: {path}")
    record = runs.Run(path.parent.parent).read()
    if "generator" not in record:
        raise ValueError(f"weights must lie in a run folder whose run.json names the generator. Received: {path}")
    model = models.build(record["generator"])
    models.load_weights(model, path)
    return model


def scale(model):
    """Return how many times larger a network makes a picture."""
    return model.compute_output_shape((1, 16, 16, model.input_shape[-1]))[1] // 16


def upscale(model, lr, *, tile=192, overlap=None, ensemble=False, batch_size=1, progress=None):
    """Return `lr`, float (H, W, 3) in [0, 1], upscaled by `model`: float32 (scale H, scale W, 3), clipped to [0, 1].

    A picture larger than a tile goes through the network in tiles of `tile` pixels of `lr` (0: whole), each seen with
    `overlap` pixels around it. By default these cover the network's receptive field, and tiles change nothing; a
    network whose field has no bounds (attention, pooling over the picture) then takes the picture whole.
    `ensemble=True` takes the mean over the eight flips and turns of the picture (Lim et al. 2017). `batch_size` tiles
    go through the network together. `progress(done, total)` is called after each batch of tiles.
    `model` is a network of `srnb.models` or, with `overlap` given, any function of a batch (N, H, W, 3). A network of
    one channel gets the luma, Y of BT.601 in studio range; chroma is then enlarged by bicubic, as the papers do.
    """
    options = {"tile": tile, "overlap": overlap, "ensemble": ensemble, "batch_size": batch_size, "progress": progress}
    return np.concatenate(list(strips(model, lr, **options)))


def strips(model, lr, *, tile=192, overlap=None, ensemble=False, batch_size=1, progress=None):
    """Yield the result of `upscale` from top to bottom, one row of tiles at a time: memory for one row is enough."""
    if np.ndim(lr) != 3 or lr.shape[-1] != 3 or 0 in lr.shape or lr.dtype.kind != "f":
        raise ValueError(f"lr must have shape (height, width, 3) and be float. Received: {np.shape(lr)}, {lr.dtype}")
    if 0 < tile < 2 * BLEND or tile < 0 or (overlap or 0) < 0 or batch_size < 1:
        raise ValueError(
            f"tile must be 0 or at least {2 * BLEND}, overlap at least 0, batch_size at least 1. "
            f"Received: {tile}, {overlap}, {batch_size}"
        )
    options = {"tile": tile, "overlap": overlap, "ensemble": ensemble, "batch_size": batch_size, "progress": progress}
    if isinstance(model, keras.Model) and model.input_shape[-1] == 1:
        ycbcr = lr.astype("float32") @ YCBCR.T + YCBCR_OFFSET
        yield from _in_colour(_strips(model, ycbcr[..., :1], **options), ycbcr[..., 1:])
    else:
        yield from _strips(model, lr, **options)


def _in_colour(upscaled, chroma):
    """Turn strips of luma into RGB with the same rows of the enlarged chroma."""
    row = 0
    to_rgb = np.linalg.inv(YCBCR).T
    for strip in upscaled:
        ycbcr = np.concatenate([strip, _enlarged(chroma, row, strip)], axis=-1)
        row += len(strip)
        yield np.clip((ycbcr - YCBCR_OFFSET) @ to_rgb, 0, 1)


def _enlarged(image, row, strip):
    """Return the rows of the bicubic enlargement of `image` that lie where a strip lies, from `row` on."""
    factor = strip.shape[1] // image.shape[1]
    first, last = row // factor, (row + len(strip)) // factor
    above = min(first, 3)  # bicubic looks at two rows beyond
    return resize.imresize(image[first - above : last + 3], factor)[above * factor :][: len(strip)]


def _strips(model, lr, *, tile, overlap, ensemble, batch_size, progress):
    if tile and overlap is None and max(lr.shape) > tile:
        overlap = _reach(model)
    tile = tile if overlap is not None else max(lr.shape)
    (rows, height), (columns, width) = (_windows(length, tile, (overlap or 0) + BLEND // 2) for length in lr.shape[:2])
    forward = _forward(model, compiled=len(rows) * len(columns) > 1 or height * width > LARGE)
    done, carry = 0, None
    for *row, top in rows:
        canvas = None
        for first in range(0, len(columns), batch_size):
            batch = columns[first : first + batch_size]
            tiles = np.stack([lr[top : top + height, left : left + width] for *_, left in batch])
            outputs = _eightfold(forward, tiles) if ensemble else forward(tiles)
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

    What the file has is kept: transparency (enlarged by bicubic), a single grey channel, 16 bits per channel. The
    result is upright and sRGB. Raises what `images.read` raises.
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
    png.write(target, _layers(strips(model, lr, **options), lr, alpha, grey), bits=bits)


def _layers(upscaled, lr, alpha, grey):
    """Make strips of a picture grey again where it was, and add the same rows of the enlarged alpha."""
    row = 0
    for strip in upscaled:
        layers = [to_grey(strip) if grey else strip]
        if alpha is not None:
            layers.append(_enlarged(alpha, row, strip))
        row += len(strip)
        yield np.concatenate(layers, axis=-1) if len(layers) > 1 else layers[0]


def _reach(model):
    """Return the overlap at which tiles change nothing, or None where every pixel counts for all."""
    try:
        return models.receptive_field(model) // 2
    except ValueError:
        return None


def _windows(length, tile, margin):
    """Cut `length` pixels into equal shares of at most `tile`; return [(first, last, window start)], window size.

    All windows have one size, so that a network is compiled once. They reach `margin` pixels beyond their share, except
    where the picture ends: there the network meets the true border, as it would without tiles.
    """
    if length <= tile + 2 * margin:
        return [(0, length, 0)], length
    count, window = math.ceil(length / tile), tile + 2 * margin
    edges = [round(i * length / count) for i in range(count + 1)]
    starts = [min(max(first - margin, 0), length - window) for first in edges[:-1]]
    return list(zip(edges[:-1], edges[1:], starts, strict=True)), window


def _share(first, last, start, length, factor):
    """Return where a share lies in the upscaled picture and in its window (slices), and how it fades at its ends."""
    low, high = max(first - BLEND // 2, 0), min(last + BLEND // 2, length)
    position = low + (np.arange((high - low) * factor, dtype="float32") + 0.5) / factor
    fade = np.ones(len(position), "float32")
    if first > 0:
        fade *= np.clip((position - first) / BLEND + 0.5, 0, 1)
    if last < length:
        fade *= np.clip((last - position) / BLEND + 0.5, 0, 1)
    return slice(low * factor, high * factor), slice((low - start) * factor, (high - start) * factor), fade[:, None]


def _forward(model, *, compiled):
    """Return a function of a float batch that gives a float32 NumPy batch."""

    def checked(outputs):
        outputs = np.asarray(keras.ops.convert_to_numpy(outputs), "float32")
        if not np.isfinite(outputs).all():
            raise ValueError("The network must give finite values. Received: NaN or infinity; it is not usable")
        return outputs

    if not isinstance(model, keras.Model):
        return lambda batch: checked(model(batch))

    def infer(batch):
        return model(batch, training=False)

    if not compiled:
        return lambda batch: checked(infer(batch))
    step = backend.compile_step(infer, model.variables)

    def forward(batch):
        try:
            return checked(step(batch))
        finally:
            step.sync()

    return forward


def _eightfold(forward, batch):
    """Return the mean of the network's answers to the eight flips and turns of a batch, each turned back."""
    total = 0
    for turns in range(4):
        for flip in (1, -1):
            answer = forward(np.ascontiguousarray(np.rot90(batch, turns, (1, 2))[:, :, ::flip]))
            total = total + np.rot90(answer[:, :, ::flip], -turns, (1, 2))
    return total / 8
