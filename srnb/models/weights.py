"""Weights in files and between networks: saved and loaded strictly, interpolated, transferred."""

import json
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import h5py
import keras
import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

from srnb import files
from srnb.models.layers import SpectralNormalization

SPEC, HASHES = "spec", "hashes"  # keys in the header of a .safetensors file
ENTRY = 4096  # bytes that a variable takes in HDF5 beside its values, at most
RELATED = 0.2  # cosine between the kernels of two networks: near 1 after fine-tuning, near 0 for separate starts


def variables(model):
    """Return {name: variable} of a Functional model; names are layer/variable, prefixed by those of inner models."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found.update({f"{layer.name}/{name}": variable for name, variable in variables(layer).items()})
        else:
            wrapped = layer.layer.variables if isinstance(layer, SpectralNormalization) else []
            for variable in layer.variables:
                inside = variable.path.partition("/")[2]
                if any(variable is inner for inner in wrapped):  # in a copy its path does not begin with the wrapper
                    inside = f"{layer.layer.name}/{variable.name}"
                found[f"{layer.name}/{inside}"] = variable
    if len(found) != len(model.variables):
        raise ValueError(
            f"the variables of {model.name} must have names of their own. Received: {len(found)} names for "
            f"{len(model.variables)} variables"
        )
    return found


def save_weights(model, path, *, spec=None, hashes=None):
    """Save all weights to a .weights.h5 (Keras' own format) or .safetensors file, whole or not at all.

    spec: of the network, and hashes, {name: perceptual hash} of the photographs that it was trained on: a .safetensors
    file carries them in its header, see `spec_of` and `hashes_of`, and can so be handed on.
    """
    path, kind = Path(path), _kind(Path(path))
    with files.whole(path) as temporary:
        if kind == ".safetensors":
            values = {name: np.ascontiguousarray(variable.numpy()) for name, variable in variables(model).items()}
            _require_room(model, temporary)
            header = {key: json.dumps(value) for key, value in ((SPEC, spec), (HASHES, hashes)) if value}
            save_file(values, temporary, header or None)
        else:
            _save_h5(model, temporary)


def load_weights(model, path):
    """Load a file of `save_weights` into `model`.

    Raises ValueError with all differences unless names and shapes match, FileNotFoundError if there is no file.
    """
    path, kind = Path(path), _kind(Path(path))
    if not path.is_file():
        raise FileNotFoundError(f"a weight file must exist. Received: {path}")
    if kind == ".safetensors":
        with _whole(path), safe_open(path, "np") as file:
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  not a dict
        known = variables(model)
        _check({name: tuple(variable.shape) for name, variable in known.items()}, shapes, f"{path} and {model.name}")
        for name, array in arrays(path).items():
            known[name].assign(array)
        return
    with tempfile.TemporaryDirectory() as folder:  # Keras names the entries of its files by their order
        own = Path(folder) / "own.weights.h5"
        _save_h5(model, own)
        with _whole(path):
            shapes = _h5_shapes(path)
        _check(_h5_shapes(own), shapes, f"{path} and {model.name}")
    with _whole(path):
        model.load_weights(path)


def arrays(path):
    """Return {name: array} of a .safetensors file. Raises ValueError if it is damaged."""
    with _whole(path):
        return load_file(path)


def spec_of(path):
    """Return the spec that a .safetensors file carries, None if it carries none.

    Raises ValueError if the file is damaged.
    """
    return _carried(path, SPEC)


def hashes_of(path):
    """Return {name: perceptual hash} of the photographs that the network in a .safetensors file was trained on.

    {} if the file does not say. Raises ValueError if it is damaged.
    """
    return _carried(path, HASHES) or {}


def _carried(path, key):
    with _whole(path), safe_open(path, "np") as file:
        value = json.loads((file.metadata() or {}).get(key, "null"))
        if not isinstance(value, dict | None):
            raise ValueError(f"its {key} must be an object. Received: {type(value).__name__}")
    return value


def interpolate(a, b, alpha, *, into=None):
    """Return a new network with (1 - alpha) of the weights of `a` and alpha of those of `b`, 0 <= alpha <= 1.

    into: the result of an earlier call for `a` and `b`, to be changed in place and so not to be compiled again.

    This is ESRGAN's network interpolation (Wang et al. 2018, section 3.4) between a PSNR network and the GAN network
    that was fine-tuned from it. At 0 and 1 the weights are bit-identical to those of `a` and `b`. Raises ValueError
    unless both are the same network; warns if their weights look unrelated, since averaging the weights of separate
    trainings is meaningless.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in 0 … 1. Received: {alpha}")
    first, second = variables(a), variables(b)
    _check(
        {name: tuple(v.shape) for name, v in first.items()},
        {name: tuple(v.shape) for name, v in second.items()},
        f"{a.name} and {b.name}",
    )
    if _structure({**a.get_config(), "name": ""}) != _structure({**b.get_config(), "name": ""}):
        raise ValueError(f"{a.name} and {b.name} must be the same network. Received: equal weights, but other layers")
    first, second = ({name: variable.numpy() for name, variable in found.items()} for found in (first, second))
    likeness = _cosine(first, second)
    if likeness < RELATED:
        warnings.warn(
            f"interpolation needs one network fine-tuned from the other; {a.name} and {b.name} have kernels "
            f"with a cosine of {likeness:.2f}",
            stacklevel=2,
        )
    blend = into or keras.models.clone_model(a)
    for name, variable in variables(blend).items():
        ends = {0: first[name], 1: second[name]}
        variable.assign(ends[alpha] if alpha in ends else (1 - alpha) * first[name] + alpha * second[name])
    if alpha not in (0, 1):  # a mean of unit vectors is none, and its kernel has another
        for layer in blend._flatten_layers():
            if isinstance(layer, SpectralNormalization):
                layer.follow()
    return blend


def transfer(model, source):
    """Copy into `model` every weight of the network `source` whose name and shape match; return the other names.

    So a network can start from one of another scale, tail or depth. Raises ValueError if no weight matches.
    """
    ours, theirs = variables(model), variables(source)
    fitting = [name for name in ours if name in theirs and ours[name].shape == theirs[name].shape]
    if not fitting:
        raise ValueError(f"{model.name} must share weights with the network it starts from. Received: {source.name}")
    for name in fitting:
        ours[name].assign(theirs[name])
    return [name for name in ours if name not in fitting]


def differences(expected, received):
    """Return the differences between two dicts of name -> shape, a line for each name."""
    lines = [f"missing: {name} {expected[name]}" for name in expected if name not in received]
    lines += [f"unknown: {name} {received[name]}" for name in received if name not in expected]
    lines += [
        f"other shape: {name} must be {expected[name]}, is {received[name]}"
        for name in expected
        if name in received and expected[name] != received[name]
    ]
    return lines


@contextmanager
def _whole(path):
    """Add the path to the errors of libraries that cannot read a file and do not name it."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, SafetensorError) as error:
        raise ValueError(f"a weight file must be whole. Received: {path} ({error})") from None


def _save_h5(model, path):
    _require_room(model, path)
    model.save_weights(path)


def _require_room(model, path):
    files.require_room(path, 4 * model.count_params() + ENTRY * (len(model.variables) + 4))


def _check(expected, received, what):
    found = differences(expected, received)
    if found:
        raise ValueError(f"{what} must have the same weights. Received {len(found)} differences:\n" + "\n".join(found))


def _kind(path):
    for kind in (".weights.h5", ".safetensors"):
        if path.name.endswith(kind):
            return kind
    raise ValueError(f"a weight file must end in .weights.h5 or .safetensors. Received: {path}")


def _h5_shapes(path):
    shapes = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: shapes.update({name: item.shape}) if isinstance(item, h5py.Dataset) else None
        )
    return shapes


def _structure(config):
    """Return a model's config without initialisers and trainability, in which equal networks may differ."""
    ignored = ("trainable", "build_config", "shared_object_id")
    if isinstance(config, dict):
        return {
            key: _structure(value)
            for key, value in config.items()
            if key not in ignored and not key.endswith("_initializer")
        }
    return [_structure(value) for value in config] if isinstance(config, (list, tuple)) else config


def _cosine(first, second):
    """Return the cosine between the kernels of two networks, each taken as one vector."""
    product = lengths_a = lengths_b = 0.0
    for name, kernel in first.items():
        if kernel.ndim > 1 and name.endswith("kernel"):
            product += float(np.vdot(kernel, second[name]))
            lengths_a += float(np.vdot(kernel, kernel))
            lengths_b += float(np.vdot(second[name], second[name]))
    return product / max((lengths_a * lengths_b) ** 0.5, 1e-30)
