"""Copies of the notebooks to work in, so that editing and saving them does not change the checkout."""

import hashlib
import json
from pathlib import Path

import nbformat

from srnb import files, runs
from srnb.runner import presets

FOLDER = files.ROOT / "lab"  # beside notebooks/, so that paths in parameters mean the same; git ignores it
RECORD = ".copied.json"  # notebook -> fingerprint of what was copied


def refresh(folder=FOLDER, *, source=files.NOTEBOOKS):
    """Copy the notebooks of `source`; return the names of those that both the user and `source` have changed.

    A copy that the user has edited is never touched; one that only has additional outputs is replaced by a newer
    notebook.
    """
    folder, record = Path(folder), _record(folder)
    both = []
    for path in presets.notebooks(folder=source):
        copy, now = folder / path.name, _fingerprint(path)
        if copy.is_file():
            copied, edited = record.get(path.name), _fingerprint(copy)
            if now in (copied, edited):
                continue
            if edited != copied:
                both.append(path.name)
                continue
        files.write_text(copy, path.read_text("utf-8"))
        record[path.name] = now
    runs.write_json(folder / RECORD, record)
    return both


def give_back(name, folder=FOLDER, *, source=files.NOTEBOOKS):
    """Write a copy, given by number or name, back into `source` without outputs, and return its path there."""
    (path,) = presets.notebooks([name], folder=source)
    copy = Path(folder) / path.name
    if not copy.is_file():
        raise FileNotFoundError(f"there must be a copy to give back; `srnb lab` makes it. Received: {copy}")
    files.write_text(path, json.dumps(_bare(copy, path), indent=1, ensure_ascii=False) + "\n")
    runs.write_json(Path(folder) / RECORD, _record(Path(folder)) | {path.name: _fingerprint(path)})
    return path


def _record(folder):
    path = folder / RECORD
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _bare(copy, path):
    """Return a copy without outputs and execution counts, with the metadata of the notebook at `path`."""
    notebook = nbformat.read(copy, 4)
    notebook.metadata = nbformat.read(path, 4).metadata
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _fingerprint(path):
    """Return a hash of a notebook's content without outputs and execution counts."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in nbformat.read(path, 4).cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()
