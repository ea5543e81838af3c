"""Signals to a training: by USR1 a scheduler says, some time before it ends a job, that time is short."""

import signal
import threading
from contextlib import contextmanager


@contextmanager
def usr1():
    """Yield an event that is set once the process gets USR1, which ends it at any other time.

    The runner starts kernels with USR1 blocked, so one that came before is heard now, and later ones wait for the next
    training. Elsewhere than in the main thread, and on Windows, nothing is ever heard.
    """
    heard = threading.Event()
    if not hasattr(signal, "SIGUSR1") or threading.current_thread() is not threading.main_thread():
        yield heard
        return
    earlier = signal.signal(signal.SIGUSR1, lambda number, frame: heard.set())
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    try:
        yield heard
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGUSR1, earlier)
