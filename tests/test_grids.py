"""The grids of the ablations: each variation names networks and losses that there are, and runs to its end."""

import os
import subprocess
import sys
from functools import cache

import keras
import numpy as np
import pytest
import yaml

from srnb import files, losses, models, runs
from srnb.runner import chain, presets

PATHS = presets.steps()
GRIDS = sorted(path.stem for path in files.grids().glob("*.yaml"))
VARIATIONS = {(grid, name): changed for grid in GRIDS for name, changed in presets.read_grid(grid)[0].items()}


@cache
def shape(network, side, **parameters):
    model = models.build(models.from_parameters(network, **parameters)[0])
    return keras.ops.shape(model(np.zeros((2, side, side, 3), np.float32)))


def given(cell, *names, prefix=""):
    """What a notebook hands to a network; a parameter that is empty leaves it as it is."""
    return {name: cell[prefix + name] for name in names}


def test_there_is_a_grid_for_each_question():
    questions = {"losses", "adversarial", "normalization", "attention", "residual_scaling", "discriminator"}
    assert questions <= set(GRIDS)
    for grid in GRIDS:
        assert files.grids().joinpath(f"{grid}.yaml").read_text().startswith("# ")


@pytest.mark.parametrize(("grid", "variation"), VARIATIONS, ids=map("-".join, VARIATIONS))
def test_a_variation_builds(grid, variation):
    values = presets.resolve(PATHS, preset="smoke", variation=VARIATIONS[grid, variation])
    cells = chain.effective(PATHS, values)
    first, second = cells["02_pretrain"], cells["03_gan"]
    own = given(first, "blocks", "width", "normalization", "skip", "attention", "residual_scale")
    assert shape(first["generator"], 8, scale=4, **own) == (2, 32, 32, 3)
    assert callable(losses.pixel_loss(first["pixel_loss"], steps=first["steps"]))
    if second["adversarial_weight"]:
        own = given(second, "width", "grid", "normalization", "attention", prefix="discriminator_")
        logits = shape(second["discriminator"], second["gan_patch_size"], **own)
        assert logits[0] == 2 and logits[-1] == 1
        assert second["adversarial_loss"] in losses.ADVERSARIAL


@pytest.mark.slow
def test_every_variation_runs_to_its_end(tmp_path):
    """One base run for all grids, as `srnb run --grid` makes them: what they do not change they take from it."""
    together = {f"{grid}-{variation}": changed for (grid, variation), changed in VARIATIONS.items()}
    (tmp_path / "together.yaml").write_text(yaml.safe_dump(together, sort_keys=False))
    command = [sys.executable, "-m", "srnb.cli", "run", "--preset", "smoke", "--grid", tmp_path / "together.yaml"]
    environment = {**os.environ, "KERAS_BACKEND": keras.backend.backend()}
    done = subprocess.run(
        [*command, "-p", "rehearsal_steps", "0", "--workers", "2", "--results", tmp_path / "results"],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    finished = {run.name for run in runs.find(tmp_path / "results") if run.is_done}
    assert finished == {"smoke", *(f"smoke-{name}" for name in together)}
    compared = (tmp_path / "results" / "smoke" / "05_ablations.ipynb").read_text()
    assert all(name in compared for name in together)
