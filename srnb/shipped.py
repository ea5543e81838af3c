"""The networks that ship with the package: srnb/weights/NAME holds weights, spec and record of each.

card.json says what a network is, how it was trained and what it measures; `reports.card` writes it from a run, and
`inference.load` builds the network.
"""

import csv
import json
from pathlib import Path
from statistics import fmean

from safetensors import safe_open

FOLDER = Path(__file__).resolve().parent / "weights"
SHOWN = ("psnr_y", "ssim_y", "lpips_alex")  # metrics that a listing has room for


def names():
    """Return the names of the networks that ship, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob("*/card.json"))


def card(name):
    """Return the card of a shipped network as a dict.

    Its keys: name, summary, spec, parameters, start (the shipped network that its training started from, or None),
    blend (share of the GAN in its weights), degradation, training (the record of the run), earlier (those of the
    trainings that this one went on from, if any), metrics ({set: {metric: mean}}), check (values that a copy must
    reproduce) and photographs (file, perceptual hash, source and licence of each training photograph). Raises
    ValueError for a name that does not ship.
    """
    if name not in names():
        raise ValueError(f"a network that ships must be one of {', '.join(names()) or 'none'}. Received: {name!r}")
    return json.loads((FOLDER / name / "card.json").read_text("utf-8"))


def baseline(name):
    """Return {set: {metric: mean}} of bicubic on the LR on which a shipped network was measured.

    Raises ValueError like `card`.
    """
    found = {}
    with open(FOLDER / card(name)["name"] / "metrics.csv", encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row["model"] == "bicubic":
                found.setdefault(row["dataset"], {}).setdefault(row["metric"], []).append(float(row["value"]))
    return {dataset: {metric: fmean(each) for metric, each in own.items()} for dataset, own in found.items()}


def file(name):
    """Return the path of the weight file of a shipped network. Raises ValueError like `card`."""
    return FOLDER / card(name)["name"] / "weights.safetensors"


def hashes(name):
    """Return {file: perceptual hash} of the photographs that a shipped network was trained on, as far as known."""
    return {each["file"]: each["hash"] for each in card(name)["photographs"] if "hash" in each}


def origin(name):
    """Return the name of the shipped network that `name` was trained from, if the two can be blended.

    None if there is none, or if it has other weights, as a twin for another factor has. Raises ValueError like `card`.
    """
    start = card(name)["start"]
    return start if start and _shapes(start) == _shapes(name) else None


def _shapes(name):
    with safe_open(file(name), "numpy") as weights:  # specs may say the same in other words
        return {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118, it is no dict
