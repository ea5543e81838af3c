"""Patch pairs a second from shards: LR on the fly and prepared, by number of workers; and the memory it takes.

Pairs per CPU second tell the same on a machine that has other work to do.

.venv/bin/python benchmarks/patches.py [folder of photographs]
"""

import itertools
import sys
import tempfile
import time

import psutil

from srnb.data import datasets, patches, shards


def main():
    photographs = datasets.photographs(sys.argv[1] if len(sys.argv) > 1 else "sample")
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        indices = {copies: shards.prepare(photographs, folder, scale=4, copies=copies) for copies in (1, 0)}
        print(f"{len(photographs)} photographs prepared in {time.perf_counter() - start:.1f} s")
        print(f"{'HR patch':>9} {'LR':>22} {'workers':>8} {'pairs/s':>8} {'per CPU second':>15} {'MiB':>6}")
        cases = (
            (96, "bicubic", False),
            (96, "bicubic", True),
            (192, "bicubic", False),
            (96, "blur-bicubic", False),
            (96, "realesrgan", False),
        )
        for (size, degradation, prepared), workers in itertools.product(cases, (1, 2)):
            source = patches.Patches(
                indices[prepared],
                patch_size=size,
                scale=4,
                batch_size=16,
                seed=0,
                degradation=degradation,
            )
            stream = source.stream(workers=workers)
            next(stream)
            start, (used, _), count = time.perf_counter(), consumed(), 0
            while time.perf_counter() - start < 2:
                next(stream)
                count += 16
            now, memory = consumed()
            rate, worth = count / (time.perf_counter() - start), count / (now - used)
            stream.close()
            label = f"{degradation}, {'prepared' if prepared else 'on the fly'}"
            print(f"{size:>9} {label:>22} {workers:>8} {rate:>8.0f} {worth:>15.0f} {memory:>6.0f}")


def consumed():
    """Return the CPU seconds and the MiB of this process and of those that make batches for it."""
    processes = [psutil.Process(), *psutil.Process().children()]
    times = [process.cpu_times() for process in processes]
    seconds = sum(each.user + each.system for each in times)
    return seconds, sum(process.memory_info().rss for process in processes) / 2**20


if __name__ == "__main__":
    main()
