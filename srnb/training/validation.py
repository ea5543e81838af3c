"""Validation during training: numbers for the log, the best weights so far, pictures of the progress."""

import numpy as np

from srnb.data import images
from srnb.evaluation.metrics import METRICS
from srnb.models import save_weights
from srnb.training import checkpoints


class Validation:
    """Measures a network; `measure` is the `validate` of `Trainer.fit`, which also describes `picture` and `best`.

    records: the lines of the log so far, from which a resumed training takes its best value.
    """

    def __init__(self, run, stage, *, records, measure=None, picture=None, best=None):
        self.run, self.stage, self.measure, self.picture, self.best = run, stage, measure, picture, best
        self.path = run.weights / f"{stage}-best.weights.h5"
        self.sign = -1 if best and METRICS[best].direction == "lower" else 1
        column = f"validation_{best}"
        self.value = max((record[column] for record in records if column in record), key=self._rank, default=None)
        if self.value is None:
            self.path.unlink(missing_ok=True)  # of an earlier training in this folder

    def __call__(self, step, network):
        """Measure, save picture and best weights, and return the numbers under their names in the log."""
        numbers = self.measure(network) if self.measure else {}
        if self.best:
            self._keep_best(step, numbers, network)
        if self.picture:
            images.write(self.run.figures / f"{self.stage}-{step:08d}.png", self.picture(network))
        return {f"validation_{name}": value for name, value in numbers.items()}

    def _rank(self, value):
        return self.sign * value

    def _keep_best(self, step, numbers, network):
        if self.best not in numbers:
            raise ValueError(f"best must be one of {', '.join(numbers)}. Received: {self.best}")
        value = numbers[self.best]
        if self.value is None or self._rank(value) > self._rank(self.value):
            self.value = value
            save_weights(network, self.path)
            entry = {"metric": self.best, "value": value, "step": step}
            self.run.update(best=self.run.read().get("best", {}) | {self.stage: entry})


def pictures(run, stage, *, count=5):
    """Return up to `count` of the pictures that `fit` kept, evenly spaced up to the last: {"step n": image}."""
    paths = checkpoints.kept(run.figures, stage, "png")
    chosen = sorted({round(index) for index in np.linspace(0, len(paths) - 1, min(count, len(paths)))})
    return {f"step {int(paths[index].stem[-8:])}": images.read(paths[index]) for index in chosen}
