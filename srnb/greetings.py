"""TensorFlow logs to stderr while it is imported, whatever TF_CPP_MIN_LOG_LEVEL says: that is kept from readers."""

import importlib.util
import os
import re
import sys
import tempfile
from functools import partial
from importlib import abc

GREETING = re.compile(rb"(WARNING: All log messages before absl|I\d{4} |\d{4}-\d\d-\d\d [\d:.]+: I )[^\n]*\n?")


class _Finder(abc.MetaPathFinder):
    """Finds TensorFlow once, with a loader that imports it quietly."""

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            spec.loader.exec_module = partial(_quietly, spec.loader.exec_module)
        return spec


def withhold():
    """Let the first import of TensorFlow pass on to stderr what it says of warnings and errors alone."""
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


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
