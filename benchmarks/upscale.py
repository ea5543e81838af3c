"""Print time and peak memory of upscaling one large picture, file to file.

    python benchmarks/upscale.py --size 4096 --blocks 16 --width 64 --tiles 4

`--tiles` stops after so many tiles: memory has then reached its peak but for the strip, which is named.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil


class Enough(Exception):
    """So many tiles were asked for."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("size", 4096), ("blocks", 16), ("width", 64), ("tile", 192), ("tiles", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()

    from srnb import models
    from srnb.data import images
    from srnb.evaluation import inference

    network = models.build("srresnet", blocks=options.blocks, width=options.width)
    ramp = np.linspace(0, 1, options.size, dtype="float32")
    lr = np.stack([ramp[:, None] + 0 * ramp, ramp + 0 * ramp[:, None], np.outer(ramp, ramp)], axis=-1)
    process, started, last = psutil.Process(), time.perf_counter(), [0.0]

    def show(done, total):
        if time.perf_counter() - last[0] > 5 or done in (total, options.tiles):
            last[0] = time.perf_counter()
            seconds, gib = last[0] - started, process.memory_info().rss / 2**30
            print(f"{done}/{total} tiles, {seconds:.0f} s, resident {gib:.2f} GiB", flush=True)
        if done == options.tiles:
            raise Enough

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lr.png"
        images.write(source, lr)
        del lr
        try:
            inference.upscale_file(network, source, Path(folder) / "sr.png", tile=options.tile, progress=show)
        except Enough:
            factor = models.scale(network)
            strip = (options.tile + inference.BLEND) * factor * options.size * factor * 3 * 4 / 2**30
            print(f"of a strip of {strip:.2f} GiB only the tiles so far are resident")
    print(f"peak {peak_gib():.2f} GiB, {options.blocks} blocks of {options.width} maps, {options.size} pixels a side")


def peak_gib():
    """Return the highest resident memory of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux


if __name__ == "__main__":
    main()
