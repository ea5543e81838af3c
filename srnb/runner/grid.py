"""Runs with variations: many runs, each with something changed, one after the other or in parallel on Dask workers.

Every variation is a run with its own folder. Progress is kept in those folders: a second call skips runs with a DONE
file and resumes the others at the first notebook that is not complete.
"""

from pathlib import Path

from srnb import runs
from srnb.runner import chain, kernel, lock, presets
from srnb.runner.crew import attempt, hired, share_of


def complete(run, *, workers=1, timeout=None, echo=print, take_over=False, alone=False):
    """Complete a begun run: its notebooks, its variations before the notebooks that compare, its report.

    alone: if it has variations, stop before them, the comparison and the report, and return None.
    Returns the report's path. Raises kernel.Failure, and ValueError if another process is working on the run (see
    `lock.held`).
    """
    with lock.held(run, take_over=take_over):
        chain.reopen(run)
        return _complete(run, workers, timeout, echo, alone)


def _complete(run, workers, timeout, echo, alone):
    record = run.read()
    comparing = [path.stem for path, cell in chain.notebooks(run).items() if "runs" in cell]
    own = [stem for stem in record["notebooks"] if stem not in comparing]
    alone = alone and record["grid"]
    begun = begin_variations(run) if record["grid"] and not alone else []
    if workers == 1 or all(each.is_done for each in begun):
        chain.execute(run, own, timeout=timeout, echo=echo)
        if alone:
            run.update(status="pending", error=None)
            return None
        if begun:
            with chain.recorded(run, "grid"):
                execute(begun, timeout=timeout, echo=echo)
    else:
        _side_by_side(run, own, begun, workers, timeout, echo)
    compared = [each.name for each in (run, *begun)] if begun else []
    chain.execute(run, comparing, compared=compared, timeout=timeout, echo=echo)
    return chain.finish(run)


def _side_by_side(run, own, begun, workers, timeout, echo):
    """Complete the notebooks `own` of a run, and beside them its variations, each once it can start.

    Until its own notebooks are complete, the run takes the place of one worker.
    """
    variations = {each: _origin(each, own) for each in _waiting(begun, echo)}
    with hired([run, *variations], workers - 1, beside=workers, timeout=timeout, echo=echo) as crew:
        for number, stem in enumerate(own):
            for each, origin in variations.items():
                if origin <= number:
                    crew.start(each)
            options = share_of(workers, workers - 1) if crew.busy() else {}
            chain.execute(run, [stem], timeout=timeout, echo=crew.echo, label=f"{run.name} ", **options)
        crew.grow(workers)
        with chain.recorded(run, "grid"):
            for each in variations:
                crew.start(each)
            _require_success(crew.errors(), len(begun))


def _origin(variation, own):
    """Return how many of the notebooks `own` of its run a variation takes from it."""
    return own.index(next(iter(variation.read()["notebooks"])))


def begin_variations(run):
    """Return the runs <run>-<variation> of a run's grid, beginning those that do not exist yet.

    A variation starts at the last notebook with a parameter `start_from` that is not after the first one affected by
    its overrides; everything before that is taken from `run`. Notebooks that compare are left to `run`.
    """
    record = run.read()
    steps = [(path, cell) for path, cell in chain.notebooks(run).items() if "runs" not in cell]
    entries = [number for number, (_, cell) in enumerate(steps) if "start_from" in cell]
    planned = {}
    for variation, overrides in record["grid"]["variations"].items():
        concerned = [number for number, (_, cell) in enumerate(steps) if overrides.keys() & cell.keys()]
        first = max((each for each in entries if each <= min(concerned, default=0)), default=0)
        origin = {"start_from": str(run.folder)} if first else {}
        planned[variation] = [path for path, _ in steps[first:]], record["values"] | overrides | origin
    fixed = {"backend": record["backend"], "preset": record["preset"]}
    return begin(planned, results=run.folder.parent, prefix=run.name, base=run.name, **fixed)


def begin(planned, *, results, prefix, backend, preset, base=None, data=None):
    """Return the runs <prefix>-<variation> of `planned` (variation -> notebooks, values), beginning the missing ones.

    base: name of the run of which they are variants. data: what notebook 1 recorded there, for variants without
    notebook 1. Raises ValueError if an existing run has other parameters.
    """
    begun = []
    for variation, (paths, values) in planned.items():
        run = runs.Run(Path(results) / f"{prefix}-{variation}")
        values = chain.settle(values, paths, results=results, backend=backend)
        if run.read():
            chain.require_same(run, paths, values)
        else:
            fixed = {"backend": backend, "preset": preset, "variation": variation, "base": base, "data": data}
            chain.begin(run.folder, paths, values=values, **fixed)
        begun.append(run)
    return begun


def begin_seeds(base, paths, seeds, *, backend, preset, data=None):
    """Return the runs <base>-seed1, <base>-seed2 …: `base` with its next seeds, `seeds` in all, begun if missing.

    paths: the notebooks of those that are begun here. backend, preset, data: those of `begin`.
    """
    record = base.read()
    changes = presets.replicas({}, seeds, seed=record.get("seed") or 0, base=True)
    found = {name: runs.Run(base.folder.parent / f"{base.name}-{name}") for name in changes}
    missing = {name: (paths, record["values"] | changes[name]) for name, run in found.items() if not run.read()}
    fixed = {"backend": backend, "preset": preset, "base": base.name, "data": data}
    begin(missing, results=base.folder.parent, prefix=base.name, **fixed)
    return list(found.values())


def execute(begun, *, workers=1, timeout=None, echo=print):
    """Complete those of the begun runs that are not done; raise kernel.Failure at the end if some failed.

    workers: number of runs in parallel, each on a Dask worker with its share of the cores, and a GPU if there are any.
    A failing run, whatever the reason, does not stop the others.
    """
    waiting = _waiting(begun, echo)
    if workers == 1:
        errors = {run.name: attempt(str(run.folder), timeout=timeout, echo=echo) for run in waiting}
    else:
        with hired(waiting, min(workers, max(1, len(waiting))), beside=workers, timeout=timeout, echo=echo) as crew:
            for run in waiting:
                crew.start(run)
            errors = crew.errors()
    _require_success(errors, len(begun))


def _waiting(begun, echo):
    """Return the begun runs that are not done, and say which are."""
    for run in begun:
        if run.is_done:
            echo(f"{run.name} · done earlier")
    return [run for run in begun if not run.is_done]


def _require_success(errors, count):
    """Raise kernel.Failure if there is an error in `errors`, run name -> error or None, of a grid of `count` runs."""
    failed = [f"{name}: {error}" for name, error in errors.items() if error]
    if failed:
        message = f"{len(failed)} of {count} runs failed: " + "; ".join(failed)
        raise kernel.Failure({"notebook": "grid", "cell": None, "kind": "GridFailed", "message": message})
