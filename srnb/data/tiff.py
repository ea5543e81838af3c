"""What Pillow does not say of a TIFF file: that it is cut off, and what libtiff finds wrong with its pixels."""

import ctypes
import struct
import sys
import threading
from contextlib import contextmanager, suppress

from PIL import Image

SIZES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}  # bytes by type; others 1

_thread = threading.local()  # `messages`: what libtiff has said of the picture that this thread decodes


def require_whole(data):
    """Raise ValueError if the first directory of a TIFF file, or a value in it, is cut off: Pillow only warns."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    number, head, entry = (f"{order}Q", 8, 20) if big else (f"{order}I", 2, 12)
    (start,) = struct.unpack_from(number, data, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", data, start)
    whole = len(data) >= start + head + count * entry
    for i in range(count if whole else 0):
        place = start + head + i * entry
        (kind,) = struct.unpack_from(f"{order}H", data, place + 2)
        (length,) = struct.unpack_from(number, data, place + 4)
        size = length * SIZES.get(kind, 1)
        inline = 8 if big else 4
        if size > inline:
            whole = whole and struct.unpack_from(number, data, place + entry - inline)[0] + size <= len(data)
    if not whole:
        raise ValueError("the file is truncated")


@contextmanager
def heard():
    """Raise ValueError with libtiff's own words if it finds an error in what is decoded inside.

    Pillow itself says "decoder error -2" or nothing at all, and libtiff prints the reason on stderr.
    """
    _thread.messages = messages = []
    try:
        yield
    except OSError:
        if not messages:
            raise
    finally:
        del _thread.messages
    if messages:
        raise ValueError("; ".join(messages[:3]))


@ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
def _hear(module, form, arguments):
    """Take an error of libtiff: the name of a function, and the format and the arguments of a printf."""
    text = ctypes.create_string_buffer(500)
    ctypes.CDLL(None).vsnprintf(text, len(text), form, ctypes.c_void_p(arguments))
    message = f"libtiff: {text.value.decode(errors='replace')}"
    if hasattr(_thread, "messages"):
        _thread.messages.append(message)
    else:  # a picture that is not ours
        print(message, file=sys.stderr)


if sys.platform != "win32":
    with suppress(AttributeError):  # a libtiff inside of Pillow cannot be reached, and goes on printing
        ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(_hear)
