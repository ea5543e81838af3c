"""A few steps of a training without a run, to see how it starts."""

import itertools
import math

import pandas as pd

from srnb import progress


def rehearse(trainer, batches, *, steps, limit=math.inf, title="rehearsal"):
    """Train for some steps without a run, and return what they logged: a frame with one row per step.

    batches: as for `Trainer.fit`. title: of the progress bar. Stops early once the objective is not finite, or exceeds
    `limit` times its minimum so far; a minimum below zero, by as much as one of that size above zero. With the schedule
    "sweep" of `optimizers` this is the learning-rate range test of Smith 2017, section 3.3.
    """
    trainer.take_reference(batches)
    weights = {name: weight for name, (weight, _) in trainer.terms.items()}
    if trainer.adversarial:
        weights["adversarial"] = trainer.adversarial[0]
    rows, lowest = [], math.inf
    with progress.Progress(steps, title) as bar:
        bar.phase("compiling the training step")
        for step, (lr, hr) in enumerate(itertools.islice(batches(0), steps), 1):
            moves = trainer.generator_moves(step)
            logs = trainer.train_step(lr, hr, generator_moves=moves)
            rows.append({name: float(value) for name, value in logs.items()})
            ends = False
            if moves:
                total = sum(weight * rows[-1][name] for name, weight in weights.items())
                lowest = min(lowest, total)
                ends = not math.isfinite(total) or total - lowest > (limit - 1) * abs(lowest)
            if ends:
                bar.total = step  # nothing is left
            bar.update(step)
            if ends:
                break
    trainer.sync()
    return pd.DataFrame(rows)
