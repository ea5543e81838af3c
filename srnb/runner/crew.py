"""Runs completed side by side by Dask workers on this machine, each with its share of the cores and a GPU."""

import contextlib
import logging
import os
import sys
import tempfile

from srnb import provenance, runs
from srnb.runner import chain, kernel, lock, screen


@contextlib.contextmanager
def hired(shown, workers, *, beside, timeout, echo):
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
            self._futures[run.name] = self._client.submit(attempt, str(run.folder), key=run.name, **self._options)

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


def share_of(beside, number):
    """Return the options of `chain.execute` for run `number` of `beside` that go on at a time: its cores, its GPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        gpus = [str(gpu) for gpu in range(len(provenance.machine()["gpus"]))]
    else:  # empty: its user hides them all
        gpus = [gpu for gpu in visible.split(",") if gpu]
    return {"threads": max(1, provenance.cores() // beside), "gpu": gpus[number % len(gpus)] if gpus else None}


def attempt(folder, *, beside=1, timeout=None, echo=print):
    """Complete one of `beside` variations that run in parallel; return None, or the error. Raises KeyboardInterrupt."""
    run, share = runs.Run(folder), {}
    if beside > 1:
        from dask.distributed import get_worker

        share = share_of(beside, int(get_worker().name))
    try:
        with lock.held(run):
            if run.is_done:  # by another process, while the runs before it went on here
                echo(f"{run.name} · done earlier")
                return None
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


def _silent(line):
    """Drop a line."""
