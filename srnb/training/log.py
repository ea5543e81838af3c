"""The log of a stage: a line holds the mean of each value over some steps, and what is wrong with the game."""

import json
import math
import time

import numpy as np

from srnb import runs
from srnb.training import symptoms

# logged, but no news for a progress line
UNSEEN = ("learning_rate", "images_per_second", "real_logit", "fake_logit", "colour_drift", "loss_scale", "notice")


class Log:
    """Collects what steps return and writes one line for several of them; `loss` is the adversarial one, for symptoms.

    What an earlier training of the run's folder logged after step `first` is forgotten.
    """

    def __init__(self, run, stage, *, first, loss=None):
        self.run, self.stage, self.loss = run, stage, loss
        run.truncate_log(stage, first)
        table = run.read_log()
        rows = [] if table.empty else [row for _, row in table[table["stage"] == stage].iterrows()]
        self.records = [row.dropna().to_dict() for row in rows]
        self.last = {}
        self.restart()

    def restart(self, steps=()):
        """Begin to collect, and to measure time, anew; `steps` are those that an earlier session has collected."""
        self.steps, self.earlier, self.started = list(steps), len(steps), time.perf_counter()

    def keep(self, step):
        """Write what is collected beside the checkpoint of a step between two lines: the next line needs it."""
        steps = [(each, {name: float(value) for name, value in values.items()}) for each, values in self.steps]
        runs.write_json(self._path(step), steps)

    def kept(self, step):
        """Return what `keep` wrote at a step, empty if it wrote nothing."""
        path = self._path(step)
        return json.loads(path.read_text("utf-8")) if path.is_file() else []

    def _path(self, step):
        return self.run.checkpoints / f"{self.stage}-{step:08d}.json"

    def add(self, step, values):
        """Take what a step returned; nothing waits for its result yet."""
        self.steps.append((step, values))

    @property
    def news(self):
        """The values of the last line that a progress line shows."""
        return {name: value for name, value in self.last.items() if name not in UNSEEN}

    def mean(self, *, batch_size):
        """Return the mean of each value over the collected steps, and the speed.

        Raises FloatingPointError at the first value that is not finite, and names it and its step.
        """
        steps = [(step, {name: float(value) for name, value in values.items()}) for step, values in self.steps]
        for step, values in steps:
            broken = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
            if broken:
                raise FloatingPointError(f"every loss must stay finite. Received at step {step}: {', '.join(broken)}")
        names = {name: None for _, values in steps for name in values}  # no terms of a generator that stood still
        record = {name: float(np.mean([values[name] for _, values in steps if name in values])) for name in names}
        seconds = time.perf_counter() - self.started
        return record | {"images_per_second": round((len(steps) - self.earlier) * batch_size / seconds, 2)}

    def write(self, step, record):
        """Write a line; the symptoms that it completes become its `notice` and are printed."""
        self.records = [*self.records, record][-symptoms.LINES - 1 :]
        notices = symptoms.find(self.records, loss=self.loss)
        if notices:
            record["notice"] = "; ".join(notices)
            print(f"{self.stage} {step}: {record['notice']}", flush=True)
        self.run.log({"stage": self.stage, "step": step, **record})
        self.last = record
