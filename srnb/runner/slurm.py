"""Slurm: the script of an array job, and the commands that submit it, query its state and requeue a task."""

import os
import shlex
import subprocess

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}  # nothing of it runs
PATIENCE = 120  # seconds in which Slurm must answer


def own_job():
    """Return {job: "12" ("12_3" for a task of an array), restart: how many so far}; {} outside of jobs."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return {}
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return {"job": job, "restart": int(os.environ.get("SLURM_RESTART_COUNT", 0))}


def queue(names):
    """Return {job: dict of state, reason, left (time until its limit) and node} for those of `names` in the queue.

    None if Slurm cannot be queried.
    """
    fields = ("job", "state", "reason", "left", "node")
    if not names:
        return {}
    wanted = ",".join(sorted({name.split("_")[0] for name in names}))  # Slurm knows tasks that wait as one entry
    command = ["squeue", "--noheader", "--array", f"--jobs={wanted}", "--format=%i|%T|%r|%L|%N"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode and "Invalid job id" not in done.stderr:  # the only job asked for is long gone
        return None
    found = [dict(zip(fields, line.split("|"), strict=True)) for line in done.stdout.splitlines()]
    return {each["job"]: each for each in found if each["job"] in names}


def script(folders, command, *, name, options, workers, setup=(), warning=120):
    """Return the script of an array job that executes `command FOLDER` for each of `folders`.

    options: name -> value of sbatch's options, which override those here; None for one without a value. workers: number
    of tasks at a time. setup: lines of shell before the command. warning: seconds before the time limit at which a task
    receives USR1. The folders are in the script itself, of which Slurm keeps a copy, so that no later submission can
    overwrite them.
    """
    settled = {
        "job-name": f"srnb-{name}",
        "array": f"0-{len(folders) - 1}%{workers}",
        "output": "/dev/null",  # each run has a log of its own
        "open-mode": "append",
        "requeue": None,
        "signal": f"B:USR1@{warning}",
        "kill-on-invalid-dep": "yes",
    } | options
    return "\n".join(
        [
            "#!/bin/bash",
            *(f"#SBATCH --{name}{_value(value)}" for name, value in settled.items()),
            "folders=(",
            *(f"  {shlex.quote(str(folder))}" for folder in folders),
            ")",
            'folder="${folders[$SLURM_ARRAY_TASK_ID]}"',
            'exec >>"$folder/slurm.log" 2>&1',
            "trap '' USR1  # one that comes before Python listens must not end the task",
            f"export SRNB_WARNING={warning}",
            *setup,
            "# the signal goes to the script, so Python takes its place",
            f'exec {shlex.join(map(str, command))} "$folder"',
            "",
        ]
    )


def _value(value):
    """Return the value of an option as sbatch reads it: quoted as by a shell, but a backslash always escapes."""
    return "" if value is None else "=" + shlex.quote(value.replace("\\", "\\\\"))


def submission(after=()):
    """Return the command that submits a script from standard input, to start once the jobs `after` have succeeded."""
    return ["sbatch", "--parsable", *([f"--dependency=afterok:{':'.join(after)}"] if after else [])]


def submit(text, *, after=()):
    """Submit a script and return the job's id. Raises ValueError if sbatch refuses, with its message, or is silent."""
    return _call(submission(after), text).split(";")[0]  # a cluster's name may follow


def requeue(job):
    """Requeue a running job, which Slurm then ends."""
    _call(["scontrol", "requeue", job])


def _call(command, text=""):
    try:
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError:
        raise ValueError(f"Slurm must be installed where jobs are submitted. Received: no {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise ValueError(f"{command[0]} must answer within {PATIENCE} s. Received: nothing") from None
    if done.returncode:
        raise ValueError(f"{command[0]} must take what it is given. Received: {done.stderr.strip()}")
    return done.stdout.strip()
