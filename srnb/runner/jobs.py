"""Runs as jobs of a cluster: submitted as an array, one task per run; warned before their time limit, requeued.

A task executes `srnb run --resume FOLDER` and nothing else. Run folders hold all state, so no other process has to stay
alive, and the same command again submits whatever is neither done nor queued.
"""

import os
import re
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from srnb import runs
from srnb.runner import kernel, lock, slurm
from srnb.runner.grid import begin_variations

INTERRUPTED = 130  # exit code of a command that was interrupted
WARNING = 120  # seconds before its time limit at which a job is warned
SETTINGS = {  # what a site's file may hold
    "options": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "setup": lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    "warning": lambda value: isinstance(value, str) and value.isdigit(),
}


def settings(cluster):
    """Return the settings of a site, options, setup and warning, from ~/.config/srnb/clusters/<cluster>.yaml.

    An option without a value, such as `exclusive:`, is None; the others are kept as text.
    Without the file, `slurm` has no settings and other names raise FileNotFoundError. Raises ValueError for a file with
    other content.
    """
    folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "srnb" / "clusters"
    path = folder / f"{cluster}.yaml"
    if not path.is_file() and cluster != "slurm":
        names = sorted({"slurm", *(each.stem for each in folder.glob("*.yaml"))})
        raise FileNotFoundError(f"a cluster must be one of {', '.join(names)}, or have a file. Received: {path}")
    try:  # values as they stand: YAML would read 24:00:00 as a number, to the base of 60
        read = (yaml.load(path.read_text("utf-8"), yaml.BaseLoader) or {}) if path.is_file() else {}
    except yaml.YAMLError as error:
        raise ValueError(f"a cluster's settings must be YAML. Received: {path}: {error}") from None
    if not isinstance(read, dict) or not all(name in SETTINGS and SETTINGS[name](read[name]) for name in read):
        raise ValueError(
            "a cluster's settings must be options (name: value), setup (lines of shell) and warning (seconds). "
            f"Received: {path}: {read}"
        )
    return {
        "options": {name: value or None for name, value in read.get("options", {}).items()},
        "setup": read.get("setup", []),
        "warning": int(read.get("warning", WARNING)),
    }


def options(pairs):
    """Return {name: value} of `-o` options, such as "time=1:00" or "exclusive". Raises ValueError."""
    for pair in pairs:
        if not re.match(r"[a-z][a-z-]*(=|$)", pair):
            raise ValueError(f"-o must be KEY=VALUE, as sbatch's --KEY=VALUE. Received: {pair}")
    return {name: value if mark else None for name, mark, value in (pair.partition("=") for pair in pairs)}


def stages(folder, variations):
    """Return the stages of a run: the run itself; with variations also these as an array, then the comparison.

    Each is a tuple of its name, its folders, and the arguments of the command before a folder.
    """
    if not variations:
        return [(folder.name, [folder], [])]
    beside = [folder.with_name(f"{folder.name}-{variation}") for variation in variations]
    return [
        (folder.name, [folder], ["--no-grid"]),
        (f"{folder.name}-grid", beside, []),
        (f"{folder.name}-compare", [folder], []),
    ]


def stages_of(run):
    """Return the `stages` of a begun run, beginning variations that do not exist yet."""
    if not run.read()["grid"]:
        return stages(run.folder, {})
    begin_variations(run)
    return stages(run.folder, run.read()["grid"]["variations"])


def submitted(run):
    """Return the jobs that were submitted for a run, oldest first: `12_3` is task 3 of job 12.

    They have a file of their own, since a job may start, and own run.json, before its id is written.
    """
    path = run.folder / "jobs.txt"
    return path.read_text("utf-8").split() if path.is_file() else []


def queued(begun):
    """Return {folder: entry of `slurm.queue`} for those of the begun runs that have a waiting or running job.

    None if Slurm cannot be queried.
    """
    jobs = {job: run.folder for run in begun for job in submitted(run)}
    queue = slurm.queue(list(jobs))
    return None if queue is None else {jobs[job]: said for job, said in reversed(queue.items())}


def submit(planned, *, cluster="slurm", extra=(), workers=1, timeout=None, dry_run=False, echo=print):
    """Submit `stages`, each to start after the success of the last, without runs that are done, queued or running.

    extra: `-o` options, which override those of the site. dry_run: print command and script of each stage and write
    nothing. Raises ValueError if Slurm refuses.
    """
    site = settings(cluster)
    every = {folder: runs.Run(folder) for _, folders, _ in planned for folder in folders}
    busy = queued(every.values())
    if busy is None and not dry_run:
        raise ValueError("squeue must say what is queued, or runs might be submitted twice. Received: no answer")
    busy = busy or {}
    after = sorted({said["job"].split("_")[0] for said in busy.values()})
    waiting = set()
    for folder, run in every.items():
        if folder in busy:
            echo(f"{run.name} · queued already: job {busy[folder]['job']}, {busy[folder]['state'].lower()}")
        elif run.is_done:
            echo(f"{run.name} · done earlier")
        elif lock.holder(run):
            echo(f"{run.name} · goes on already")
        else:
            waiting.add(folder)
    for name, folders, arguments in planned:
        chosen = [folder for folder in folders if folder in waiting]
        if not chosen:
            continue
        limit = ["--timeout", timeout] if timeout else []
        command = [sys.executable, "-P", "-m", "srnb.cli", "run", *limit, *arguments, "--resume"]
        text = slurm.script(
            chosen,
            command,
            name=name,
            options=site["options"] | options(extra),
            workers=workers,
            setup=site["setup"],
            warning=site["warning"],
        )
        if dry_run:
            echo(" ".join(slurm.submission(after)) + "\n\n" + text)
            after = ["JOB"]
            continue
        job = slurm.submit(text, after=after)
        for task, folder in enumerate(chosen):
            with open(folder / "jobs.txt", "a", encoding="utf-8") as file:
                file.write(f"{job}_{task}\n")
        where = chosen[0] if len(chosen) == 1 else chosen[0].parent / "RUN"
        echo(f"job {job} · {', '.join(folder.name for folder in chosen)} · log: {where / 'slurm.log'}")
        after = [job]


@contextmanager
def attempt(run, *, echo=print):
    """Write a heading into the log of a job's attempt at a run; requeue the job if its time limit ends the attempt.

    Slurm warns by USR1, which is passed on to the kernels, and a training saves its state at its next step. What has
    not ended within half of the remaining time is interrupted. Outside of jobs this does nothing.
    """
    job = slurm.own_job()
    if not job:
        yield
        return
    gpus, node = os.environ.get("CUDA_VISIBLE_DEVICES") or "none", os.environ.get("SLURMD_NODENAME")
    echo(f"== {runs.now()} · job {job['job']} · restart {job['restart']} · node {node} · GPUs {gpus}")
    warned, reached = [], _reached(run)

    def warn(number, frame):
        if not warned:
            warned.append(number)
            signal.alarm(max(1, int(os.environ.get("SRNB_WARNING", WARNING)) // 2))
            kernel.warn()

    def interrupt(number, frame):
        raise KeyboardInterrupt("the job's time limit")

    handlers = {signal.SIGUSR1: warn, signal.SIGALRM: interrupt}
    earlier = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    except SystemExit as end:
        if not warned or end.code != INTERRUPTED:
            raise
        signal.alarm(0)
        if _reached(run) == reached:
            message = "within its time limit a job must reach a new checkpoint or the end of a notebook"
            error = {"notebook": "run", "cell": None, "kind": "NoProgress", "message": message}
            run.update(status="failed", error=error)
            echo(f"== {runs.now()} · {message}: not requeued")
            sys.exit(1)
        echo(f"== {runs.now()} · time limit near: requeued")
        sys.stdout.flush()
        slurm.requeue(job["job"])
        time.sleep(60)  # Slurm ends this process; one that ended first would be a job that ended
        raise
    finally:
        signal.alarm(0)
        for number, handler in earlier.items():
            signal.signal(number, handler)


def _reached(run):
    """Return a mark of a run's progress: its complete notebooks and the names of its checkpoints."""
    complete = [stem for stem, state in run.read()["notebooks"].items() if state["status"] == "complete"]
    return complete, sorted(path.name for path in run.folder.glob("checkpoints/*"))
