"""Copies of the notebooks to work in, so that opening, editing and saving them leaves the checkout as it is."""

import hashlib
import json
from pathlib import Path

import nbformat

from srnb import files, runs
from srnb.runner import presets

FOLDER = files.ROOT / "lab"  # beside notebooks/, so that paths in parameters mean the same; git ignores it
RECORD = ".copied.json"  # notebook -> fingerprint of what was copied


def refresh(folder=FOLDER, *, source=files.NOTEBOOKS):
    """Copy the notebooks of `source`, and return the names of those that both their user and `source` have changed.

    A copy that its user has changed is never touched; one that only has outputs more gives way to a newer notebook.
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
    """Write a copy, by number or name, into `source` as the checkout keeps it, without outputs; return its path."""
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
    """Return a copy without what running leaves in it, with the metadata of the notebook at `path`."""
    notebook = nbformat.read(copy, 4)
    notebook.metadata = nbformat.read(path, 4).metadata
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _fingerprint(path):
    """Return what a notebook says, without what running leaves in it, as a hash."""
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in nbformat.read(path, 4).cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()
