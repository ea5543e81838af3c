"""Scenes: a photograph downscaled, the original, and the result of each model."""

import re
from collections import Counter
from collections.abc import MutableMapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from srnb.data import degrade, images, resize, shards


class Pictures(MutableMapping):
    """Pictures by name, float32 (H, W, 3) in [0, 1], held as bytes where they are of 8 bits: a quarter of the memory.

    Each access makes the floats anew, so nothing can be written into them; assign the picture instead.
    """

    def __init__(self, pictures=()):
        self._held = {name: _held(picture) for name, picture in dict(pictures).items()}

    def __getitem__(self, name):
        picture = self._held[name]
        picture = images.from_uint8(picture) if picture.dtype == np.uint8 else picture.view()
        picture.flags.writeable = False
        return picture

    def __setitem__(self, name, picture):
        self._held[name] = _held(picture)

    def __delitem__(self, name):
        del self._held[name]

    def __iter__(self):
        return iter(self._held)

    def __len__(self):
        return len(self._held)


def _held(picture):
    """Return a picture as uint8 if it has no values but those, else as it is."""
    levels = images.to_uint8(picture)
    return levels if np.array_equal(images.from_uint8(levels), picture) else picture


class Scene:
    """One photograph with all pictures to compare, float32 (H, W, 3) in [0, 1].

    `image` is its name, `sr` maps models to results, `grey` tells whether a file of the pair has a single channel. A
    photograph that is small itself has no original: `hr` is None then, and `scale` must be given.
    """

    def __init__(self, image, lr, hr, grey=False, sr=(), scale=None):
        self.image, self.grey, self.sr, self.scale = image, grey, Pictures(sr), scale or hr.shape[0] // lr.shape[0]
        self._pair = Pictures({"LR": lr} if hr is None else {"LR": lr, "HR": hr})

    @property
    def lr(self):
        """The downscaled photograph."""
        return self._pair["LR"]

    @property
    def hr(self):
        """The original, whose sides are those of `lr` times `scale`, or None."""
        return self._pair.get("HR")

    @property
    def pictures(self):
        """All pictures by name, in the order in which they are shown: LR, results of the models, HR."""
        together = Pictures()
        together._held = {"LR": self._pair._held["LR"], **self.sr._held, **self._pair._held}
        return together

    def detail(self, box):
        """Return the scene cropped to a box (top, left, size), in pixels of `hr`, rounded down to the grid of `lr`."""
        top, left, size = (side // self.scale for side in box)
        small = np.s_[top : top + size, left : left + size]
        top, left, size = (side * self.scale for side in (top, left, size))
        large = np.s_[top : top + size, left : left + size]
        sr = {name: picture[large] for name, picture in self.sr.items()}
        hr = None if self.hr is None else self.hr[large]
        return Scene(self.image, self.lr[small], hr, self.grey, sr, self.scale)

    def middle(self, size):
        """Return the scene cropped to a square of `size` pixels of `hr` in its middle, or to what there is; 0: whole.

        Raises ValueError for a size under 16 pixels of `lr`.
        """
        if not size:
            return self
        if size < 16 * self.scale:
            raise ValueError(f"size must be 0 or at least {16 * self.scale} pixels. Received: {size}")
        height, width = (side * self.scale for side in self.lr.shape[:2])
        size = min(size, height, width)
        return self.detail(((height - size) // 2, (width - size) // 2, size))

    def upscale(self, name, model):
        """Add the result of `model`, a network or a function of `lr`, under `name`, in 8 bits as in a file."""
        self.sr[name] = images.from_uint8(images.to_uint8(_method(model)(self.lr)))


def held_out(data, models=(), *, seed=0):
    """Yield a scene for each held-out photograph of `data`, the entry of that name in a run's record.

    `models` and `seed` are those of `upscale_pairs`. Raises ValueError if the photographs have changed since notebook 1
    recorded them.
    """
    recorded = data.get("fingerprints", {}).get("test")
    if recorded and shards.fingerprint_of_files(data["test"]) != recorded:
        raise ValueError(
            "held-out photographs must be as notebook 1 found them, or it must be run again. "
            f"Received: others, in {Path(data['test'][0]).parent}"
        )
    pairs, degradation = [(path, None) for path in data["test"]], data["degradation"]["name"]
    yield from upscale_pairs(models, pairs, scale=data["scale"], degradation=degradation, seed=seed)


def upscale_pairs(models, pairs, *, scale, degradation="bicubic", seed=0):
    """Yield a scene for each pair of files.

    models: name -> network or function of `lr`; "bicubic" is added in front. pairs: (HR path, LR path), one of which
    may be None; without an LR file `lr` is made from `hr` by `degradation`, without an HR file the scene has no
    original. `hr` is cropped to a multiple of the scale, never resampled. Raises ValueError, with the file, if the
    sizes of a pair do not match or a picture is too small.
    """
    pairs = [(hr and Path(hr), lr and Path(lr)) for hr, lr in pairs]
    names = _names([hr or lr for hr, lr in pairs])
    models = {"bicubic": partial(bicubic, scale=scale), **dict(models)}
    for number, (hr_path, lr_path) in enumerate(pairs):
        with naming(hr_path or lr_path, lr_path):
            hr = hr_path and resize.crop_to_multiple(images.read(hr_path), scale)
            if lr_path:
                lr = images.read(lr_path)
            else:
                lr = degrade.degrade(images.to_uint8(hr), scale=scale, name=degradation, seed=(seed, number))
                lr = images.from_uint8(lr)
            if hr_path and hr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
                raise ValueError(
                    f"{lr_path} must be {hr_path} made {scale} times smaller. Received: {lr.shape}, {hr.shape}"
                )
            grey = any(images.kind(path)[0] for path in (hr_path, lr_path) if path)
            scene = Scene(names[number], lr, hr, grey, scale=scale)
            for name, model in models.items():
                scene.upscale(name, model)
        yield scene


def enlarged_elsewhere(folder, pairs, *, scale):
    """Return a model for `upscale_pairs` with these pairs, whose results are the files of a folder.

    So pictures that another program has enlarged can be measured. A result is called like the HR file, or the LR file
    if there is no other, or begins so: baby.png, baby_x4.png or baby-ESRGAN.webp for baby.bmp. Raises ValueError if a
    photograph has none or several, and the model raises it for a result that is not `scale` times as large as LR.
    """
    found = images.find(folder)
    results = iter([_result(found, Path(hr or lr).stem, folder) for hr, lr in pairs])

    def model(lr):
        path = next(results)
        sr, (height, width) = images.read(path), lr.shape[:2]
        if sr.shape[:2] != (height * scale, width * scale):
            raise ValueError(
                f"{path} must have {width * scale}x{height * scale} pixels. Received: {sr.shape[1]}x{sr.shape[0]}"
            )
        return sr

    return model


def _result(paths, stem, folder):
    """Return the path of the result for a photograph: of this name, or else beginning with it."""
    own = [path for path in paths if path.stem == stem]
    own = own or [path for path in paths if re.fullmatch(re.escape(stem) + r"([^A-Za-z0-9].*|x\d+)", path.stem)]
    if len(own) != 1:
        names = ", ".join(path.name for path in own) or "none"
        raise ValueError(f"{folder} must hold one result for each photograph. Received: {names} for {stem}")
    return own[0]


@contextmanager
def naming(*names):
    """Put the first of `names` in front of a ValueError that says none of them: which picture is it, of hundreds?"""
    try:
        yield
    except ValueError as error:
        if any(name and str(name) in str(error) for name in names):
            raise
        raise ValueError(f"{names[0]}: {error}") from error


def bicubic(lr, scale):
    """Return `lr` upscaled by MATLAB's bicubic in 8 bits, the baseline of every table."""
    return images.from_uint8(resize.imresize(images.to_uint8(lr), scale))


def _names(paths):
    """Return a unique name, fit for a file, for each photograph: its stem if that is unique."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else f"{path.name} ({path.parent.name})" for path in paths]
    repeated = Counter(names)
    return [name if repeated[name] == 1 else f"{name} {number}" for number, name in enumerate(names, start=1)]


def _method(model):
    """Return a function of `lr`: the model itself, unless it is a network."""
    import keras

    from srnb.evaluation import inference

    return partial(inference.upscale, model) if isinstance(model, keras.Model) else model
