"""The states of runs as seen from any host: queued, running, done, and what ended the others."""

from srnb.runner import chain, jobs, lock, slurm


def states(begun):
    """Return a line for each run: `queued (Resources)`, `running · 02_pretrain │ pretrain 350/900 … left`, `done`."""
    queue = jobs.queued(begun)
    return [_state(run, queue.get(run.folder)) for run in begun]


def _state(run, job):
    restarts = max((owner.get("restart", 0) for owner in lock.owners(run)), default=0)
    if run.is_done:
        parts = ["done"]
    elif job and job["state"] in slurm.WAITING:
        parts = [f"queued ({job['reason']})"]
    elif job or lock.holder(run):
        parts = ["running", *filter(None, [chain.last_line(run)])]
        parts += [f"{job['left']} until the limit of job {job['job']}"] if job else []
    else:
        status, by_hand = run.read().get("status", ""), run.read().get("by_hand")
        if status == "running":  # nobody is at it who could say so; between two cells nobody has to be
            status = "unfinished" if by_hand else "interrupted"
        parts = [status]
    if run.read().get("by_hand"):
        parts.append(f"by hand: {', '.join(run.read()['notebooks'])}")
    if restarts:
        parts.append(f"requeued {restarts} time{'s' * (restarts > 1)}")
    return " · ".join(parts)
