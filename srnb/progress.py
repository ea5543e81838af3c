"""What a long cell shows: one display that renews itself when someone watches, a line of text now and then in a batch.

The runner sets SRNB_HEADLESS=1 in the kernels it starts and passes their lines on to the terminal.
"""

import html
import os
import re
import sys
import time


class Progress:
    """Show step, values, rate and time left of something that takes `total` steps.

    Use as a context manager, and `start` at the number of steps that an earlier session made:

        with progress.Progress(900, "pretrain") as bar:
            for step in range(1, 901):
                ...
                bar.update(step, loss=loss)

    interval: least seconds between two displays; by default 1 when someone watches, 5 in a batch.
    """

    def __init__(self, total, title, *, start=0, interval=None):
        self.total, self.title, self.step, self.values = total, title, start, {}
        self._watched = is_watched()
        self._interval = interval if interval is not None else (1.0 if self._watched else 5.0)
        self._handle, self._shown_at, self._shown_step, self._curve = None, -float("inf"), None, []
        self._first = self._last = None  # (step, seconds) of the first update and of the last
        self._slowest = (0, 0.0)  # steps and seconds of the slowest stretch between two updates
        self._phase = ""

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if self._shown_step != self.step or kind:
            self._show("stopped" if kind else "")

    def phase(self, name):
        """Say at once what takes long now, such as "compiling"; it is over with the next update."""
        self._phase = name
        self._show(f"{name} …")

    def update(self, step, **values):
        """Note that `step` steps are made; `values` (name -> number or text) stand beside it, the first as a curve."""
        now = time.perf_counter()
        if self._first is None:
            self._first = self._last = (step, now)
        stretch = (step - self._last[0], now - self._last[1])
        if stretch[1] > self._slowest[1]:
            self._slowest = stretch
        self.step, self.values, self._last = step, values, (step, now)
        first = next(iter(values.values()), None)
        if isinstance(first, int | float):
            self._curve.append(float(first))
        if now - self._shown_at >= self._interval or (self._phase and self._watched):
            self._show()
        self._phase = ""

    def line(self):
        """Return the state as one line: `pretrain 350/900 · pixel 0.0412 · 5.31 steps/s · 1:43 left`."""
        parts = [f"{self.title} {self.step}/{self.total}"]
        parts += [f"{name} {_number(value)}" for name, value in self.values.items()]
        rate = self._rate()
        if rate:
            parts.append(f"{_number(rate)} steps/s")
            if self.step < self.total:
                parts.append(f"{duration((self.total - self.step) / rate)} left")
        return " · ".join(parts)

    def _rate(self):
        """Return steps a second, 0 as long as nobody can know.

        What comes before the first update is compilation. So is the slowest stretch after it where a step has two
        forms, as with several discriminator steps; elsewhere it is one validation, and its loss changes little.
        """
        if self._first is None:
            return 0.0
        steps = self._last[0] - self._first[0] - self._slowest[0]
        seconds = self._last[1] - self._first[1] - self._slowest[1]
        return steps / seconds if steps > 0 and seconds > 0 else 0.0

    def _show(self, note=""):
        self._shown_at, self._shown_step = time.perf_counter(), self.step
        line = " · ".join(filter(None, [self.line(), note]))
        if not self._watched:
            print(line, flush=True)
            return
        from IPython.display import display

        bar = (
            f'<div style="font-variant-numeric:tabular-nums"><progress value="{self.step}" max="{self.total}" '
            f'style="width:16em;vertical-align:middle"></progress> {_sparkline(self._curve)} {html.escape(line)}</div>'
        )
        shown = {"text/html": bar, "text/plain": line}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)


def track(items, title, *, total=None, interval=None):
    """Yield `items`, showing how many are done; `total` is needed where `items` has no length."""
    with Progress(len(items) if total is None else total, title, interval=interval) as bar:
        for step, item in enumerate(items, start=1):
            yield item
            bar.update(step)


def without_time_left(text):
    """Return printed lines of `Progress` without the time that was left: nobody who reads them later has to wait."""
    return re.sub(r" · [\d:]+ left\b", "", text)


def duration(seconds):
    """Return seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def is_watched():
    """Tell whether we are in the kernel of a notebook that no runner started."""
    if os.environ.get("SRNB_HEADLESS") == "1" or "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return hasattr(shell, "kernel")


def _number(value):
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1e-3 or abs(value) >= 1e4 else f"{value:#.4g}".rstrip(".")
    return str(value)


def _sparkline(values, *, width=120, height=20):
    """Return a curve of `values`, thinned to one point per pixel, as inline SVG."""
    if len(values) < 2:
        return ""
    kept = values[:: max(1, len(values) // width)]
    low, high = min(kept), max(kept)
    points = " ".join(
        f"{index * width / (len(kept) - 1):.1f},{height - (value - low) / ((high - low) or 1) * height:.1f}"
        for index, value in enumerate(kept)
    )
    return (
        f'<svg width="{width}" height="{height}" style="vertical-align:middle;overflow:visible">'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.2"/></svg>'
    )
