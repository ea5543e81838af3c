"""Report and index in a real browser: what is seen first, what fits a phone, what a click does."""

import numpy as np
import pandas as pd
import pytest

from srnb import evaluation, runs
from srnb.data import images
from srnb.evaluation.metrics import COSTS
from srnb.reports import overview, report

pytestmark = pytest.mark.slow
LEVELS = {"bicubic": (25.0, 0.40, 0.70), "pretrained": (26.0, 0.36, 0.75), "gan": (25.5, 0.25, 0.72)}
METRICS = ("psnr_y", "lpips_alex", "ssim_y")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of three runs with reports: `b` is the best by PSNR, `c` failed before it measured anything."""
    folder, random = tmp_path_factory.mktemp("results"), np.random.default_rng(0)
    for name, gain in (("a", 0.0), ("b", 1.0)):
        run = runs.Run(folder / name)
        data = {"name": "/photos/mine", "test_name": "x", "train": ["i"] * 90, "test": [], "scale": 4}
        run.update(status="complete", notebooks={}, values={"seed": 0, "width": 32 + 32 * int(gain)}, data=data)
        run.update(generator={"name": "srresnet"}, started=f"2026-11-0{2 - int(gain)}T09:00:00", seconds=60.0, seed=0)
        rows = [
            (
                model,
                f"i{number}",
                metric,
                level + random.normal(0, 0.01) + gain * (model == "gan") * (metric == "psnr_y"),
            )
            for model, levels in {**LEVELS, "50% gan": LEVELS["gan"], "25% gan": LEVELS["gan"]}.items()
            for metric, level in zip(METRICS, levels, strict=True)
            for number in range(12)
        ]
        table = pd.DataFrame(rows, columns=["model", "image", "metric", "value"])
        run.write_metrics(table.assign(dataset="/photos/mine, held out", protocol="border 4"))
        (run.folder / "weights").mkdir()
        (run.folder / "weights" / "gan.weights.h5").touch()
        for photograph in ("astronaut", "chelsea"):
            for model, size in {"LR": 96, "bicubic": 384, "pretrained": 384, "gan": 384, "HR": 384}.items():
                path = run.figures / "scenes" / photograph / f"{model}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                images.write(path, np.full((size, size * 3 // 2, 3), 0.5, "float32"))
        (run.folder / "DONE").touch()
        report.render(run)
    runs.Run(folder / "c").update(status="failed", notebooks={}, values={"width": 32}, started="2026-11-03T09:00:00")
    overview.write(folder)
    return folder


def test_the_first_screen_holds_the_result(results, open_page):
    page = open_page(results / "b" / "report" / "index.html")
    page.wait_for_selector(".inspector[data-state]")
    for seen in ("h1", ".summary", ".inspector .stage", "table.first"):
        box = page.locator(seen).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 900 and box["x"] + box["width"] <= 1440, seen
    assert page.locator("table.first tbody tr").count() == 5 and page.asked <= {"file", "data"}


@pytest.mark.parametrize("width", [390, 340])
def test_the_first_table_fits_a_phone(results, open_page, width):
    page = open_page(results / "b" / "report" / "index.html", size=(width, 844))
    box = page.locator("table.first").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_a_figure_on_a_phone_keeps_text_that_can_be_read_and_says_that_it_scrolls(results, open_page):
    for width, scrolls in ((390, True), (1440, False)):
        page = open_page(results / "b" / "report" / "index.html", size=(width, 844))
        frame = page.locator(".drawing .wide").first
        drawn = frame.locator("img").bounding_box()["width"]
        inches = float(frame.locator("img").evaluate("img => img.style.getPropertyValue('--inches')"))
        assert drawn / inches * 8 / 72 >= 9, "pixels of text of 8 points"
        assert ("scrolls" in (frame.get_attribute("class"))) == scrolls
        hint = frame.evaluate("e => getComputedStyle(e, '::before').content")
        assert ("scroll sideways" in hint) == scrolls
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_all_metrics_fit_paper(tmp_path, open_page):
    """What is wider than a sheet makes the browser print everything smaller."""
    measured = ("psnr_y", "lpips_alex", "ssim_y", "psnr_rgb", "ssim_rgb", "lr_consistency", "colour_shift", *COSTS)
    rows = [
        (model, "set, held out", "i0", metric, "border 4", 123.45)
        for model in ("bicubic", "pretrained", "gan", "compact-large-gan")
        for metric in measured
    ]
    run = runs.Run(tmp_path / "run")
    run.write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    page = open_page(report.render(run), size=(680, 980))  # A4 without the margins
    page.emulate_media(media="print")
    page.evaluate("document.querySelectorAll('main > details').forEach(details => details.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == 680


def test_full_screen_is_larger(results, open_page):
    page = open_page(results / "b" / "report" / "index.html")
    page.wait_for_selector(".inspector[data-state]")
    canvas = page.locator(".inspector canvas").first
    before = canvas.bounding_box()["height"]
    page.get_by_role("button", name="full screen").click()
    page.wait_for_function(f"document.querySelector('.inspector canvas').clientHeight > {1.3 * before}")


def names(page):
    return page.locator(".runs tbody th").all_inner_texts()


def test_a_click_on_a_heading_sorts_the_index(results, open_page):
    page = open_page(results / "index.html")
    newest_first = names(page)
    page.get_by_role("button", name="PSNR Y").click()
    assert names(page) == ["a", "b", "c"], "what has no value is last"
    page.get_by_role("button", name="PSNR Y").click()
    assert names(page) == ["b", "a", "c"]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("PSNR Y")
    page.get_by_role("button", name="run", exact=True).click()
    assert names(page) == ["a", "b", "c"] and page.locator("th[aria-sort]").count() == 1
    page.get_by_role("button", name="started").click()
    assert names(page) == newest_first[::-1]


def test_two_chosen_runs_stand_side_by_side(results, open_page):
    page = open_page(results / "index.html", size=(390, 844))
    assert page.locator("#beside").is_hidden()
    page.get_by_label("compare a").check()
    page.get_by_label("compare b").check()
    rows = dict(zip(page.locator("#beside th").all_inner_texts(), page.locator("#beside tr").all(), strict=True))
    cells = {name: row.locator("td").all_inner_texts() for name, row in rows.items()}
    assert cells["run"] == ["a", "b"] and cells["width"] == ["32", "64"] and "seed" not in cells
    assert [text.split(" ")[0] for text in cells["PSNR Y"]] == ["25.50", "26.50"]
    assert page.locator("#beside img").count() == 2
    page.get_by_label("compare c").check()
    assert not page.get_by_label("compare a").is_checked(), "the first of three gives way"
    assert page.locator("#beside tr").first.locator("td").all_inner_texts() == ["b", "c"]
    page.get_by_label("compare b").uncheck()
    assert page.locator("#beside").is_hidden()
