"""Adversarial losses: `(real_logits, fake_logits) -> (generator_loss, discriminator_loss)`, logits of any shape."""

from keras import ops


def _cross_entropy(logits, target):
    """Binary cross-entropy with one target in [0, 1] for all logits, in the form that never overflows."""
    return ops.mean(ops.softplus(logits) - target * logits)


def vanilla(real_logits, fake_logits, *, real_target=1.0):
    """SRGAN's loss, the generator's part non-saturating: -log D(fake).

    `real_target` below 1 is one-sided label smoothing (Salimans et al., section 3.4); the fake target stays 0.
    """
    generator_loss = _cross_entropy(fake_logits, 1.0)
    return generator_loss, _cross_entropy(real_logits, real_target) + _cross_entropy(fake_logits, 0.0)


def least_squares(real_logits, fake_logits):
    """LSGAN with targets 1 and 0 (Mao et al., equation 9)."""
    generator_loss = ops.mean(ops.square(fake_logits - 1))
    return generator_loss, ops.mean(ops.square(real_logits - 1)) + ops.mean(ops.square(fake_logits))


def hinge(real_logits, fake_logits):
    """Hinge loss, as in SAGAN."""
    return -ops.mean(fake_logits), ops.mean(ops.relu(1 - real_logits)) + ops.mean(ops.relu(1 + fake_logits))


def relativistic_average(real_logits, fake_logits):
    """ESRGAN's loss: is this real more real than the average fake, and the other way round (equations 1 and 2)."""
    real = real_logits - ops.mean(fake_logits, axis=0, keepdims=True)
    fake = fake_logits - ops.mean(real_logits, axis=0, keepdims=True)
    generator_loss = _cross_entropy(real, 0.0) + _cross_entropy(fake, 1.0)
    return generator_loss, _cross_entropy(real, 1.0) + _cross_entropy(fake, 0.0)


ADVERSARIAL = {
    "vanilla": vanilla,
    "least_squares": least_squares,
    "hinge": hinge,
    "relativistic_average": relativistic_average,
}

# the losses whose generator part reads the real logits too
RELATIVISTIC = {relativistic_average}
