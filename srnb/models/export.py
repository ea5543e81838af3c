"""Networks for other programs: ONNX, TensorFlow SavedModel, LiteRT; and for other people: safetensors with its spec."""

import errno
import importlib.util
import os
from pathlib import Path

import keras

from srnb import files
from srnb.models import weights

# format -> (Keras' name of it, how the path must end, backends that can write it)
FORMATS = {
    "onnx": ("onnx", ".onnx", ("tensorflow",)),
    "saved_model": ("tf_saved_model", "", ("tensorflow", "jax")),
    "litert": ("litert", ".tflite", ("tensorflow",)),
    "safetensors": (None, ".safetensors", ("tensorflow", "jax")),
}
NEEDED = {"onnx": ("tf2onnx", "onnx")}  # packages of the extra `export`


def format_of(path):
    """Return the format that the end of a path stands for, "saved_model" without one. Raises ValueError for others."""
    endings = {ending: format for format, (_, ending, _) in FORMATS.items()}
    suffix = Path(path).suffix
    if suffix not in endings:
        known = ", ".join(filter(None, endings))
        raise ValueError(f"an export must end in {known}, or be a folder without a suffix. Received: {path}")
    return endings[suffix]


def write(model, path, *, format="onnx", spec=None, hashes=None):
    """Write `model` to `path` for inference on float batches (N, H, W, channels), with N, H and W left open.

    "saved_model" writes a folder. "onnx" needs the extra `export` (tf2onnx). A LiteRT interpreter must be given the
    size by `resize_tensor_input`. "safetensors" is for this package: the weights, and in the header `spec`, from which
    it builds the network, and `hashes`, see `weights.save_weights`. Raises ValueError for a path with another suffix, a
    backend that cannot write the format, or a package that is missing, OSError if the disk is full.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}. Received: {format!r}")
    name, ending, backends = FORMATS[format]
    path = Path(path)
    if ending and path.suffix != ending:
        raise ValueError(f"an export as {format} must end in {ending}. Received: {path}")
    if not ending and path.suffix in [other for _, other, _ in FORMATS.values() if other]:
        raise ValueError(f"an export as {format} is a folder and must not end like a file. Received: {path}")
    if keras.backend.backend() not in backends:
        known = " or ".join(backends)
        raise ValueError(
            f"an export as {format} must run with KERAS_BACKEND={known}. Received: {keras.backend.backend()}"
        )
    missing = [name for name in NEEDED.get(format, ()) if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"an export as {format} must have {' and '.join(NEEDED[format])}: uv pip install {' '.join(missing)}. "
            f"Received: no {' and no '.join(missing)}"
        )
    if path.is_dir() and (ending or not (path / "saved_model.pb").is_file()):
        raise ValueError(f"an export as {format} must go to a new path or over an earlier export. Received: {path}")
    if format == "safetensors":
        weights.save_weights(model, path, spec=spec, hashes=hashes)
        return
    if format == "onnx":  # Keras refuses a network that has not been called since it was built
        model(keras.ops.zeros((1, 16, 16, model.input_shape[-1])))
    with files.whole(path) as temporary:
        try:
            model.export(temporary, format=name, verbose=False)
        except Exception as error:  # TensorFlow has one of its own for a full disk
            if os.strerror(errno.ENOSPC) in str(error):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from None
            raise
