"""HR -> LR: named, versioned degradations. uint8 in, uint8 out (as files hold it); float [0, 1] in, float of that kind out."""

import numpy as np

from srnb import resize


def degrade(hr, *, scale, name="bicubic", seed=0):
    """Degrade HR (..., H, W, C), H and W multiples of `scale`, to LR (..., H/scale, W/scale, C).

    `seed` matters to random degradations only. Raises ValueError for an unknown name or a size that is no multiple.
    """
    if name not in DEGRADATIONS:
        raise ValueError(f"`name` must be one of {sorted(DEGRADATIONS)}. Received: {name!r}")
    if hr.shape[-3] % scale or hr.shape[-2] % scale:
        raise ValueError(f"`hr` must be cropped to a multiple of {scale}. Received: shape={hr.shape}")
    return DEGRADATIONS[name]["function"](hr, scale, np.random.default_rng(seed))


def bicubic(hr, scale, generator):
    """MATLAB's imresize, the degradation of the classic benchmarks."""
    return resize.imresize(hr, 1 / scale)


DEGRADATIONS = {
    "bicubic": {"function": bicubic, "version": 1, "random": False},
}
