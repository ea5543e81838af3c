"""Keras and TensorFlow are imported without their greetings and without what they import for others' sake.

TensorFlow logs to stderr while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says: that is kept from readers.

Where scikit-learn and JAX are installed, as they are beside `srnb`, Keras imports the one for `keras.wrappers`, and
with TensorFlow as its backend the other for a callback of Orbax and for `tf.lite`. None of these is used here, and an
import takes 4.0 seconds of CPU time and 574 MB without them, 5.7 and 741 with.
"""

import importlib.util
import os
import re
import sys
import tempfile
from functools import partial
from importlib import abc

GREETING = re.compile(rb"(WARNING: All log messages before absl|I\d{4} |\d{4}-\d\d-\d\d [\d:.]+: I )[^\n]*\n?")
# library: which modules try to import it and do without it where it is missing
SPARED = {
    "jax": ("keras.src.callbacks.orbax_checkpoint", "tensorflow.lite.python.util"),
    "sklearn": ("keras.src.wrappers.fixes", "keras.src.wrappers.sklearn_wrapper", "keras.src.wrappers.utils"),
}


class _Finder(abc.MetaPathFinder):
    """Finds TensorFlow with a loader that imports it quietly; does not find what is spared, for those that try it."""

    def __init__(self):
        self.tensorflow_found = False

    def find_spec(self, name, path=None, target=None):
        if name in SPARED and _importer() in SPARED[name]:
            raise ModuleNotFoundError(f"srnb spares its processes {name}, which {_importer()} tries", name=name)
        if name != "tensorflow" or self.tensorflow_found:
            return None
        self.tensorflow_found = True
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader.exec_module = partial(_quietly, spec.loader.exec_module)
        return spec


def prepare():
    """Let the coming imports of Keras and TensorFlow be light, and pass on only warnings and errors of the latter.

    `keras.wrappers` then says that scikit-learn is missing; import scikit-learn before `srnb` to use it.
    """
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


def _importer():
    """The name of the module whose import statement is at work, "" if the import comes from no Python code."""
    frame, name = sys._getframe(), __name__
    while frame and (name == __name__ or name.startswith("importlib.")):
        name, frame = frame.f_globals.get("__name__", ""), frame.f_back
    return name


def _quietly(execute, module):
    """Import a module while the file descriptor 2 is a file; what the file then holds goes on, without greetings."""
    try:
        stderr = os.dup(2)
    except OSError:  # a process without it
        return execute(module)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            execute(module)
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            log.seek(0)
            os.write(2, GREETING.sub(b"", log.read()))
