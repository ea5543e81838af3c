"""The report is one file that asks for nothing, whatever a run's notebooks hold, and whatever became of the run."""

import base64
import gzip
import html
import html.parser
import io
import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from srnb import evaluation, runs
from srnb.cli import main
from srnb.data import images
from srnb.reports import appendix, article, charts, figures, overview, report

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
    assert [anchor for anchor in page.anchors if anchor.startswith("0")] == ["01_data-data", "02_train-data"]
    assert {"01_data-what-we-saw", "02_train-what-we-saw", "limits", "method", "words"} <= set(page.ids)
    assert [tag for tag, _ in page.tags if tag == "script"] == ["script"] * 2  # of the inspector, and of the page


def test_everything_is_there_and_code_is_folded(text):
    page = Page(text)
    folded = [named.get("class") for tag, named in page.tags if tag == "details"]
    assert folded.count("code") == 12 and folded.count("lines") == 2
    assert not [named for tag, named in page.tags if named.get("class") == "code" and "open" in named]
    assert text.count("<h1") == 1 and "40 lines, the last: <samp>line 39</samp>" in text
    assert '<td class="best">26.00</td>' in text and '<td class="best">0.3000</td>' in text and "PSNR Y" in text
    assert text.count("<polyline") == 1 and text.count('class="scene"') == 2


def test_a_duration_cannot_be_read_as_a_time_of_day(run, text):
    assert "preset sample · jax · took 1:01" in text and "· took 1:01" in report.markdown(run)


def test_what_failed_stands_on_top_and_is_no_markup(text):
    assert "<b>This run failed in 02_train, cell 4.</b> ValueError: a &lt;b&gt; must hold" in text
    assert '<pre tabindex="0">f(&lt;x&gt;)</pre>' in text and "1 of 2 steps are complete" in text
    assert text.index('class="alarm"') < text.index("<h1")


def test_formulas_become_mathml_and_code_does_not(text):
    assert text.count("<math") == 4 and "<msup>" in text and "<mfrac>" in text
    assert "<code>$HOME</code>" in text and "costs $5 or $6" in text


def test_transparent_figures_stay_transparent(text):
    code = re.search(r'<div class="output">.*?<img alt="[^"]+" src="data:image/webp;base64,([^"]+)"', text, re.DOTALL)[
        1
    ]
    picture = Image.open(io.BytesIO(base64.b64decode(code)))
    assert picture.mode == "RGBA" and picture.getchannel("A").getextrema()[0] < 255


def test_a_drawing_stands_in_the_page_itself(text):
    assert text.count('<svg aria-label="a diagram">') == 2  # one for each notebook


def test_an_empty_run_has_a_report_too(tmp_path):
    run = runs.Run(tmp_path / "new")
    run.update(status="pending", notebooks={"01_data": {"status": "pending"}})
    assert "pending" in report.render(run).read_text()
    assert report.summary(run) is None


def test_half_a_run_says_so_first(tmp_path):
    run = runs.Run(tmp_path / "half")
    run.update(status="complete", notebooks={"01_data": {"status": "complete"}, "02_pretrain": {"status": "complete"}})
    (run.folder / "DONE").touch()
    text = report.render(run).read_text()
    assert text.index("This run measured nothing.") < text.index("<h1") and "no more than 01_data, 02_pretrain." in text
    run.update(
        status="interrupted", notebooks={"01_data": {"status": "complete"}, "02_pretrain": {"status": "running"}}
    )
    (run.folder / "DONE").unlink()
    text = report.render(run).read_text()
    assert "<b>This run is not finished: interrupted.</b> 1 of 2 steps are complete" in text


@pytest.mark.parametrize("count", [4, 6])
def test_limits_speak_of_intervals_only_where_there_are_some(tmp_path, count):
    rows = [("bicubic", "set", f"image{i}", "psnr_y", "", 25.0) for i in range(count)]
    rows += [("gan", "set", f"image{i}", "psnr_y", "", 26.0 + i / 10) for i in range(count)]
    run = runs.Run(tmp_path / "run")
    run.write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    text = report.render(run).read_text()
    limits = text.partition('<h2 id="limits">')[2].partition("</ul>")[0]
    assert f"{count} photographs held out say little about others" in limits
    assert ("read the intervals before the means" in limits) == (count == 6)
    assert ("so few have no interval" in limits) == (count == 4)


def test_models_that_ship_are_among_the_words(tmp_path):
    rows = [(model, "set", "image", "psnr_y", "", 25.0) for model in ("bicubic", "gan", "compact", "compact-gan")]
    run = runs.Run(tmp_path / "run")
    run.write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    assert "<dt>compact, compact-gan</dt><dd>Trained for longer" in report.render(run).read_text()
    run.write_metrics(pd.DataFrame(rows[:2], columns=evaluation.COLUMNS))
    assert "ship with the package" not in report.render(run).read_text()


def test_notices_are_text_beside_the_curves(tmp_path):
    run = runs.Run(tmp_path / "noticed")
    run.update(status="running", notebooks={})
    for step in (20, 40, 60):
        run.log({"stage": "gan", "step": step, "pixel": 1 / step, "notice": f"colours drift <{step}>"})
    text = report.render(run).read_text()
    assert text.count("<polyline") == 1 and text.count("<li>step ") == 3
    assert ">GAN training, 60 steps</h3>" in text
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
    run.update(preset="my own", values={"steps": 5})
    nbformat.write(new_notebook(cells=[new_markdown_cell("# still here")]), run.folder / "02_train.ipynb")
    for file in [path for path in DAMAGED if path.split("/")[0] == name.split("/")[0]]:
        (run.folder / file).parent.mkdir(parents=True, exist_ok=True)
        (run.folder / file).write_text(DAMAGED[file])
    text = report.render(run).read_text()
    assert "could not be read" in text and name.rpartition("/a/")[0] in text and "still here" in text
    assert "--preset &#39;my own&#39; \\\n  -p steps 5" in text
    named = text.partition("could not be read")[2].partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    assert len(named.splitlines()) == 1 and "run.json" not in named


def test_index_links_to_reports(run):
    frame = overview.write(run.folder.parent)
    text = (run.folder.parent / "index.html").read_text()
    assert list(frame["run"]) == ["sample"] and '<a href="sample/report/index.html">sample</a>' in text
    few = "too few photographs"  # one: no difference has a colour
    assert f'25.00<span class="change {few}">−1.00</span>' in text
    assert f'0.300<span class="change {few}">−0.100</span>' in text
    assert Page(text).fetched == []


def test_index_colours_a_difference_by_its_verdict_and_tells_when_a_variation_began(tmp_path):
    for name, count in (("few", 4), ("enough", 8)):
        rows = [("bicubic", "set", f"image{i}", "psnr_y", "", 25.0) for i in range(count)]
        rows += [("gan", "set", f"image{i}", "psnr_y", "", 26.0 + i / 10) for i in range(count)]
        runs.Run(tmp_path / name).write_metrics(pd.DataFrame(rows, columns=evaluation.COLUMNS))
    begun = {"03_gan": {"status": "complete", "started": "2026-11-01T10:30:00+00:00"}}
    base = {"status": "complete", "started": "2026-11-01T09:00:00+00:00", "values": {"start_from": "", "seed": 0}}
    runs.Run(tmp_path / "few").update(**base, notebooks={})
    planned = base | {"values": {"start_from": str(tmp_path / "few"), "seed": 0}, "notebooks": begun, "base": "few"}
    runs.Run(tmp_path / "enough").update(**planned)
    overview.write(tmp_path)
    text = (tmp_path / "index.html").read_text()
    assert '<span class="change too few photographs">+1.15</span>' in text
    assert '<span class="change better">+1.35</span>' in text
    assert re.findall(r'data-name="started">([^<]*)<', text) == ["2026-11-01 10:30", "2026-11-01 09:00"]
    assert 'data-name="differs in">start_from few</td>' in text and str(tmp_path) not in text


def test_costs_have_a_table_of_their_own_and_count_as_no_photograph(tmp_path):
    rows = [("gan", "set", f"image{i}", "psnr_y", "", 25.0) for i in range(3)]
    rows += [
        ("gan", "set", None, "seconds_per_megapixel", "median", 1.5),
        ("gan", "set", None, "parameters", "", 174.2),
    ]
    table = pd.DataFrame(rows, columns=evaluation.COLUMNS)
    run = runs.Run(tmp_path / "run")
    run.write_metrics(table)
    pd.testing.assert_frame_equal(report.summary(run), evaluation.summary(table))
    text = report.markdown(run)
    assert "mean of 3 photographs" in text and "time (s/MP) ↓" in text and "parameters (k) ↓" in text
    assert "| gan | 25.00 |\n" in text and "| gan | 174.20 | 1.5000 |\n" in text
    page = report.render(run).read_text()
    protocols = re.findall(r'<li id="protocol-(\w+)">', page)
    assert protocols == ["psnr_y", "parameters", "seconds_per_megapixel"] and page.count("<td>174.20</td>") == 1


def test_index_names_what_differs_between_runs(tmp_path):
    for name, blocks in (("a", 4), ("b", 8)):
        runs.Run(tmp_path / name).update(status="complete", notebooks={}, values={"seed": 0, "blocks": blocks})
    values = {"seed": 0, "blocks": 8, "skip": ""}
    runs.Run(tmp_path / "b-plain").update(status="complete", notebooks={}, values=values, base="b")
    overview.write(tmp_path)
    text = (tmp_path / "index.html").read_text()
    differs = re.findall(r'data-name="differs in">([^<]*)</td>', text)
    assert sorted(differs) == ["blocks 4", "blocks 8", "skip none"], "of a variant only what it changes"
    compared = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert {row["run"]: row["varying"].get("blocks") for row in compared} == {"a": 4, "b": 8, "b-plain": 8}


def test_a_site_holds_index_and_reports(run, tmp_path):
    path = overview.site(run.folder.parent, tmp_path / "site")
    links = re.findall(r'<a href="([^"]+)"', path.read_text())
    assert links == ["sample/report/index.html"] and (path.parent / links[0]).is_file()
    assert (path.parent / "runs.csv").is_file()
    with pytest.raises(FileNotFoundError, match="must hold a run"):
        overview.site(tmp_path / "none", tmp_path / "site")


def measured(run, count):
    """Give a run numbers of `count` photographs, on which its GAN is a decibel above bicubic."""
    rows = [
        {
            "model": model,
            "dataset": "/a/b/held",
            "image": f"i{number}",
            "metric": "psnr_y",
            "value": value + number / 50,
        }
        for number in range(count)
        for model, value in (("bicubic", 25.0), ("gan", 26.0 + number / 100))
    ]
    run.write_metrics(pd.DataFrame(rows).assign(protocol="border 4"))


@pytest.mark.parametrize(
    ("count", "said"), [(12, "At 95 % confidence it is better in PSNR Y."), (3, "3 photographs are too few to be sure")]
)
def test_the_first_screen_says_what_was_found_and_how_sure_it_is(tmp_path, count, said):
    run = runs.Run(tmp_path / "run")
    data = {"name": "/photos/mine", "test_name": "x", "train": ["a"] * 3, "test": [], "scale": 4}
    run.update(status="complete", notebooks={}, data=data, generator={"name": "edsr"}, started="2026-11-26T09:00:00")
    measured(run, count)
    text = html.unescape(report.render(run).read_text())
    assert "edsr trained on 3 photographs from mine, 26 November 2026</h1>" in text
    assert "The GAN: PSNR Y 26." in text and said in text and "held: mean of" in text
    assert (re.search(r"<small>\[\+\d\.\d\d, \+\d\.\d\d\]</small>", text) is not None) == (count == 12)


def test_values_that_are_no_numbers_are_said_first(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.update(status="complete", notebooks={})
    measured(run, 8)
    table = run.metrics()
    table.loc[3, "value"] = float("nan")
    run.write_metrics(table)
    text = report.render(run).read_text()
    assert text.index("Some measurements are not numbers.") < text.index("<h1") and "1 value of gan" in text


def test_only_settings_that_differ_from_the_copys_defaults_are_shown(tmp_path):
    run = runs.Run(tmp_path / "run")
    cell = new_code_cell("steps = 800  # updates\nblocks = 4", metadata={"tags": ["parameters"]})
    run.folder.mkdir()
    nbformat.write(new_notebook(cells=[cell]), run.folder / "02_pretrain.ipynb")
    values = {"steps": 800, "blocks": 16, "dataset_folder": "a b"}
    git = {"commit": "0123456789abcdef", "dirty": False}
    run.update(status="complete", notebooks={"02_pretrain": {"status": "complete"}}, values=values, git=git)
    assert article.settings(run, run.read()) == {"blocks": (16, 4), "dataset_folder": ("a b", None)}
    wanted = "git checkout 0123456789\nsrnb run 02 \\\n  -p blocks 16 \\\n  -p dataset_folder 'a b'"
    assert article.command(run, run.read()) == wanted
    run.update(options=["--grid", "losses", "--seeds", "3"])
    assert article.command(run, run.read()) == wanted.replace("02 ", "02 --grid losses --seeds 3 ")
    run.update(options=[])
    (tmp_path / "presets").mkdir()
    run.update(preset="mine", notebook_folder=str(tmp_path))
    for content in (b"- a", b"a: b: c", b"\xff"):  # a preset may be edited after the run
        (tmp_path / "presets" / "mine.yaml").write_bytes(content)
        assert article.command(run, run.read()) == wanted.replace("02 ", "02 --preset mine ")


def test_the_appendix_drops_what_only_its_author_needs(tmp_path):
    lines = [new_output("stream", text=f"gan {step}/9 · pixel 0.1 · 0:0{9 - step} left\n") for step in range(1, 9)]
    empty = "<table><thead><tr><th></th></tr></thead><tbody>\n</tbody></table>"
    cells = [
        new_markdown_cell("## Same\n\nkept\n\n**To try:** more steps."),
        new_markdown_cell("## Same"),
        new_code_cell("x", outputs=[*lines, new_output("display_data", {"text/html": empty})]),
    ]
    nbformat.write(new_notebook(cells=cells), tmp_path / "n.ipynb")
    body, headings = appendix.cells(tmp_path / "n.ipynb", "n", templates=report.TEMPLATES)
    assert [name for name, _, _ in headings] == ["n-same", "n-same-2"]
    assert "kept" in body and "To try" not in body and "<tbody>" not in body
    assert body.count("gan ") == 1 and "gan 8/9 · pixel 0.1" in body and "left" not in body


def test_captions_and_alternative_texts_come_from_the_figures(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.update(status="complete", notebooks={})
    pictures = {name: np.zeros((64, 64, 3), "float32") for name in ("bicubic", "gan", "HR")}
    figure = figures.strip(pictures, box=(0, 0, 32), title="a <b>")
    figure.savefig(run.figures / "strip_a.png")
    text = html.unescape(report.render(run).read_text())
    assert f'alt="{figure.alt}"' in text and f"<b>Figure 1.</b> {figure.caption}" in text
    assert figure._repr_mimebundle_()[1]["image/png"] == {"alt": figure.alt, "caption": figure.caption}


def test_a_figure_of_the_article_is_only_named_in_the_appendix(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.update(status="complete", notebooks={"04_evaluate": {"status": "complete"}})
    pictures = {name: np.zeros((64, 64, 3), "float32") for name in ("bicubic", "gan", "HR")}
    outputs = []
    for name in ("a", "b"):
        figure = figures.strip(pictures, box=(0, 0, 32), title=name)
        metadata = figure._repr_mimebundle_()[1]
        outputs.append(new_output("display_data", {"image/png": PIXEL}, metadata=metadata))
    figure.savefig(run.figures / "strip_b.png")
    nbformat.write(new_notebook(cells=[new_code_cell("x", outputs=outputs)]), run.folder / "04_evaluate.ipynb")
    page = Page(report.render(run).read_text())
    assert [named["alt"].split(":")[0] for tag, named in page.tags if tag == "img"] == ["b", "a"]
    assert page.anchors.count("figure-1") == 1


def test_the_seeds_of_a_variant_are_one_row_of_the_ablations(tmp_path):
    for name, seed, steps in (("run", 0, 1), ("run-seed1", 1, 1), ("run-long-seed1", 1, 9), ("run-wide-seed7", 7, 1)):
        each = runs.Run(tmp_path / name)
        each.update(base=None if name == "run" else "run", grid={}, values={}, seed=seed, data={"test": ["a"]})
        each.update(status="complete", notebooks={}, parameters={"03_gan": {"seed": seed, "steps": steps}})
        measured(each, 8)
        (each.folder / "DONE").touch()
    found = article.ablations(runs.Run(tmp_path / "run"))
    assert [(row["model"], row["changed"]) for row in found["rows"]] == [
        ("run", "the run itself; mean of 2 seeds"),
        ("long", "steps = 9"),
    ]
    assert found["left_out"] == ["wide-seed7: its seed is 7, those of run are 0, 1"]


def test_many_numbers_are_compressed(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "HEAVY", 100)
    run = runs.Run(tmp_path / "run")
    run.update(status="complete", notebooks={})
    measured(run, 8)
    text = report.render(run).read_text()
    code = re.search(r'download="run-metrics.csv.gz" href="data:application/gzip;base64,([^"]+)"', text)[1]
    assert gzip.decompress(base64.b64decode(code)) == (run.folder / "metrics.csv").read_bytes()


def test_what_never_changes_has_no_chart_and_validation_comes_first():
    log = pd.DataFrame({"stage": "gan", "step": [1, 2, 3], "rate": 0.1, "pixel": [3.0, 2.0, float("nan")]})
    log["validation_psnr_y"] = [float("nan"), 20.0, 21.0]
    (stage,) = charts.of_log(log, reference={"gan": {"psnr_y": 20.5}, "pretrain": {"psnr_y": 19.5}})
    assert [chart["name"] for chart in stage["charts"]] == ["PSNR Y (dB), held out", "pixel"]
    assert "bicubic 20.5" in stage["charts"][0]["svg"] and "dashed" not in stage["charts"][1]["svg"]


def test_srnb_site_says_where_its_index_is(run, tmp_path):
    options = ["site", "--out", str(tmp_path / "site"), "--results", str(run.folder.parent)]
    done = CliRunner().invoke(main, options, catch_exceptions=False)
    assert done.exit_code == 0 and done.output.strip() == str(tmp_path / "site" / "index.html")
