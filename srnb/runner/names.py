"""Runs and networks by the names that users give them: which are allowed, and what a name stands for.

Importing this module is light, unlike that of `chain`: commands that only use a network go without papermill.
"""

import difflib
from pathlib import Path

from srnb import files, runs, shipped


def require(name):
    """Raise ValueError unless `name` is that of a single folder, can stand in a list with commas, and names no other.

    A network that ships keeps its name to itself: both are what `--model` takes.
    """
    if not files.is_plain(name):
        raise ValueError(
            "a run's name must be that of a folder, without slashes, commas, line ends and spaces around it. "
            f"Received: {name!r}"
        )
    if name in shipped.names():
        raise ValueError(f"a run must not be called like a network that ships. Received: {name!r}")


def default(preset):
    """Return the name of a run of a preset: the preset's own, with -run where a network that ships has it."""
    name = Path(preset).stem
    return f"{name}-run" if name in shipped.names() else name


def new_folder(results, name):
    """Create and return the folder of a new run: results/name, or name-2, name-3 … if that exists."""
    results = Path(results).expanduser().absolute()
    results.mkdir(parents=True, exist_ok=True)
    for number in range(1, 10_000):
        folder = results / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            continue
    raise FileExistsError(f"results must have room for one more run. Received: {results}, {name}")


def find(name, *, results):
    """Return the run of this name under `results`, or at this path. Raises FileNotFoundError."""
    if run := _known(name, results):
        return run
    names = [run.name for run in runs.find(results)]
    raise FileNotFoundError(f"a run must be one of {', '.join(names) or 'none yet'}, or a folder. Received: {name}")


def network(name, *, results):
    """Return the name of a network as a notebook can load it: one that ships, or the path of a weight file or run.

    Raises FileNotFoundError if there is no such network, ValueError if the name is that of one that ships and of a run.
    """
    if name in shipped.names():
        require_clear(name, results=results)
        return name
    if Path(name).expanduser().is_file():
        return str(Path(name).expanduser().absolute())
    if run := _known(name, results):
        return str(run.folder)
    ships, own = shipped.names(), [run.name for run in runs.find(results)]
    near = difflib.get_close_matches(name, [*ships, *own])
    raise FileNotFoundError(
        f"a network must be one that ships ({', '.join(ships)}), a run ({', '.join(own) or 'none yet'}), a run's "
        f"folder or a weight file. Received: {name}" + f"; did you mean {' or '.join(near)}?" * bool(near)
    )


def require_clear(name, *, results):
    """Raise ValueError if a run has this name of a network that ships: only its user can know which is meant."""
    if run := _known(name, results):
        raise ValueError(
            f"a name must be that of one network. Received: {name}, which ships and is a run, too: say the run's path, "
            f"{run.folder}, or rename this folder to use the one that ships"
        )


def _known(name, results):
    """Return the run of this name under `results`, or at this path; None if there is none."""
    folders = (Path(results) / name, Path(name).expanduser())
    return next((runs.Run(folder) for folder in folders if (folder / "run.json").is_file()), None)
