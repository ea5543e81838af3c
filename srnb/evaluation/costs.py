"""What a network costs: size and work, which are counted, and time and memory, which are measured."""

import ctypes
import json
import statistics
import sys
import time
from functools import partial

import numpy as np
import pandas as pd

from srnb import backend, models
from srnb.evaluation import inference
from srnb.evaluation.metrics import COSTS, METRICS
from srnb.evaluation.scenes import bicubic
from srnb.evaluation.tables import COLUMNS

PICTURE = (360, 640)  # height and width of the result that time and memory are measured on
REPEATS = 3  # runs that count, after a first one that does not
COUNTED = 1280 * 720  # pixels of the result that papers count multiply-adds for


def measure(networks, *, scale, datasets, **options):
    """Return the costs of each network as rows of a tidy table like that of `tabulate`, per dataset, without images.

    networks: name -> network, or a function of `lr`, for which only time and memory are known; bicubic is added in
        front. Networks with the same layers are measured once.
    options: those of `inference.upscale`.
    Parameters and multiply-adds are counted. Time is the median of REPEATS runs after a warm-up, memory the peak
    resident memory beyond that before them, both for a PICTURE; memory only on Linux without an accelerator.
    """
    known, of_model = {}, {}
    lr = np.random.default_rng(0).random((PICTURE[0] // scale, PICTURE[1] // scale, 3), dtype="float32")
    for name, network in {"bicubic": partial(bicubic, scale=scale), **networks}.items():
        key = _layers(network) if hasattr(network, "get_config") else name
        if key not in known:
            known[key] = _counted(name, network, options) | _measured(network, lr, options)
        of_model[name] = known[key]
    rows = [
        (name, dataset, None, metric, _protocol(metric, scale), values[metric])
        for dataset in datasets
        for metric in COSTS
        for name, values in of_model.items()
        if metric in values
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _layers(network):
    """Return a key that is equal for networks with the same layers, whatever their weights and names."""
    return json.dumps({**network.get_config(), "name": ""}, default=str, sort_keys=True)


def _counted(name, network, options):
    if name == "bicubic":
        return {"parameters": 0.0}
    if not hasattr(network, "get_config"):
        return {}
    counted, views = models.cost(network), 8 if options.get("ensemble") else 1
    work = counted["multiply_adds"] * COUNTED + counted["multiply_adds_per_picture"]
    return {"parameters": counted["parameters"] / 1e3, "multiply_adds": views * work / 1e9}


def _measured(network, lr, options):
    method = partial(inference.upscale, network, **options) if hasattr(network, "get_config") else network
    seconds, megapixels = [], np.prod(method(lr).shape[:2]) / 1e6
    before = _watch_memory()
    for _ in range(REPEATS):
        start = time.perf_counter()
        method(lr)
        seconds.append(time.perf_counter() - start)
    measured = {"seconds_per_megapixel": statistics.median(seconds) / megapixels}
    if before is not None:
        measured["peak_memory"] = max(_resident("VmHWM") - before, 0) / 2**20
    return measured


def _watch_memory():
    """Release free memory, reset the kernel's record of the peak, and return the resident bytes.

    None if that is not possible, or if an accelerator has memory of its own.
    """
    if sys.platform != "linux" or backend.accelerator():
        return None
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
    except OSError:  # another libc, or a kernel that does not allow it
        return None
    return _resident("VmRSS")


def _resident(field):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))


def _protocol(metric, scale):
    height, width = (side // scale * scale for side in PICTURE)
    measured = METRICS[metric].protocol.format(picture=f"{width}x{height}", repeats=REPEATS)
    return f"{measured}; {backend.accelerator() or 'CPU'}" if metric in COSTS[2:] else measured
