"""comparison: intervals against what statistics says, and the verdict."""

import numpy as np
import pandas as pd
import pytest

from srnb import evaluation


def table_of(values):
    return pd.DataFrame(
        [
            (model, "set", f"image{i}", "psnr_y", "", value)
            for model, row in values.items()
            for i, value in enumerate(row)
        ],
        columns=evaluation.COLUMNS,
    )


def test_pairs_are_compared_and_the_interval_is_that_of_statistics():
    random = np.random.default_rng(0)
    reference = random.normal(28, 4, 40)  # images differ far more than the models do
    gain = random.normal(0.2, 0.3, 40)
    table = table_of({"bicubic": reference, "model": reference + gain})
    row = evaluation.intervals(table).iloc[0]
    assert row["difference"] == pytest.approx(gain.mean()) and row["images"] == 40 and row["verdict"] == "better"
    # of 40 normal differences: Student's
    error = 2.023 * gain.std(ddof=1) / np.sqrt(40)
    assert row["low"] == pytest.approx(gain.mean() - error, abs=0.01)
    assert row["high"] == pytest.approx(gain.mean() + error, abs=0.01)


def test_the_verdict_knows_the_better_side_and_when_it_does_not_know():
    reference = np.arange(8.0)
    mixed = reference + np.array([-1, 1, 0, 0.5, -0.5, 0, 1, -0.75])
    table = table_of({"bicubic": reference, "lower": 0.9 * reference - 0.1, "mixed": mixed})
    verdicts = evaluation.intervals(table).set_index("model")["verdict"]
    assert verdicts.to_dict() == {"lower": "worse", "mixed": "unclear"}
    verdicts = evaluation.intervals(table.assign(metric="lpips_alex")).set_index("model")["verdict"]
    assert verdicts["lower"] == "better"
    with pytest.raises(ValueError, match="reference must"):
        evaluation.intervals(table, reference="nearest")


def test_models_without_any_difference_are_equal_and_say_so():
    reference = np.arange(7.0)
    table = table_of({"bicubic": reference, "same": reference, "better": reference + 0.5 + 0.1 * reference})
    differences = evaluation.intervals(table)
    assert differences.set_index("model")["verdict"].to_dict() == {"same": "equal", "better": "better"}
    cells = evaluation.verdicts(differences)["psnr_y"]
    row = differences.iloc[1]
    assert cells["same"] == "equal" and list(cells.index) == ["same", "better"]
    assert cells["better"] == f"+0.800 [{row['low']:+.3f}, {row['high']:+.3f}] better"


def test_a_photograph_that_both_models_give_back_whole_is_no_difference():
    reference = np.array([np.inf, *np.arange(7.0)])  # the PSNR of an empty page
    table = table_of({"bicubic": reference, "model": reference + 0.8 + 0.1 * np.arange(8)})
    row = evaluation.intervals(table).iloc[0]
    assert row["images"] == 8 and row["difference"] == pytest.approx(8.4 / 8) and row["verdict"] == "better"
    assert evaluation.findings(table).endswith("PSNR Y +1.05 dB (better on 7)")


def test_five_photographs_are_too_few_for_any_verdict_and_six_for_two():
    for count, models, verdict in ((1, 1, "too few"), (5, 1, "too few"), (6, 1, "better"), (6, 2, "too few")):
        values = {f"model{number}": 1 + np.arange(count) + number for number in range(models)}
        differences = evaluation.intervals(table_of({"bicubic": np.zeros(count), **values}))
        assert differences["verdict"].str.startswith(verdict).all() and (differences["images"] == count).all()
        assert np.isfinite(differences["low"]).all() == (count == 6)
        if count < 6:
            assert (
                evaluation.verdicts(differences)["psnr_y"].item()
                == f"{values['model0'].mean():+.3f} too few photographs"
            )


def test_seeds_are_paired_and_another_seed_may_change_the_verdict():
    gains = np.random.default_rng(0).normal(0.5, 0.1, (3, 10))
    tables = []
    for seed, shift in enumerate((-1.2, 0.1, 1.1)):
        values = {"base": np.arange(10.0) + seed, "variant": np.arange(10.0) + seed + gains[seed] + shift}
        tables.append(table_of(values).assign(seed=seed))
    one, three = (evaluation.intervals(table, reference="base").iloc[0] for table in (tables[2], pd.concat(tables)))
    assert one["verdict"] == "better" and (one["seeds"], three["seeds"], three["images"]) == (1, 3, 10)
    assert three["verdict"] == "unclear" and three["difference"] == pytest.approx(gains.mean())
    partly = pd.concat([*tables[:2], tables[2][tables[2]["model"] == "base"]])
    assert evaluation.intervals(partly, reference="base")["seeds"].item() == 2
    with pytest.raises(ValueError, match="share a seed"):
        evaluation.gains(pd.concat([tables[0][tables[0]["model"] == "base"], tables[1].iloc[10:]]), reference="base")


def test_models_measured_on_other_images_are_refused():
    table = table_of({"bicubic": [1.0, 2.0], "model": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"same images.*model"):
        evaluation.intervals(table.iloc[:-1])


def test_findings_are_written_from_the_numbers():
    table = table_of({"bicubic": [1.0, 2.0, 3.0], "mixed": [0.75, 2.5, 3.5], "other": [0.0, 0.0, 0.0]})
    table = pd.concat([table, table.assign(metric="lpips_alex")])
    assert evaluation.findings(table, models=["mixed"]) == (
        "set, 3 photographs\n  mixed against bicubic: PSNR Y +0.25 dB (better on 2), LPIPS alex +0.2500 (better on 1)"
    )
    assert evaluation.findings(table, reference="mixed").count("\n") == 2
    nothing = table_of({"bicubic": [1.0], "same": [1.0 - 1e-9]})
    assert evaluation.findings(nothing) == "set, 1 photograph\n  same against bicubic: PSNR Y 0.00 dB (better on 0)"


def test_judges_agree_where_they_put_the_models_in_the_same_order():
    values = {  # of three models on two photographs; LPIPS is better when lower
        "psnr_y": ((1, 2, 3), (3, 2, 1)),
        "ssim_y": ((1, 2, 3), (1, 2, 3)),
        "lpips_alex": ((3, 2, 1), (1, 2, 3)),
        "dists": ((5, 5, 5), (5, 5, 5)),
    }
    rows = [
        (model, "set", f"image{image}", metric, "", float(value))
        for metric, images in values.items()
        for image, each in enumerate(images)
        for model, value in zip("abc", each, strict=True)
    ]
    rows.append(("a", "set", None, "parameters", "", 1.0))
    found = evaluation.agreement(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    assert found.index.tolist() == found.columns.tolist() == list(values)
    assert found.loc["psnr_y", "lpips_alex"] == pytest.approx(1)
    assert found.loc["psnr_y", "ssim_y"] == pytest.approx(0)  # the same order once, and once the reverse
    assert found.loc["dists"].isna().all()
