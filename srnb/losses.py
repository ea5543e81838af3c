"""Training losses: plain functions of arrays, one scalar out, mean over everything unless said otherwise.

Images are float32, RGB, NHWC, [0, 1]; `sr` may leave the range, nothing is clipped inside a training graph.
Content losses read `(hr, sr)`. Adversarial losses share one signature on logits, `(real_logits, fake_logits) ->
(generator_loss, discriminator_loss)`, so a training step never changes when the loss does. Weights of terms live with
the caller.
"""

from keras import ops

# Content ------------------------------------------------------------------------------------------------------------


def l1(hr, sr):
    """Mean absolute difference, the pixel loss of EDSR and ESRGAN. Returns a scalar >= 0."""
    return ops.mean(ops.abs(hr - sr))


def mse(hr, sr):
    """Mean squared difference, the pixel loss of SRResNet (SRGAN, section 2.2.1). Returns a scalar >= 0."""
    return ops.mean(ops.square(hr - sr))


def charbonnier(hr, sr, *, epsilon=1e-3):
    """Smooth L1, mean of sqrt(d^2 + epsilon^2) (LapSRN, section 3.3). Returns a scalar >= epsilon."""
    return ops.mean(ops.sqrt(ops.square(hr - sr) + epsilon**2))


def total_variation(sr):
    """Mean absolute difference of neighbours, down and across. Returns a scalar >= 0."""
    return ops.mean(ops.abs(sr[:, 1:] - sr[:, :-1])) + ops.mean(ops.abs(sr[:, :, 1:] - sr[:, :, :-1]))


def perceptual(hr, sr, *, features, distance=l1):
    """Distance between the feature maps of two images, averaged over the taps (Johnson et al., section 3.2).

    `features` maps images in [0, 1] to one map or a list of them, as `models.features.build` does. ESRGAN takes L1 on
    maps before the activation; SRGAN the squared distance after it, on maps divided by 12.75.
    """
    hr_maps, sr_maps = features(hr), features(sr)
    if not isinstance(hr_maps, list | tuple):
        hr_maps, sr_maps = [hr_maps], [sr_maps]
    return sum(distance(ops.stop_gradient(a), b) for a, b in zip(hr_maps, sr_maps, strict=True)) / len(hr_maps)


PIXEL = {"l1": l1, "mse": mse, "charbonnier": charbonnier}

# Adversarial --------------------------------------------------------------------------------------------------------


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
