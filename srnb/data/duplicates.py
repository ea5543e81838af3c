"""Duplicate photographs, found by perceptual hash even if they were recompressed, resized or mirrored.

Two photographs count as duplicates if at most 8 of the 64 bits of their hashes differ; unrelated ones differ in 12 bits
or more. A small crop of a photograph is not found.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from srnb.data import images

FEWEST = 9  # bits in which photographs of different scenes differ


def perceptual_hash(picture):
    """Return the perceptual hash of a picture, uint8 (H, W, 3), as 16 hexadecimal digits."""
    import imagehash

    return str(imagehash.phash(Image.fromarray(np.asarray(picture))))


def hashes(pictures):
    """Return {path: hash} for pairs (path, picture), as `shards.pictures` yields them."""
    return {str(path): perceptual_hash(picture) for path, picture in pictures}


def decoded(paths):
    """Yield (path, picture) of image files; a picture is uint8 (H, W, 3). Raises what `images.read` raises."""
    for path in paths:
        yield path, images.to_uint8(images.read(path))


def overlap(train, test):
    """Return the duplicates between two sets as [(train path, test path)].

    train: {path: hash}, see `hashes`. test: pairs (path, picture), uint8 (H, W, 3); each is also tried mirrored.
    """
    known = np.array([int(value, 16) for value in train.values()], np.uint64)
    names, both = list(train), []
    for path, picture in test:
        views = [int(perceptual_hash(view), 16) for view in (picture, picture[:, ::-1])]
        distance = np.bitwise_count(known[:, None] ^ np.array(views, np.uint64)).min(axis=1)
        both += [(Path(names[i]), Path(path)) for i in np.flatnonzero(distance < FEWEST)]
    return both


def require_disjoint(train, test):
    """Raise ValueError with the names if a photograph is in both `train` and `test`, given as to `overlap`."""
    both = overlap(train, test)
    if both:
        names = ", ".join(f"{trained.name} = {tested.name}" for trained, tested in both[:10])
        names += f" and {len(both) - 10} more" if len(both) > 10 else ""
        raise ValueError(f"no photograph may be both trained and tested on; remove one of each. Received: {names}")
