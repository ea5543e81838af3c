"""What a long cell shows: one display that renews itself when someone watches, a line of text now and then in a batch.

The runner sets SRNB_HEADLESS=1 in the kernels it starts and passes their lines on to the terminal.
"""

import html
import os
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
        self._watched = _is_watched()
        self._interval = interval if interval is not None else (1.0 if self._watched else 5.0)
        self._handle, self._shown_at, self._shown_step, self._curve = None, -float("inf"), None, []
        self._base = (start, time.perf_counter())  # where the rate is measured from
        self._based = False

    def __enter__(self):
        self._base = (self.step, time.perf_counter())
        return self

    def __exit__(self, kind, error, traceback):
        if self._shown_step != self.step or kind:
            self._show("stopped" if kind else "")

    def update(self, step, **values):
        """Note that `step` steps are made; `values` (name -> number or text) stand beside it, the first as a curve."""
        self.step, self.values = step, values
        first = next(iter(values.values()), None)
        if isinstance(first, int | float):
            self._curve.append(float(first))
        if time.perf_counter() - self._shown_at >= self._interval:
            self._show()
        if not self._based:  # the first steps hold compilation: what follows is measured without them
            self._base, self._based = (step, time.perf_counter()), True

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
        seconds = time.perf_counter() - self._base[1]
        return (self.step - self._base[0]) / seconds if seconds > 0 else 0.0

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


def duration(seconds):
    """Return seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _is_watched():
    """Tell whether we are in a notebook's kernel that no runner started."""
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
