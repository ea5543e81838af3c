"""Every network that ships is whole: it has its card, loads strictly, and gives the numbers that the card says."""

import os
from pathlib import Path

import numpy as np
import pytest

from srnb import models, shipped
from srnb.evaluation import inference

LARGEST = 4 * 10**6  # bytes of a weight file


@pytest.mark.parametrize("name", shipped.names())
def test_a_network_that_ships_gives_the_numbers_of_its_card(name):
    from srnb.reports import card as cards

    card, network = shipped.card(name), inference.load(name)
    assert (shipped.FOLDER / name / "weights.safetensors").stat().st_size <= LARGEST
    assert card["parameters"] == network.count_params() <= 10**6
    assert models.spec_of(shipped.file(name)) == card["spec"]  # so a copy of the file is a network, too
    assert len(card["check"]) == 2
    assert cards.check(network, card["degradation"]["name"]) == pytest.approx(card["check"], abs=0.01)


@pytest.mark.parametrize("name", shipped.names())
def test_a_network_that_ships_keeps_the_tone_of_flat_areas(name):
    network, scale = inference.load(name), shipped.card(name)["spec"]["scale"]
    for level in (16, 128, 240):
        sr = inference.upscale(network, np.full((48, 48, 3), level / 255, np.float32))
        inside = sr[16 * scale : -16 * scale, 16 * scale : -16 * scale]  # beyond the zeros around a picture
        assert np.abs(inside.mean(axis=(0, 1)) * 255 - level).max() < 2


@pytest.mark.parametrize("name", shipped.names())
def test_every_photograph_of_a_training_has_source_and_licence(name):
    photographs = shipped.card(name)["photographs"]
    assert len(photographs) > 100
    assert all(photograph["source"] and photograph["licence"] for photograph in photographs)
    assert len(shipped.hashes(name)) == len(photographs)


@pytest.mark.skipif("SRNB_DATA" not in os.environ, reason="SRNB_DATA names no folder with the photographs")
def test_hashes_are_those_of_the_photographs():
    from srnb.data import duplicates

    folder = Path(os.environ["SRNB_DATA"]) / "train"
    known = dict(list(shipped.hashes("compact").items())[:3])
    found = duplicates.hashes(duplicates.decoded([folder / name for name in known]))
    assert {Path(path).name: value for path, value in found.items()} == known


@pytest.mark.benchmark
@pytest.mark.skipif("SRNB_DATA" not in os.environ, reason="SRNB_DATA names no folder with the benchmark sets")
@pytest.mark.parametrize("name", shipped.names())
def test_a_network_that_ships_gives_its_table_on_set5(name):
    from srnb import evaluation
    from srnb.data import datasets

    card = shipped.card(name)
    if card["degradation"]["name"] != "bicubic":
        pytest.skip("its table is of degraded pictures")
    network, pairs = inference.load(name), datasets.pairs("Set5", scale=card["spec"]["scale"])
    scale = card["spec"]["scale"]
    table = evaluation.evaluate({name: network}, pairs, scale=scale, metrics=("psnr_y",), dataset="Set5")
    measured = evaluation.summary(table).loc["Set5", name]["psnr_y"]
    assert measured == pytest.approx(card["metrics"]["Set5"]["psnr_y"], abs=0.005)


def test_the_table_of_the_readme_is_that_of_the_cards():
    from srnb import files
    from srnb.reports import card as cards

    table = cards.table()
    assert all(f"| {name} |" in table for name in shipped.names()) and "| SRResNet, published | 32.05" in table
    readme = (files.ROOT / "README.md").read_text("utf-8")
    assert all(part in readme for part in table.split("\n\n"))


@pytest.mark.parametrize("name", shipped.names())
def test_the_page_of_a_network_is_made_of_its_card_and_its_numbers(name):
    import pandas as pd

    from srnb import evaluation
    from srnb.reports import card as cards

    means = evaluation.summary(pd.read_csv(shipped.FOLDER / name / "metrics.csv"))
    assert (shipped.FOLDER / name / "README.md").read_text("utf-8") == cards._page(shipped.card(name), means)


def test_the_listing_compares_on_shared_sets_and_with_bicubic_on_the_same_pictures(tmp_path):
    from click.testing import CliRunner

    from srnb import cli

    listed = CliRunner().invoke(cli.main, ["models", "--results", str(tmp_path)])
    assert listed.exit_code == 0 and "held out:" not in listed.output, "each network held out others"
    photo, compact = (shipped.card(name)["metrics"] for name in ("compact-photo", "compact"))
    assert f"    BSD100, LR by realesrgan: PSNR Y {photo['BSD100']['psnr_y']:.2f} (bicubic 22.73)" in listed.output
    assert f"    Set5: PSNR Y {compact['Set5']['psnr_y']:.2f} (bicubic 28.43)" in listed.output


def test_a_name_that_does_not_ship_says_what_does():
    with pytest.raises(ValueError, match=r"must be one of .*Received: 'kompact'"):
        shipped.card("kompact")


def test_what_enlarges_by_another_factor_than_its_origin_has_none_to_be_blended_with():
    assert shipped.card("compact_x2")["start"] == "compact" and shipped.origin("compact_x2") is None
    assert shipped.origin("compact-gan") == "compact" and shipped.origin("compact") is None
