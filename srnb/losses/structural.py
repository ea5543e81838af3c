"""Losses that compare neighbourhoods under Gaussian windows: SSIM, MS-SSIM and their mix with L1.

A window extends to ceil(3 sigma) pixels. At a border its part inside the image is renormalised to sum 1, so that no
edge is invented there.
"""

import keras
from keras import ops

from srnb import backend
from srnb.losses.pixel import as_float32

ZHAO_SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)


def ssim(hr, sr, *, sigma=1.5):
    """1 - SSIM (Wang et al. 2004) with a Gaussian window, per channel, mean over pixels. Returns a scalar in [0, 2]."""
    _check_sigmas(sigma)
    luminance, contrast = _similarity(_planes(hr), _planes(sr), sigma)
    return 1 - ops.mean(luminance * contrast)


def ms_ssim(hr, sr, *, sigmas=ZHAO_SIGMAS):
    """1 - MS-SSIM at full resolution, with larger windows instead of smaller images (Zhao et al. 2017, section III-C).

    Luminance is compared at the largest sigma only. Contrast terms are clipped to at least 1e-6, since the sign of a
    product of negative ones would depend on their number. Returns a scalar in [0, 1].
    """
    _check_sigmas(*sigmas)
    return _ms_ssim(hr, sr, sigmas)


def mix(hr, sr, *, alpha=0.84, sigmas=ZHAO_SIGMAS):
    """Zhao et al. 2017, section III-D: alpha * MS-SSIM loss + (1 - alpha) * L1 weighted by the largest Gaussian.

    alpha = 0.84 is the paper's value, 0.025 that of the authors' released layer: treat it as a parameter to tune, or
    see `BalancedMix`. Returns a scalar >= 0. Raises ValueError for an alpha outside [0, 1].
    """
    _check_sigmas(*sigmas)
    _check_alphas(alpha)
    return _mix(hr, sr, alpha, sigmas)


class AdaptiveMix:
    """`mix` with an alpha and a largest sigma that change linearly from start to end over `steps` calls.

    alpha, sigma: (start, end); the five sigmas are spaced geometrically from 0.5 to the largest, and 8 gives
    ZHAO_SIGMAS. Each call is one step: call n, from 0, is at the fraction min(n / steps, 1) of the way, and the end
    values are kept from then on. The call count is a variable: a Python number, as in the system that this idea comes
    from, would be compiled in as a constant, and the schedule would have no effect. Sigma is not rounded to whole
    windows, which would make it jump or stay, so the number of scales is always five.
    """

    def __init__(self, *, steps, alpha=(0.5, 0.84), sigma=(2.0, 8.0)):
        if steps < 1:
            raise ValueError(f"steps must be 1 or more. Received: {steps}")
        _check_alphas(*alpha)
        if not min(sigma) >= ZHAO_SIGMAS[0]:
            raise ValueError(f"sigma must be at least that of the smallest window, 0.5. Received: {sigma}")
        self.steps, self.alpha, self.sigma = steps, alpha, sigma
        self.calls = keras.Variable(0, dtype="int32", trainable=False, name="adaptive_mix_calls")
        self.variables = [self.calls]

    def __call__(self, hr, sr):
        fraction = ops.minimum(ops.cast(self.calls, "float32") / self.steps, 1.0)
        self.calls.assign_add(1)
        alpha, largest = (start + fraction * (end - start) for start, end in (self.alpha, self.sigma))
        ratio = largest / ZHAO_SIGMAS[0]
        return _mix(hr, sr, alpha, [ZHAO_SIGMAS[0] * ratio**exponent for exponent in (0.0, 0.25, 0.5, 0.75, 1.0)])


class BalancedMix:
    """`mix` with an alpha that balances the gradients of both terms: alpha * |g_structure| = (1 - alpha) * |g_l1|.

    The norms are those of the gradients with respect to `sr`, over the whole batch. alpha is a moving average over
    batches, decay * alpha + (1 - decay) * new (the first call takes the new one), within `bounds`. It is kept in
    the variable `alpha`, which is 0 before the first call. Patches of photographs upscaled x4 by bicubic give 0.03,
    near the 0.025 of the authors' layer and far from the paper's 0.84.
    """

    def __init__(self, *, sigmas=ZHAO_SIGMAS, decay=0.99, bounds=(0.001, 0.999)):
        _check_sigmas(*sigmas)
        if not 0 <= decay < 1:
            raise ValueError(f"decay must be in [0, 1). Received: {decay}")
        if not 0 < bounds[0] <= bounds[1] < 1:
            raise ValueError(f"bounds must rise within (0, 1). Received: {bounds}")
        self.sigmas, self.decay, self.bounds = tuple(sigmas), decay, bounds
        self.alpha = keras.Variable(0.0, dtype="float32", trainable=False, name="balanced_mix_alpha")
        self.variables = [self.alpha]

    def __call__(self, hr, sr):
        [detached] = as_float32(ops.stop_gradient(sr))
        structure = _norm(backend.gradient(lambda x: _ms_ssim(hr, x, self.sigmas), detached))
        difference = _norm(backend.gradient(lambda x: _weighted_l1(hr, x, self.sigmas[-1]), detached))
        # without any gradient there is nothing to balance: both terms count alike
        new = ops.clip((difference + 1e-12) / (structure + difference + 2e-12), *self.bounds)
        old = ops.convert_to_tensor(self.alpha)
        alpha = ops.where(old > 0, self.decay * old + (1 - self.decay) * new, new)
        self.alpha.assign(alpha)
        return _mix(hr, sr, alpha, self.sigmas)


def _mix(hr, sr, alpha, sigmas):
    return alpha * _ms_ssim(hr, sr, sigmas) + (1 - alpha) * _weighted_l1(hr, sr, sigmas[-1])


def _ms_ssim(hr, sr, sigmas):
    hr, sr = _planes(hr), _planes(sr)
    product = 1.0
    for sigma in sigmas:  # from the smallest, so that the luminance of the largest is left
        luminance, contrast = _similarity(hr, sr, sigma)
        product = product * ops.maximum(contrast, 1e-6)
    return 1 - ops.mean(luminance * product)


def _weighted_l1(hr, sr, sigma):
    return ops.mean(_blur(ops.abs(_planes(hr) - _planes(sr)), sigma))


def _similarity(hr, sr, sigma):
    """Return the luminance and the contrast-structure map of SSIM under one Gaussian window, of planes in [0, 1].

    Both are computed as 1 minus a difference: (2ab + c) / (a^2 + b^2 + c) = 1 - (a - b)^2 / (a^2 + b^2 + c). This
    avoids the cancellation of two large numbers in the numerator.
    """
    c1, c2 = 0.01**2, 0.03**2
    # Variances do not change with a shift. Without it a GPU's TensorFloat-32 products leave 3 % of error in the
    # gradient, and 16 % in bright areas (emulated: 10 bits of mantissa); with it 0.2 %.
    shift = ops.mean(hr, axis=(2, 3), keepdims=True)
    difference, hr, sr = hr - sr, hr - shift, sr - shift
    mean_hr = _blur(hr, sigma)
    blurred = _blur(ops.stack([difference, ops.square(difference), ops.square(hr) + ops.square(sr)]), sigma)
    mean_difference, squares, energy = ops.unstack(blurred, 3)
    mean_sr = mean_hr - mean_difference
    variances = ops.maximum(energy - ops.square(mean_hr) - ops.square(mean_sr), 0.0)
    levels = ops.square(mean_hr + shift) + ops.square(mean_sr + shift)
    luminance = 1 - ops.square(mean_difference) / (levels + c1)
    return luminance, 1 - (squares - ops.square(mean_difference)) / (variances + c2)


def _blur(planes, sigma):
    """Filter (…, H, W) by a Gaussian: two products with banded matrices; `sigma` may be a tensor.

    Mix with its gradient, 16 patches of 96x96 on two cores: 0.06 s on TensorFlow and 0.13 s on JAX, where depthwise
    convolutions took 0.16 s and 2.3 s.
    """
    height, width = ops.shape(planes)[-2:]
    return ops.matmul(ops.matmul(_window(height, sigma), planes), ops.transpose(_window(width, sigma)))


def _window(size, sigma):
    """Return (size, size): row i holds the weights of pixels 0 … size - 1 for pixel i, with sum 1."""
    pixels = ops.arange(size, dtype="float32")
    distance = ops.abs(pixels - ops.expand_dims(pixels, 1))
    # below 3 sigma + 1 is up to ceil(3 sigma), but for a computed sigma that is a rounding error too large
    weights = ops.where(distance < 3 * sigma + 0.999, ops.exp(-0.5 * ops.square(distance / sigma)), 0.0)
    return weights / ops.sum(weights, axis=1, keepdims=True)


def _planes(images):
    """Return images (N, H, W, C) as float32 planes (N, C, H, W)."""
    return ops.transpose(ops.cast(images, "float32"), (0, 3, 1, 2))


def _norm(gradient):
    return ops.sqrt(ops.sum(ops.square(gradient)))


def _check_sigmas(*sigmas):
    if not sigmas or not min(sigmas) > 0 or list(sigmas) != sorted(sigmas):
        raise ValueError(f"sigmas must be positive, from the smallest to the largest. Received: {sigmas}")


def _check_alphas(*alphas):
    if not all(0 <= alpha <= 1 for alpha in alphas):
        raise ValueError(f"alpha must be in [0, 1]. Received: {alphas}")
