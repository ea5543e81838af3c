"""What a run needs beside its data, tried before its first kernel starts: batches and networks that can be made.

A network is built in a process of its own, so that the runner loads no framework and takes no GPU; the networks that
the notebooks have by themselves need no such look, which takes some seconds. A feature network that is downloaded is
downloaded here.
"""

import json
import os
import subprocess
import sys
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
    """Return the networks that `asked` names, spec files with an absolute path, once each has been built.

    The weights of a feature network that Keras downloads are looked for, too.

    asked: the parameters of all notebooks that run; own: the same as the notebooks have them. Raises ValueError with
    what is wrong in a spec.
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
        _build(tried, vgg19)
    return settled


def _build(tried, vgg19):
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _PROGRAM, json.dumps([tried, vgg19])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stdout.strip() or done.stderr.strip().rpartition("\n")[2])


def batches(asked):
    """Raise ValueError unless LR can be prepared and patches augmented as the parameters of the notebooks ask."""
    copies, resident = asked.get("lr_copies", 0), asked.get("resident", False)
    if "degradation" in asked:
        shards.require_copies(copies, asked["degradation"])
    if resident and "lr_copies" in asked and not copies:
        raise ValueError("`resident` must come with LR prepared, `lr_copies` 1 or more. Received: lr_copies 0")
    patches.augmentations(asked.get("augment", ""), prepared=copies > 0, resident=resident)
