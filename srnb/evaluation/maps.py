"""Where a picture differs from another, and at which frequencies. Pictures are (H, W, 3) in [0, 1]."""

import numpy as np
from scipy import ndimage

from srnb.evaluation import metrics


def error(sr, hr, *, sigma=2.0):
    """Return the root mean squared error around each pixel, float32 (H, W), in grey levels (0-255).

    The mean is taken over the channels and a Gaussian window of `sigma` pixels.
    """
    squares = ((np.asarray(sr, "float64") - hr) ** 2).mean(axis=-1) * 255**2
    return np.sqrt(ndimage.gaussian_filter(squares, sigma)).astype("float32")


def lpips(sr, hr, *, net="alex"):
    """Return the map of LPIPS v0.1, float32 (H, W): the maps of its layers, enlarged to the picture and added.

    Its mean equals `metrics.lpips` except for the effect of enlarging at the borders.
    """
    from keras import ops

    total = 0.0
    for each in metrics.lpips_maps(sr, hr, net=net):
        total = total + ops.image.resize(each[..., None], hr.shape[:2], data_format="channels_last")[0, ..., 0]
    return ops.convert_to_numpy(total)


def spectrum(picture):
    """Return the radial power spectrum of a picture's luma: frequencies in cycles per pixel, up to 1/2, and power.

    Power is the mean squared magnitude over a ring of frequencies, of the largest central square under a Hann window.
    That of photographs falls roughly with the square of the frequency (Field 1987).
    """
    y = metrics.luma(np.asarray(picture, "float64") * 255)[..., 0]
    size = min(y.shape)
    top, left = ((side - size) // 2 for side in y.shape)
    y = y[top : top + size, left : left + size]
    window = np.hanning(size)
    power = abs(np.fft.fft2((y - y.mean()) * np.outer(window, window))) ** 2 / (window**2).sum() ** 2
    frequencies = np.fft.fftfreq(size)
    rings = np.rint(np.hypot(frequencies, frequencies[:, None]) * size).astype(int)
    count = size // 2 + 1
    sums = np.bincount(rings.ravel(), power.ravel())[1:count]
    return np.arange(1, count) / size, sums / np.bincount(rings.ravel())[1:count]
