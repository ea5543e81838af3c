"""copies: what is edited, run and saved in Lab is not the checkout, and finds its way back."""

import nbformat
import pytest

from srnb import files, runs
from srnb.runner import copies, presets, session


@pytest.fixture
def source(tmp_path):
    for path in sorted(files.NOTEBOOKS.glob("0[12]_*.ipynb")):
        (tmp_path / "notebooks").mkdir(exist_ok=True)
        (tmp_path / "notebooks" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "notebooks"


def edit(path, *, source=None, outputs=False):
    notebook = nbformat.read(path, 4)
    if source:
        notebook.cells[-1].source = source
    if outputs:
        notebook.metadata["widgets"] = {}
        code = next(cell for cell in notebook.cells if cell.cell_type == "code")
        code.metadata["collapsed"] = True
        code.outputs, code.execution_count = [nbformat.v4.new_output("stream", text="hello")], 7
    nbformat.write(notebook, path)


def test_a_copy_with_outputs_gives_way_and_an_edited_one_stays(source, tmp_path):
    folder = tmp_path / "lab"
    assert copies.refresh(folder, source=source) == []
    edit(folder / "01_data.ipynb", outputs=True)
    edit(folder / "02_pretrain.ipynb", source="mine")
    assert copies.refresh(folder, source=source) == []
    assert "hello" in (folder / "01_data.ipynb").read_text(), "as long as the notebook is the same, outputs are kept"
    edit(source / "01_data.ipynb", source="newer")
    edit(source / "02_pretrain.ipynb", source="newer")
    assert copies.refresh(folder, source=source) == ["02_pretrain.ipynb"]
    assert nbformat.read(folder / "01_data.ipynb", 4).cells[-1].source == "newer"
    assert nbformat.read(folder / "02_pretrain.ipynb", 4).cells[-1].source == "mine"


def test_an_improvement_goes_back_without_outputs(source, tmp_path):
    folder, before = tmp_path / "lab", (source / "01_data.ipynb").read_text()
    with pytest.raises(FileNotFoundError, match="there must be a copy"):
        copies.give_back("01", folder, source=source)
    copies.refresh(folder, source=source)
    edit(folder / "01_data.ipynb", outputs=True)
    copies.give_back("01", folder, source=source)
    assert nbformat.read(source / "01_data.ipynb", 4) == nbformat.reads(before, 4), "outputs are no improvement"
    edit(folder / "01_data.ipynb", source="better", outputs=True)
    path = copies.give_back("01", folder, source=source)
    notebook = nbformat.read(path, 4)
    assert notebook.cells[-1].source == "better" and "hello" not in path.read_text()
    assert copies.refresh(folder, source=source) == []


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_damaged_record_is_named_and_nothing_is_lost(source, tmp_path, content):
    folder = tmp_path / "lab"
    copies.refresh(folder, source=source)
    edit(folder / "02_pretrain.ipynb", source="mine")
    (folder / copies.RECORD).write_bytes(content)
    before = (source / "02_pretrain.ipynb").read_bytes()
    for call in (lambda: copies.refresh(folder, source=source), lambda: copies.give_back("02", folder, source=source)):
        with pytest.raises(ValueError, match=rf"delete it.* Received: .*{copies.RECORD}"):
            call()
    assert (source / "02_pretrain.ipynb").read_bytes() == before
    (folder / copies.RECORD).unlink()
    assert copies.refresh(folder, source=source) == ["02_pretrain.ipynb"]
    assert nbformat.read(folder / "02_pretrain.ipynb", 4).cells[-1].source == "mine"


def test_a_new_run_is_in_every_copy_and_is_no_edit(source, tmp_path):
    folder = tmp_path / "lab"
    copies.refresh(folder, source=source)
    copies.begin_run("../results/lab-2", folder)
    assert [presets.parameters(path)["run_folder"] for path in sorted(folder.glob("*.ipynb"))] == [
        "../results/lab-2"
    ] * 2
    assert copies.refresh(folder, source=source) == []
    edit(source / "01_data.ipynb", source="newer")
    assert copies.refresh(folder, source=source) == [], "no edit that a newer notebook would have to respect"
    assert nbformat.read(folder / "01_data.ipynb", 4).cells[-1].source == "newer"
    assert presets.parameters(folder / "01_data.ipynb")["run_folder"] == "../results/lab-2"
    before = (source / "02_pretrain.ipynb").read_text()
    copies.give_back("02", folder, source=source)
    assert (source / "02_pretrain.ipynb").read_text() == before, "where a run goes is no improvement"


def test_the_first_free_folder(tmp_path):
    names = []
    for _ in range(3):
        folder = session.free(runs.Run(tmp_path / "lab"))
        folder.mkdir()
        names.append(folder.name)
    assert names == ["lab", "lab-2", "lab-3"] and session.free(runs.Run(tmp_path / "lab-2")).name == "lab-4"
