"""What it takes to evaluate a network on Set5, Set14 and BSD100, LPIPS included: seconds and memory by stage.

    python benchmarks/evaluate.py [network]        one that ships (default compact), a run or a weight file

CPU seconds tell the same on a machine that has other work to do; over the wall time they show how many cores work.
"""

import resource
import sys
import time

import psutil

from srnb import evaluation, models
from srnb.data import datasets
from srnb.evaluation import inference

SETS = ("Set5", "Set14", "BSD100")
PIXELS = ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_consistency", "colour_shift")


def main():
    name = sys.argv[1] if len(sys.argv) > 1 else "compact"
    network = inference.load(name)
    scale = models.scale(network)
    pairs = {name: datasets.pairs(name, scale=scale) for name in SETS}
    print(f"{name}, {sum(map(len, pairs.values()))} photographs, {len(psutil.Process().cpu_affinity())} cores")
    print(f"{'stage':>22} {'CPU s':>8} {'wall s':>8} {'cores':>6} {'peak GiB':>9}")
    options = {"scale": scale}
    scenes = timed(
        "upscaling",
        lambda: {name: list(evaluation.upscale_pairs({"sr": network}, pairs[name], **options)) for name in SETS},
    )
    for stage, metrics in (("PSNR, SSIM and others", PIXELS), ("LPIPS", ("lpips_alex",))):
        timed(stage, lambda m=metrics: [evaluation.tabulate(scenes[name], dataset=name, metrics=m) for name in SETS])
    scenes.clear()
    metrics = (*PIXELS, "lpips_alex")
    timed(
        "all, one by one",
        lambda: [
            evaluation.evaluate({"sr": network}, pairs[name], dataset=name, metrics=metrics, **options) for name in SETS
        ],
    )


def timed(stage, work):
    """Print what `work` takes and return what it returns."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux
    print(f"{stage:>22} {cpu:>8.1f} {wall:>8.1f} {cpu / wall:>6.2f} {peak:>9.2f}", flush=True)
    return result


if __name__ == "__main__":
    main()
