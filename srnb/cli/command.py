"""What all commands of `srnb` share: the group, its plain errors, options."""

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
    """Commands in the order in which they are written, not of the alphabet."""

    def list_commands(self, context):
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main():
    """Super-resolution workbook: run the notebooks, queue runs, look at what came out.

    \b
    srnb run                          the five notebooks with the preset `sample`, then the report
    srnb run --preset smoke           the same in a minute or two, to see that everything works
    srnb run 01 02 -p steps 500       two notebooks, one parameter changed
    srnb run --resume sample          go on where a run stopped
    srnb runs                         all runs side by side
    srnb upscale photo.jpg --model sample --out large
    srnb evaluate --model sample --sets Set5,Set14

    `srnb COMMAND --help` says more.
    """
    warnings.filterwarnings("ignore", module=r"PIL\.")  # what is wrong with a picture, `images.read` says


_stop = threading.Event()  # somebody has asked the running command to stop


def plainly(command):
    """Let a command end with one clear message instead of a traceback when its user can put things right.

    Exit codes: 1 after an error, 130 after Ctrl-C, and after SIGTERM and SIGHUP, which clean up like it.
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
            if isinstance(error, (ValueError, OSError)):
                raise click.ClickException(sentence(error)) from None
            raise

    return wrapped


@contextmanager
def terminated_like_interrupted():
    """Let SIGTERM and SIGHUP do what Ctrl-C does; in the main thread only.

    TensorFlow may turn the exception into another one, or drop it, while it traces a program; so it is remembered, too:
    see `stop_if_asked`.
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
    """Raise KeyboardInterrupt if one was asked for and got lost on its way; long loops call it."""
    if _stop.is_set():
        raise KeyboardInterrupt


def sentence(error):
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)


def chosen_backend(name):
    """Return the backend that a user named, or the environment, or TensorFlow."""
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
