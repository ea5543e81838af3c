"""Photographs of smooth noise, for tests that need many of odd sizes."""

import numpy as np

from srnb.data import images, resize


def photographs(folder, sizes, seed=0):
    generator = np.random.default_rng(seed)
    paths = []
    for i, size in enumerate(sizes):
        smooth = resize.imresize(generator.random((max(size[0] // 4, 2), max(size[1] // 4, 2), 3)), 4)
        paths.append(folder / f"{i}.png")
        images.write(paths[-1], resize.imresize(smooth, 2)[: size[0], : size[1]])
    return paths
