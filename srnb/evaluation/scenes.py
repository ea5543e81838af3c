"""Held-out photographs as scenes: what goes in, what should come out, and what each model makes of it."""

import time
from collections import Counter
from functools import partial
from pathlib import Path

from srnb.data import degrade, images, resize


def bicubic(lr, scale):
    """Return `lr` enlarged by MATLAB's bicubic in 8 bit, the baseline of every table."""
    return images.from_uint8(resize.imresize(images.to_uint8(lr), scale))


def pictures(models, pairs, *, scale, degradation="bicubic", seed=0):
    """Yield for each pair of files a dict of what there is to compare: image, lr, hr, grey, sr and seconds by model.

    `models` is a dict of name -> network or function of `lr`; "bicubic" is put before them. `pairs` are (hr_path,
    lr_path or None); without a path `lr` is made from `hr` by `degradation`. `hr` is cropped to a multiple of the
    scale, never resampled. `sr` is what a file would hold: 8 bit, here as floats in [0, 1]. Raises ValueError when the
    files of a pair do not fit together.
    """
    pairs = [(Path(hr), lr and Path(lr)) for hr, lr in pairs]
    stems = Counter(hr.stem for hr, _ in pairs)
    names = {hr: hr.stem if stems[hr.stem] == 1 else f"{hr.parent.name}/{hr.name}" for hr, _ in pairs}
    methods = {"bicubic": lambda lr: bicubic(lr, scale)}
    methods |= {name: _method(model) for name, model in models.items()}
    for number, (hr_path, lr_path) in enumerate(pairs):
        hr = resize.crop_to_multiple(images.read(hr_path), scale)
        if lr_path:
            lr = images.read(lr_path)
        else:
            lr = degrade.degrade(images.to_uint8(hr), scale=scale, name=degradation, seed=(seed, number))
            lr = images.from_uint8(lr)
        if hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
            raise ValueError(
                f"{lr_path} must be {hr_path} made {scale} times smaller. Received: {lr.shape}, {hr.shape}"
            )
        sr, seconds = {}, {}
        for name, method in methods.items():
            start = time.perf_counter()
            sr[name] = images.from_uint8(images.to_uint8(method(lr)))
            seconds[name] = time.perf_counter() - start
        grey = any(images.kind(path)[0] for path in (hr_path, lr_path) if path)
        yield {"image": names[hr_path], "lr": lr, "hr": hr, "grey": grey, "sr": sr, "seconds": seconds}


def _method(model):
    """Return a function of `lr`: the model itself, unless it is a network."""
    import keras

    from srnb.evaluation import inference

    return partial(inference.upscale, model) if isinstance(model, keras.Model) else model
