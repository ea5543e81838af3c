"""Copies of the notebooks to work in, so that editing and saving them does not change the checkout."""

import hashlib
import json
import re
from pathlib import Path

import nbformat

from srnb import files, runs
from srnb.runner import presets

FOLDER = files.ROOT / "lab"  # beside notebooks/, so that paths in parameters mean the same; git ignores it
RECORD = ".copied.json"  # notebook -> fingerprint of what was copied
RUN = re.compile(r"^run_folder = (?P<folder>'[^'\n]*'|\"[^\"\n]*\")", re.MULTILINE)  # in a parameters cell


def refresh(folder=FOLDER, *, source=files.NOTEBOOKS):
    """Copy the notebooks of `source`; return the names of those that both the user and `source` have changed.

    A copy that the user has edited is never touched; one that only has additional outputs, or another `run_folder`, is
    replaced by a newer notebook, which gets its `run_folder`.
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
        run = _run_folder(nbformat.read(copy, 4)) if copy.is_file() else None
        files.write_text(copy, path.read_text("utf-8"))
        if run:
            _enter(copy, run)
        record[path.name] = now
    runs.write_json(folder / RECORD, record)
    return both


def begin_run(run_folder, folder=FOLDER):
    """Write a `run_folder` into the parameters cells of all copies."""
    for path in presets.notebooks(folder=folder):
        _enter(path, json.dumps(run_folder))


def give_back(name, folder=FOLDER, *, source=files.NOTEBOOKS):
    """Write a copy, given by number or name, back into `source` without outputs, and return its path there."""
    (path,) = presets.notebooks([name], folder=source)
    copy, record = Path(folder) / path.name, _record(Path(folder))
    if not copy.is_file():
        raise FileNotFoundError(f"there must be a copy to give back; `srnb lab` makes it. Received: {copy}")
    files.write_text(path, nbformat.writes(_bare(copy, path)) + "\n")
    runs.write_json(Path(folder) / RECORD, record | {path.name: _fingerprint(path)})
    return path


def _record(folder):
    path = folder / RECORD
    try:
        record = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise ValueError(
            "the record of what was copied must be a JSON object; delete it, and copies that you have edited are kept. "
            f"Received: {path}, damaged"
        )
    return record


def _bare(copy, path):
    """Return a copy without outputs and execution counts, with metadata and `run_folder` of the notebook at `path`."""
    notebook, known = nbformat.read(copy, 4), nbformat.read(path, 4)
    notebook.metadata = known.metadata
    _set_run_folder(notebook, _run_folder(known))
    for cell in notebook.cells:
        cell.metadata = {name: value for name, value in cell.metadata.items() if name == "tags"}
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def _fingerprint(path):
    """Return a hash of a notebook's content without outputs, execution counts and `run_folder`."""
    notebook = nbformat.read(path, 4)
    _set_run_folder(notebook, '""')
    cells = [(cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()


def _enter(path, run):
    notebook = nbformat.read(path, 4)
    _set_run_folder(notebook, run)
    files.write_text(path, nbformat.writes(notebook) + "\n")


def _run_folder(notebook):
    """Return the literal of `run_folder`, None in a notebook that has none."""
    matches = [match for cell in _parameters(notebook) if (match := RUN.search(cell.source))]
    return matches[0]["folder"] if matches else None


def _set_run_folder(notebook, literal):
    for cell in _parameters(notebook):
        cell.source = RUN.sub(lambda match: f"run_folder = {literal or match['folder']}", cell.source)


def _parameters(notebook):
    return [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
