"""published: where each value comes from, and that the comparable ones of bicubic are ours."""

from itertools import pairwise

import pandas as pd
import pytest

from srnb import evaluation
from srnb.data import datasets
from srnb.evaluation import metrics


def test_published_values_say_where_they_come_from_and_what_may_not_be_compared():
    table = evaluation.published_values(datasets=["Set5"])
    assert (table["dataset"] == "Set5").all() and table[["source", "protocol"]].all(axis=None)
    assert set(table["metric"]) <= set(metrics.METRICS)
    srgan = table[table["source"].str.contains("1609.04802")].set_index(["model", "metric"])
    # SRGAN's SSIM is that of daala: .8211 for the bicubic whose standard SSIM is .8104
    assert srgan.loc[("bicubic", "ssim_y"), "value"] == 0.8211 and not srgan.loc[("bicubic", "ssim_y"), "comparable"]
    assert srgan.loc[("SRResNet", "psnr_y"), "comparable"]


def test_rows_stand_beside_ours_only_where_our_bicubic_is_theirs():
    rows = [
        ("bicubic", dataset, image, metric, "", value)
        for dataset, psnr in (("Set5", 28.43), ("Urban100", 23.25))  # the latter from other LR
        for metric, value in (("psnr_y", psnr), ("ssim_y", 0.8111 if dataset == "Set5" else 0.6581))
        for image in ("a", "b")
    ]
    table = pd.DataFrame(rows, columns=evaluation.COLUMNS)
    published = evaluation.published_values(datasets=["Set5", "Urban100", "Manga109"])
    checked = evaluation.checked(published, table).set_index(["dataset", "metric", "model", "source"])["comparable"]
    esrgan = published["source"][0]
    assert checked["Set5", "psnr_y", "EDSR", esrgan] and checked["Urban100", "ssim_y", "EDSR", esrgan]
    assert not checked["Urban100", "psnr_y", "EDSR", esrgan] and not checked["Manga109", "psnr_y", "EDSR", esrgan]
    assert "lpips_alex" not in set(published.query("dataset == 'Urban100'")["metric"])
    assert evaluation.checked(evaluation.published_values(datasets=["mine"]), table).empty
    assert checked.xs("lpips_alex", level="metric").all()  # nothing there that bicubic of Y could refute


@pytest.mark.parametrize("scale", [2, 3])
def test_other_scales_have_networks_and_bicubic_to_check_them_by(scale):
    """SSIM rises with PSNR from network to network; a slip of the pen in either would not."""
    table = evaluation.published_values(scale=scale)
    sets = set(table.loc[table["model"] == "bicubic", "dataset"])
    assert (
        sets == {"Set5", "Set14", "BSD100", "Urban100"} and not table.duplicated(["dataset", "metric", "model"]).any()
    )
    for _, own in table.groupby("dataset"):
        values = own.pivot(index="model", columns="metric", values="value").sort_values("psnr_y")
        drops = values["ssim_y"].diff().dropna()
        assert drops.min() > -0.0015 and values["psnr_y"].diff().max() < 4.5
    known = table.drop_duplicates("model").set_index("model")["multiply_adds"].dropna()
    assert set(known.index) == {"VDSR", "EDSR", "RCAN", "CARN", "SwinIR light"}
    assert evaluation.published_values(scale=5).empty


def test_a_larger_scale_is_harder_and_cheaper_for_the_same_network():
    tables = [evaluation.published_values(scale=scale) for scale in (2, 3, 4)]
    keys = ["dataset", "metric", "model"]
    first, *_ = tables = [table.drop_duplicates(keys).set_index(keys) for table in tables]
    for near, far in pairwise(tables):
        shared = near.index.intersection(far.index)
        assert (near.loc[shared, "value"] > far.loc[shared, "value"]).all() and len(shared) > 50
    stated = [table.xs("SwinIR light", level="model")["multiply_adds"].iloc[0] for table in tables]
    assert stated == sorted(stated, reverse=True) and first.loc[("Set5", "psnr_y", "CARN"), "parameters"] == 1592


@pytest.mark.benchmark
def test_comparable_published_values_of_bicubic_are_ours(bicubic_tables):
    published = evaluation.published_values().query("model == 'bicubic' and comparable and metric != 'lpips_alex'")
    published = published[published["dataset"].isin(bicubic_tables)]
    for dataset, metric, value, protocol in published[["dataset", "metric", "value", "protocol"]].itertuples(
        index=False
    ):
        ours = evaluation.summary(bicubic_tables[dataset]).loc[(dataset, "bicubic"), metric]
        grey = 0.1 if "grey file made RGB" in protocol and dataset == "Set14" else 0
        # papers round Y or not and say so nowhere: 0.02 dB, 0.0015
        assert value == pytest.approx(ours, abs=(0.0015 if "ssim" in metric else 0.025) + grey), (dataset, metric)


@pytest.mark.benchmark
@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("name", ["Set5"])  # of BSD100 there is no HR here but that of x4
def test_our_bicubic_is_the_published_one_at_other_scales(name, scale):
    pairs = [(hr, None) for hr, _ in datasets.pairs(name, scale=scale)]
    table = evaluation.evaluate({}, pairs, scale=scale, metrics=("psnr_y", "ssim_y"), dataset=name)
    published = evaluation.published_values(datasets=[name], scale=scale)
    assert evaluation.checked(published, table)["comparable"].all()
    assert not evaluation.checked(published, table.assign(value=table["value"] + 0.03))["comparable"].any()
