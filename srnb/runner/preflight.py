"""Checks before the first kernel of a run: a word that notebook 4 does not know would come to light after days.

Networks and losses are made in a separate process, so that the runner loads no framework and occupies no GPU. That
takes some seconds, which those that the notebooks have by themselves are spared. Feature networks are downloaded here.
"""

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

from srnb import shipped
from srnb.data import datasets, patches, shards
from srnb.runner import presets

# parameter that names a network -> its other parameters as notebooks call them, and what specs call them
NETWORKS = {
    "generator": {
        name: name for name in ("scale", "blocks", "width", "normalization", "skip", "residual_scale", "attention")
    },
    "discriminator": {f"discriminator_{name}": name for name in ("width", "grid", "normalization", "attention")},
}
PATCHES = {"generator": ("patch_size", "gan_patch_size"), "discriminator": ("gan_patch_size",)}
FILES = (".yaml", ".yml", ".json")
ELSEWHERE = {"start_from", "warm_start", "augment", "sampling", *NETWORKS}.union(*NETWORKS.values())  # words, too

_PROGRAM = """
import json, sys
answer, sys.stdout = sys.stdout, sys.stderr  # a download talks
from srnb import models
from srnb.training import objectives
networks, trainings = json.loads(sys.argv[1])
try:
    for spec, parameters, sizes in networks:
        spec = models.from_parameters(spec, **parameters)[0]
        models.cost(spec)
        if "scale" in parameters:
            models.require_scale(spec, parameters["scale"])
        for size in sizes:
            models.require_patch_size(spec, size, parameters.get("scale", 1))
    for parameters in trainings:
        objectives.require(parameters)
except (ValueError, OSError) as error:
    print(error, file=answer)
    sys.exit(1)
"""


def networks(cells, own, *, backend):
    """Return {parameter: network} for the networks of a run, spec files as absolute paths, after building each.

    cells: notebook -> its parameters; own: its defaults; backend: of the run, the one that is surely installed.
    The losses, feature networks and schedules that notebooks name are made, too, and the weights that Keras downloads
    made available. Raises ValueError that says what is wrong.
    """
    asked, known = presets.flat(cells), presets.flat(own)
    settled, tried = {}, []
    for network in NETWORKS:
        name = asked.get(network)
        if not name or name == known[network]:
            continue
        if Path(name).suffix in FILES:
            name = settled[network] = str(Path(name).expanduser().absolute())
        parameters = {spelled: asked[ours] for ours, spelled in NETWORKS[network].items() if ours in asked}
        sizes = {asked[size] for size in PATCHES[network] if size in asked}
        tried.append((name, parameters, sorted(sizes)))
    trainings = [_named(cell) for stem, cell in cells.items() if _words(cell) != _words(own[stem])]
    if tried or trainings:
        stamps = tuple(Path(name).stat().st_mtime_ns for name in settled.values() if Path(name).is_file())
        _build(json.dumps([tried, trainings]), stamps, backend)
    return settled


def _words(cell):
    """Return the parameters of a training that are words or lists, for losses and schedules; {} of another notebook."""
    words = {name: value for name, value in cell.items() if isinstance(value, str) and name not in ELSEWHERE}
    return words if "precision" in cell else {}


def _named(cell):
    """Return the parameters of a training without most numbers, by which the runs of a grid differ most.

    A weight says whether its term is there, and schedules are checked against the number of steps.
    """
    kept = {name: 1.0 for name, value in cell.items() if name.endswith(("_weight", "learning_rate")) and value}
    return kept | _words(cell) | {name: cell[name] for name in ("steps", "gan_steps") if name in cell}


@cache  # the runs of a grid have few different networks, and each takes a process that loads a framework
def _build(asked, stamps, backend):
    """Build the networks of a JSON text; `stamps` are when their files were written."""
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-P", "-c", _PROGRAM, asked]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        died = f"networks and losses must be made to be checked. Received: exit code {done.returncode} of that process"
        raise ValueError(done.stdout.strip() or done.stderr.strip().rpartition("\n")[2] or died)


def batches(asked):
    """Raise ValueError unless the parameters of the notebooks allow LR to be prepared and patches to be augmented."""
    for name in ("patch_size", "gan_patch_size"):
        if name in asked and "scale" in asked:
            patches.require_patch_size(asked[name], asked["scale"])
    copies, resident = asked.get("lr_copies", 0), asked.get("resident", False)
    if "degradation" in asked:
        shards.require_copies(copies, asked["degradation"])
    if resident and "lr_copies" in asked and not copies:
        raise ValueError("`resident` must come with LR prepared, `lr_copies` 1 or more. Received: lr_copies 0")
    patches.augmentations(asked.get("augment", ""), prepared=copies > 0, resident=resident)
    patches.require_sampling(asked.get("sampling", "photographs"))


def measurements(cells, own):
    """Return {"test_sets": …}, its folders as absolute paths, once all is there that a run is asked to measure.

    cells, own: as for `networks`. Raises ValueError or FileNotFoundError for sets, metrics, networks that ship and
    blends that do not exist.
    """
    asked, known = presets.flat(cells), presets.flat(own)
    sets = presets.listed(asked.get("test_sets", ""))
    for name in sets:
        if "scale" in asked:
            datasets.pairs(name, scale=asked["scale"])
        elif name != "sample":
            datasets.locate(name)
    for name in presets.listed(asked.get("shipped_networks", "")):
        shipped.card(name)
    for share in presets.listed(asked.get("blends", "")):
        if not _is_share(share):
            raise ValueError(f"blends must be shares from 0 to 1, such as 0.2,0.8. Received: {share!r}")
    words, common = (
        {word for name in ("more_metrics", "judges", "metrics") for word in presets.listed(values.get(name, ""))}
        for values in (asked, known)
    )
    if words - common:
        from srnb.evaluation import metrics  # a second, which the metrics of the notebooks are spared

        for word in sorted(words):
            metrics.require(word)
    folders = [str(Path(name).expanduser().absolute()) if datasets.is_path(name) else name for name in sets]
    return {"test_sets": ",".join(folders)} if folders != sets else {}


def _is_share(text):
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False
