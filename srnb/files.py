"""Files on disk: the folders of a checkout and of the cache, and how a file is written whole or not at all."""

import ctypes
import errno
import os
import shutil
import sys
import time
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent  # the package is installed in place: its folders stand beside it
NOTEBOOKS = ROOT / "notebooks"
RESULTS = ROOT / "results"
DATA = ROOT / "data"

ABANDONED = 24 * 3600  # seconds after which a temporary file cannot belong to anyone who still writes it

UMASK = os.umask(0)  # can only be read by setting it, which is safe while there is one thread
os.umask(UMASK)


def presets(notebooks=NOTEBOOKS):
    """Return the folder of presets within a folder of notebooks."""
    return Path(notebooks) / "presets"


def grids(notebooks=NOTEBOOKS):
    """Return the folder of grids within a folder of notebooks."""
    return presets(notebooks) / "grids"


def cache():
    """Return the folder of files that can be made again, $SRNB_CACHE or ~/.cache/srnb, made if need be.

    Raises ValueError with the remedy if it cannot be made.
    """
    folder = Path(os.environ.get("SRNB_CACHE") or Path.home() / ".cache" / "srnb")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            "there must be a folder for decoded photographs and feature networks; set SRNB_CACHE to one that can be "
            f"made. Received: {folder} ({error.strerror})"
        ) from None
    return folder


@contextmanager
def whole(path):
    """Yield a temporary path beside `path`; the file or folder that is written there replaces `path` at the end.

    The parent folder is created. A file has the permissions that the user's umask gives. It is flushed to disk before
    it gets its name, so a power cut leaves the old one or the new one. After an error nothing is left; what a killed
    process has left is removed by a later write of the same name, once it is a day old. The temporary name keeps the
    suffixes of `path`, by which writers choose a format.
    Raises OSError, with `path` as the file name, if the disk is full.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f".{path.name[:80]}."
    _remove_abandoned(path.parent, start)
    temporary = path.with_name(start + uuid.uuid4().hex + "".join(path.suffixes[-2:])[-40:])
    try:
        yield temporary
        if temporary.is_file():
            with suppress(PermissionError):  # of a file system without permissions
                os.chmod(temporary, 0o666 & ~UMASK)  # safetensors makes files that nobody else may read
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
        if temporary.is_dir() and path.is_dir():
            _exchange(temporary, path)  # a folder cannot replace one that holds something
        else:
            os.replace(temporary, path)
    except OSError as error:
        if error.errno and error.filename in (None, str(temporary)):  # a full disk does not say whose file had no room
            error.filename = str(path)
        raise
    finally:
        _remove(temporary)


def is_plain(name):
    """Return whether a name is that of a single folder and can stand in a list with commas."""
    usual = name not in ("", ".", "..") and name == name.strip() and name.isprintable()
    return usual and not set(name) & set(",/\\")


def require_room(path, size):
    """Raise the OSError of a full disk, with `path` as its file, unless there is room for `size` bytes.

    For libraries that would otherwise name no file, or print tracebacks while they fail.
    """
    if shutil.disk_usage(Path(path).parent).free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def write_text(path, text):
    """Write a text file in UTF-8 with its line ends unchanged, whole or not at all."""
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def _exchange(first, second):
    """Swap two folders beside each other: atomically on Linux, elsewhere with a moment in which `second` is missing."""
    if sys.platform == "linux":
        here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE: see renameat2(2)
        rename = getattr(ctypes.CDLL(None), "renameat2", None)
        if rename and rename(here, os.fsencode(first), here, os.fsencode(second), swap) == 0:
            return
    aside = first.with_name(f"{first.name}.earlier")
    os.replace(second, aside)
    os.replace(first, second)
    os.replace(aside, first)


def _remove_abandoned(folder, start):
    for name in os.listdir(folder):
        ours = name.startswith(start) and len(name) >= len(start) + 32
        if ours and set(name[len(start) : len(start) + 32]) <= set("0123456789abcdef"):
            try:
                if time.time() - (folder / name).stat().st_mtime > ABANDONED:
                    _remove(folder / name)
            except FileNotFoundError:  # its writer has just given it its name
                continue


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    elif os.path.lexists(path):  # a read-only disk refuses to remove even what is not there
        path.unlink(missing_ok=True)
