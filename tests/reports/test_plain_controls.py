"""dial, scatter: plain HTML that answers in a browser without a kernel."""

import re

import numpy as np
import pytest

from srnb import evaluation, models
from srnb.reports import inspector
from srnb.reports.controls import dial, scatter


@pytest.fixture(scope="module")
def ends():
    truer, sharper = (models.build("srresnet", blocks=1, width=4, skip="bilinear") for _ in range(2))
    sharper.set_weights([weight + 0.02 for weight in truer.get_weights()])
    return {"pretrained": truer, "gan": sharper}


@pytest.fixture(scope="module")
def scenes(ends):
    made = []
    for seed, name in enumerate(("a", "b <c>", "d")):
        hr = np.random.default_rng(seed).random((30, 40, 3), "float32").repeat(4, axis=0).repeat(4, axis=1)
        hr *= 0.3 + 0.3 * seed  # of several contrasts, so that dots lie apart
        scene = evaluation.Scene(name, hr[::4, ::4], hr)
        for model, network in {"bicubic": lambda lr: evaluation.bicubic(lr, 4), **ends}.items():
            scene.upscale(model, network)
        made.append(scene)
    return made


@pytest.fixture(scope="module")
def part(scenes, ends):
    return dial.detail(scenes[0], ends, side=90, count=5)


@pytest.fixture(scope="module")
def table(scenes):
    return evaluation.tabulate(scenes, dataset="x", metrics=["psnr_y", "lpips_alex"])


def test_a_detail_has_a_frame_for_each_blend(part, scenes):
    assert list(part.sr) == ["bicubic", "0%", "25%", "50%", "75%", "100%"]
    assert part.hr.shape == (88, 88, 3) and part.lr.shape == (22, 22, 3), "whole pixels of LR"
    rows = [row for row in range(0, 120, 4) if np.array_equal(scenes[0].hr[row : row + 88, :88], part.hr)]
    steps = [np.abs(part.sr[name] - part.sr["0%"]).mean() for name in list(part.sr)[1:]]
    assert steps == sorted(steps) and steps[0] == 0 < steps[1] and len(rows) <= 1


@pytest.fixture(scope="module")
def page(tmp_path_factory, part, scenes, table, open_page):
    path = tmp_path_factory.mktemp("page") / "index.html"
    views = (
        dial.show(part, names=["pretrained", "gan"]),
        scatter.show(table, ["psnr_y", "lpips_alex"]),
        inspector.of_scenes(scenes[:2], table=table),
    )
    path.write_text("<!DOCTYPE html><meta charset=utf-8>" + "".join(view.data for view in views))
    page = open_page(path, size=(900, 900))
    page.wait_for_selector(".inspector[data-state]")
    return page


def test_picture_and_dot_turn_together(page, part):
    points = evaluation.plane(evaluation.tabulate([part], dataset="p", metrics=["psnr_y", "lpips_alex"]), dataset="p")
    page.locator(".dial input").focus()
    seen = []
    page.keyboard.press("Home")
    for _ in range(5):
        frame = page.locator(".dial figure:visible")
        assert frame.count() == 1
        words = frame.locator("figcaption").inner_text()
        share, rmse, lpips = re.fullmatch(r"(\d+%) gan: RMSE ([\d.]+), LPIPS ([\d.]+)", words).groups()
        assert float(rmse) == pytest.approx(points.loc[share, "rmse"], abs=0.006)
        assert float(lpips) == pytest.approx(points.loc[share, "lpips_alex"], abs=6e-5)
        dot = page.locator(".dial .now")
        seen.append((share, float(dot.get_attribute("cx")), float(rmse)))
        page.keyboard.press("ArrowRight")
    assert [share for share, *_ in seen] == ["0%", "25%", "50%", "75%", "100%"]
    order = sorted(seen, key=lambda each: each[2])
    assert [x for _, x, _ in order] == sorted(x for _, x, _ in seen), "the dot is further right where RMSE is larger"


def test_a_dot_has_a_name_and_opens_its_photograph(page, table):
    value = table.query("image == 'b <c>' and model == 'gan' and metric == 'psnr_y'")["value"].item()
    dot = page.locator(".scatter circle[data-photograph='b <c>']").nth(1)
    dot.hover()
    assert page.locator(".scatter .said").inner_text().startswith(f"b <c>: gan {value:.4g}, bicubic ")
    assert page.locator(".scatter circle.same").count() == 4, "in both panels, for both networks"
    dot.click()
    page.wait_for_function("JSON.parse(document.querySelector('.inspector').dataset.state).scene === 1")
    page.locator(".scatter circle[data-photograph=d]").first.focus()
    page.keyboard.press("Enter")
    assert page.locator(".scatter .said").inner_text() == "d is in no inspector of this page"
