"""Imports point down only, frameworks stay behind `backend`, and modules are named by nouns of the field."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "srnb"
# from the top down: a package may import those of lower floors only, and never a neighbour
FLOORS = [
    {"cli"},
    {"runner"},
    {"reports"},
    {"training"},
    {"evaluation"},
    {"losses"},
    {"models"},
    {"data"},
    {"backend"},
    {"runs", "provenance", "progress", "shipped"},
    {"files", "frameworks"},
]
FLOOR = {name: number for number, names in enumerate(reversed(FLOORS)) for name in names}
# the same within packages where the order is not obvious: each module imports those to its right only
WITHIN = {
    "data": [
        *(
            "patches",
            "processes",
            "resident",
            "shards",
            "duplicates",
            "datasets",
            "degrade",
            "realesrgan",
            "filters",
            "images",
        ),
        *("decoding", "tiff", "png", "resize", "downloads", "catalogue"),
    ],
    "training": [
        "trainer",
        "rehearsal",
        "objectives",
        "optimizers",
        "log",
        "validation",
        "checkpoints",
        "signals",
        "symptoms",
    ],
    "evaluation": [
        *("archive", "blind", "costs", "ablation", "comparison", "certainty", "tables", "scenes", "inference", "maps"),
        *("metrics", "niqe", "crops", "published"),
    ],
    "reports": [
        *("blind", "overview", "report", "appendix", "article", "controls", "panel", "charts", "web", "embedded"),
        *("card", "inspector"),
        "figures",
    ],
    "runner": [
        "session",
        "copies",
        "states",
        "jobs",
        "grid",
        "crew",
        "screen",
        "lock",
        "slurm",
        "chain",
        "preflight",
        "kernel",
        "names",
        "presets",
    ],
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def place(path):
    """Return package and module of a file: ("data", "images"), ("data", "__init__"), ("runs",)."""
    return path.relative_to(PACKAGE).with_suffix("").parts


def imported(path):
    """Yield the dotted names that a module imports anywhere, within functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} must name what it imports from `srnb` on"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "/".join(place(path)))
def test_imports_point_down(path):
    package, *module = place(path)
    assert package in FLOOR, f"{package} must stand on a floor"
    for name in imported(path):
        top, *parts = name.split(".")
        if top == "srnb" and parts[0] != package:
            assert FLOOR[parts[0]] < FLOOR[package], f"{package} imports {parts[0]}"
        elif top == "srnb" and package in WITHIN and module[0] not in ("__init__", parts[1]):
            order = WITHIN[package]
            assert parts[1] in order, f"{'/'.join(place(path))} imports what its package hands on: {name}"
            assert order.index(module[0]) < order.index(parts[1]), f"{package}: {module[0]} imports {parts[1]}"
        if top in ("tensorflow", "jax"):
            assert package == "backend", name


@pytest.mark.parametrize("package", WITHIN)
def test_every_module_has_its_place_and_its_line(package):
    stems = {path.stem for path in (PACKAGE / package).glob("*.py")} - {"__init__"}
    stems |= {path.parent.name for path in (PACKAGE / package).glob("*/__init__.py")}
    assert stems == set(WITHIN[package])
    lines = ast.get_docstring(ast.parse((PACKAGE / package / "__init__.py").read_text())).splitlines()
    assert stems <= {line.split(" ")[0] for line in lines}


def test_losses_know_no_models():
    names = {name for path in (PACKAGE / "losses").glob("*.py") for name in imported(path)}
    assert {name.split(".")[1] for name in names if name.startswith("srnb.")} <= {"backend", "losses"}


def test_modules_are_nouns_of_the_field():
    assert not {"utils", "util", "common", "helpers", "helper", "misc", "config"} & {path.stem for path in MODULES}


def test_what_runs_notebooks_and_shows_results_needs_no_framework():
    program = (
        "import sys; from srnb import cli, evaluation, runs; from srnb.data import datasets, degrade, patches; "
        "from srnb.evaluation import metrics; from srnb.reports import controls, figures, report; "
        "from srnb.runner import grid; print(sorted({'keras', 'tensorflow', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
