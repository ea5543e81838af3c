"""Seconds of upscaling a picture with the paper's SRResNet, plain PyTorch beside it; or the memory of a large one.

    python benchmarks/upscale.py                                    128x128 and 510x339 pixels, four times as large
    python benchmarks/upscale.py --precision bfloat16 --torch ~/torch/bin/python
    python benchmarks/upscale.py --side 4096 --memory 1             one large picture, file to file, in 1 GiB

Each engine is a process of its own and takes the picture whole, as it comes: what compiles has done so before. Then all
take turns, so that other work on the machine slows all of them, and what is compared is the median of the rounds'
ratios. PyTorch, in the layout that is faster, is the extra `compare`; without it our own figures are printed.
"""

import argparse
import contextlib
import importlib.util
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

from reference import processes

SIZES = ((128, 128), (510, 339))
FULL = {"blocks": 16, "width": 64, "skip": "none"}
TORCH = ("torch, channels last", "torch, channels first")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="network computes in")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each engine takes (default 7)")
    parser.add_argument("--torch", metavar="PYTHON", help="the Python that has torch and numpy (default: this one)")
    parser.add_argument("--side", type=int, help="of one large picture, in pixels, for its time and memory")
    parser.add_argument("--memory", type=float, metavar="GiB", help="with --side: what its tiles may take")
    parser.add_argument("--serve", help=argparse.SUPPRESS)  # the other side of the pipe
    options = parser.parse_args()
    if options.serve:
        return serve(options.serve, options.precision)
    if options.side:
        return large(options.side, options.memory)
    if options.torch is None and importlib.util.find_spec("torch"):
        options.torch = sys.executable
    python = {options.backend: sys.executable, **dict.fromkeys(TORCH if options.torch else (), options.torch)}
    with contextlib.ExitStack() as stack:
        ask = {}
        for engine, program in python.items():
            command = [program, __file__, "--serve", engine, "--precision", options.precision]
            backend = engine if engine not in TORCH else ""
            ask[engine] = stack.enter_context(processes.engine(engine, command, backend))
        for size in SIZES:
            compare(ask, size, options)


def compare(ask, size, options):
    """Print seconds of every engine for pictures of one size, and how we stand to the faster of PyTorch's layouts."""
    seconds = {engine: [] for engine in ask}
    for engine in ask:
        ask[engine]("upscale", *size)
    for _ in range(options.rounds):
        for engine in ask:
            seconds[engine].append(ask[engine]("upscale", *size))
    print(
        f"\n{size[0]}x{size[1]} to {4 * size[0]}x{4 * size[1]} pixels, {options.precision}, median of {options.rounds}"
    )
    for engine, rounds in seconds.items():
        print(f"{engine:22}{statistics.median(rounds):8.3f} s   fastest {min(rounds):.3f} s")
    if theirs := min(set(ask) & {*TORCH}, key=lambda engine: statistics.median(seconds[engine]), default=None):
        ours = seconds[options.backend]
        ratios = sorted(b / a for a, b in zip(ours, seconds[theirs], strict=True))
        print(
            f"{options.backend} is {statistics.median(ratios):.2f} times as fast as {theirs} "
            f"(by round {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def serve(engine, precision):
    import numpy as np

    random = np.random.default_rng(0)
    if engine in TORCH:
        from reference.srresnet_torch import upscaling

        run = upscaling(FULL, channels_last=engine == TORCH[0], bfloat16=precision == "bfloat16")
    else:
        from functools import partial

        from srnb import models
        from srnb.evaluation import inference

        run = partial(inference.upscale, models.build("srresnet", **FULL), precision=precision)

    def upscale(width, height):
        lr = random.random((height, width, 3), dtype="float32")
        start = time.perf_counter()
        run(lr)
        return time.perf_counter() - start

    processes.answer(sys.stdin, {"upscale": upscale})


def large(side, memory):
    """Print time and peak memory of one picture from file to file."""
    import numpy as np
    import psutil

    from srnb import models
    from srnb.data import images
    from srnb.evaluation import inference

    network = models.build("srresnet", **FULL)
    ramp = np.linspace(0, 1, side, dtype="float32")
    lr = np.stack([ramp[:, None] + 0 * ramp, ramp + 0 * ramp[:, None], np.outer(ramp, ramp)], axis=-1)
    process, started, last = psutil.Process(), time.perf_counter(), [0.0]

    def show(done, total):
        if time.perf_counter() - last[0] > 5 or done == total:
            last[0] = time.perf_counter()
            seconds, gib = last[0] - started, process.memory_info().rss / 2**30
            print(f"{done}/{total} tiles, {seconds:.0f} s, resident {gib:.2f} GiB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "lr.png"
        images.write(source, lr)
        del lr
        options = {"memory": int(memory * 2**30)} if memory else {}
        inference.upscale_file(network, source, Path(folder) / "sr.png", progress=show, **options)
    print(f"peak {peak_gib():.2f} GiB, {FULL['blocks']} blocks of {FULL['width']} maps, {side} pixels a side")


def peak_gib():
    """Return the highest resident memory of this process."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # KiB on Linux


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # no engine goes on alone
    main()
