"""What goes wrong in adversarial training, read from the log: a discriminator without use, colours that drift.

A symptom counts once it has lasted for `LINES` log lines, so that a single odd batch raises no alarm.
"""

from functools import cache

import numpy as np
from keras import ops

LINES = 5
COLOUR = 0.02  # of the range: 5 grey levels, the mean of a whole batch apart from its target
WON, LOST = 0.02, 0.98  # share of the loss of a discriminator that cannot tell real from made


def find(records, *, loss=None):
    """Return the symptoms that the last of `records` (dicts of a log, oldest first) completes, as sentences.

    loss: the adversarial loss, which says what the discriminator's loss is when it knows all and when nothing.
    What was there a line before is not repeated.
    """
    return [text for text in _present(records, loss) if text not in _present(records[:-1], loss)]


def _present(records, loss):
    recent = records[-LINES:]
    if len(recent) < LINES:
        return []
    found = []
    perfect, ignorant = _range(loss) if loss else (None, None)
    if perfect is not None and all("discriminator" in record for record in recent):
        shares = [(record["discriminator"] - perfect) / (ignorant - perfect) for record in recent]
        if max(shares) < WON:
            found.append("the discriminator has won: its loss is next to nothing, and so is what it teaches")
        if min(shares) > LOST:
            found.append("the discriminator has given up: its loss is that of one which cannot tell real from made")
    if min(record.get("colour_drift", 0.0) for record in recent) > COLOUR:
        found.append(f"colours drift: the mean of a batch is over {255 * COLOUR:.0f} grey levels off its target")
    return found


@cache
def _range(loss):
    """The discriminator's loss when it knows all, and the best that one constant logit gives; None without a bound."""

    def discriminator(real, fake):
        return float(loss(ops.full((1, 1), real), ops.full((1, 1), fake))[1])

    logits = np.array([-40.0, -20.0, -2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 20.0, 40.0])
    perfect = min(discriminator(real, fake) for real in logits for fake in logits)
    if (
        discriminator(40.0, -40.0) < discriminator(20.0, -20.0) - 1
    ):  # Wasserstein: a critic has no verdict to be sure of
        return None, None
    return perfect, min(discriminator(each, each) for each in logits)
