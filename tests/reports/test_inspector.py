"""inspector: every picture once, the same middle of each, and a browser in which it answers."""

import json

import numpy as np
import pytest

from srnb.evaluation import Scene, tabulate
from srnb.reports import inspector


def scene(seed=0, size=192):
    hr = np.random.default_rng(seed).random((size, size, 3), "float32")
    return {"LR": hr[::4, ::4], "bicubic": hr * 0.9, "gan": hr * 0.95, "HR": hr}


def test_each_picture_once_and_bicubic_against_gan():
    text = inspector.inspector({"a": scene(0), "b": scene(1)}, notes={"a": {"gan": "<27 dB>"}})
    assert text.count("data:image/webp;base64,") == 8
    assert 'data-left="bicubic" data-right="gan"' in text and "&lt;27 dB&gt;" in text
    assert "http" not in text, "nothing is asked for from elsewhere"
    with pytest.raises(ValueError, match="the same two pictures or more"):
        inspector.inspector({"a": {"HR": scene()["HR"]}})
    with pytest.raises(ValueError, match="the same two pictures or more"):
        inspector.inspector({"a": scene(), "b": {"LR": scene()["LR"], "HR": scene()["HR"]}})


def test_the_same_middle_of_every_picture():
    full = np.arange(120 * 240 * 3, dtype="float32").reshape(120, 240, 3)
    lr, hr = inspector.middle([full[::4, ::4], full], 101)
    assert hr.shape == (100, 100, 3) and lr.shape == (25, 25, 3)
    assert np.array_equal(lr, hr[::4, ::4])


def test_scenes_bring_their_numbers():
    pictures = scene()
    measured = Scene("a", pictures["LR"], pictures["HR"], sr={"gan": pictures["gan"]})
    table = tabulate([measured], dataset="x", metrics=["psnr_y"])
    text = inspector.of_scenes([measured], table=table).data
    assert f'data-name="gan" data-note="PSNR Y {table["value"][0]:.4g} dB"' in text


def test_saved_pictures_replace_those_of_models_no_longer_measured(tmp_path):
    pictures = scene()
    for models in ({"gan": pictures["gan"], "compact": pictures["gan"]}, {"gan": pictures["bicubic"]}):
        inspector.save([Scene("a", pictures["LR"], pictures["HR"], sr=models)], tmp_path)
    (tmp_path / "notes.txt").write_text("not ours")
    inspector.save([Scene("b", pictures["LR"], pictures["HR"], sr=models)], tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*/*")) == ["HR.png", "LR.png", "gan.png"]
    assert [path.name for path in tmp_path.glob("*/")] == ["b"], "a photograph without pictures would empty the report"
    assert (tmp_path / "notes.txt").exists()


@pytest.fixture(scope="module")
def page(tmp_path_factory, open_page):
    path = tmp_path_factory.mktemp("page") / "index.html"
    notes = {"a": {"gan": "31.00 dB"}}
    text = inspector.inspector({"a": scene(0), "b": scene(1)}, notes=notes)
    path.write_text(f"<!DOCTYPE html><meta charset=utf-8><body style='width:800px'>{text}")
    page = open_page(path, size=(900, 900))
    page.wait_for_selector(".inspector[data-state]")
    return page


def state(page):
    return json.loads(page.locator(".inspector").first.get_attribute("data-state"))


def test_keys_drag_wheel_and_views_in_a_browser(page):
    stage, canvas = page.locator(".stage").first, page.locator(".inspector canvas").first
    page.evaluate("window.heard = []; document.addEventListener('keydown', (event) => heard.push(event.key))")
    stage.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowLeft")
    assert state(page)["split"] == pytest.approx(0.41)
    assert page.evaluate("heard.filter((key) => key.startsWith('Arrow'))") == [], "Lab's shortcuts must not hear them"
    page.keyboard.press("1")
    assert state(page)["zoom"] == 1 and page.evaluate("devicePixelRatio") == 1
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -800)
    page.wait_for_function("JSON.parse(document.querySelector('.inspector').dataset.state).zoom > 4")
    page.get_by_role("button", name="8×").first.click()
    before = state(page)
    page.mouse.move(box["x"] + 100, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 180, box["y"] + 200, steps=4)
    page.mouse.up()
    assert state(page)["x"] == pytest.approx(before["x"] - 10, abs=0.2), "80 pixels of the screen are 10 of the picture"
    page.get_by_role("button", name="3 side by side").first.click()
    assert state(page)["zoom"] == 8 and state(page)["x"] == pytest.approx(before["x"] - 10, abs=0.2), (
        "the place is kept"
    )
    assert page.locator(".inspector").first.locator(".pane:visible").count() == 3
    page.wait_for_function("document.querySelector('.label span').textContent.includes('seen: ')")
    page.get_by_role("button", name="difference").first.click()
    assert state(page)["difference"]
    page.locator(".thumbs button").nth(1).click()
    page.wait_for_function("JSON.parse(document.querySelector('.inspector').dataset.state).scene === 1")
    assert page.locator(".still:visible").count() == 0


def test_blink_shows_the_other_picture(page):
    page.reload()
    page.wait_for_selector(".inspector[data-state]")
    pixel = "[...document.querySelector('.inspector canvas').getContext('2d').getImageData(200, 300, 1, 1).data]"
    page.locator(".stage").first.focus()
    before = page.evaluate(pixel)
    page.keyboard.down("b")
    assert page.evaluate(pixel) != before
    page.keyboard.up("b")
    assert page.evaluate(pixel) == before
