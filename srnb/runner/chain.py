"""A run: one chain of notebooks, headless, with a record that can be trusted and resumed.

run.json says what ran, with what, how each notebook ended; DONE is written last.
"""

import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from srnb import files, progress, provenance, runs, shipped
from srnb.data import datasets
from srnb.reports import report
from srnb.reports.web import page
from srnb.runner import kernel, names, preflight, presets

BEGUN = ("notebook_folder", "notebooks", "parameters", "values", "backend")  # what `begin` writes and a resume needs


def settle(values, paths, *, results, backend):
    """Return checked values with absolute paths, after making sure that the data and runs that they name exist.

    Paths are relative to the user's working directory, while kernels run in notebooks/. Only what the notebooks in
    `paths` read is checked, networks and losses by making them with `backend`. A folder never takes the place of a set
    of the same name: as a `dataset`, a path must look like one, ./DIV2K. Raises FileNotFoundError or ValueError.
    """
    settled = dict(values)
    files.cache()  # raises with the remedy where it cannot be
    for name in ("dataset_folder", "dataset", "test_dataset"):
        asked = values.get(name)
        is_path = asked and (name == "dataset_folder" or datasets.is_path(asked))
        if is_path and Path(asked).expanduser().is_dir():
            settled[name] = str(Path(asked).expanduser().absolute())
    cells, own = effective(paths, settled), effective(paths, {})
    read = presets.flat(cells)
    for name in (read.get("dataset_folder") or read.get("dataset"), read.get("test_dataset")):
        if name:
            datasets.photographs(name)
    preflight.batches(read)
    settled |= preflight.networks(cells, own, backend=backend) | preflight.measurements(cells, own)
    if read.get("warm_start"):
        settled["warm_start"] = names.network(read["warm_start"], results=results)
    origin = read.get("start_from")
    if origin in shipped.names():
        names.require_clear(origin, results=results)
        scale = shipped.card(origin)["spec"]["scale"]
        if read.get("scale", scale) != scale:
            raise ValueError(f"`scale` must be that of the network in `start_from`, {scale}. Received: {read['scale']}")
    elif origin:
        settled["start_from"] = str(names.find(origin, results=results).folder)
    return settled


def effective(notebooks, values):
    """Return {notebook: all of its parameters}: `values` for names that it knows, its own defaults for the others."""
    cells = {path.stem: presets.parameters(path) for path in notebooks}
    return {
        stem: {
            name: presets.cast(values[name], default) if name in values else default
            for name, default in cell.items()
            if name not in presets.RUNNER
        }
        for stem, cell in cells.items()
    }


def notebooks(run):
    """Return {path of a notebook: defaults of its parameters} for the notebooks of a begun run.

    Raises ValueError if the run was not begun by `srnb run`, but by hand.
    """
    record = run.read()
    missing = [name for name in BEGUN if record.get(name) is None]
    if missing:
        raise ValueError(
            "a run must have been begun by `srnb run` to go on. "
            f"Received: {run.folder}, whose run.json has no {', '.join(missing)}"
        )
    paths = [Path(record["notebook_folder"]) / f"{stem}.ipynb" for stem in record["notebooks"]]
    return {path: presets.parameters(path) for path in paths}


def begin(
    folder,
    notebooks,
    *,
    values,
    backend,
    preset=None,
    variation=None,
    base=None,
    variations=None,
    options=(),
    data=None,
):
    """Write the record of a new run and return the run.

    values: name -> value, already checked. variation: the name of this run in a grid. base: the name of the run, in the
    same folder, of which it is a variant. variations: this run's own grid (name -> overrides). options: words of the
    command that asked for that, such as --seeds 3. data: what notebook 1 recorded in another run, for a run without
    notebook 1.
    """
    run, parameters = runs.Run(folder), effective(notebooks, values)
    machine = provenance.machine()
    run.update(
        run=run.name,
        status="pending",
        error=None,
        preset=preset,
        variation=variation,
        base=base,
        values=values,
        parameters=parameters,
        seed=next((cell["seed"] for cell in parameters.values() if "seed" in cell), None),
        backend=backend,
        device=machine["processor"],
        machine=machine,
        versions=provenance.versions(),
        git=provenance.git_state(),
        started=runs.now(),
        notebook_folder=str(notebooks[0].parent),
        notebooks={path.stem: {"status": "pending"} for path in notebooks},
        grid={"status": "pending", "variations": variations} if variations else None,
        options=list(options),
        **({"data": data} if data else {}),
    )
    return run


def extend(run, notebooks, *, values):
    """Add later notebooks to a finished run, to be executed by `execute`: what trained elsewhere is measured here.

    values: those of the whole run, already checked. Raises ValueError unless the run is done, and for a notebook that
    comes before one of its own.
    """
    record, stems = run.read(), [path.stem for path in notebooks]
    if not run.is_done or record["grid"] or min(stems) <= max(record["notebooks"]):
        raise ValueError(
            "a run can be given more notebooks when it is done, without a grid, and only such as come after its own, "
            f"{', '.join(record['notebooks'])}. Received: {', '.join(stems)} for {run.name}, {record['status']}"
        )
    (run.folder / "DONE").unlink()
    run.update(
        status="pending",
        values=values,
        parameters=record["parameters"] | effective(notebooks, values),
        notebooks=record["notebooks"] | {stem: {"status": "pending"} for stem in stems},
    )


def require_same(run, notebooks, values):
    """Raise ValueError with all differences unless a run was begun with these `values`.

    A parameter that a notebook has got since must have its default.
    """
    begun, asked, defaults = (
        {(stem, name): value for stem, cell in cells.items() for name, value in cell.items()}
        for cells in (run.read()["parameters"], effective(notebooks, values), effective(notebooks, {}))
    )
    begun = defaults | begun
    differences = [
        f"{key[0]}: {key[1]} is {begun.get(key, 'missing')!r} in the run, {asked.get(key, 'missing')!r} asked for"
        for key in {**begun, **asked}
        if begun.get(key) != asked.get(key)
    ]
    if differences:
        shown = [*differences[:10], f"and {len(differences) - 10} more"] if len(differences) > 11 else differences
        raise ValueError(f"a run must go on as it was begun. Received for {run.name}:\n  " + "\n  ".join(shown))


def reopen(run):
    """Prepare an unfinished run for being resumed; its `lock` must be held.

    A notebook that a killed runner has left as running becomes interrupted. The partial copy of an unfinished notebook
    is moved to attempts/1, 2 …
    """
    record = run.read()
    for stem, state in record["notebooks"].items():
        if state["status"] in ("complete", "pending"):
            continue
        state["status"] = "interrupted" if state["status"] == "running" else state["status"]
        copy = run.folder / f"{stem}.ipynb"
        for partial in filter(Path.is_file, (runs.running_name(copy), copy)):
            kept = run.next_attempt()
            kept.mkdir(parents=True)
            partial.replace(kept / copy.name)
    run.update(notebooks=record["notebooks"], status="interrupted")


def execute(run, stems=None, *, compared=(), threads=None, gpu=None, timeout=None, echo=print, label=""):
    """Run those notebooks of a begun run, or of `stems` among them, that are not complete. Raises kernel.Failure.

    compared: names of runs for the parameter `runs` of a comparing notebook.
    threads, gpu: the number of cores and the GPU that a kernel may use, by default all. timeout: seconds per cell.
    """
    record = run.read()
    environment = _environment(record["backend"], threads, gpu)
    for number, (path, known) in enumerate(notebooks(run).items(), start=1):
        stem, state = path.stem, record["notebooks"][path.stem]
        if state["status"] == "complete" or (stems is not None and stem not in stems):
            continue
        own = record["parameters"][stem]
        since = {name: value for name, value in known.items() if name not in own and name not in presets.RUNNER}
        if since:
            told = ", ".join(f"{name} {value!r}" for name, value in since.items())
            echo(f"{label}{stem} · new since the run was begun, by default: {told}")
            own |= since
            run.update(parameters=record["parameters"])
        filled = {"run_folder": str(run.folder), "resume": state["status"] != "pending", "runs": ",".join(compared)}
        values = own | {name: value for name, value in filled.items() if name in known}
        echo(f"{label}{stem} · notebook {number} of {len(record['notebooks'])}")
        with recorded(run, stem) as note:
            watch = kernel.Watch(f"{label}{stem}", _noting(run, echo))
            try:
                kernel.run(path, run.folder / path.name, values, environment=environment, watch=watch, timeout=timeout)
            finally:
                note["peak_memory_gib"] = round(watch.peak / 2**30, 2)
                (run.folder / "progress.txt").unlink(missing_ok=True)
        state = run.read()["notebooks"][stem]
        echo(
            f"{label}{stem} · done in {progress.duration(state['seconds'])}, {state['peak_memory_gib']:.2f} GiB at most"
        )


def finish(run):
    """Render the report of a run whose notebooks are complete, mark the run as done, and return the report's path."""
    run.update(status="complete", error=None, finished=runs.now())
    path = report.render(run, trial="" if run.read().get("variation") else page.trial(run))
    files.write_text(run.folder / "DONE", runs.now() + "\n")
    return path


@contextmanager
def recorded(run, step):
    """Record how one step, a notebook or "grid", ends; yields a dict for further fields of its record."""
    record = run.read()
    state = record["grid"] if step == "grid" else record["notebooks"][step]
    steps = {"notebooks": record["notebooks"], "grid": record["grid"]}
    earlier, began = state.get("seconds", 0), time.perf_counter()
    state |= {"status": "running", "started": runs.now()}
    run.update(status="running", error=None, **steps)
    status, error = "interrupted", {"notebook": step, "cell": None, "kind": "Interrupted", "message": "Ctrl-C"}
    try:
        yield state
        status, error = "complete", None
    except kernel.Failure as failure:
        status = "interrupted" if failure.record["kind"] == "Interrupted" else "failed"
        error = failure.record
        raise
    except Exception as failure:  # of the runner itself, such as a full disk
        status, error = "failed", error | {"kind": type(failure).__name__, "message": str(failure)}
        raise
    finally:
        state |= {"status": status, "seconds": round(earlier + time.perf_counter() - began, 1)}
        every = [*record["notebooks"].values(), record["grid"] or {}]
        run.update(
            status="running" if status == "complete" else status,
            error=error,
            seconds=round(sum(each.get("seconds", 0) for each in every), 1),
            peak_memory_gib=max(each.get("peak_memory_gib", 0) for each in every),
            **steps,
        )


def last_line(run):
    """Return the last line of a run's kernel, which may be on another host; empty if none is running."""
    try:
        return (run.folder / "progress.txt").read_text("utf-8")
    except FileNotFoundError:
        return ""


def _noting(run, echo):
    """Return an `echo` that also writes a line per second to progress.txt, to be read from other hosts."""
    noted = [-float("inf")]

    def note(line):
        echo(line)
        if time.monotonic() - noted[0] > 1:
            noted[0] = time.monotonic()
            with suppress(OSError):  # nothing that a run would have to end for
                (run.folder / "progress.txt").write_text(line, encoding="utf-8")

    return note


def _environment(backend, threads, gpu):
    """Return the environment of a kernel: the backend must be known before keras is imported."""
    environment = os.environ | {"KERAS_BACKEND": backend, "SRNB_HEADLESS": "1"}
    environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # TensorFlow would take all of a GPU's memory
    threads = threads or os.environ.get("SLURM_CPUS_PER_TASK")  # cores that are there may be other jobs'
    if threads:
        environment |= {"OMP_NUM_THREADS": str(threads), "TF_NUM_INTRAOP_THREADS": str(threads)}
    if gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpu
    return environment
