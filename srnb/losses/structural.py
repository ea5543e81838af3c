"""Losses that compare neighbourhoods under Gaussian windows: SSIM, MS-SSIM and their mix with L1."""

import math

import numpy as np
from keras import ops

ZHAO_SIGMAS = (0.5, 1.0, 2.0, 4.0, 8.0)


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
