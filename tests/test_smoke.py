"""The whole workbook, headless and small: `srnb run --preset smoke` leaves what a run folder must hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    command = [str(Path(sys.executable).parent / "srnb"), "run", "--preset", "smoke", "--results", str(folder)]
    command += ["-p", "tensorboard", "true"]
    command += ["-p", "strips", "2", "-p", "shipped_networks", "compact"]  # fewer of a kind
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)  # users stand anywhere
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(folder / "smoke" / "report" / "index.html") in done.stdout
    return folder


def test_every_notebook_and_variation_comes_to_its_end(results):
    record = json.loads((results / "smoke" / "run.json").read_text())
    assert [state["status"] for state in record["notebooks"].values()] == ["complete"] * 5
    assert sorted(path.parent.name for path in results.glob("*/DONE")) == ["smoke", "smoke-no-adversarial"]


def test_the_third_notebook_has_a_figure_within_its_first_six_cells(results):
    cells = nbformat.read(results / "smoke" / "03_gan.ipynb", as_version=4).cells
    code = [
        cell
        for cell in cells
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    assert [output for cell in code[:6] for output in cell.outputs if "image/png" in output.get("data", {})]


def test_the_table_holds_every_model_photograph_and_metric(results):
    table = pd.read_csv(results / "smoke" / "metrics.csv")
    assert list(table) == ["run", "model", "dataset", "image", "metric", "protocol", "value"]
    assert {"bicubic", "pretrained", "gan"} <= set(table["model"])
    assert {"psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb", "lpips_alex"} <= set(table["metric"])
    measured = table[table["image"].notna()]  # what a network costs is one number for all photographs
    assert measured.groupby(["model", "metric"]).size().nunique() == 1
    assert {"parameters", "seconds_per_megapixel"} <= set(table["metric"]) - set(measured["metric"])
    assert table["value"].notna().all()


def test_the_log_carries_every_term_unweighted(results):
    records = [json.loads(line) for line in (results / "smoke" / "log.jsonl").read_text().splitlines()]
    gan = next(record for record in records if record["stage"] == "gan")
    assert {"pixel", "perceptual", "adversarial", "discriminator", "learning_rate", "images_per_second"} <= set(gan)


def test_the_report_asks_for_nothing_outside_itself(results):
    page = (results / "smoke" / "report" / "index.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org", "")
    for attribute in ('src="http', "src='http", 'href="http', "url(http", "import("):
        assert attribute not in page


SPEC = {"name": "tiny", "scale": 4, "width": 8, "body": ["k3n{width}s1 prelu", "k3n48s1 shuffle{scale}"]}


@pytest.mark.parametrize("generator", ["rrdb", "tiny.json"])
def test_another_network_is_one_parameter(tmp_path, generator):
    (tmp_path / "tiny.json").write_text(json.dumps(SPEC))
    command = [str(Path(sys.executable).parent / "srnb"), "run", "01", "02", "--preset", "smoke"]
    command += ["--results", "results", "-p", "generator", generator, "-p", "rehearsal_steps", "0"]
    environment = {**os.environ, "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "results" / "smoke" / "run.json").read_text())
    assert record["generator"]["name"] == generator.partition(".")[0] and record["generator"]["width"] == 8
    assert "does not have, left out: " in done.stdout


def test_tensorboard_has_the_log_in_the_run_folder(results):
    stages = {
        path.relative_to(results / "smoke" / "tensorboard").parts[0]
        for path in results.glob("smoke/tensorboard/**/events*")
    }
    assert stages == {"pretrain", "gan"}
