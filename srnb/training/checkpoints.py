"""Checkpoints of a training: the values of its variables, and the parameters that a resumed training must share."""

import json
from contextlib import contextmanager

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from srnb import files


def save(path, variables, parameters):
    """Write the values of Keras variables, in the given order, and a dict for JSON, whole or not at all."""
    arrays = {name: np.asarray(variable.value) for name, variable in _named(variables).items()}
    with files.whole(path) as temporary:
        files.require_room(temporary, sum(array.nbytes for array in arrays.values()) + 1000 * (len(arrays) + 4))
        save_file(arrays, temporary, metadata={"parameters": json.dumps(parameters)})


def restore(path, variables, parameters):
    """Assign what `save` wrote.

    Raises ValueError, before anything is changed, if the file is damaged or if shapes or parameters differ.
    """
    with _opened(path) as file:
        stored, arrays = _parameters(file), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    variables = _named(variables)
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    differences = _differences(expected, shapes) + _differences(parameters, stored)
    if differences:
        raise ValueError(f"a checkpoint must come from the same training. Received: {path}: {'; '.join(differences)}")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def parameters(path):
    """Return the parameters of a checkpoint. Raises ValueError if the file is damaged."""
    with _opened(path) as file:
        return _parameters(file)


def kept(folder, stage, suffix="safetensors"):
    """Return the files <stage>-<step>.<suffix> of a folder, oldest first."""
    return sorted(folder.glob(f"{stage}-{'[0-9]' * 8}.{suffix}"))


def forget(folder, stage, *, after, suffix="safetensors"):
    """Delete the files <stage>-<step>.<suffix> of steps after step `after`."""
    for path in kept(folder, stage, suffix):
        if path.stem > f"{stage}-{after:08d}":
            path.unlink()


def forget_all_but(count, folder, stage):
    """Delete all checkpoints of a stage but the newest `count`, with the files of the log that belong to them."""
    for path in kept(folder, stage)[:-count]:
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink()


@contextmanager
def _opened(path):
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"a checkpoint must be whole. Received: {path} ({error})") from None


def _parameters(file):
    return json.loads((file.metadata() or {}).get("parameters", "{}"))


def _named(variables):
    return {f"{index:05d}": variable for index, variable in enumerate(variables)}


def _differences(expected, received):
    """Return a line for each of the first five entries in which two dicts differ."""
    names = [name for name in {**expected, **received} if expected.get(name) != received.get(name)]
    return [f"{name} is {received.get(name)}, not {expected.get(name)}" for name in names[:5]]
