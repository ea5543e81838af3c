"""Several runs on one terminal: a line for each, updated in place."""

import shutil
import sys
import threading
from contextlib import contextmanager

from srnb.runner import chain


@contextmanager
def shown(begun, *, stream=None, interval=1.0):
    """Show the last line of each run's kernel, or how the run ended, on a terminal that supports ANSI escape codes.

    Lines are cut to its width. If there are more runs than lines, finished runs are left out first.
    """
    stream, ended = stream or sys.stdout, threading.Event()

    def renew():
        lines = _lines(begun, shutil.get_terminal_size())
        stream.write("".join(f"\x1b[2K{line}\n" for line in lines))
        stream.flush()
        return len(lines)

    def keep():
        count = 0
        while True:
            last = ended.is_set()
            stream.write(f"\x1b[{count}A" if count else "")
            count = renew()
            if last:
                return
            ended.wait(interval)

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _lines(begun, size):
    said = {run.name: _said(run) for run in begun}
    room = max(1, size.lines - 2)
    order = sorted(said, key=lambda name: said[name] in ("complete", "pending"))[:room]  # stable: in their order
    width = max(map(len, order))
    return [f"{name:<{width}}  {text}"[: size.columns - 1] for name, text in said.items() if name in order]


def _said(run):
    return chain.last_line(run) or run.read().get("status", "")
