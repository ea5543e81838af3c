"""Checks before the first kernel of a run starts: batches that can be made, networks that can be built.

A network is built in a separate process, so that the runner loads no framework and occupies no GPU. That takes some
seconds, which the default networks of the notebooks are spared. Feature networks are downloaded here.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from srnb.data import patches, shards

# parameter that names a network -> its other parameters as notebooks call them, and what specs call them
NETWORKS = {
    "generator": {
        name: name for name in ("scale", "blocks", "width", "normalization", "skip", "residual_scale", "attention")
    },
    "discriminator": {f"discriminator_{name}": name for name in ("width", "grid", "normalization", "attention")},
}
FILES = (".yaml", ".yml", ".json")

_PROGRAM = """
import json, sys
answer, sys.stdout = sys.stdout, sys.stderr  # a download talks
from srnb import models
from srnb.models import features
networks, vgg19 = json.loads(sys.argv[1])
try:
    for spec, parameters in networks:
        spec = models.from_parameters(spec, **parameters)[0]
        models.cost(spec)
        if "scale" in parameters:
            models.require_scale(spec, parameters["scale"])
    if vgg19:
        features.vgg19_file()
except (ValueError, OSError) as error:
    sys.exit(print(error, file=answer) or 1)
"""


def networks(asked, own):
    """Return {parameter: network} for the networks in `asked`, spec files as absolute paths, after building each.

    asked: the parameters of all notebooks to run; own: their defaults. The weights of a feature network that Keras
    downloads are made available, too. Raises ValueError that says what is wrong with a spec.
    """
    settled, tried = {}, []
    for network in NETWORKS:
        name = asked.get(network)
        if not name or name == own[network]:
            continue
        if Path(name).suffix in FILES:
            name = settled[network] = str(Path(name).expanduser().absolute())
        parameters = {spelled: asked[ours] for ours, spelled in NETWORKS[network].items() if ours in asked}
        tried.append((name, parameters))
    compared = asked.get("perceptual_weight") or asked.get("style_weight")
    vgg19 = bool(compared and asked.get("feature_network") == "vgg19")
    if tried or vgg19:
        stamps = tuple(Path(name).stat().st_mtime_ns for name in settled.values() if Path(name).is_file())
        _build(json.dumps([tried, vgg19]), stamps)
    return settled


@cache  # the runs of a grid have few different networks, and each takes a process that loads a framework
def _build(asked, stamps):
    """Build the networks of a JSON text; `stamps` are when their files were written."""
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _PROGRAM, asked]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stdout.strip() or done.stderr.strip().rpartition("\n")[2])


def batches(asked):
    """Raise ValueError unless the parameters of the notebooks allow LR to be prepared and patches to be augmented."""
    copies, resident = asked.get("lr_copies", 0), asked.get("resident", False)
    if "degradation" in asked:
        shards.require_copies(copies, asked["degradation"])
    if resident and "lr_copies" in asked and not copies:
        raise ValueError("`resident` must come with LR prepared, `lr_copies` 1 or more. Received: lr_copies 0")
    patches.augmentations(asked.get("augment", ""), prepared=copies > 0, resident=resident)
    patches.require_sampling(asked.get("sampling", "photographs"))
