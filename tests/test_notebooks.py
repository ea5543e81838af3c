"""The notebooks keep the house rules: parameters first, no outputs, short cells, a sentence before each of them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from srnb.reports import appendix
from srnb.runner import presets

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
SAMPLE = yaml.safe_load((FOLDER / "presets" / "sample.yaml").read_text())


def test_there_are_five_steps_and_one_to_play_with():
    assert [path.name[:2] for path in PATHS] == ["01", "02", "03", "04", "05", "06"]
    assert presets.steps() == PATHS[:5]


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=nbformat.NO_CONVERT)


def test_sources_hold_no_outputs_and_stable_ids(notebook):
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert re.fullmatch(r"[a-z][a-z0-9-]+", cell.id), f"an id must be words: {cell.id}"
        assert set(cell.metadata) <= {"tags"}
        if cell.cell_type == "code":
            assert cell.execution_count is None and not cell.outputs


def test_parameters_are_flat_commented_literals_in_the_second_code_cell(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [number for number, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", [])] == [1]
    for line in code[1].source.splitlines():
        if not line or re.fullmatch(r"# [A-Z].*", line):  # the title of a group
            continue
        assert re.fullmatch(r"\w+ = \S.*  # \S.*", line), line
        (statement,) = ast.parse(line).body
        ast.literal_eval(statement.value)


def test_cells_are_short_and_explained(notebook):
    assert notebook.cells[0].source.startswith("# ") and len(notebook.cells) <= 80
    for word in ("**Question.**", "**You need**", "**You will have**", "**Time:**"):
        assert word in notebook.cells[0].source
    for word in ("What we saw", "What it does not show", "To try"):
        assert word in notebook.cells[-1].source
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", f"text must stand before {cell.id}"
            table = "parameters" in cell.metadata.get("tags", [])  # a line each, as many as there are
            assert table or len(cell.source.splitlines()) <= 25, cell.id
            tree = ast.parse(cell.source)
            assert not [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)], cell.id
            functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
            assert all(node.end_lineno - node.lineno < 5 for node in functions), cell.id


def test_formulas_are_formulas_in_the_report_too(notebook):
    formulas = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            rest = appendix.without_formulas(cell.source, formulas)
            assert "$" not in re.sub(r"`[^`]*`", "", rest), cell.id
    assert not [formula for formula in formulas if "\\" in formula], "a command that MathML does not know"


EQUATIONS = {
    "01": ["h(x) = "],
    "02": [r"\mathcal{L}_1 =", r"\mathcal{L}_\text{MS-SSIM} =", r"\mathcal{L}_\text{mix} ="],
    "03": [r"\mathcal{L}_\text{perc} =", r"\sigma(C(x))", r"\log \, D(x, y)", r"\nabla_z C(z)"],
    "04": [r"\mathrm{PSNR} =", r"\mathrm{SSIM} =", r"\mathrm{LPIPS} =", r"\mathrm{DISTS} =", r"\theta ="],
}


@pytest.mark.parametrize("number", EQUATIONS)
def test_losses_and_metrics_are_defined_where_they_are_used(number):
    (path,) = FOLDER.glob(f"{number}_*.ipynb")
    text = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown")
    blocks = re.findall(r"\$\$(.+?)\$\$", text, flags=re.DOTALL)
    for start in EQUATIONS[number]:
        assert [block for block in blocks if start in block], start


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_defaults_are_the_sample_preset(path):
    for name, default in presets.parameters(path).items():
        if name in SAMPLE:
            assert presets.cast(SAMPLE[name], default) == default, name


@pytest.mark.parametrize("path", sorted((FOLDER / "presets").glob("*.yaml")), ids=lambda path: path.stem)
def test_presets_and_grids_fit_the_notebooks(path):
    values = presets.resolve(PATHS, preset=path.stem)
    assert values.keys() == yaml.safe_load(path.read_text()).keys()


@pytest.mark.parametrize("path", sorted((FOLDER / "presets" / "grids").glob("*.yaml")), ids=lambda path: path.stem)
def test_grids_change_what_notebooks_know(path):
    for changed in presets.read_grid(path.stem)[0].values():
        assert presets.resolve(PATHS, variation=changed).keys() == changed.keys()


def test_formatted_and_linted():
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run([sys.executable, "-m", "ruff", *command, FOLDER], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_a_kernel_is_spared_what_reads_notebooks():
    """nbformat takes 1.5 s of CPU, in each of the dozen kernels of a run."""
    program = "import sys; from srnb.runner import session; print('nbformat' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
