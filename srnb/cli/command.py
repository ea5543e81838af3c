"""What all commands of `srnb` share: the group, plain error messages, options."""

import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import click

from srnb import files

BACKENDS = ("tensorflow", "jax")


class Group(click.Group):
    """A group that lists commands in the order of their definition instead of alphabetically."""

    def list_commands(self, context):
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main():
    """Super-resolution workbook: run the notebooks, queue runs, look at what came out.

    \b
    srnb run                      the five notebooks by the preset `sample`
    srnb run --preset smoke       a minute or two, to see that everything works
    srnb run 01 02 -p steps 500   two notebooks, one parameter changed
    srnb run --resume sample      go on where a run stopped
    srnb runs                     all runs side by side
    srnb upscale photo.jpg --model sample --out large
    srnb evaluate --model sample --sets Set5,Set14

    `srnb COMMAND --help` says more.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture, `images.read` says


_stop = threading.Event()  # somebody has asked the running command to stop


def plainly(command):
    """Decorate a command to end with one clear message instead of a traceback after an error that its user can fix.

    Exit codes: 1 after an error; 130 after Ctrl-C, SIGTERM and SIGHUP, which all clean up the same way.
    """

    @wraps(command)
    def wrapped(*args, **kwargs):
        _stop.clear()
        try:
            with terminated_like_interrupted():
                return command(*args, **kwargs)
        except (Exception, KeyboardInterrupt) as error:
            if _stop.is_set() or isinstance(error, KeyboardInterrupt):
                click.echo("Error: interrupted", err=True)
                sys.exit(130)
            piped = isinstance(error, BrokenPipeError)  # `| head` has seen enough, which click ends without a word
            if isinstance(error, (ValueError, OSError)) and not piped:
                raise click.ClickException(sentence(error)) from None
            raise

    return wrapped


@contextmanager
def terminated_like_interrupted():
    """Make SIGTERM and SIGHUP act like Ctrl-C; in the main thread only.

    TensorFlow may replace or drop the exception while it traces a program, so the request is also remembered, see
    `stop_if_asked`.
    """

    def interrupt(number, frame):
        _stop.set()
        raise KeyboardInterrupt(signal.Signals(number).name)

    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a shell's & ignores it, and so do we
        signals.append(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread():
        signals = []
    earlier = {number: signal.signal(number, interrupt) for number in signals}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def stop_if_asked():
    """Raise KeyboardInterrupt if one was requested but lost on its way; long loops call this."""
    if _stop.is_set():
        raise KeyboardInterrupt


def sentence(error):
    """Return an error as text for a user, an OSError as its reason and file."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def chosen_backend(name):
    """Return the backend `name`, by default that of $KERAS_BACKEND, else TensorFlow. Raises ValueError."""
    backend = name or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND must be {' or '.join(BACKENDS)}. Received: {backend}")
    return backend


results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=files.RESULTS,
    metavar="DIR",
    help="Where run folders live.  [default: results/ of the checkout]",
)
backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Backend of Keras.  [default: $KERAS_BACKEND, else tensorflow]",
)
