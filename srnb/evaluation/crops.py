"""Which details of a scene are worth a look: where the models differ, and where one fails."""

import numpy as np
from scipy import ndimage


def differing_crops(scene, names=None, *, size=96, count=2):
    """Return boxes (top, left, size), in pixels of `hr`, where pictures of a scene differ most.

    They do not overlap: a picture that has no room for `count` of them gives fewer.
    names: of the pictures to compare, by default all models; "HR" may be among them.
    """
    pictures = [scene.pictures[name] for name in (names or scene.sr)]
    return _peaks(np.stack([picture.mean(axis=-1) for picture in pictures]).std(axis=0), size, count)


def failing_crops(scene, model, *, reference="bicubic", size=96, count=2):
    """Return up to `count` boxes (top, left, size), in pixels of `hr`, where `model` is worst beside `reference`.

    They do not overlap, as those of `differing_crops`.
    """
    errors = [((scene.sr[name] - scene.hr) ** 2).mean(axis=-1) for name in (model, reference)]
    return _peaks(errors[0] - errors[1], size, count)


def area(box):
    """Return the pair of slices that cuts a box (top, left, size) out of a picture."""
    top, left, size = box
    return slice(top, top + size), slice(left, left + size)


def _peaks(values, size, count):
    """Return the boxes of `size` pixels with the highest mean that do not overlap."""
    height, width = values.shape
    size = min(size, height, width)
    means = ndimage.uniform_filter(values, size, mode="constant")
    means = means[size // 2 : size // 2 + height - size + 1, size // 2 : size // 2 + width - size + 1]
    boxes = []
    while len(boxes) < count and means.max() > -np.inf:
        top, left = np.unravel_index(means.argmax(), means.shape)
        boxes.append((int(top), int(left), size))
        means[max(top - size, 0) : top + size, max(left - size, 0) : left + size] = -np.inf
    return boxes
