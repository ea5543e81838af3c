"""Losses that compare pixel with pixel, or with its neighbours."""

from keras import ops


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
