"""Where a picture differs from another, where losses push it, and its frequencies. Pictures are (H, W, 3) in [0, 1]."""

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


def gradients(losses):
    """Return a function of (hr, sr): name -> float32 (H, W, 3), the gradient of each loss with respect to `sr`.

    It asks `sr` to move against it. losses: name -> function of (hr, sr), batches of pictures, that returns a scalar.
    The function is compiled at its first call; on JAX it keeps the weights that networks in the losses have then.
    """
    from keras import ops

    from srnb import backend

    def step(hr, sr):
        return {name: backend.gradient(lambda sr, loss=loss: loss(hr, sr), sr) for name, loss in losses.items()}

    compiled = backend.compile_step(step, [])

    def ask(hr, sr):
        found = compiled(hr[None], sr[None])
        return {name: ops.convert_to_numpy(found[name])[0] for name in losses}

    return ask


def logits(discriminator, picture, *, window=64, compiled=None):
    """Return where a discriminator finds a picture real, float32 (H, W): its logit, the higher the more real.

    One that gives a map of logits is asked once. One that gives a single logit is asked for all squares of `window`
    pixels, an eighth of that apart; a pixel has the mean of those that it lies in. They are at most two thirds of the
    picture's smaller side.
    compiled: `backend.compile_network(discriminator)`, where it is asked more than once.
    """
    from keras import ops

    height, width = picture.shape[:2]
    ask = compiled or (lambda batch: [discriminator(batch, training=False)])
    if len(discriminator.output_shape) == 4:
        whole = picture[: height // 16 * 16, : width // 16 * 16]  # what a U-Net halves and doubles again
        maps = ops.convert_to_numpy(
            ops.image.resize(ask(whole[None])[0], whole.shape[:2], data_format="channels_last")
        )[0, ..., 0]
        missing = [(0, side - own) for side, own in zip((height, width), whole.shape[:2], strict=True)]
        return np.pad(maps.astype("float32"), missing, mode="edge")
    window = min(window, 2 * min(height, width) // 3)
    starts = [np.unique([*range(0, side - window, max(1, window // 8)), side - window]) for side in (height, width)]
    squares = [np.s_[top : top + window, left : left + window] for top in starts[0] for left in starts[1]]
    batch = np.stack([picture[square] for square in squares])
    values = ops.convert_to_numpy(ask(batch)[0]).astype("float32").ravel()
    total, count = np.zeros((2, height, width), "float32")
    for square, value in zip(squares, values, strict=True):
        total[square] += value
        count[square] += 1
    return total / count


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
