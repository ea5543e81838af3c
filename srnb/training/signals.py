"""Signals that ask a training to save its state and stop: USR1 from a scheduler, Ctrl-C or Jupyter's stop button."""

import signal
import threading
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """A training was asked to stop and has saved its state; a notebook shows one line instead of a traceback."""

    def _render_traceback_(self):  # IPython asks for it
        return [str(self)]


@contextmanager
def heard():
    """Yield an event that is set when the process receives USR1 or a first Ctrl-C.

    A second Ctrl-C interrupts at once; outside of this context USR1 ends the process. The runner starts kernels with
    USR1 blocked, so one that came earlier takes effect now, and later ones wait for the next training. Signals are
    handled in the main thread only, USR1 not on Windows, and Ctrl-C not if something else handles it already.
    """
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def interrupt(number, frame):
        if told.is_set():
            raise KeyboardInterrupt
        told.set()

    handlers, mask = {}, None
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, interrupt)
    if hasattr(signal, "SIGUSR1"):
        handlers[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, lambda number, frame: told.set())
        mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    try:
        yield told
    finally:
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in handlers.items():
            signal.signal(number, handler)
