"""The states of runs as seen from any host: queued, running, done, and what ended the others."""

from srnb import evaluation, progress, runs
from srnb.reports import overview
from srnb.runner import chain, jobs, lock, slurm

COLUMNS = ("run", "preset", "backend", "time", "status")  # the last is of any length


def listing(results, names=None):
    """Return the runs under `results`, or those in `names`, as text; index.html and runs.csv of all are made anew.

    Where they cannot be, as in the folder of somebody else, a last line says so.
    """
    if not results.is_dir():
        return f"no runs in {results}"
    unwritten = ""
    try:
        table = overview.write(results)
    except OSError as error:
        table, unwritten = evaluation.collect(results), f"\nindex.html and runs.csv are as they were: {error}"
    readable = runs.find(results)
    standing = dict(zip([run.name for run in readable], states(readable), strict=True))
    if len(table):  # of a run with damaged files the table says so, and that matters more than where it stands
        rows = zip(table["run"], table["status"], strict=True)
        table["status"] = [status if "damaged" in status else standing.get(name, status) for name, status in rows]
    if names is not None:
        table = table[table["run"].isin(names)]
    if table.empty:
        return f"no runs in {results}"
    table = table.reindex(columns=[*COLUMNS, "seconds"])  # of damaged runs alone there are few
    table["time"] = table["seconds"].map(progress.duration, na_action="ignore")
    rows = [COLUMNS, *table[list(COLUMNS)].astype(object).fillna("").to_numpy().tolist()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows) + unwritten


def states(begun):
    """Return a line for each run: `queued (Resources)`, `running · 02_pretrain │ pretrain 350/900 … left`, `done`."""
    queue = jobs.queued(begun) or {}
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
        begun = any(each.get("status") == "complete" for each in run.read().get("notebooks", {}).values())
        if status == "running" or (status == "pending" and begun):
            # nobody is at it who could say so; between two cells nobody has to be
            status = "unfinished" if by_hand else "interrupted"
        parts = [status]
    if run.read().get("by_hand"):
        parts.append(f"by hand: {', '.join(run.read()['notebooks'])}")
    if restarts:
        parts.append(f"requeued {restarts} time{'s' * (restarts > 1)}")
    return " · ".join(parts)
