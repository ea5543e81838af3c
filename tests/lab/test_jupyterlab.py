"""Notebooks in a real JupyterLab: Run All from 01 to 05 in one folder, every control used once, its effect on the page.

The tests follow each other as a reader would; each also stands alone, and then runs what the earlier ones would have.
"""

import json
import re
import shutil
import subprocess
import sys

import laboratory
import pytest

from srnb import runs
from srnb.runner import presets

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not laboratory.CHROMIUM, reason="needs Chromium")]
STEPS = ("01_data", "02_pretrain", "03_gan", "04_evaluate", "05_ablations")
TINY = presets.read("smoke") | {"rehearsal_steps": 0, "square": 40, "strips": 2, "judges": ""}
TINY |= {"more_metrics": "", "shipped_networks": "", "metrics": "psnr_y, lpips_alex"}


STILLS = {  # cell -> what stands there without a kernel
    "01_data": {"playground": ".control-still img"},
    "02_pretrain": {"effort": ".control-still table", "desk": ".control-still svg", "fit": ".training svg"},
    "03_gan": {"fit": ".training svg", "gradients-after": ".control-still img"},
    "04_evaluate": {
        "dial": ".dial img:visible",
        "scatter": ".scatter circle",
        "compare": ".inspector canvas",
        "try": "img",
    },
    "05_ablations": {"picker": ".control-still table"},
    "06_try": {"try": ".control-still img"},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab")
    laboratory.prepare(root, **TINY)
    return root


@pytest.fixture(scope="module")
def run(folder):
    return runs.Run(folder / "results" / "lab")


@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=laboratory.CHROMIUM, args=laboratory.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(folder, browser):
    with laboratory.serve(folder) as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(120_000)
        page.lab = address
        yield page


@pytest.fixture
def notebook(request, page, folder, run):
    """The notebook that a test names, open, behind those that come before it; saved and without a kernel in the end."""
    stem = request.param
    for earlier in STEPS[: STEPS.index(stem)] if stem in STEPS else ():
        if run.read().get("notebooks", {}).get(earlier, {}).get("status") != "complete":
            opened = laboratory.Notebook(page, page.lab, earlier, folder)
            opened.run_all()
            opened.save()
            opened.shut_down()
    opened = laboratory.Notebook(page, page.lab, stem, folder)
    yield opened
    opened.shoot(STILLS[stem], "light")
    opened.save()
    opened.shut_down()


def named(*stems):
    return pytest.mark.parametrize("notebook", stems, indirect=True)


def until(cell, selector, pattern):
    """Wait until an element of a cell says something."""
    cell.locator(selector, has_text=re.compile(pattern)).first.wait_for()


def pictures(cell):
    """Return the addresses of the pictures that a control shows."""
    return cell.locator(".control-alive .control-row img").evaluate_all("all => all.map((each) => each.src)")


def until_other(page, cell, before):
    """Wait until a control shows other pictures, and return them."""
    for _ in range(600):
        if (now := pictures(cell)) and now != before:
            return now
        page.wait_for_timeout(50)
    raise AssertionError("the pictures must change")


def slide(cell, name, key, times=1):
    """Press a key on the handle of a slider."""
    handle = cell.locator(".widget-slider", has=cell.page.locator(f"label:text-is('{name}')")).locator("[role=slider]")
    handle.focus()
    for _ in range(times):
        handle.press(key)


@named("01_data")
def test_degradations_are_played_with(notebook, page):
    notebook.run_all()
    cell = notebook.cell("playground")
    assert not cell.locator(".control-still").is_visible(), "the control stands in the place of its still"
    before = pictures(cell)
    slide(cell, "noise", "ArrowRight", 3)
    before = until_other(page, cell, before)
    until(cell, ".widget-html-content pre", r'degradation = "bicubic noise3"')
    cell.locator("svg[role=application]").click(position={"x": 40, "y": 40})
    before = until_other(page, cell, before)
    cell.locator("select").first.select_option("realesrgan")
    until_other(page, cell, before)
    until(cell, ".widget-html-content pre", r'degradation = "realesrgan"')


@named("02_pretrain")
def test_a_training_is_interrupted_and_goes_on_and_a_network_is_built(notebook, page, run):
    notebook.append("parameters", "\nsteps, log_every, validate_every = 2000, 20, 1000")
    notebook.menu("Run", "Run All Cells")
    fit = notebook.cell("fit")
    until(fit, ".jp-OutputArea", r"pretrain (2[1-9]|[3-9]\d|\d{3}|1\d{3})/2000")
    notebook.menu("Kernel", "Interrupt Kernel")
    error = fit.locator(laboratory.ERROR)
    error.wait_for()
    line = error.inner_text().strip()
    assert re.fullmatch(r"pretrain was told to end, saved at step (\d+): run the cell again to go on; .*", line)
    assert run.read()["notebooks"]["02_pretrain"]["status"] == "interrupted"
    stopped = int(re.search(r"step (\d+)", line)[1])
    assert 20 < stopped < 2000
    notebook.select("fit")
    notebook.menu("Run", "Run Selected Cell and All Below")
    notebook.ran()
    assert list(run.read_log()["step"]) == list(range(20, 2001, 20)) and run.read()["status"] == "complete"
    assert fit.locator(".training svg").count() and fit.locator(".training .moments img").count()

    cell = notebook.cell("effort")
    until(cell, ".control-alive", "as fast as")
    cell.locator("input[type=number]").first.fill("1600")
    cell.locator("input[type=number]").first.press("Tab")
    until(cell, ".control-alive pre", "^steps = 1600$")
    until(cell, ".control-alive p", "for 1,600 steps")
    cell.locator("button", has_text="measure a step here").click()
    until(cell, ".control-alive p", "for 1,600 steps, as fast as the steps just made")

    cell = notebook.cell("desk")
    cell.locator("select").select_option("srcnn")
    until(cell, ".widget-html-content table", "srcnn")
    area = cell.locator("textarea")
    area.fill(area.input_value().replace("relu", "rellu"))
    area.blur()
    until(cell, ".widget-html-content", "rellu")
    assert "The next cells take the last network without a mistake" in cell.inner_text()


@named("03_gan")
def test_a_game_is_watched_and_its_losses_are_looked_at(notebook, page):
    notebook.run_all()
    assert notebook.cell("fit").locator(".training svg").count()
    cell = notebook.cell("gradients-after")
    assert cell.locator(".control-alive .control-row").count() == 2, "before and after the training"
    before = pictures(cell)
    cell.locator("svg[role=application]").click(position={"x": 40, "y": 40})
    until_other(page, cell, before)


@named("04_evaluate")
def test_results_are_looked_at(notebook, page):
    notebook.run_all()
    dial = notebook.cell("dial").locator(".dial")
    seen = []
    dial.locator("input").focus()
    for key in ("Home", "End"):
        page.keyboard.press(key)
        seen.append((dial.locator("figcaption:visible").inner_text(), dial.locator(".now").get_attribute("cx")))
    assert [words.split(":")[0] for words, _ in seen] == ["0% gan", "100% gan"] and seen[0][1] != seen[1][1]

    inspector = notebook.cell("compare").locator(".inspector")
    state = lambda: json.loads(inspector.get_attribute("data-state"))
    other = inspector.locator(".scene").nth(1).get_attribute("data-name")
    notebook.cell("scatter").locator(f"circle[data-photograph='{other}']").last.click()  # the one on top
    page.wait_for_function("JSON.parse(document.querySelector('.inspector').dataset.state).scene === 1")
    inspector.locator(".stage").focus()
    before = state()
    for key in ("d", "4", "ArrowRight"):
        page.keyboard.press(key)
    assert state() != before and notebook.prompts(), "keys are the inspector's, not Lab's"
    inspector.locator("button", has_text="2 side by side").click()
    assert state()["mode"] == 2

    cell = notebook.cell("try")
    said = cell.locator(".widget-html-content", has_text="download").inner_text()
    slide(cell, "blend", "ArrowLeft", 4)
    until(cell, ".widget-html-content", r"80% .*download")
    assert said != cell.locator(".widget-html-content", has_text="download").inner_text()


@named("05_ablations")
def test_runs_are_compared_and_the_report_is_complete(notebook, page, run, folder):
    shutil.copytree(run.folder, run.folder.parent / "other", ignore=shutil.ignore_patterns("owners", "report"))
    notebook.run_all()
    cell = notebook.cell("picker")
    listed = cell.locator("select[multiple]")
    listed.select_option(["lab", "other"])
    until(cell, ".widget-html-content", "other")
    assert cell.locator(".control-alive polyline").count() >= 2
    link = notebook.cell(notebook.code()[-1]).locator("a", has_text="report/index.html")
    answer = page.request.get(page.lab + link.get_attribute("href").split(page.lab)[-1])
    text = answer.text()
    assert answer.ok and all(f"{number} · " in text for number in range(1, 6))
    assert run.is_done and run.read()["status"] == "complete"
    command = [sys.executable, "-m", "srnb.cli", "runs", "--results", str(run.folder.parent)]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in listing.splitlines() if line.split()[0] == "lab"]
    assert "done · by hand: 01_data, 02_pretrain, 03_gan, 04_evaluate, 05_ablations" in line


@named("06_try")
def test_a_photograph_is_tried(notebook):
    notebook.run_all()
    cell = notebook.cell("try")
    until(cell, ".widget-html-content", r"compact-gan, [\d.]+ s · download")
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


def test_without_their_kernel_stills_and_panels_are_there_in_the_dark(browser, folder, run):
    """Saved notebooks, opened once more in the dark theme, by kernels that know nothing of them."""
    saved = {stem: folder / "lab" / f"{stem}.ipynb" for stem in STILLS}
    ran = [stem for stem, path in saved.items() if '"control-still' in path.read_text().replace("\\", "")]
    assert ran, "the tests before this one save their notebooks"
    with laboratory.serve(folder, theme="JupyterLab Dark") as address:
        page = browser.new_page(viewport={"width": 1400, "height": 1200})
        page.set_default_timeout(60_000)
        for stem in ran:
            notebook = laboratory.Notebook(page, address, stem, folder)
            assert page.locator("body").get_attribute("data-jp-theme-light") == "false"
            for name, selector in STILLS[stem].items():
                notebook.cell(name).locator(selector).first.wait_for()
            notebook.shoot(STILLS[stem], "dark")
            dead = ":visible:text-matches('Error (displaying|creating) widget|Loading widget')"
            assert not page.locator(dead).count()
