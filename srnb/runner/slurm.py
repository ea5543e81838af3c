"""Slurm: what it says about jobs."""

import os
import subprocess

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT"}  # nothing of it runs


def own_job():
    """Return job ("12"; "12_3" for a task of an array) and number of restarts of this process; {} outside of jobs."""
    job = os.environ.get("SLURM_JOB_ID")
    if not job:
        return {}
    if "SLURM_ARRAY_JOB_ID" in os.environ:
        job = f"{os.environ['SLURM_ARRAY_JOB_ID']}_{os.environ['SLURM_ARRAY_TASK_ID']}"
    return {"job": job, "restart": int(os.environ.get("SLURM_RESTART_COUNT", 0))}


def jobs(names):
    """Return job -> state, reason, left (time until its limit) and node, for those of `names` that wait or run.

    None where Slurm cannot be asked.
    """
    fields = ("job", "state", "reason", "left", "node")
    wanted = ",".join(sorted({name.split("_")[0] for name in names}))  # Slurm knows tasks that wait as one entry
    command = ["squeue", "--noheader", "--array", f"--jobs={wanted}", "--format=%i|%T|%r|%L|%N"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode and "Invalid job id" not in done.stderr:  # the only job asked for is long gone
        return None
    found = [dict(zip(fields, line.split("|"), strict=True)) for line in done.stdout.splitlines()]
    return {each["job"]: each for each in found if each["job"] in names}
