"""Speed of `imresize` beside a row-by-row NumPy port of the same formula, in CPU seconds, one thread.

OPENBLAS_NUM_THREADS=1 .venv/bin/python benchmarks/resize.py
"""

import math
import time

import numpy as np

from srnb.data import resize


def port(image, scale):
    """The usual port: for every output row a weighted sum of input rows, then the same for columns; rounded between."""
    for _ in range(2):
        n, s = image.shape[0], min(scale, 1)
        out = np.empty((math.ceil(n * scale), *image.shape[1:]), np.uint8)
        for i in range(1, len(out) + 1):
            u = i / scale + 0.5 * (1 - 1 / scale)
            j = np.arange(math.floor(u - 2 / s) + 1, math.floor(u - 2 / s) + 1 + math.ceil(4 / s))
            x = np.abs(s * (u - j))
            weights = np.where(x <= 1, (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2) * (x < 2)
            total = np.tensordot(weights / weights.sum(), image[j.clip(1, n) - 1].astype(np.float64), 1)
            out[i - 1] = np.clip(np.floor(total + 0.5), 0, 255)
        image = out.swapaxes(0, 1)
    return image


def seconds(function, *arguments, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(*arguments)
        times.append(time.process_time() - start)
    return min(times), result


def main():
    generator = np.random.default_rng(0)
    print(f"{'picture':>16} {'scale':>6} {'imresize':>10} {'row by row':>11} {'ratio':>6}")
    for height, width in ((1356, 2040), (480, 480), (96, 96)):
        picture = generator.integers(0, 256, (height, width, 3), np.uint8)
        for scale in (1 / 4, 1 / 3, 1 / 2, 2):
            ours, result = seconds(resize.imresize, picture, scale)
            theirs, expected = seconds(port, picture, scale, repeats=2)
            differing = np.count_nonzero(result != expected)
            note = f"  {differing} ties rounded otherwise by the port" if differing else ""
            times = f"{ours * 1e3:>7.2f} ms {theirs * 1e3:>8.2f} ms {theirs / ours:>6.1f}"
            print(f"{height:>11}x{width:<4} {scale:>6.3f} {times}{note}")


if __name__ == "__main__":
    main()
