"""What a run is asked for is checked by name and type before anything starts."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from srnb import models
from srnb.data.catalogue import SETS
from srnb.models import features
from srnb.runner import chain, presets


@pytest.fixture
def folder(tmp_path):
    cells = {
        "01_data": "dataset = 'sample'  # a set = one name",
        "02_train": "run_folder = ''  # where\nsteps = 900\nrate = 1e-3\nblur = False\nname = 'srresnet'",
        "03_compare": "run_folder = ''\nruns = ''\nmetric = 'psnr'",
    }
    for name, source in cells.items():
        cell = new_code_cell(source, metadata={"tags": ["parameters"]})
        nbformat.write(new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    (tmp_path / "presets" / "grids").mkdir(parents=True)
    return tmp_path


def resolve(folder, *names, **options):
    return presets.resolve(presets.notebooks(names, folder=folder), folder=folder, **options)


def test_notebooks_by_number_stem_and_file(folder):
    stems = [path.stem for path in presets.notebooks(("03", "01_data", "01_data.ipynb"), folder=folder)]
    assert stems == ["01_data", "03_compare"] and len(presets.notebooks(folder=folder)) == 3
    with pytest.raises(ValueError, match=r"one of 01_data, 02_train, 03_compare, or its number\. Received: 04"):
        presets.notebooks(("04",), folder=folder)


def test_a_notebook_without_a_run_folder_is_no_step_of_a_run(folder):
    assert [path.stem for path in presets.steps(folder=folder)] == ["02_train", "03_compare"]
    with pytest.raises(ValueError, match=r"must have a parameter `run_folder`\. Received: 01_data, to be opened with"):
        presets.steps(("01", "02"), folder=folder)


def test_parameters_are_read_though_their_comments_hold_equals_signs(folder):
    assert presets.parameters(folder / "01_data.ipynb") == {"dataset": "sample"}


@pytest.mark.parametrize("source", ["twice = steps * 2", "import os", "a = b = 1", "x: int = 3"])
def test_parameters_must_be_literals(folder, source):
    cell = new_code_cell(source, metadata={"tags": ["parameters"]})
    nbformat.write(new_notebook(cells=[cell]), folder / "04_bad.ipynb")
    with pytest.raises(ValueError, match="must hold lines `name = literal` only"):
        presets.parameters(folder / "04_bad.ipynb")


@pytest.mark.parametrize(
    ("value", "default", "expected"),
    [
        ("false", True, False),
        ("True", False, True),
        (True, False, True),
        ("7", 1, 7),
        ("1e6", 1, 1_000_000),
        (3.0, 1, 3),
        ("12345678901234567891", 1, 12345678901234567891),
        ("1e-4", 0.1, 1e-4),
        (2, 0.1, 2.0),
        ("Set5", "", "Set5"),
    ],
)
def test_cast(value, default, expected):
    cast = presets.cast(value, default)
    assert cast == expected and type(cast) is type(default)


@pytest.mark.parametrize(
    ("value", "default", "must"),
    [
        ("yes", True, "true or false"),
        (1, True, "true or false"),
        ("2.5", 1, "a whole number"),
        (True, 1, "a whole number"),
        ("many", 1, "a whole number"),
        ("nan", 0.1, "a number"),
        ([1], 0.1, "a number"),
        (5, "", "text"),
    ],
)
def test_wrong_types(value, default, must):
    with pytest.raises(ValueError, match=f"must be {must}. Received: "):
        presets.cast(value, default)


def test_every_problem_is_listed(folder):
    with pytest.raises(ValueError) as error:
        resolve(folder, overrides=[("stepz", "5"), ("rate", "high"), ("run_folder", "x"), ("blur", "no")])
    assert str(error.value).splitlines()[1:] == [
        "  no notebook has a parameter stepz; did you mean steps?",
        "  rate must be a number. Received: 'high'",
        "  run_folder is filled by the runner: --run and --results name the run's folder",
        "  blur must be true or false. Received: 'no'",
    ]


def test_a_preset_serves_all_notebooks_an_override_those_that_run(folder):
    (folder / "presets" / "sample.yaml").write_text("steps: 5\nrate: 1e-4\nmetric: ssim\n")
    assert resolve(folder, "02", preset="sample") == {"steps": 5, "rate": 1e-4, "metric": "ssim"}
    assert resolve(folder, "02", preset="sample", overrides=[("steps", "6")])["steps"] == 6
    assert resolve(folder, "02", preset="sample", overrides=[("metric", "psnr")])["metric"] == "psnr"
    with pytest.raises(ValueError, match="metric is a parameter of notebooks that are not to run"):
        resolve(folder, "02", overrides=[("metric", "ssim")])
    assert resolve(folder, "02", variation={"metric": "ssim"}) == {"metric": "ssim"}


NUMBERS = {
    name: default
    for path in presets.steps()
    for name, default in presets.parameters(path).items()
    if type(default) in (int, float)
}


def test_every_number_of_the_notebooks_has_its_range():
    names = [name for _, names in presets.RANGES.values() for name in names]
    assert sorted(names) == sorted(NUMBERS)
    assert all(holds(NUMBERS[name]) for holds, names in presets.RANGES.values() for name in names)


def test_numbers_out_of_their_range_are_listed():
    asked = {"scale": "0", "seed": "-1", "batch_size": "0", "steps": "-4", "learning_rate": "0", "ema_decay": "1"}
    with pytest.raises(ValueError) as error:
        presets.resolve(presets.steps(), overrides=asked.items())
    assert str(error.value).splitlines()[1:] == [
        "  scale must be at least 1. Received: 0",
        "  seed must be from 0 to 4294967295. Received: -1",
        "  batch_size must be at least 1. Received: 0",
        "  steps must be at least 1. Received: -4",
        "  learning_rate must be above 0. Received: 0.0",
        "  ema_decay must be at least 0 and below 1. Received: 1.0",
    ]
    with pytest.raises(ValueError, match=r"width must be at least 0\. Received: -8"):
        presets.resolve(presets.steps(), variation={"width": -8})


@pytest.mark.parametrize(
    ("text", "error", "must"),
    [
        (None, FileNotFoundError, "a preset must be one of none yet, or a file. Received: mine"),
        ("steps: [1", ValueError, "a preset must be YAML"),
        ("- steps", ValueError, "a preset must be lines `name: value`"),
        (
            "steps: 1\nrate: 2\nsteps: 3",
            ValueError,
            r"say every name once. Received: .*mine.yaml: steps more than once",
        ),
    ],
)
def test_bad_presets(folder, text, error, must):
    if text is not None:
        (folder / "presets" / "mine.yaml").write_text(text)
    with pytest.raises(error, match=must):
        presets.read("mine", folder=folder)


def test_grids(folder):
    path = folder / "presets" / "grids" / "losses.yaml"
    path.write_text("common: {steps: 3}\nplain:\nslow: {steps: 9, rate: 0.1}\n")
    expected = {"plain": {"steps": 3}, "slow": {"steps": 9, "rate": 0.1}}
    assert presets.read_grid("losses", folder=folder) == presets.read_grid(str(path)) == (expected, 1)
    path.write_text("seeds: 3\n" + path.read_text())
    assert presets.read_grid("losses", folder=folder) == (expected, 3)
    refused = {
        **dict.fromkeys(("seeds: 0\nslow: {}", "seeds: 1.5\nslow: {}"), "seeds of a grid must be"),
        **dict.fromkeys(("slow: 3", "../up: {}"), "must be lines"),
        "common: {}": "must hold at least one",
        "slow: {rate: 1, rate: 2}": "a grid must say every name once. Received: .*losses.yaml: rate more than once",
        "slow: {}\nslow: {rate: 2}": "losses.yaml: slow more than once",
    }
    for bad, must in refused.items():
        path.write_text(bad)
        with pytest.raises(ValueError, match=must):
            presets.read_grid("losses", folder=folder)


def test_replicas_are_named_by_their_seed():
    variations = {"plain": {}, "slow": {"rate": 0.1}, "other": {"seed": 4}}
    assert presets.replicas(variations, 1, seed=0, base=True) == variations
    made = presets.replicas(variations, 2, seed=6, base=True)
    assert made == variations | {
        "seed7": {"seed": 7},
        "plain-seed7": {"seed": 7},
        "slow-seed7": {"rate": 0.1, "seed": 7},
        "other-seed5": {"seed": 5},
    }
    assert "seed7" not in presets.replicas(variations, 2, seed=6)
    with pytest.raises(ValueError, match="Received: plain-seed1"):
        presets.replicas({"plain": {}, "plain-seed1": {}}, 2, seed=0)


# the networks' trainable parameters, papers.md 1, 2 and, by hand, 3; those of A-SRGAN no one has counted
PAPERS = {
    "srgan": (1_550_659, 23_565_505),
    "esrgan": (16_697_987, 14_499_401),
    "johnson": (401_859, None),
    "asrgan": (None, None),
}


@pytest.mark.parametrize("name", PAPERS)
def test_presets_of_papers_have_their_networks(name):
    paths = presets.steps()
    cells = chain.effective(paths, presets.resolve(paths, preset=name))
    first, second = cells["02_pretrain"], cells["03_gan"]
    counts = []
    for network, cell, prefix, keys in (
        (first["generator"], first, "", ("blocks", "width", "normalization", "skip", "attention", "residual_scale")),
        (second["discriminator"], second, "discriminator_", ("width", "grid", "normalization", "attention")),
    ):
        spec, _ = models.from_parameters(network, **{key: cell[prefix + key] for key in keys})
        counts.append(models.cost(spec)["trainable"] if prefix == "" or second["adversarial_weight"] else None)
    assert all(expected in (None, count) for expected, count in zip(PAPERS[name], counts, strict=True))
    assert second["adversarial_weight"] or counts[1] is None
    for milestones, steps in ((first["milestones"], first["steps"]), (second["gan_milestones"], second["gan_steps"])):
        marks = [int(mark) for mark in milestones.split(",") if mark]
        assert marks == sorted(marks) and all(mark < steps for mark in marks)
    assert set(second["feature_layers"].split(",")) <= set(features.layer_names(second["feature_network"]))
    sets = [
        cells["01_data"]["dataset"],
        cells["01_data"]["test_dataset"],
        *cells["04_evaluate"]["test_sets"].split(","),
    ]
    assert all(each in SETS for each in sets if each)
