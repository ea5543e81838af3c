"""costs: counted by hand, timed on what really runs; and the plane on which they stand beside published ones."""

import numpy as np
import pandas as pd
import pytest

from srnb import evaluation, models
from srnb.evaluation import costs, published
from srnb.evaluation.metrics import COSTS

SPEC = {"name": "tiny", "scale": 2, "body": "k3n16s1 relu k3n12s1 shuffle2"}


def values(table, model):
    rows = table[(table["model"] == model) & (table["dataset"] == table["dataset"].iloc[0])]
    return rows.set_index("metric")["value"].to_dict()


def test_work_and_size_are_counted_and_the_rest_is_measured():
    first, second = models.build(SPEC), models.build({**SPEC, "name": "other"})
    table = costs.measure({"first": first, "second": second, "half": halved}, scale=2, datasets=["a", "b"])
    assert list(table) == evaluation.COLUMNS and table["image"].isna().all() and set(table["metric"]) == set(COSTS)
    assert table["dataset"].value_counts().to_dict() == dict.fromkeys("ab", len(table) // 2)
    own = values(table, "first")
    work = 9 * 3 * 16 + 9 * 16 * 12  # for each pixel of lr
    assert own["multiply_adds"] == pytest.approx(work * 1280 * 720 / 4 / 1e9, rel=1e-6)
    assert own["parameters"] == (work + 16 + 12) / 1e3
    assert own["seconds_per_megapixel"] > 0 and own == values(table, "second")  # equal layers, measured once
    assert not values(table, "half").keys() & {"parameters", "multiply_adds"}  # a function tells nothing of itself
    assert values(table, "bicubic")["parameters"] == 0 and "multiply_adds" not in values(table, "bicubic")
    times = table[table["metric"] == "seconds_per_megapixel"]["protocol"]
    assert times.str.contains("median of 3 runs after a first one; result of 640x360; CPU").all()
    ensemble = costs.measure({"first": first}, scale=2, datasets=["a"], ensemble=True)
    assert values(ensemble, "first")["multiply_adds"] == pytest.approx(8 * own["multiply_adds"])


def halved(lr):
    return np.full((lr.shape[0] * 2, lr.shape[1] * 2, 3), 0.5, "float32")


def test_memory_is_that_of_the_maps_whatever_the_process_held_before():
    wide = {"name": "wide", "scale": 2, "body": "k3n64s1 relu k3n64s1 relu k3n12s1 shuffle2"}
    networks = {"tiny": models.build(SPEC), "wide": models.build(wide), "half": halved}
    first, again = (costs.measure(networks, scale=2, datasets=["a"]) for _ in range(2))
    for name, maps in (("tiny", 16), ("wide", 64)):  # a layer's input and its result, float32, for each pixel of lr
        assert values(first, name)["peak_memory"] == pytest.approx(2 * maps * 4 * 180 * 320 / 2**20)
    assert all(values(first, name)["peak_memory"] == values(again, name)["peak_memory"] for name in ("tiny", "wide"))
    assert not {"peak_memory"} & {*values(first, "half"), *values(first, "bicubic")}  # nobody can count it there
    lower = costs.measure({"wide": networks["wide"]}, scale=2, datasets=["a"], precision="bfloat16")
    assert values(lower, "wide")["peak_memory"] < values(first, "wide")["peak_memory"]


def test_costs_are_of_no_photograph_and_no_verdict():
    rows = [
        (model, "set", f"image{i}", "psnr_y", "", value + i)
        for model, value in (("bicubic", 25.0), ("gan", 26.0))
        for i in range(6)
    ]
    table = pd.DataFrame(rows, columns=evaluation.COLUMNS)
    more = pd.DataFrame([("gan", "set", None, metric, "", 1.0) for metric in COSTS], columns=evaluation.COLUMNS)
    both = pd.concat([table, more])
    pd.testing.assert_frame_equal(evaluation.intervals(both), evaluation.intervals(table))
    assert evaluation.findings(both) == evaluation.findings(table)
    assert evaluation.summary(both).loc[("set", "gan"), "peak_memory"] == 1.0


def test_the_plane_sets_ours_beside_what_papers_print():
    rows = [
        (model, "Set5", "a", "psnr_y", "", value)
        for model, value in (("bicubic", 28.43), ("gan", 29.0), ("mine", 30.0))
    ] + [(model, "Set5", None, "multiply_adds", "", 16.0) for model in ("gan", "mine")]
    table = pd.DataFrame(rows, columns=evaluation.COLUMNS)
    values = evaluation.checked(evaluation.published_values(datasets=["Set5", "Set14"]), table)
    points = evaluation.cost_plane(table, values).set_index(["dataset", "model"])
    assert points.loc[("Set5", "gan")].tolist() == [16.0, 29.0, False]
    assert np.isnan(points.loc[("Set5", "bicubic"), "cost"]) and points.index.is_unique
    assert points.loc[("Set5", "RRDB")].tolist() == [1032.6, 32.60, True]  # trained on DIV2K, as the others
    assert "Set14" not in points.index  # not measured here, so nothing there was checked
    assert not evaluation.cost_plane(table, evaluation.published_values(scale=8))["published"].any()
    alone = evaluation.cost_plane(table, evaluation.published_values(datasets=["Set14"]))
    assert alone.groupby("dataset")["published"].agg(["min", "max"]).to_numpy().tolist() == [[True, True], [False] * 2]


@pytest.mark.parametrize("name", published.NETWORKS)
def test_costs_of_published_networks_are_those_of_their_specs(name):
    spec, *known = published.NETWORKS[name]
    channels = {"channels": 1} if name in ("VDSR", "DRRN") else {}
    # of what is repeated, more than twice: as much again as the second takes; hundreds of layers take seconds to build
    repeated, times = {"RCAN": ("groups", 10), "RRDB": ("blocks", 23), "EDSR": ("blocks", 32)}.get(name, (None, 1))
    for scale, (parameters, multiply_adds) in zip((2, 3, 4), known, strict=True):
        changes = [{repeated: 1}, {repeated: 2}] if repeated else [{}]
        first, *second = (models.cost(spec, scale=scale, **channels, **changed) for changed in changes)
        total = {key: first[key] for key in ("parameters", "multiply_adds")}
        for own in second:
            total = {key: value + (times - 1) * (own[key] - value) for key, value in total.items()}
        assert parameters == total["parameters"] / 1e3
        assert multiply_adds == round(total["multiply_adds"] * 1280 * 720 / 1e9, 1)
