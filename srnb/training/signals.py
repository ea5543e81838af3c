"""Signals to a training: by USR1 a scheduler says, some time before it ends a job, that time is short; Ctrl-C and
Jupyter's stop button say that someone has seen enough."""

import signal
import threading
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """A training was told to end and has saved its state; a notebook says so in one line."""

    def _render_traceback_(self):  # IPython asks for it
        return [str(self)]


@contextmanager
def heard():
    """Yield an event that is set once the process gets USR1, which ends it at any other time, or a first Ctrl-C.

    A second Ctrl-C interrupts at once. The runner starts kernels with USR1 blocked, so one that came before is heard
    now, and later ones wait for the next training. Elsewhere than in the main thread nothing is ever heard, and USR1
    not on Windows; a Ctrl-C that somebody else has taken is theirs.
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
