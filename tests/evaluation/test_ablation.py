"""ablation: which runs belong together, and what of their numbers may be compared."""

import pandas as pd
import pytest

from srnb import evaluation, runs

METRICS = ["psnr_y", "lpips_alex"]


def finished(folder, gan, *, pretrained=20.0, test=("a.png", "b.png"), parameters=None, **record):
    """Return a done run with numbers of two models on two photographs."""
    run = runs.Run(folder)
    run.update(data={"test": list(test)}, parameters={"03_gan": parameters or {"steps": 1}}, **record)
    values = {"bicubic": 10.0, "pretrained": pretrained, "50% gan": 15.0, "gan": gan}
    rows = [
        (model, dataset, image, metric, "", value + len(image))
        for dataset in ("held out", "Set5")
        for model, value in values.items()
        for image in ("a", "bb")
        for metric in (*METRICS, "ssim_y")
    ]
    run.write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    (run.folder / "DONE").touch()
    return run


@pytest.fixture
def base(tmp_path):
    run = finished(tmp_path / "sample", 18.0, base=None)
    own, borrowed = {"values": {}}, {"values": {"start_from": str(run.folder)}}
    finished(tmp_path / "sample-mse", 19.0, pretrained=21.0, base="sample", parameters={"steps": 2}, **own)
    finished(tmp_path / "elsewhere", 17.0, base="sample", **borrowed)
    finished(tmp_path / "sample-2", 18.0, base=None)
    return run


def test_variants_are_recognised_by_their_record_not_by_their_name(base):
    compared, left_out = evaluation.variants(base)
    assert {label: run.name for label, run in compared.items()} == {
        "sample": "sample",
        "mse": "sample-mse",
        "elsewhere": "elsewhere",
    }
    assert left_out == {}
    assert list(evaluation.variants(base, ["sample", "sample-2"])[0]) == ["sample", "2"]


def test_what_is_no_evidence_is_left_out_with_the_reason(base):
    results = base.folder.parent
    runs.Run(results / "sample-failed").update(base="sample", error={"message": "no <memory>"})
    runs.Run(results / "sample-going").update(base="sample")
    unmeasured = finished(results / "sample-unmeasured", 1.0, base="sample")
    (unmeasured.folder / "metrics.csv").unlink()
    finished(results / "sample-others", 1.0, base="sample", test=("c.png",))
    compared, left_out = evaluation.variants(base)
    assert len(compared) == 3
    assert left_out["failed"] == "no <memory>" and left_out["going"] == "not finished"
    assert "metrics.csv" in left_out["unmeasured"] and "other photographs" in left_out["others"]


def test_changes_are_the_parameters_and_what_the_trainer_noticed(base):
    for step in (20, 40):
        runs.Run(base.folder.parent / "elsewhere").log({"stage": "gan", "step": step, "notice": "colours drift"})
    changes = evaluation.changes(evaluation.variants(base)[0])
    assert changes["changed"].to_dict() == {"sample": "nothing", "mse": "steps = 2", "elsewhere": "nothing"}
    assert changes.loc["elsewhere", "noticed"] == "gan 20: colours drift; gan 40: colours drift"


def test_stages_are_compared_with_their_like(base):
    table = evaluation.measured(evaluation.variants(base)[0], metrics=METRICS)
    means = evaluation.summary(table, by=["model", "run"])
    assert list(means.index) == [
        ("bicubic", "sample"),
        ("pretrained", "sample"),
        ("pretrained", "mse"),
        ("gan", "sample"),
        ("gan", "elsewhere"),
        ("gan", "mse"),
    ]
    assert list(means) == METRICS and means.loc[("gan", "mse"), "psnr_y"] == 19 + 1.5
    stages = evaluation.stages(table, reference="sample")
    assert {stage: list(rows["model"].unique()) for stage, rows in stages.items()} == {
        "pretrained": ["sample", "mse"],
        "gan": ["sample", "elsewhere", "mse"],
    }
    assert evaluation.intervals(stages["gan"], reference="sample")["difference"].tolist() == [-1, 1, -1, 1]
    assert "pretrained" not in evaluation.stages(table, reference="elsewhere")
    assert evaluation.stages(table[table["run"] == "sample"], reference="sample") == {}
    with pytest.raises(ValueError, match=r"those of sample: psnr_y.*Received: psnr"):
        evaluation.measured({"sample": base}, metrics=["psnr_y", "psnr"])
    assert evaluation.finals(table).groupby("model")["value"].mean().to_dict() == {
        "elsewhere": 18.5,
        "mse": 20.5,
        "sample": 19.5,
    }


def test_a_run_without_a_gan_ends_with_its_pretrained_generator(base):
    folder = base.folder.parent / "sample-mse"
    table = runs.Run(folder).metrics()
    runs.Run(folder).write_metrics(table[table["model"] != "gan"])
    finals = evaluation.finals(evaluation.measured(evaluation.variants(base)[0], metrics=METRICS))
    assert finals.groupby("model")["value"].mean()["mse"] == 22.5


@pytest.mark.filterwarnings("error")
def test_seeds_of_a_variant_are_one_row_and_their_spread_stands_beside_the_difference(base):
    results = base.folder.parent
    for seed, gan in ((1, 18.5), (2, 17.5)):
        finished(results / f"sample-seed{seed}", gan, base="sample", seed=seed, parameters={"seed": seed})
        finished(results / f"sample-mse-seed{seed}", gan + 2, base="sample", seed=seed)
    compared, _ = evaluation.variants(base)
    assert evaluation.replicas(compared) == {
        "sample": {0: "sample", 1: "seed1", 2: "seed2"},
        "mse": {0: "mse", 1: "mse-seed1", 2: "mse-seed2"},
        "elsewhere": {0: "elsewhere"},
    }
    table = evaluation.measured(compared, metrics=METRICS)
    means = evaluation.summary(table, by=["model", "run"])
    assert means.loc[("gan", "sample"), "psnr_y"] == 18 + 1.5 and means.loc[("gan", "elsewhere"), "psnr_y"] == 17 + 1.5
    rows = evaluation.stages(table, reference="sample")["gan"]
    spread = evaluation.spread(rows, reference="sample")["psnr_y"]
    assert spread["sample"] == "19.500, 0.500 between 3 seeds"
    assert spread["mse"] == "21.167, +1.667 from sample, 0.764 between 3 seeds"
    assert spread["elsewhere"] == "18.500, -1.000 from sample, one seed"
    seeds = evaluation.intervals(rows, reference="sample").set_index(["metric", "model"])["seeds"]
    assert seeds["psnr_y", "mse"] == 3 and seeds["psnr_y", "elsewhere"] == 1


def test_a_variant_of_foreign_seeds_only_is_left_out_with_the_reason(base):
    """Its differences would be those of the seed as well."""
    results = base.folder.parent
    finished(results / "sample-wide-seed1", 19.0, base="sample", seed=1)
    compared, left_out = evaluation.variants(base)
    assert set(compared) == {"sample", "mse", "elsewhere"}
    assert left_out == {"wide-seed1": "its seed is 1, those of sample are 0"}
    finished(results / "sample-seed1", 18.5, base="sample", seed=1)
    compared, left_out = evaluation.variants(base)
    assert evaluation.replicas(compared)["wide"] == {1: "wide-seed1"} and left_out == {}


def test_a_run_may_itself_be_called_like_a_seed(tmp_path):
    run = finished(tmp_path / "x-seed1", 18.0, seed=1, values={})
    finished(tmp_path / "x-seed1-mse", 19.0, base="x-seed1", seed=1, values={})
    compared, _ = evaluation.variants(run)
    assert evaluation.replicas(compared) == {"x-seed1": {1: "x-seed1"}, "mse": {1: "mse"}}
    assert set(evaluation.stages(evaluation.measured(compared, metrics=METRICS), reference="x-seed1")) == {
        "pretrained",
        "gan",
    }
