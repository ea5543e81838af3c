"""archive: a grid that is kept says what its runs said, and nothing of the machine that they ran on."""

import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from srnb import evaluation, models, runs
from srnb.cli import main
from srnb.evaluation import archive

METRICS = ["psnr_y", "lpips_alex"]
IMAGES = [f"picture {number}" for number in range(8)]
GAINS = {"base": 0.0, "mse": -0.5, "mix": 0.001}  # in decibels, beside noise


def finished(folder, variant, seed, **record):
    """Return a done run whose numbers lie GAINS apart, but for noise that its seed and variant draw."""
    run, random = runs.Run(folder), np.random.default_rng([len(variant), seed])
    run.update(
        status="complete",
        started=f"2026-11-26T00:00:0{seed}",
        finished="2026-11-26T01:00:00",
        seconds=60.0,
        preset="ablation",
        backend="tensorflow",
        seed=seed,
        values={"dataset_folder": str(folder.parent)},
        parameters={
            "01_data": {"dataset_folder": str(folder.parent), "scale": 4},
            "02_pretrain": {"pixel_loss": variant, "steps": 3000, "batch_size": 8, "patch_size": 64, "seed": seed},
        },
        data={
            "name": str(folder.parent),
            "test_name": "Set14",
            "train": [str(folder / name) for name in IMAGES],
            "test": IMAGES,
            "scale": 4,
            "degradation": {"name": "bicubic", "version": 1},
            "fingerprints": {"train": "1a", "test": "2b"},
        },
        generator={"name": "compact"},
        machine={"processor": "EPYC", "cores": 2, "memory_gib": 24, "gpus": [], "system": "Linux"},
        versions={"keras": "3"},
        git={"commit": "0123456789", "dirty": False},
        **record,
    )
    own = {"bicubic": -1.0, "pretrained": GAINS[variant]}
    rows = [
        (model, "Set14, held out", image, metric, "border 4", 30 + gain + random.normal(0, 0.05))
        for model, gain in own.items()
        for image in IMAGES
        for metric in METRICS
    ]
    run.write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    (run.folder / "DONE").touch()
    return run


@pytest.fixture
def grid(tmp_path):
    """A base run with three seeds, and the runs of a grid `losses` beside it, as `srnb grid --base` begins them."""
    base = finished(tmp_path / "results" / "small", "base", 0, base=None)
    for seed in (1, 2):
        finished(tmp_path / "results" / f"small-seed{seed}", "base", seed, base="small")

    def name(variant, seed):
        return f"losses-{variant}" + (f"-seed{seed}" if seed else "")

    others = [
        finished(tmp_path / "results" / name(variant, seed), variant, seed, base="small")
        for variant in ("mse", "mix")
        for seed in range(3)
    ]
    return base, others


def test_what_is_kept_gives_the_verdicts_of_the_runs(grid, tmp_path):
    base, others = grid
    folder = archive.write(tmp_path / "kept" / "losses", base, others, metrics=METRICS)
    assert archive.names(tmp_path / "kept") == ["losses"]
    record, table = archive.read(folder)
    assert set(table["run"]) == {"base", "mse", "mix"} and set(table["seed"]) == {0, 1, 2}
    assert record["seeds"] == [0, 1, 2] and record["runs"] == 9 and record["seconds"] == 540
    assert {name: own["changed"] for name, own in record["variants"].items()} == {
        "base": "nothing",
        "mse": "pixel_loss = 'mse'",
        "mix": "pixel_loss = 'mix'",
    }
    kept = evaluation.intervals(evaluation.stages(table, reference="base")["pretrained"], reference="base")
    compared, _ = evaluation.variants(base, ["small-seed1", "small-seed2", *(run.name for run in others)])
    rows = evaluation.stages(evaluation.measured(compared, metrics=METRICS), reference="small")["pretrained"]
    direct = evaluation.intervals(rows, reference="small")
    assert direct["model"].str.removeprefix("losses-").tolist() == kept["model"].tolist() == ["mse", "mix"] * 2
    assert kept["verdict"].tolist() == direct["verdict"].tolist() == ["worse", "unclear", "better", "unclear"]
    for name in ("difference", "low", "high", "p"):
        np.testing.assert_allclose(kept[name], direct[name], atol=2e-5)


def test_nothing_of_the_machines_folders_is_kept(grid, tmp_path):
    folder = archive.write(tmp_path / "kept" / "losses", *grid, metrics=METRICS)
    for path in folder.iterdir():
        assert str(tmp_path) not in path.read_text() and "system" not in path.read_text()


def test_the_page_says_what_stands_behind_a_verdict(grid, tmp_path):
    archive.write(tmp_path / "kept" / "losses", *grid, metrics=METRICS)
    page = archive.page(tmp_path / "kept")
    assert "## losses" in page and "3,000 steps of 8 patches of 64 pixels from 8 photographs" in page
    assert "\n* 8 photographs, 3 seeds; 4 differences were tested" in page
    assert "\n* mse: better in LPIPS alex (-0.4896, " in page and "; worse in PSNR Y (-0.471 dB, -0.5" in page
    assert "\n| mse | 29.5" in page and "between 3 seeds |" in page


def test_the_command_publishes_a_grid_by_its_name(grid, tmp_path):
    base, _ = grid
    results, out = base.folder.parent, tmp_path / "published"
    asked = ["--base", "small", "--metrics", "psnr_y,lpips_alex", "--results", results, "--out", out]
    said = CliRunner().invoke(main, [*map(str, ("publish", "losses", *asked))])
    assert said.exit_code == 0 and said.output == f"{out / 'losses'}\n", said.output
    assert (out / "README.md").read_text() == archive.page(out) and "## losses" in archive.page(out)
    said = CliRunner().invoke(main, [*map(str, ("publish", "discriminator", *asked))])
    assert said.exit_code == 1 and "GRID must have runs discriminator-… whose --base was small" in said.output


def test_a_run_that_notebook_4_has_not_seen_is_measured_as_it_would(tmp_path, photographs):
    run, spec = runs.Run(tmp_path / "run"), models.resolve("compact", width=4, blocks=1)
    pairs, network = photographs[:2], models.build(spec)
    models.save_weights(network, run.weights / "pretrained.weights.h5")
    data = {"test": [str(hr) for hr, _ in pairs], "test_name": "mine", "scale": 4, "degradation": {"name": "bicubic"}}
    run.update(data=data, generator=spec)
    archive.measure(run, metrics=["psnr_y"])
    direct = evaluation.evaluate({"pretrained": network}, pairs, scale=4, metrics=["psnr_y"], dataset="mine, held out")
    pd.testing.assert_frame_equal(run.metrics().drop(columns="run"), direct)


def test_what_cannot_be_compared_is_not_kept(grid, tmp_path):
    base, others = grid
    (others[0].folder / "DONE").unlink()
    with pytest.raises(ValueError, match=r"finished and comparable\. Received: losses-mse: not finished"):
        archive.write(tmp_path / "kept" / "losses", base, others, metrics=METRICS)
    assert not (tmp_path / "kept").exists()


def test_a_damaged_table_is_refused(grid, tmp_path):
    folder = archive.write(tmp_path / "kept" / "losses", *grid, metrics=METRICS)
    (folder / "run.json").write_text(json.dumps({"grid": "losses"}))
    with pytest.raises(ValueError, match="must be whole"):
        archive.read(folder)


def test_the_page_in_the_checkout_is_computed_from_its_tables():
    assert (archive.PUBLISHED / "README.md").read_text("utf-8") == archive.page()
    for name in archive.names():
        size = sum(path.stat().st_size for path in (archive.PUBLISHED / name).iterdir())
        assert size < 200_000, "small enough for git"
