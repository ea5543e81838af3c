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


def test_the_bootstrap_is_paired():
    random = np.random.default_rng(0)
    reference = random.normal(28, 4, 40)  # images differ far more than the models do
    gain = random.normal(0.2, 0.3, 40)
    table = table_of({"bicubic": reference, "model": reference + gain})
    row = evaluation.bootstrap(table).iloc[0]
    assert row["difference"] == pytest.approx(gain.mean()) and row["images"] == 40 and row["verdict"] == "better"
    # the interval of the mean of 40 normal differences: 1.96 standard errors
    error = 1.96 * gain.std() / np.sqrt(40)
    assert row["low"] == pytest.approx(gain.mean() - error, abs=0.015)
    assert row["high"] == pytest.approx(gain.mean() + error, abs=0.015)


def test_the_verdict_knows_the_better_side_and_when_it_does_not_know():
    table = table_of({"bicubic": [1.0, 2.0, 3.0], "lower": [0.9, 1.8, 2.9], "mixed": [0.9, 2.2, 3.0]})
    verdicts = evaluation.bootstrap(table).set_index("model")["verdict"]
    assert verdicts.to_dict() == {"lower": "worse", "mixed": "unclear"}
    verdicts = evaluation.bootstrap(table.assign(metric="lpips_alex")).set_index("model")["verdict"]
    assert verdicts["lower"] == "better"
    assert evaluation.bootstrap(table_of({"bicubic": [1.0], "one": [2.0]}))["verdict"].item() == "unclear"
    with pytest.raises(ValueError, match="reference must"):
        evaluation.bootstrap(table, reference="nearest")


def test_models_without_any_difference_are_equal_and_say_so():
    table = table_of({"bicubic": [1.0, 2.0, 3.0], "same": [1.0, 2.0, 3.0], "better": [1.5, 2.25, 3.75]})
    differences = evaluation.bootstrap(table)
    assert differences.set_index("model")["verdict"].to_dict() == {"same": "equal", "better": "better"}
    cells = evaluation.verdicts(differences)["psnr_y"]
    row = differences.iloc[1]
    assert cells["same"] == "equal" and list(cells.index) == ["same", "better"]
    assert cells["better"] == f"+0.500 [{row['low']:+.3f}, {row['high']:+.3f}] better"


def test_models_measured_on_other_images_are_refused():
    table = table_of({"bicubic": [1.0, 2.0], "model": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"same images.*model"):
        evaluation.bootstrap(table.iloc[:-1])


def test_findings_are_written_from_the_numbers():
    table = table_of({"bicubic": [1.0, 2.0, 3.0], "mixed": [0.75, 2.5, 3.5], "other": [0.0, 0.0, 0.0]})
    table = pd.concat([table, table.assign(metric="lpips_alex")])
    assert evaluation.findings(table, models=["mixed"]) == (
        "set, 3 photographs\n  mixed against bicubic: PSNR Y +0.25 dB (better on 2), LPIPS alex +0.2500 (better on 1)"
    )
    assert evaluation.findings(table, reference="mixed").count("\n") == 2
    nothing = table_of({"bicubic": [1.0], "same": [1.0 - 1e-9]})
    assert evaluation.findings(nothing) == "set, 1 photograph\n  same against bicubic: PSNR Y 0.00 dB (better on 0)"
