"""What a network costs: size, work and memory, which are counted, and time, which is measured."""

import json
import math
import statistics
import time
from functools import partial

import keras
import numpy as np
import pandas as pd

from srnb import backend, models
from srnb.evaluation import inference
from srnb.evaluation.metrics import COSTS, METRICS
from srnb.evaluation.scenes import bicubic
from srnb.evaluation.tables import COLUMNS
from srnb.models import forward

PICTURE = (360, 640)  # height and width of the result that time is measured on and memory counted for
REPEATS = 3  # runs that count, after a first one that does not
COUNTED = 1280 * 720  # pixels of the result that papers count multiply-adds for


def measure(networks, *, scale, datasets, **options):
    """Return the costs of each network as rows of a tidy table like that of `tabulate`, per dataset, without images.

    networks: name -> network, or a function of `lr`, of which only time is known; bicubic is added in front. Networks
        with the same layers are measured once.
    options: those of `inference.upscale`.
    Parameters and multiply-adds are counted, and so is memory, the maps that must be held at once for a PICTURE: what
    the process takes for it cannot be told, as frameworks keep what they once had. Time is the median of REPEATS runs
    on that picture after a warm-up.
    """
    known, of_model = {}, {}
    lr = np.random.default_rng(0).random((PICTURE[0] // scale, PICTURE[1] // scale, 3), dtype="float32")
    for name, network in {"bicubic": partial(bicubic, scale=scale), **networks}.items():
        key = _layers(network) if isinstance(network, keras.Model) else name
        if key not in known:
            known[key] = _counted(name, network, lr, options) | _measured(network, lr, options)
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


def _counted(name, network, lr, options):
    if name == "bicubic":
        return {"parameters": 0.0}
    if not isinstance(network, keras.Model):
        return {}
    counted, views = models.cost(network), 8 if options.get("ensemble") else 1
    work = counted["multiply_adds"] * COUNTED + counted["multiply_adds_per_picture"]
    halves = forward.halves(network, backend.precision(options.get("precision", "float32")))
    return {
        "parameters": counted["parameters"] / 1e3,
        "multiply_adds": views * work / 1e9,
        "peak_memory": max(half.memory(math.prod(lr.shape[:2])) for half in halves) / 2**20,
    }


def _measured(network, lr, options):
    method = partial(inference.upscale, network, **options) if isinstance(network, keras.Model) else network
    seconds, megapixels = [], np.prod(method(lr).shape[:2]) / 1e6
    for _ in range(REPEATS):
        start = time.perf_counter()
        method(lr)
        seconds.append(time.perf_counter() - start)
    return {"seconds_per_megapixel": statistics.median(seconds) / megapixels}


def _protocol(metric, scale):
    height, width = (side // scale * scale for side in PICTURE)
    measured = METRICS[metric].protocol.format(picture=f"{width}x{height}", repeats=REPEATS)
    return f"{measured}; {backend.accelerator() or 'CPU'}" if metric == "seconds_per_megapixel" else measured
