"""Notebooks in a real JupyterLab: every control is used once, and its effect is seen on the page."""

import re

import laboratory
import pytest

from srnb.runner import presets

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not laboratory.CHROMIUM, reason="needs Chromium")]
TINY = presets.read("smoke") | {"rehearsal_steps": 0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab")
    laboratory.prepare(root, **TINY, square=40)
    return root


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=laboratory.CHROMIUM, args=laboratory.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_notebook(folder, browser):
    with laboratory.serve(folder) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(120_000)
        yield lambda stem: laboratory.Notebook(page, address, stem, folder)


def until(cell, selector, pattern):
    """Wait until an element of a cell says something."""
    cell.locator(selector, has_text=re.compile(pattern)).first.wait_for()


def test_a_photograph_is_tried(open_notebook):
    notebook = open_notebook("06_try")
    notebook.run_all()
    cell = notebook.cell("try")
    until(cell, ".widget-html-content", r"compact-gan, [\d.]+ s · download")
    assert not cell.locator(".control-still").is_visible(), "the control stands in the place of its still"
    labels = cell.locator(".inspector .label select").nth(1)
    cell.locator("svg[role=application]").click(position={"x": 30, "y": 30})
    cell.locator("select").nth(1).select_option("compact-photo")
    until(cell, ".widget-html-content", "compact-photo, ")
    assert labels.evaluate("each => each.selectedOptions[0].textContent") == "compact-photo"
    cell.locator("button", has_text="enlarge all of it").click()
    link = cell.locator("a[download='']")
    link.wait_for()
    assert "/files/lab/" in link.get_attribute("href") and (notebook.path.parent / link.inner_text()).is_file()
    notebook.run_all()
    until(cell, ".widget-html-content", r"compact-gan, [\d.]+ s · download")
    notebook.save()
    notebook.shut_down()
    notebook.open()
    assert notebook.cell("try").locator(".control-still").is_visible()
    text = notebook.cell("try").locator(".jp-OutputArea").first.inner_text()
    assert text.split("\n") == ["LR", "bicubic", "compact", "50% compact-gan", "compact-gan"], "no error, nothing dead"
