"""Scenes: a photograph made small, the original, and what each model makes of it."""

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from srnb.data import degrade, images, resize


@dataclass
class Scene:
    """One photograph with all that is to be compared: pictures are float32 (H, W, 3) in [0, 1].

    `sr` holds the picture of each model. `grey` tells whether a file of the pair has a single channel.
    """

    image: str
    lr: np.ndarray
    hr: np.ndarray
    grey: bool = False
    sr: dict = field(default_factory=dict)

    @property
    def scale(self):
        return self.hr.shape[0] // self.lr.shape[0]

    @property
    def pictures(self):
        """All pictures by name, in the order in which they are shown: LR, those of the models, HR."""
        return {"LR": self.lr, **self.sr, "HR": self.hr}

    def detail(self, box):
        """Return the scene of a box (top, left, size), in pixels of `hr`, moved and shrunk to the grid of `lr`."""
        top, left, size = (side // self.scale for side in box)
        small = np.s_[top : top + size, left : left + size]
        top, left, size = (side * self.scale for side in (top, left, size))
        large = np.s_[top : top + size, left : left + size]
        sr = {name: picture[large] for name, picture in self.sr.items()}
        return Scene(self.image, self.lr[small], self.hr[large], self.grey, sr)

    def upscale(self, name, model):
        """Add what `model`, a network or a function of `lr`, makes of `lr`: in 8 bit, as a file would hold it."""
        self.sr[name] = images.from_uint8(images.to_uint8(_method(model)(self.lr)))


def held_out(data, models=(), *, seed=0):
    """Yield a scene for each held-out photograph of `data`, what run.json says of a run's photographs.

    `models` and `seed` are those of `upscale_pairs`.
    """
    pairs, degradation = [(path, None) for path in data["test"]], data["degradation"]["name"]
    yield from upscale_pairs(models, pairs, scale=data["scale"], degradation=degradation, seed=seed)


def upscale_pairs(models, pairs, *, scale, degradation="bicubic", seed=0):
    """Yield a scene for each pair of files.

    `models` is a dict of name -> network or function of `lr`; "bicubic" comes before them. `pairs` are (hr_path,
    lr_path or None); without a path `lr` is made from `hr` by `degradation`. `hr` is cropped to a multiple of the
    scale, never resampled. Raises ValueError when the files of a pair do not fit together.
    """
    pairs = [(Path(hr), lr and Path(lr)) for hr, lr in pairs]
    names = _names([hr for hr, _ in pairs])
    models = {"bicubic": partial(bicubic, scale=scale), **dict(models)}
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
        grey = any(images.kind(path)[0] for path in (hr_path, lr_path) if path)
        scene = Scene(names[number], lr, hr, grey)
        for name, model in models.items():
            scene.upscale(name, model)
        yield scene


def bicubic(lr, scale):
    """Return `lr` enlarged by MATLAB's bicubic in 8 bit, the baseline of every table."""
    return images.from_uint8(resize.imresize(images.to_uint8(lr), scale))


def _names(paths):
    """Return a name for each photograph that is its own and can be that of a file: the stem where that is enough."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else f"{path.name} ({path.parent.name})" for path in paths]
    repeated = Counter(names)
    return [name if repeated[name] == 1 else f"{name} {number}" for number, name in enumerate(names, start=1)]


def _method(model):
    """Return a function of `lr`: the model itself, unless it is a network."""
    import keras

    from srnb.evaluation import inference

    return partial(inference.upscale, model) if isinstance(model, keras.Model) else model
