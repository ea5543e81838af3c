"""A card is made from a run, and the network that it names is the run's to the bit."""

import json
import shutil

import numpy as np
import pytest

from srnb import evaluation, models, runs, shipped
from srnb.data import datasets
from srnb.evaluation import inference
from srnb.reports import card

SOURCES = "file\tsource_repo\tsource_path\tlicence_as_stated\none.png\tits/repo\ta/one.png\tCC0\n"


@pytest.fixture
def run(tmp_path):
    """A run with an untrained network that was measured on one photograph."""
    run = runs.Run(tmp_path / "results" / "tiny")
    spec = models.resolve("compact", width=4, blocks=1)
    network = models.build(spec)
    models.save_weights(network, run.weights / "pretrained.weights.h5")
    run.update(
        generator=spec,
        data={
            "train": ["/somewhere/one.png"],
            "hashes": {"/somewhere/one.png": "0123456789abcdef"},
            "test_name": "mine",
            "degradation": {"name": "bicubic", "version": 1},
        },
        started="first",
        device="a CPU",
        machine={"cores": 2, "gpus": []},
        backend="tensorflow",
        git={"commit": "0123456789"},
        values={"dataset_folder": "/somewhere", "steps": 1000},
        notebooks={"02_pretrain": {"status": "complete", "seconds": 75.0}},
    )
    for step in range(10, 1001, 10):
        run.log({"stage": "pretrain", "step": step, "pixel": 1 / step})
    pairs = [(datasets.photographs("sample", "test")[0], None)]
    run.write_metrics(
        evaluation.evaluate({"pretrained": network}, pairs, scale=4, metrics=("psnr_y",), dataset="one photograph")
    )
    return run


def test_a_card_holds_the_network_its_record_and_its_numbers(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    sources = tmp_path / "sources.tsv"
    sources.write_text(SOURCES)
    card.write(run, "tiny", stage="pretrained", summary="For a test.", sources=sources)
    assert shipped.names() == ["tiny"]
    written, network = shipped.card("tiny"), inference.load("tiny")
    lr = np.random.default_rng(0).random((16, 20, 3), np.float32)
    original = inference.load(run.weights / "pretrained.weights.h5")
    np.testing.assert_array_equal(inference.upscale(network, lr), inference.upscale(original, lr))
    assert card.check(network, "bicubic") == written["check"] and len(written["check"]) == 2
    table = run.metrics()
    measured = table[(table["model"] == "pretrained") & (table["metric"] == "psnr_y")]["value"].mean()
    assert written["metrics"]["one photograph"]["psnr_y"] == pytest.approx(measured, abs=1e-4)
    (photograph,) = written["photographs"]
    assert photograph.pop("hash") == "0123456789abcdef" and shipped.hashes("tiny") == {"one.png": "0123456789abcdef"}
    assert photograph == {"file": "one.png", "source": "its/repo", "path": "a/one.png", "licence": "CC0"}
    folder = tmp_path / "weights" / "tiny"
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert 1 < len(lines) <= card.LINES and lines[0]["step"] == 10
    page = (folder / "README.md").read_text()
    assert "# tiny" in page and "1:15" in page and "* 1: CC0" in page and f"{measured:.4g}" in page


def commits(written):
    return [each["git"]["commit"][:2] for each in (written["training"], *written["earlier"])]


@pytest.mark.parametrize("parameter", ["warm_start", "start_from"])
def test_a_training_that_goes_on_from_what_ships_keeps_its_record(run, parameter, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    card.write(run, "tiny", stage="pretrained", summary="For a test.")
    run.update(values={parameter: "tiny", "steps": 2000}, git={"commit": "9876543210"}, started="later")
    for _ in range(2):
        written = card.write(run, "tiny", stage="pretrained", summary="For a test.")
    assert commits(written) == ["98", "01"]
    page = (tmp_path / "weights" / "tiny" / "README.md").read_text()
    assert page.count("Before that, 1,000 steps in 1:15 on a CPU") == 1


def test_trainings_of_other_runs_are_told_too(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    runs.Run(tmp_path / "results" / "first").update(**run.read() | {"git": {"commit": "first"}})
    shutil.copy(run.folder / "log.jsonl", tmp_path / "results" / "first")
    run.update(values={"warm_start": str(tmp_path / "results" / "first")})
    written = card.write(run, "tiny", stage="pretrained", summary="For a test.")
    assert commits(written) == ["01", "fi"] and written["training"]["values"] == {"warm_start": "first"}
    assert written["training"]["steps"] == written["earlier"][0]["steps"] == 1000


def test_a_photograph_without_a_licence_does_not_ship(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    sources = tmp_path / "sources.tsv"
    sources.write_text(SOURCES.replace("one.png", "other.png"))
    with pytest.raises(ValueError, match=r"source and a licence. Received: none for \['one.png'\]"):
        card.write(run, "tiny", stage="pretrained", summary="For a test.", sources=sources)
    assert shipped.names() == []


def test_what_was_not_measured_does_not_ship(run):
    with pytest.raises(ValueError, match="must have measured its generator 'gan'"):
        card.write(run, "tiny", stage="gan", summary="For a test.")


def test_a_blend_ships_if_it_was_measured(run, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "FOLDER", tmp_path / "weights")
    start, gan = inference.load(run.weights / "pretrained.weights.h5"), models.build(run.read()["generator"])
    for first, second in zip(start.weights, gan.weights, strict=True):
        second.assign(first + 0.01)
    models.save_weights(gan, run.weights / "gan.weights.h5")
    for step in (10, 20):
        run.log({"stage": "gan", "step": step, "pixel": 1 / step})
    record = run.read()
    run.update(notebooks=record["notebooks"] | {"03_gan": {"status": "complete", "seconds": 5.0}})
    with pytest.raises(ValueError, match="must have measured its generator '80% gan'"):
        card.write(run, "blend", stage="gan", blend=0.8, summary="For a test.")
    with pytest.raises(ValueError, match=r"share of the GAN, 0 < share <= 1\. Received: 0\.8 of pretrained"):
        card.write(run, "blend", stage="pretrained", blend=0.8, summary="For a test.")
    pairs = [(datasets.photographs("sample", "test")[0], None)]
    blend = models.interpolate(start, gan, 0.8)
    run.write_metrics(evaluation.evaluate({"80% gan": blend}, pairs, scale=4, metrics=("psnr_y",), dataset="one"))
    written = card.write(run, "blend", stage="gan", blend=0.8, summary="For a test.", start="compact")
    shipping = inference.load("blend")
    for expected, received in zip(blend.weights, shipping.weights, strict=True):
        np.testing.assert_array_equal(received, expected)
    assert written["blend"] == 0.8 and list(written["metrics"]) == ["one"]
    assert [each["steps"] for each in (written["training"], *written["earlier"])] == [20, 1000]
    assert "80% of its weights and 20% of those it started from" in (tmp_path / "weights/blend/README.md").read_text()
