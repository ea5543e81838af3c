"""Runs with variations: many runs, each with something changed, one after the other or in parallel on Dask workers.

Every variation is a run with its own folder. Progress is kept in those folders: a second call skips runs with a DONE
file and resumes the others at the first notebook that is not complete.
"""

import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from srnb import provenance, runs
from srnb.runner import chain, kernel, lock, presets, screen


def complete(run, *, workers=1, timeout=None, echo=print, take_over=False, alone=False):
    """Complete a begun run: its notebooks, its variations before the notebooks that compare, its report.

    alone: stop before variations, comparison and report, and return None.
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
    with _crew([run, *variations], workers - 1, beside=workers, timeout=timeout, echo=echo) as crew:
        for number, stem in enumerate(own):
            for each, origin in variations.items():
                if origin <= number:
                    crew.start(each)
            options = _share(workers, workers - 1) if crew.busy() else {}
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
            chain.require_same(run, chain.effective(paths, values))
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
        errors = {run.name: _attempt(str(run.folder), timeout=timeout, echo=echo) for run in waiting}
    else:
        with _crew(waiting, min(workers, max(1, len(waiting))), beside=workers, timeout=timeout, echo=echo) as crew:
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


def _attempt(folder, *, beside=1, timeout=None, echo=print):
    """Complete one of `beside` variations that run in parallel; return None, or the error. Raises KeyboardInterrupt."""
    run, share = runs.Run(folder), {}
    if beside > 1:
        from dask.distributed import get_worker

        share = _share(beside, int(get_worker().name))
    try:
        with lock.held(run):
            return _kept(run, share, timeout, echo)
    except ValueError as error:  # another process is at this run, and its record belongs to that
        echo(f"{run.name} · {error}")
        return str(error)


def _kept(run, share, timeout, echo):
    """Complete a variation whose lock is held; return None, or the error, which is recorded."""
    try:
        chain.reopen(run)
        chain.execute(run, timeout=timeout, echo=echo, label=f"{run.name} ", **share)
        chain.finish(run)
    except kernel.Failure as failure:
        if failure.record["kind"] == "Interrupted":
            raise KeyboardInterrupt(failure.record["message"]) from failure
        echo(f"{run.name} · {failure}")
        return str(failure)
    except Exception as error:  # a report that cannot be rendered, a full disk
        message = _note(run, error)
        echo(f"{run.name} · {message}")
        return message
    return None


def _note(run, error):
    """Record an error that did not come from a notebook, and return it as text."""
    with contextlib.suppress(OSError):
        failure = {"notebook": "run", "cell": None, "kind": type(error).__name__, "message": str(error)}
        run.update(status="failed", error=failure)
    return f"{type(error).__name__}: {error}"


def _lost(run, error):
    """Record that the workers that took a run have died; return the error as text."""
    with contextlib.suppress(ValueError), lock.held(run):
        chain.reopen(run)
        return _note(run, error)
    return f"{type(error).__name__}: {error}"


@contextlib.contextmanager
def _crew(shown, workers, *, beside, timeout, echo):
    """Yield a `Crew` of Dask workers on this machine. On a terminal, each of the runs `shown` has a line."""
    from dask.distributed import Client, LocalCluster

    crew = None
    try:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(
                LocalCluster(
                    n_workers=workers,
                    threads_per_worker=1,
                    memory_limit=0,  # the default kills a worker at 95 %
                    host="127.0.0.1",
                    dashboard_address="127.0.0.1:0",
                    local_directory=stack.enter_context(tempfile.TemporaryDirectory()),
                    silence_logs=logging.CRITICAL,
                )
            )
            echo(f"{len(shown)} runs on {beside} workers · dashboard: {cluster.dashboard_link}")
            client = stack.enter_context(Client(cluster))
            options = {"beside": beside, "timeout": timeout, "pure": False}
            if sys.stdout.isatty():  # lines of several runs would mix; a file keeps them all
                stack.enter_context(screen.shown(shown))
                echo = options["echo"] = _silent
            crew = Crew(cluster, client, options, echo)
            yield crew
    except BaseException:
        for run in crew.runs.values() if crew else ():  # the workers are gone: what they ran was interrupted
            if run.read()["status"] == "running":
                with contextlib.suppress(ValueError), lock.held(run):
                    chain.reopen(run)
        raise


class Crew:
    """Workers that complete runs, each one at a time. A run whose worker is killed is resumed on another one.

    runs: name -> run, of those that were started. echo: where lines of other runs should go.
    """

    def __init__(self, cluster, client, options, echo):
        self._cluster, self._client, self._options, self._futures = cluster, client, options, {}
        self.runs, self.echo = {}, echo

    def start(self, run):
        """Give a run to the next free worker, unless that was done."""
        if run.name not in self.runs:
            self.runs[run.name] = run
            self._futures[run.name] = self._client.submit(_attempt, str(run.folder), key=run.name, **self._options)

    def busy(self):
        """Return whether a started run has not ended."""
        return not all(future.done() for future in self._futures.values())

    def grow(self, workers):
        """Have this many workers."""
        self._cluster.scale(workers)

    def errors(self):
        """Return {run name: error, or None}, once all that were started have ended."""
        from dask.distributed import as_completed

        errors = {}
        for future in as_completed(self._futures.values()):
            error = future.exception()
            errors[future.key] = _lost(self.runs[future.key], error) if error else future.result()
        return errors


def _silent(line):
    """Drop a line."""


def _share(beside, number):
    """Return the options of `chain.execute` for run `number` of `beside` that go on at a time: its cores, its GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = [str(gpu) for gpu in range(len(provenance.machine()["gpus"]))]
    else:  # empty: its user hides them all
        gpus = [gpu for gpu in visible.split(",") if gpu]
    return {"threads": max(1, provenance.cores() // beside), "gpu": gpus[number % len(gpus)] if gpus else None}
