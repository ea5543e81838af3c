"""The log of a stage: each line holds the means over several steps, and the symptoms found in them."""

import json
import math
import time

import numpy as np

from srnb import runs
from srnb.training import symptoms

# logged, but no news for a progress line
UNSEEN = ("learning_rate", "images_per_second", "real_logit", "fake_logit", "colour_drift", "loss_scale", "notice")


class Log:
    """Collects what steps return, and writes one line for several of them.

    first: step from which the training goes on; later lines of an earlier training in the run's folder are dropped.
    loss: the adversarial loss, from which `symptoms` are judged.
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
        """Start a new line and its timer; `steps` are those that an earlier session has already collected for it."""
        self.steps, self.earlier, self.started = list(steps), len(steps), time.perf_counter()

    def keep(self, step):
        """Save the steps collected since the last line beside the checkpoint of `step`: the next line needs them.

        Raises FloatingPointError as `mean` does, and then saves nothing.
        """
        runs.write_json(self._path(step), self._finite())

    def kept(self, step):
        """Return the steps that `keep` saved at `step`, [] if there are none."""
        path = self._path(step)
        return json.loads(path.read_text("utf-8")) if path.is_file() else []

    def _path(self, step):
        return self.run.checkpoints / f"{self.stage}-{step:08d}.json"

    def add(self, step, values):
        """Collect what a step returned, name -> scalar tensor, without waiting for its computation."""
        self.steps.append((step, values))

    @property
    def news(self):
        """The values of the last line that belong in a progress line."""
        return {name: value for name, value in self.last.items() if name not in UNSEEN}

    def mean(self, *, batch_size):
        """Return the mean of each value over the collected steps, and images_per_second.

        Raises FloatingPointError, which names step and value, if one is not finite.
        """
        steps = self._finite()
        names = {name: None for _, values in steps for name in values}  # no terms of a generator that stood still
        record = {name: float(np.mean([values[name] for _, values in steps if name in values])) for name in names}
        seconds = time.perf_counter() - self.started
        return record | {"images_per_second": round((len(steps) - self.earlier) * batch_size / seconds, 2)}

    def _finite(self):
        """Return the collected steps with their values as numbers, or raise."""
        steps = [(step, {name: float(value) for name, value in values.items()}) for step, values in self.steps]
        for step, values in steps:
            broken = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
            if broken:
                raise FloatingPointError(f"every loss must stay finite. Received at step {step}: {', '.join(broken)}")
        return steps

    def write(self, step, record):
        """Write a line for `step`; new symptoms become its `notice` and are printed."""
        self.records = [*self.records, record][-symptoms.LINES - 1 :]
        notices = symptoms.find(self.records, loss=self.loss)
        if notices:
            record["notice"] = "; ".join(notices)
            print(f"{self.stage} {step}: {record['notice']}", flush=True)
        self.run.log({"stage": self.stage, "step": step, **record})
        self.last = record
