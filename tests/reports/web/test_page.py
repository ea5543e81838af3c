"""The page in a real browser gives what `srnb upscale` gives, and asks for nothing."""

import base64
import re

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from skimage import data

from srnb import models, runs, shipped
from srnb.cli import main
from srnb.evaluation import inference
from srnb.reports import report
from srnb.reports.web import choices, page

pytestmark = pytest.mark.filterwarnings("ignore:interpolation needs")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with two generators that are one network, unlike any fresh one."""
    run = runs.Run(tmp_path_factory.mktemp("results") / "mine <b>")
    spec = models.resolve("srresnet", blocks=2, width=16, skip="bilinear")
    run.update(generator=spec, backend="tensorflow", notebooks={})
    keras.utils.set_random_seed(0)  # how many values are rounded to the other side depends on the weights,
    # which are no wilder than trained ones
    random = np.random.default_rng(0)
    for stage in ("pretrained", "gan"):
        model = models.build(spec)
        for variable in model.variables:
            if "variance" not in variable.path:
                variable.assign(
                    variable.numpy() + random.normal(0, 0.005, variable.shape)
                )  # no wilder than trained ones
        models.save_weights(model, run.folder / "weights" / f"{stage}.weights.h5")
    return run


@pytest.fixture(scope="module")
def site(run):
    return page.write(run.folder / "site", [choices.of_run(run)], title="Try", lead="Lead.")


@pytest.fixture(scope="module")
def tab(site, open_page):
    return open_page(site)


def drop(tab, path):
    """Drop a file from outside the browser, as a mouse would."""
    session = tab.context.new_cdp_session(tab)
    data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def choose(tab, *paths):
    tab.set_input_files(".try .file", [str(path) for path in paths])


def message(tab):
    return tab.locator(".try .message").text_content()


def enlarged(tab, path, *, give=choose):
    """Give a picture to the page and return the file that it offers, as (name, array)."""
    before = tab.locator(".try .jobs li").count()
    give(tab, path)
    tab.wait_for_function(f"document.querySelectorAll('.try .jobs li').length === {before + 1}")
    tab.locator(".try .bar").wait_for(state="hidden", timeout=120_000)
    assert not message(tab)
    with tab.expect_download() as started:
        tab.click(".try .save")
    with Image.open(started.value.path()) as picture:
        return started.value.suggested_filename, np.asarray(picture)


def photograph(path, mode="RGB", **options):
    picture = Image.fromarray(data.astronaut()[40:190, 150:380]).convert(mode)
    if mode == "RGBA":
        alpha = np.full((150, 230), 255, "uint8")
        alpha[:60] = np.linspace(0, 255, 230).astype("uint8")
        alpha[:, :50] = 0
        picture.putalpha(Image.fromarray(alpha))
    picture.save(path, **options)
    return path


def expected(network, path, tmp_path):
    inference.upscale_file(network, path, tmp_path / "expected.png")
    with Image.open(tmp_path / "expected.png") as picture:
        return np.asarray(picture)


def compare(result, wanted):
    assert result.shape == wanted.shape
    difference = abs(result.astype(int) - wanted)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.005


def test_a_dropped_file_becomes_that_of_srnb_upscale(tab, run, tmp_path):
    path = photograph(tmp_path / "a photo.of mine.png")
    name, result = enlarged(tab, path, give=drop)
    assert name == "a photo.of mine_x4.png"
    wanted = CliRunner().invoke(
        main,
        ["upscale", str(path), "--model", str(run.folder), "--out", str(tmp_path / "out"), "--precision", "float32"],
        catch_exceptions=False,
    )
    assert wanted.exit_code == 0, wanted.output
    compare(result, np.asarray(Image.open(tmp_path / "out" / name)))
    assert tab.asked <= {"file", "blob", "data"}


def test_blend_between_two_ends(tab, run, tmp_path):
    ends = [inference.load(run.folder / "weights" / f"{stage}.weights.h5") for stage in ("pretrained", "gan")]
    path = photograph(tmp_path / "b.png")
    share = tab.locator(".try .share")
    share.fill("40")
    _, result = enlarged(tab, path)
    compare(result, expected(models.interpolate(*ends, 0.4), path, tmp_path))
    assert tab.locator(".try .right").text_content() == "mine <b>, 40 % gan"
    share.evaluate("slider => slider.value = 100")


def test_transparency_is_kept(tab, run, tmp_path):
    path = photograph(tmp_path / "c.png", "RGBA")
    _, result = enlarged(tab, path)
    wanted = expected(inference.load(run.folder), path, tmp_path)
    assert abs(result[..., 3].astype(int) - wanted[..., 3]).max() <= 1
    compare(result[300:, 240:], wanted[300:, 240:])  # where nothing is transparent near by
    seen = wanted[..., 3] > 128  # a canvas rounds colour times alpha
    assert abs(result.astype(int) - wanted)[seen].max() <= 6


def test_exif_orientation_is_applied(tab, run, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = photograph(tmp_path / "d.jpg", exif=exif, quality=95)
    name, result = enlarged(tab, path)
    assert name == "d_x4.png" and result.shape == (920, 600, 3)
    wanted = expected(inference.load(run.folder), path, tmp_path)
    assert np.mean(abs(result.astype(int) - wanted)) < 0.5  # decoders of JPEG differ by a level here and there


def test_an_example_is_there_for_who_has_no_picture_at_hand(tab, run, tmp_path):
    name, result = enlarged(tab, None, give=lambda tab, _: tab.click(".try .example"))
    assert name == "example_x4.png"
    source = tab.locator(".try .example img").get_attribute("src").removeprefix("data:image/jpeg;base64,")
    (tmp_path / "example.jpg").write_bytes(base64.b64decode(source))
    compare(result, expected(inference.load(run.folder), tmp_path / "example.jpg", tmp_path))


def test_several_pictures_one_after_the_other_and_what_is_none(tab, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    before = tab.locator(".try .jobs a:not([hidden])").count()
    choose(tab, photograph(tmp_path / "e.png"), tmp_path / "text.png", photograph(tmp_path / "f.png"))
    tab.wait_for_function(f"document.querySelectorAll('.try .jobs a:not([hidden])').length === {before + 2}")
    assert "text.png: this browser cannot read it" in message(tab)


def test_cancel_ends_the_work(tab, tmp_path):
    Image.fromarray(np.tile(data.astronaut(), (3, 3, 1))).save(tmp_path / "large.png")
    choose(tab, tmp_path / "large.png")
    tab.wait_for_function("document.querySelector('.try .progress').value > 0")
    tab.click(".try .cancel")
    assert tab.locator(".try .bar").is_hidden() and "large.png: cancelled" in message(tab)
    _, result = enlarged(tab, photograph(tmp_path / "g.png"))
    assert result.shape == (600, 920, 3)


def test_what_is_too_large_is_said_before_the_work(tab, tmp_path):
    Image.new("1", (23_000, 23_000)).save(tmp_path / "huge.png")
    choose(tab, tmp_path / "huge.png")
    tab.locator(".try .message", has_text="huge.png").wait_for()
    assert re.search(r"it has 529 megapixels; on this device \d+ megapixels are possible", message(tab))


def test_report_lets_its_readers_try(run):
    text = report.render(run, trial=page.trial(run)).read_text()
    assert text.count('id="try-heading"') == 1 and 'href="#try-heading"' in text and "try-weights-1" in text
    assert not re.search(r"url\((?!data:)|@import|fetch\(|import\(|https?://(?!www.w3.org)", page.trial(run))
    assert "try-heading" not in report.render(run).read_text()


def test_report_says_why_not(tmp_path):
    run = runs.Run(tmp_path / "attentive")
    spec = models.resolve("srresnet", blocks=1, width=16, attention="flexible_attention(pool=4)")
    run.update(generator=spec)
    models.save_weights(models.build(spec), run.folder / "weights" / "gan.weights.h5")
    assert "Not possible with this run: attentive cannot run in a page: srresnet looks at the whole" in page.trial(run)
    (run.folder / "weights" / "gan.weights.h5").unlink()
    assert "a run must have trained a generator" in page.trial(run)


def test_report_has_a_limit(run, monkeypatch):
    monkeypatch.setattr(page, "LARGEST", 1000)
    assert "MB of the page, 0.0 MB at most" in page.trial(run)


def test_what_ships_is_there_as_far_as_it_fits(run, monkeypatch):
    own = len(page.trial(run))
    monkeypatch.setattr(page, "LARGEST", 1_300_000)
    text = page.trial(run, shipped=True)
    assert 300_000 < len(text) - own < 1_300_000
    titles = re.findall(r'"title":"([^"]+)"', text)
    assert titles[0] == "mine \\u003cb>" and 1 < len(titles) < 1 + len(shipped.names())
    named = re.search("Not in this page, which would grow too large: (.*?)[.]</p>", text)[1].split(", ")
    assert sorted([*titles[1:], *named]) == sorted(shipped.names())
    assert "Not in this page" not in page.trial(run)


def test_demo_is_a_page_of_its_own(run, tmp_path):
    options = ["--results", str(run.folder.parent), "--out", str(tmp_path)]
    done = CliRunner().invoke(main, ["demo", run.name, *options], catch_exceptions=False)
    assert done.output.strip() == str(tmp_path / "index.html"), done.output
    text = (tmp_path / "index.html").read_text()
    assert text.startswith("<!DOCTYPE html>") and '"title":"mine \\u003cb>"' in text
    assert CliRunner().invoke(main, ["demo", "unknown", *options]).exit_code == 1
    done = CliRunner().invoke(main, ["demo", "--out", str(tmp_path / "all")], catch_exceptions=False)
    text = (tmp_path / "all" / "index.html").read_text()
    assert done.exit_code == 0 and len(text.encode()) < 5e6
    assert all(f'"{name}"' in text for name in ("compact", "compact-gan", "compact-photo"))


def test_three_networks_of_the_shipped_size_stay_under_5_mb(tmp_path):
    entries = []
    for name in "abc":
        entries.append({"title": name, "note": "", "ends": {name: models.build("compact", name=name)}})
    assert page.write(tmp_path, entries, title="", lead="").stat().st_size < 5e6
