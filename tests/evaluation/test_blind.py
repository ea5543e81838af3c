"""blind: pairs are random and the same again, answers belong to them, and the interval is exact."""

import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from srnb import runs
from srnb.cli import main
from srnb.data import images
from srnb.evaluation import blind
from srnb.reports import blind as pages


@pytest.fixture
def run(tmp_path):
    """A run with two scenes of three results; only the GAN has grain."""
    run, random = runs.Run(tmp_path / "mine"), np.random.default_rng(0)
    run.update(status="complete")
    for scene in ("cat", "cup"):
        folder = run.folder / "figures" / "scenes" / scene
        folder.mkdir(parents=True)
        hr = random.random((96, 128, 3), "float32")
        results = {"bicubic": hr * 0 + 0.5, "pretrained": hr * 0.5, "gan": hr * 0.9, "HR": hr, "LR": hr[::4, ::4]}
        for name, picture in results.items():
            images.write(folder / f"{name}.png", picture)
    return run


def choose(test, model, *, but=0):
    """Return the sides on which a model stands, and for the last `but` pairs the other one."""
    sides = ["left" if pair["left"] == model else "right" for pair in test["pairs"]]
    other = {"left": "right", "right": "left"}
    return [other[side] if number >= len(sides) - but else side for number, side in enumerate(sides)]


def test_pairs_are_random_and_their_seed_makes_them_again(run):
    test = blind.prepare(run, seed=1, details=6, size=16)
    assert test["models"] == ["gan", "pretrained"] and len(test["pairs"]) == 12
    assert {pair["left"] for pair in test["pairs"]} == {"gan", "pretrained"}
    images = [pair["image"] for pair in test["pairs"]]
    assert sorted(images) != images and len({(pair["image"], *pair["box"]) for pair in test["pairs"]}) == 12
    assert blind.prepare(run, seed=1, details=6, size=16) == blind.read(run) == test
    assert blind.prepare(run, seed=2, details=6, size=16)["id"] != test["id"]


def test_each_side_shows_the_model_that_stands_there(run):
    test = blind.prepare(run, models=["bicubic", "gan"], size=32)
    for pair, (left, right) in zip(test["pairs"], blind.pictures(test, run), strict=True):
        flat, grainy = (left, right) if pair["left"] == "bicubic" else (right, left)
        assert flat.shape == (32, 32, 3) and flat.std() < 0.01 < grainy.std()


def test_the_share_has_its_exact_interval_over_all_sittings(run):
    test = blind.prepare(run, details=5, size=32)
    assert blind.results(run).empty and blind.finding(run) == "nobody has answered yet"
    blind.store(run, {"id": test["id"], "sitting": "a", "sides": choose(test, "gan")})
    blind.store(run, {"id": test["id"], "sitting": "b", "sides": choose(test, "gan", but=3)})
    row = blind.results(run).iloc[-1]
    assert row[["image", "chosen", "shown"]].tolist() == ["all", 17, 20]
    low, high = stats.beta.ppf(0.025, 17, 4), stats.beta.ppf(0.975, 18, 3)  # Clopper and Pearson
    assert row[["low", "high"]].tolist() == pytest.approx([low, high])
    assert row["p"] == pytest.approx(2 * stats.binom.cdf(3, 20, 0.5))
    assert "gan was chosen over pretrained 17 of 20 times" in blind.finding(
        run
    ) and "gan is preferred" in blind.finding(run)
    blind.prepare(run, details=5, size=32, seed=9)
    assert blind.results(run).empty  # answers to other pairs


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([], "of this run, id"),
        ({"id": "other", "sides": []}, "Received: other"),
        ({"sides": ["left"]}, "6 of them. Received: 1"),
        ({"sides": ["left"] * 5 + ["up"]}, "left or right"),
    ],
)
def test_answers_that_are_not_to_these_pairs_are_refused(run, answers, message):
    test = blind.prepare(run, size=32)
    answers = {"id": test["id"], **answers} if isinstance(answers, dict) else answers
    with pytest.raises(ValueError, match=message):
        blind.store(run, answers)


def test_no_sitting_counts_twice_and_unknown_models_are_named(run):
    test = blind.prepare(run, size=32)
    answers = {"id": test["id"], "sitting": "a", "sides": choose(test, "gan")}
    blind.store(run, answers)
    with pytest.raises(ValueError, match="stored once"):
        blind.store(run, answers)
    with pytest.raises(ValueError, match=r"two of bicubic, gan, pretrained. Received: gan, other"):
        blind.prepare(run, models=["gan", "other"])
    with pytest.raises(FileNotFoundError, match="notebook 4"):
        blind.prepare(runs.Run(run.folder.parent / "none"))


def test_the_command_writes_a_page_without_names_and_takes_its_answers_in(run, tmp_path):
    results = ["--results", str(run.folder.parent)]
    done = CliRunner().invoke(main, ["blind", "mine", *results])
    assert done.exit_code == 0 and "blind/index.html" in done.output, done.output
    text = re.sub('base64,[^"]*', "", (run.folder / "blind" / "index.html").read_text())
    assert not [word for word in ("gan", "pretrained", "http:", "https:") if word in text]
    test = blind.read(run)
    answers = tmp_path / "answers.json"
    answers.write_text(
        json.dumps({"id": test["id"], "run": "mine", "sitting": "x", "sides": choose(test, "pretrained")})
    )
    done = CliRunner().invoke(main, ["blind", "mine", *results, "--answers", str(answers)])
    # two photographs, each with room for one detail of the usual size
    assert done.exit_code == 0 and "gan was chosen over pretrained 0 of 2 times" in done.output, done.output
    answers.write_text("{")
    done = CliRunner().invoke(main, ["blind", "mine", *results, "--answers", str(answers)])
    assert done.exit_code == 1 and "JSON" in done.output


def test_the_control_stores_a_sitting_behind_the_last_pair(run):
    test = blind.prepare(run, size=32)
    text, columns = pages.control(run, test).children
    buttons = {column.children[1].description: column.children[1] for column in columns.children}
    first = columns.children[0].children[0].value
    for number, side in enumerate(choose(test, "gan")):
        assert f"{number + 1} of 6" in text.value
        buttons[side].click()
    assert "gan was chosen over pretrained 6 of 6 times" in text.value and all(b.disabled for b in buttons.values())
    assert columns.children[0].children[0].value != first and blind.results(run).iloc[-1]["chosen"] == 6
