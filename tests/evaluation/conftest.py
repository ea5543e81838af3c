"""Five photographs, and the tables of bicubic on the benchmark sets."""

import numpy as np
import pytest

from srnb import evaluation
from srnb.data import datasets, images
from srnb.evaluation.metrics import METRICS


@pytest.fixture(scope="session")
def bicubic_tables():
    exact = [name for name in METRICS if name.startswith(("psnr", "ssim"))]
    return {
        name: evaluation.evaluate({}, datasets.pairs(name, scale=4), scale=4, metrics=exact, dataset=name)
        for name in ("Set5", "Set14", "BSD100")
    }


@pytest.fixture
def photographs(tmp_path):
    """Five files whose sides are no multiple of 4."""
    random, paths = np.random.default_rng(0), []
    for number in range(5):
        paths.append(tmp_path / f"photograph{number}.png")
        images.write(paths[-1], random.integers(0, 256, (50, 63, 3), dtype="uint8"))
    return [(path, None) for path in paths]
