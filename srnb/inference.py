"""Upscaling with a trained network: pictures of any size in tiles, and the geometric self-ensemble."""

import math
from pathlib import Path

import keras
import numpy as np

from srnb import backend, models, runs

BLEND = 8  # LR pixels over which two neighbouring tiles fade into each other


def load(path):
    """Return the generator of a run: `path` is one of its weight files, or its folder, and then the newest stage's.

    Raises FileNotFoundError or ValueError when there is no such network.
    """
    path = Path(path)
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


def upscale(model, lr, *, tile=192, overlap=None, ensemble=False, batch_size=1, progress=None):
    """Return `lr`, float (H, W, 3) in [0, 1], upscaled by `model`: float32 (scale H, scale W, 3), clipped to [0, 1].

    A picture larger than a tile goes through the network in tiles of `tile` pixels of `lr` (0: whole), each seen with
    `overlap` pixels around it. By default these cover the network's receptive field, and tiles change nothing.
    `ensemble=True` takes the mean over the eight flips and turns of the picture (Lim et al. 2017). `batch_size` tiles
    go through the network together. `progress(done, total)` is called after each batch of tiles.
    `model` is a network of `srnb.models` or, with `overlap` given, any function of a batch (N, H, W, 3).
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
    tile = tile or max(lr.shape)
    if overlap is None:
        overlap = models.receptive_field(model) // 2 if max(lr.shape) > tile else 0
    (rows, height), (columns, width) = (_windows(length, tile, overlap + BLEND // 2) for length in lr.shape[:2])
    forward, done, carry = _forward(model, compiled=len(rows) * len(columns) > 1), 0, None
    for *row, top in rows:
        canvas = None
        for first in range(0, len(columns), batch_size):
            batch = columns[first : first + batch_size]
            tiles = np.stack([lr[top : top + height, left : left + width] for *_, left in batch])
            outputs = _eightfold(forward, tiles) if ensemble else forward(tiles)
            scale = outputs.shape[1] // height
            _, rows_here, fade_rows = _share(*row, top, lr.shape[0], scale)
            if canvas is None:
                canvas = np.zeros((len(fade_rows), lr.shape[1] * scale, 3), "float32")
            for (*column, left), output in zip(batch, outputs, strict=True):
                there, columns_here, fade_columns = _share(*column, left, lr.shape[1], scale)
                canvas[:, there] += output[rows_here, columns_here] * fade_rows[:, None] * fade_columns
            done += len(batch)
            if progress:
                progress(done, len(rows) * len(columns))
        if carry is not None:
            canvas[: len(carry)] += carry
        ready = len(canvas) if row[1] == lr.shape[0] else len(canvas) - BLEND * scale
        carry = canvas[ready:].copy()
        yield np.clip(canvas[:ready], 0, 1, out=canvas[:ready])


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


def _share(first, last, start, length, scale):
    """Return where a share lies in the upscaled picture and in its window (slices), and how it fades at its ends."""
    low, high = max(first - BLEND // 2, 0), min(last + BLEND // 2, length)
    position = low + (np.arange((high - low) * scale, dtype="float32") + 0.5) / scale
    fade = np.ones(len(position), "float32")
    if first > 0:
        fade *= np.clip((position - first) / BLEND + 0.5, 0, 1)
    if last < length:
        fade *= np.clip((last - position) / BLEND + 0.5, 0, 1)
    return slice(low * scale, high * scale), slice((low - start) * scale, (high - start) * scale), fade[:, None]


def _forward(model, *, compiled):
    """Return a function of a float batch that gives a float32 NumPy batch."""

    def checked(outputs):
        outputs = np.asarray(keras.ops.convert_to_numpy(outputs), "float32")
        if not np.isfinite(outputs).all():
            raise ValueError("The network must give finite values. Received: NaN or infinity; it is not usable")
        return outputs

    if not isinstance(model, keras.Model):
        return lambda batch: checked(model(batch))
    if not compiled:
        return lambda batch: checked(model(batch, training=False))
    step = backend.compile_step(lambda batch: model(batch, training=False), model.variables)

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
