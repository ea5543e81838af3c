"""Signs of failing adversarial training, read from the log: a useless discriminator, drifting colours.

A symptom counts once it has lasted for `LINES` log lines, so that a single odd batch does not raise an alarm.
"""

from srnb import losses

LINES = 5
COLOUR = 0.02  # of the range: 5 grey levels, the mean of a whole batch apart from its target
WON, LOST = 0.02, 0.98  # share of the loss of a discriminator that cannot tell real from fake


def find(records, *, loss=None):
    """Return the symptoms that have become manifest with the last of `records`, as sentences.

    records: dicts of the log, oldest first. loss: the adversarial loss, whose bounds are the discriminator's loss when
    it is always right and when it is guessing. Symptoms that were manifest a line earlier are not repeated.
    """
    return [text for text in _present(records, loss) if text not in _present(records[:-1], loss)]


def _present(records, loss):
    recent = records[-LINES:]
    if len(recent) < LINES:
        return []
    sentences = []
    bounds = losses.bounds(loss)
    if bounds and all("discriminator" in record for record in recent):
        perfect, ignorant = bounds
        shares = [(record["discriminator"] - perfect) / (ignorant - perfect) for record in recent]
        if max(shares) < WON:
            sentences.append("the discriminator has won: its loss is next to nothing, and so is what it teaches")
        if min(shares) > LOST:
            sentences.append("the discriminator has given up: its loss is that of one which cannot tell real from fake")
    if min(record.get("colour_drift", 0.0) for record in recent) > COLOUR:
        sentences.append(f"colours drift: the mean of a batch is over {255 * COLOUR:.0f} grey levels off its target")
    return sentences
