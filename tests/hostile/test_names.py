"""Spaces, quotes, markup, line ends and leading dashes in the names of pictures, folders and runs."""

import html
import json
import urllib.parse

import pytest
import tiny

from srnb.data import images

pytestmark = pytest.mark.slow

RUN = '-r <b>&amp; "it\'s" [a]*? $x^$ %s {y}'
FOLDER = "-f <i>&\n'\" $x^$"
PICTURES = [
    "-n",
    " a  b ",
    'it\'s "said"',
    "<b>&amp;<script>",
    "two\nlines",
    "$\\frac$ `id` %s {x}",
    "[a]*?",
    "\u202eü漢",
]


@pytest.fixture
def folder(tmp_path):
    """A folder of a nasty name with photographs of nasty names."""
    folder = tmp_path / FOLDER
    for path, name in zip(tiny.photographs(folder, count=len(PICTURES)), PICTURES, strict=True):
        path.rename(folder / f"{name}.png")
    return folder


def test_upscale(folder, tmp_path):
    out = tmp_path / "out" / FOLDER
    status, output = tiny.srnb("upscale", "--out", out, "--", *sorted(folder.iterdir()), folder=tmp_path)
    tiny.require_plain(status, output, fails=False)
    assert {path.name for path in out.iterdir()} == {f"{name}_x4.png" for name in PICTURES}
    status, output = tiny.srnb("upscale", "--out=-o", "--", "-n.png", folder=folder)
    tiny.require_plain(status, output, fails=False)
    assert images.read(folder / "-o" / "-n_x4.png").shape == (384, 384, 3)


def test_a_run_with_a_grid(folder, tmp_path):
    preset = tiny.preset(tmp_path, dataset_folder=str(folder), strips=8)
    results = tmp_path / f"results {FOLDER}"
    command = ["run", "--preset", preset, "--grid", "smoke", f"--run={RUN}", "--results", results]
    tiny.require_plain(*tiny.srnb(*command, folder=tmp_path), fails=False)
    shown = json.loads((results / RUN / "run.json").read_text())
    assert shown["status"] == "complete" and shown["data"]["name"] == str(folder)
    for command in (
        ["report", "--", RUN],
        ["runs"],
        ["run", f"--resume={RUN}"],
        ["upscale", f"--model={RUN}", *folder.glob("-n*")],
    ):
        command = [*command[:1], "--results", results, *command[1:]]
        tiny.require_plain(*tiny.srnb(*command, folder=tmp_path), fails=False)
    page, index = (results / RUN / "report" / "index.html").read_text(), (results / "index.html").read_text()
    for text in (page, index):
        assert html.escape(RUN, quote=False)[:10] in text and RUN[:10] not in text
        assert "<b>&amp;<script>" not in text and "<i>&" not in text
    link = f'href="{urllib.parse.quote(RUN)}/report/index.html"'
    assert link in index


@pytest.mark.parametrize("name", [".", "..", "../up", "a/b", "a,b", " a", "two\nlines", "\u202ea"])
def test_names_that_no_run_may_have(tmp_path, name):
    status, output = tiny.srnb("run", f"--run={name}", "--results", tmp_path / "results", folder=tmp_path)
    tiny.require_plain(status, output, fails=True)
    assert "a run's name must be that of a folder" in output and not (tmp_path / "results").exists()
