"""What a long cell shows: one display, updated in place, if someone watches; a line of text at intervals in a batch.

The runner sets SRNB_HEADLESS=1 in the kernels it starts and passes their lines on to the terminal.
"""

import html
import os
import re
import sys
import time

_open = []  # the bars at work, outermost first: what is counted within one is a phase of it


class Progress:
    """Shows step, values, rate and time left of a task of `total` steps.

    A context manager; `start` is the number of steps that an earlier session has done:

        with progress.Progress(900, "pretrain") as bar:
            for step in range(1, 901):
                ...
                bar.update(step, loss=loss)

    Inside another `Progress` it becomes a phase of that one: `pretrain 200/900 · … · validating 2/4`.

    unit: what is counted, for the rate.
    view: function that returns HTML to show below the bar. It is called so rarely that it takes at most a hundredth of
        the time, and once more at the end, also in a batch.
    interval: minimum seconds between two displays; by default 1 if someone watches, 3 with a view, 5 in a batch.
    """

    def __init__(self, total, title, *, start=0, unit="steps", view=None, interval=None):
        self.total, self.title, self.unit, self.step, self.values = total, title, unit, start, {}
        self._watched, self._view, self._body = is_watched(), view, ""
        default = 5.0 if not self._watched else 3.0 if view else 1.0
        self._interval = interval if interval is not None else default
        self._handle, self._shown_at, self._shown_step, self._curve = None, -float("inf"), None, []
        self._first = self._last = None  # (step, seconds) of the first update and of the last
        self._slowest = (0, 0.0)  # steps and seconds of the slowest stretch between two updates
        self._phase, self._outer = "", None
        self._due, self.showing = 0.0, 0.0  # when the view may be drawn again; seconds spent on all that is shown

    def __enter__(self):
        if _open:
            self._outer = _open[-1]
            if self._watched:
                self._show()
            else:
                self._shown_at = time.perf_counter()
        _open.append(self)
        return self

    def __exit__(self, kind, error, traceback):
        _open.remove(self)
        if self._outer:
            return
        self._phase, self._due = "", 0.0
        if self._shown_step != self.step or kind or self._view:
            self._show("stopped" if kind else "", last=True)

    def phase(self, name):
        """Show what is going on, such as "compiling", until the next update.

        It is shown at once, or, inside another bar, once the interval has passed.
        """
        self._phase = name
        if not self._outer or time.perf_counter() - self._shown_at >= self._interval:
            self._show()

    def update(self, step, **values):
        """Record that `step` steps are done, with `values` to show (name -> number or text), the first as a curve."""
        now = time.perf_counter()
        if self._first is None:
            self._first = self._last = (step, now)
        stretch = (step - self._last[0], now - self._last[1])
        if stretch[1] > self._slowest[1]:
            self._slowest = stretch
        phase, self._phase = self._phase, ""
        self.step, self.values, self._last = step, values, (step, now)
        first = next(iter(values.values()), None)
        if isinstance(first, int | float):
            self._curve.append(float(first))
        if now - self._shown_at >= self._interval or (phase and self._watched and not self._outer):
            self._show()

    def line(self):
        """Return the state as one line: `pretrain 350/900 · pixel 0.0412 · 5.31 steps/s · 1:43 left`."""
        parts = [f"{self.title} {self.step}/{self.total}"]
        parts += [f"{name} {_number(value)}" for name, value in self.values.items()]
        rate = self._rate()
        if rate:
            parts.append(f"{_number(rate)} {self.unit}/s")
            if self.step < self.total:
                parts.append(f"{duration((self.total - self.step) / rate)} left")
        return " · ".join(parts)

    def _rate(self):
        """Return steps per second, 0 as long as it is not known.

        What comes before the first update is compilation. So is the slowest stretch after it where a step has two
        forms, as with several discriminator steps; elsewhere it is one validation, and its loss changes little.
        """
        if self._first is None:
            return 0.0
        steps = self._last[0] - self._first[0] - self._slowest[0]
        seconds = self._last[1] - self._first[1] - self._slowest[1]
        return steps / seconds if steps > 0 and seconds > 0 else 0.0

    def _show(self, note="", *, last=False):
        self._shown_at, self._shown_step = time.perf_counter(), self.step
        if self._outer:
            at = f"{self.title} {min(self.step + 1, self.total)}/{self.total}"
            self._outer.phase(" · ".join(filter(None, [at, self._phase])))
            return
        line = " · ".join(filter(None, [self.line(), note or (self._phase and f"{self._phase} …")]))
        if not self._watched:
            print(line, flush=True)
        if self._watched or (last and self._view and in_notebook()):
            self._display(line)

    def _display(self, line):
        from IPython.display import display

        began = time.perf_counter()
        curve = "" if self._view else _sparkline(self._curve)
        bar = (
            f'<div style="font-variant-numeric:tabular-nums"><progress value="{self.step}" max="{self.total}" '
            f'style="width:16em;vertical-align:middle"></progress> {curve} {html.escape(line)}</div>'
        )
        shown = {"text/html": bar + self._viewed(), "text/plain": line}
        if self._handle is None:
            self._handle = display(shown, raw=True, display_id=True)
        else:
            self._handle.update(shown, raw=True)
        self.showing += time.perf_counter() - began

    def _viewed(self):
        """Return the HTML of the view, updated if it is due."""
        began = time.perf_counter()
        if self._view and began >= self._due:
            self._body = self._view()
            now = time.perf_counter()
            self._due = now + 100 * (now - began)
        return self._body


def phase(name):
    """Show what is going on in the open bar, see `Progress.phase`; without one, nothing happens."""
    if _open:
        _open[-1].phase(name)


def track(items, title, *, total=None, unit="steps", interval=None):
    """Yield `items` and show how many are done; `total` is required if `items` has no length."""
    with Progress(len(items) if total is None else total, title, unit=unit, interval=interval) as bar:
        for step, item in enumerate(items, start=1):
            yield item
            bar.update(step)


def without_time_left(text):
    """Return printed lines of `Progress` without the time left, which means nothing to a later reader."""
    return re.sub(r" · [\d:]+ left\b", "", text)


def duration(seconds):
    """Return seconds as m:ss, or h:mm:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def is_watched():
    """Return whether this is the kernel of a notebook that was not started by the runner."""
    return os.environ.get("SRNB_HEADLESS") != "1" and in_notebook()


def in_notebook():
    """Return whether this is the kernel of a notebook, whoever started it."""
    return "IPython" in sys.modules and hasattr(sys.modules["IPython"].get_ipython(), "kernel")


def _number(value):
    if not isinstance(value, float):
        return str(value)
    if 1e4 <= abs(value) < 1e9:  # such as a rate of pixels, which reads worse as 1.46e+05
        return f"{value:,.0f}"
    return f"{value:#.4g}".rstrip(".") if 1e-3 <= abs(value) < 1e4 else f"{value:.3g}"


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
