"""Losses that compare pixel by pixel, or neighbouring pixels."""

import math

from keras import ops


def as_float32(*tensors):
    """Cast tensors to float32, in which every loss is computed: means in half precision keep three digits at best."""
    return [ops.cast(tensor, "float32") for tensor in tensors]


def l1(hr, sr):
    """Mean absolute difference, the pixel loss of EDSR and ESRGAN. Returns a scalar >= 0."""
    hr, sr = as_float32(hr, sr)
    return ops.mean(ops.abs(hr - sr))


def mse(hr, sr):
    """Mean squared difference, the pixel loss of SRResNet (SRGAN, section 2.2.1). Returns a scalar >= 0."""
    hr, sr = as_float32(hr, sr)
    return ops.mean(ops.square(hr - sr))


def psnr(hr, sr):
    """Negative PSNR in dB, a mean over the images of a batch as benchmarks form it (HINet, Chen et al. 2021).

    An image that is nearly right weighs as much as one that is far off, where `mse` looks at the latter alone. The
    squared differences count from 1e-8 on, so the loss is at least -80 and its gradient finite for equal images.
    """
    hr, sr = as_float32(hr, sr)
    return 10 / math.log(10) * ops.mean(ops.log(ops.mean(ops.square(hr - sr), axis=(1, 2, 3)) + 1e-8))


def charbonnier(hr, sr, *, epsilon=1e-3):
    """Smooth L1, mean of sqrt(d^2 + epsilon^2) (LapSRN, section 3.3). Returns a scalar >= epsilon.

    Raises ValueError unless epsilon is positive: the gradient at d = 0 would not be finite.
    """
    if not epsilon > 0:
        raise ValueError(f"epsilon must be positive. Received: {epsilon}")
    hr, sr = as_float32(hr, sr)
    return ops.mean(ops.sqrt(ops.square(hr - sr) + epsilon**2))


def total_variation(sr):
    """Mean absolute difference of neighbouring pixels, vertically and horizontally. Returns a scalar >= 0."""
    [sr] = as_float32(sr)
    return ops.mean(ops.abs(sr[:, 1:] - sr[:, :-1])) + ops.mean(ops.abs(sr[:, :, 1:] - sr[:, :, :-1]))
