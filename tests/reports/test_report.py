"""The report is one file that asks for nothing, whatever a run's notebooks hold, and whatever became of the run."""

import base64
import html.parser
import io
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from srnb import evaluation, runs
from srnb.data import images
from srnb.reports import report

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FETCHING = {"src", "srcset", "data", "poster", "action"}


class Page(html.parser.HTMLParser):
    """What a page would fetch, its ids, its links within itself, and its tags in order."""

    def __init__(self, text):
        super().__init__()
        self.fetched, self.ids, self.anchors, self.tags = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        named = dict(attributes)
        self.tags.append((tag, named))
        self.fetched += [value for name, value in attributes if name in FETCHING and not value.startswith("data:")]
        self.fetched += [named["href"]] if tag == "link" else []
        self.ids += [named["id"]] if "id" in named else []
        self.anchors += [named["href"][1:]] if tag == "a" and named.get("href", "").startswith("#") else []


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that failed in its second notebook, with everything that a notebook can hold."""
    run = runs.Run(tmp_path_factory.mktemp("results") / "sample")
    cells = [
        new_markdown_cell(
            "# 1 · Data <b>\n\nEnergy $E = mc^2$, in `$HOME` and `$PATH`, costs $5 or $6.\n\n$$\\frac{1}{2}$$"
        ),
        new_code_cell("steps = 1  # why", metadata={"tags": ["parameters"]}),
        new_code_cell("x", outputs=[new_output("display_data", {"image/png": PIXEL, "text/plain": "figure"})]),
        new_code_cell("y", outputs=[new_output("stream", text="".join(f"line {n} · 0:{n} left\n" for n in range(40)))]),
        new_code_cell("z", outputs=[new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}})]),
        new_code_cell(
            "f", outputs=[new_output("error", ename="ValueError", evalue="<b>", traceback=["\x1b[31mNo\x1b[0m"])]
        ),
        new_code_cell(
            "g", outputs=[new_output("display_data", {"image/svg+xml": '<svg aria-label="a diagram"></svg>'})]
        ),
        new_markdown_cell("## What we saw\n\n[a page](https://example.org)"),
    ]
    notebook = new_notebook(cells=cells, metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})
    for stem in ("01_data", "02_train"):
        run.folder.mkdir(exist_ok=True)
        nbformat.write(notebook, run.folder / f"{stem}.ipynb")
    run.update(
        status="failed",
        preset="sample",
        backend="jax",
        seconds=61.0,
        values={"steps": 3},
        error={
            "notebook": "02_train",
            "cell": 4,
            "kind": "ValueError",
            "message": "a <b> must hold",
            "source": "f(<x>)",
        },
        notebooks={"01_data": {"status": "complete", "seconds": 60.0}, "02_train": {"status": "failed"}},
    )
    for step in range(1, 50):
        run.log({"stage": "pretrain", "step": step, "pixel": 1 / step})
    values = {
        ("bicubic", "psnr_y"): 26.0,
        ("gan", "psnr_y"): 25.0,
        ("bicubic", "lpips_alex"): 0.4,
        ("gan", "lpips_alex"): 0.3,
    }
    rows = [(model, metric, value) for (model, metric), value in values.items()]
    frame = pd.DataFrame(rows, columns=["model", "metric", "value"]).assign(
        dataset="sample", image="x", protocol="border 4"
    )
    run.write_metrics(frame)
    random = np.random.default_rng(0)
    for image in ("astronaut", "chelsea"):
        for name, size in {"LR": 8, "bicubic": 32, "gan": 32, "HR": 32}.items():
            target = run.figures / "scenes" / image / f"{name}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            images.write(target, random.random((size, size, 3), "float32"))
    report.render(run)
    return run


@pytest.fixture(scope="module")
def text(run):
    return (run.folder / "report" / "index.html").read_text()


def test_one_file_that_asks_for_nothing(text):
    page = Page(text)
    assert page.fetched == []
    assert not re.search(r"url\((?!data:)|@import|fetch\(|import\(", text)
    assert len(page.ids) == len(set(page.ids)) and set(page.anchors) <= set(page.ids)
    assert [anchor for anchor in page.anchors if anchor.startswith("0")] == [
        *("01_data-0", "01_data-1", "02_train-0", "02_train-1")
    ]
    assert [tag for tag, _ in page.tags if tag == "script"] == ["script"] * 2  # of the inspector, and of the page


def test_everything_is_there_and_code_is_folded(text):
    page = Page(text)
    folded = [named.get("class") for tag, named in page.tags if tag == "details"]
    assert folded.count("code") == 12 and folded.count("lines") == 2
    assert not [named for tag, named in page.tags if named.get("class") == "code" and "open" in named]
    assert text.count("<h1") == 3 and "40 lines, the last: <samp>line 39</samp>" in text
    assert '<td class="best">26.00</td>' in text and '<td class="best">0.3000</td>' in text and "PSNR Y" in text
    assert text.count("<polyline") == 1 and text.count('class="scene"') == 2


def test_what_failed_stands_on_top_and_is_no_markup(text):
    assert "<b>02_train, cell 4: ValueError.</b>" in text and "a &lt;b&gt; must hold" in text
    assert "<pre>f(&lt;x&gt;)</pre>" in text and text.index("alarm") < text.index("Before and after")


def test_formulas_become_mathml_and_code_does_not(text):
    assert text.count("<math") == 4 and "<msup>" in text and "<mfrac>" in text
    assert "<code>$HOME</code>" in text and "costs $5 or $6" in text


def test_transparent_figures_stay_transparent(text):
    code = re.search(r'<div class="output">.*?<img alt="" src="data:image/webp;base64,([^"]+)"', text, re.DOTALL)[1]
    picture = Image.open(io.BytesIO(base64.b64decode(code)))
    assert picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] < 255


def test_a_drawing_stands_in_the_page_itself(text):
    assert text.count('<svg aria-label="a diagram">') == 2  # one for each notebook


def test_an_empty_run_has_a_report_too(tmp_path):
    run = runs.Run(tmp_path / "new")
    run.update(status="pending", notebooks={"01_data": {"status": "pending"}})
    assert "pending" in report.render(run).read_text()
    assert report.summary(run) is None


def test_notices_are_text_beside_the_curves(tmp_path):
    run = runs.Run(tmp_path / "noticed")
    run.update(status="running", notebooks={})
    for step in (20, 40, 60):
        run.log({"stage": "gan", "step": step, "pixel": 1 / step, "notice": f"colours drift <{step}>"})
    text = report.render(run).read_text()
    assert text.count("<polyline") == 1 and text.count("<li>step ") == 3
    assert "step 40: colours drift &lt;40&gt;" in text


DAMAGED = {
    "01_data.ipynb": "{]",
    "log.jsonl": "no json\n{}\n",
    "metrics.csv": "a,b\n1,2\n",
    "figures/scenes/a/bicubic.png": "no picture",
    "figures/scenes/a/HR.png": "no picture",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_costs_its_own_part_only(tmp_path, name):
    run = runs.Run(tmp_path / "damaged")
    run.update(status="failed", notebooks={"01_data": {"status": "complete"}, "02_train": {"status": "complete"}})
    nbformat.write(new_notebook(cells=[new_markdown_cell("# still here")]), run.folder / "02_train.ipynb")
    for file in [path for path in DAMAGED if path.split("/")[0] == name.split("/")[0]]:
        (run.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / file).write_text(DAMAGED[file])
    text = report.render(run).read_text()
    assert "could not be read" in text and name.rpartition("/a/")[0] in text and "still here" in text


def test_index_links_to_reports(run):
    frame = report.index(run.folder.parent)
    text = (run.folder.parent / "index.html").read_text()
    assert list(frame["run"]) == ["sample"] and '<a href="sample/report/index.html">sample</a>' in text
    assert "25.00 <small>-1.00</small>" in text and "0.3000 <small>-0.1000</small>" in text
    assert Page(text).fetched == []


def test_the_time_of_a_report_is_the_median_of_the_evaluation(tmp_path):
    rows = [("gan", "set", f"image{i}", "seconds_per_megapixel", "", seconds) for i, seconds in enumerate((9, 1, 2))]
    table = pd.DataFrame(rows, columns=evaluation.COLUMNS)  # the first photograph pays for compiling
    run = runs.Run(tmp_path / "run")
    run.write_metrics(table)
    assert report.summary(run).loc[("set", "gan"), "seconds_per_megapixel"] == 2
    pd.testing.assert_frame_equal(report.summary(run), evaluation.summary(table))
