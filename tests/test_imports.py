"""Imports point down only, frameworks stay behind `backend`, and rooms are named by nouns of the field."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "srnb"
# from the ground up: a room may import those of lower floors only
FLOORS = [
    {
        "runs",
        "checkpoints",
        "optimizers",
        "symptoms",
        "progress",
        "decoding",
        "png",
        "resize",
        "sets",
        "archives",
        "backend",
    },
    {"losses", "images", "models", "presets", "kernels"},
    {"degrade", "datasets", "metrics", "slider"},
    {"patches", "inference"},
    {"evaluation", "figures", "training"},
    {"widgets", "report"},
    {"batch"},
    {"grid"},
    {"cli"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py" or path.parent != PACKAGE)


def room(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path):
    """Yield the dotted names that a module imports anywhere, within functions too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path):
    assert room(path) in FLOOR, f"{room(path)} must stand on a floor"
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "srnb" and parts[1] != room(path):
            assert FLOOR[parts[1]] < FLOOR[room(path)], f"{room(path)} imports {parts[1]}"
        if parts[0] in ("tensorflow", "jax"):
            assert room(path) == "backend", name


def test_losses_know_no_models():
    names = {name for path in (PACKAGE / "losses").glob("*.py") for name in imported(path)}
    assert {name.split(".")[1] for name in names if name.startswith("srnb.")} <= {"backend", "losses"}


def test_rooms_are_nouns_of_the_field():
    assert not {"utils", "util", "common", "helpers", "helper", "misc", "config"} & {path.stem for path in MODULES}


def test_data_rooms_need_no_framework():
    program = (
        "import sys; from srnb import images, resize, degrade, datasets, patches, runs, cli; "
        "print(sorted({'keras', 'tensorflow', 'jax'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
