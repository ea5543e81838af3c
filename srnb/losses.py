"""Training losses: plain functions of arrays, one scalar out, mean over everything unless said otherwise.

Images are float32, RGB, NHWC, [0, 1]; `sr` may leave the range, nothing is clipped inside a training graph.
Content losses read `(hr, sr)`. Adversarial losses share one signature on logits, `(real_logits, fake_logits) ->
(generator_loss, discriminator_loss)`, so a training step never changes when the loss does. Weights of terms live with
the caller.
"""

import math

import numpy as np
from keras import ops

ZHAO_SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)

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


def ssim(hr, sr, *, sigma=1.5):
    """1 - SSIM (Wang et al. 2004) with a Gaussian window, per channel, mean over pixels. Returns a scalar in [0, 2].

    At borders the window is cut and renormalised, so no edge is invented there.
    """
    luminance, contrast = _similarity(hr, sr, sigma)
    return 1 - ops.mean(luminance * contrast)


def ms_ssim(hr, sr, *, sigmas=ZHAO_SIGMAS):
    """1 - MS-SSIM at full resolution with windows that grow (Zhao et al. 2017, equation 8). Returns a scalar in [0, 1].

    Luminance is compared at the largest sigma only. Contrast terms below 1e-6 count as that: a product of negative
    ones would change its sign with their number.
    """
    product = 1.0
    for sigma in sigmas:
        luminance, contrast = _similarity(hr, sr, sigma)
        product = product * ops.maximum(contrast, 1e-6)
    return 1 - ops.mean(luminance * product)


def mix(hr, sr, *, alpha=0.84, sigmas=ZHAO_SIGMAS):
    """Zhao et al. 2017, equation 12: alpha * MS-SSIM loss + (1 - alpha) * L1 weighted by the largest Gaussian.

    With windows renormalised at borders. alpha = 0.84 is the paper's; the authors' released layer has 0.025, so treat
    it as something to set. Returns a scalar >= 0.
    """
    return alpha * ms_ssim(hr, sr, sigmas=sigmas) + (1 - alpha) * ops.mean(_blur(ops.abs(hr - sr), sigmas[-1]))


def _similarity(hr, sr, sigma):
    """The luminance and the contrast-structure map of SSIM for one Gaussian window; data in [0, 1]."""
    c1, c2 = 0.01**2, 0.03**2
    hr_mean, sr_mean = _blur(hr, sigma), _blur(sr, sigma)
    variances = _blur(hr * hr, sigma) - hr_mean**2 + _blur(sr * sr, sigma) - sr_mean**2
    covariance = _blur(hr * sr, sigma) - hr_mean * sr_mean
    luminance = (2 * hr_mean * sr_mean + c1) / (hr_mean**2 + sr_mean**2 + c1)
    return luminance, (2 * covariance + c2) / (variances + c2)


def _blur(images, sigma):
    """Gaussian filter of radius 3 sigma, divided by the part of its window that lies inside the picture."""
    radius = math.ceil(3 * sigma)
    window = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2).astype("float32")
    inside = ops.ones_like(images[:1])

    def filtered(x):
        channels = x.shape[-1]
        for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
            kernel = np.tile(window.reshape(shape), (1, 1, channels, 1))
            x = ops.depthwise_conv(x, ops.convert_to_tensor(kernel), padding="same")
        return x

    return filtered(images) / filtered(inside)


def perceptual(hr, sr, *, features, distance=l1):
    """Distance between the feature maps of two images, averaged over the taps (Johnson et al., section 3.2).

    `features` maps images in [0, 1] to one map or a list of them, as `models.features.build` does. ESRGAN takes L1 on
    maps before the activation; SRGAN the squared distance after it, on maps divided by 12.75.
    """
    hr_maps, sr_maps = features(hr), features(sr)
    if not isinstance(hr_maps, list | tuple):
        hr_maps, sr_maps = [hr_maps], [sr_maps]
    return sum(distance(ops.stop_gradient(a), b) for a, b in zip(hr_maps, sr_maps, strict=True)) / len(hr_maps)


PIXEL = {"l1": l1, "mse": mse, "charbonnier": charbonnier, "ssim": ssim, "ms_ssim": ms_ssim, "mix": mix}

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
