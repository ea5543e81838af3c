"""A lock on a run's folder across hosts: owners/1.json, 2.json … record its owners, of whom the last may be active.

A process takes the lock by creating the file of the next number, which the file system allows only one process to do.
The last file is kept: a slow process that saw a dead owner cannot take a lock that another has taken meanwhile. The
others are kept as the list of a run's attempts; only a Jupyter kernel, which takes a number for each cell, leaves one.
"""

import json
import os
import socket
import tempfile
import threading
import time
from contextlib import contextmanager, suppress

import psutil

from srnb import files, runs
from srnb.runner import kernel, slurm

BEAT = 60  # seconds between two signs of life of an owner: the time of its file is set anew
OWNER = {"host": str, "pid": int, "created": int | float, "started": str}  # what each says, of which type
SILENT = 15 * BEAT  # after so long, an owner that can be asked for in no other way counts as gone


@contextmanager
def held(run, *, take_over=False, notebook=None, earlier=None):
    """Hold the lock on a run's folder and yield its owner file; raises ValueError if another process holds it.

    Kernels that a killed owner has left on this host are killed first.
    take_over: the user asserts that the recorded owner is gone; ignored if it is known to be alive.
    notebook: the one in which a user works, if the owner is its kernel. earlier: owner file of an earlier lock of this
        process, to be deleted.
    """
    path, owner = _take(run, take_over, {"notebook": notebook} if notebook else {})
    if earlier:
        earlier.unlink(missing_ok=True)
    ended = threading.Event()
    threading.Thread(target=_beat, args=(path, ended), daemon=True).start()
    try:
        yield path
    finally:
        ended.set()
        # a folder that was deleted meanwhile stays deleted; on a full disk the run says why it ended, not we
        with suppress(OSError):
            if path.is_file():
                files.write_text(path, json.dumps(owner | {"ended": runs.now()}) + "\n")


def owners(run):
    """Return the owners of a run's folder, oldest first.

    Each is a dict of host, pid, created, job and restart (Slurm's, if any), notebook (of a kernel in which a user
    works), started and, after release, ended.
    """
    return [_read(path) for path in _paths(run)]


def holder(run, *, take_over=False):
    """Return the active owner of a run, as far as this host can tell, or None."""
    paths = _paths(run)
    owner = _read(paths[-1]) if paths else {"ended": None}
    return None if "ended" in owner or not _lives(owner, paths[-1], take_over) else owner


def _take(run, take_over, about):
    paths = _paths(run)
    number = max((int(path.stem) for path in paths), default=0) + 1
    owner = holder(run, take_over=take_over)
    if owner is not None:
        raise ValueError(f"a run must not be going on already. Received: {run.folder}, {_said(owner)}")
    last = _read(paths[-1]) if paths else {}
    if "ended" not in last and last.get("host") == socket.gethostname():
        kernel.end_orphans(last["pid"])  # they would write beside the kernels to come
    process = psutil.Process()
    owner = {
        "host": socket.gethostname(),
        "pid": process.pid,
        "created": process.create_time(),
        "boot": psutil.boot_time(),
        **slurm.own_job(),
        **about,
        "started": runs.now(),
    }
    path = run.folder / "owners" / f"{number}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "xb", buffering=0) as file:
            _say(file, owner)
    except FileExistsError:
        raise ValueError(f"a run must not be going on already. Received: {run.folder}, {_said({})}") from None
    if _paths(run)[-1] != path:  # we were slow, and this number has been given back meanwhile
        path.unlink()
        raise ValueError(f"a run must not be going on already. Received: {run.folder}, {_said({})}")
    return path, owner


def _say(file, owner):
    try:
        file.write(json.dumps(owner).encode() + b"\n")
    except OSError as error:  # a full disk: an empty file would hold the run
        os.unlink(file.name)
        raise OSError(error.errno, error.strerror, str(file.name)) from None


def _lives(owner, path, take_over):
    """Return whether an owner is alive: by the process table on this host, by Slurm for jobs, else by its heartbeat."""
    if owner.get("host") == socket.gethostname():
        try:
            process = psutil.Process(owner["pid"])
            # both times are by today's clock: when that is set, they move together
            moved = psutil.boot_time() - owner.get("boot", psutil.boot_time())
            same = abs(process.create_time() - owner["created"] - moved) < 1
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False
    if owner.get("job"):
        mine = slurm.own_job()
        if owner["job"] == mine.get("job") and owner.get("restart") != mine["restart"]:
            return False  # an earlier attempt of this very job: Slurm starts the next when it has ended
        queue = slurm.queue([owner["job"]])
        if queue is not None:
            return owner["job"] in queue and queue[owner["job"]]["state"] not in slurm.WAITING
    return not take_over and _now(path.parent) - path.stat().st_mtime < SILENT


def _now(folder):
    """Return the time by the clock that sets the times of files: a file server's may differ from this host's."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            return os.stat(file.name).st_mtime
    except OSError:  # where nothing can be written no lock can be taken either: this is for a listing
        return time.time()


def _said(owner):
    if not owner:
        return "taken by another at this moment"
    job = f", Slurm job {owner['job']}" if owner.get("job") else ""
    by_hand = f", a cell of {owner['notebook']} in Jupyter," if owner.get("notebook") else ""
    said = f"process {owner['pid']} on {owner['host']}{job}{by_hand} is at it since {owner['started']}"
    return said if owner["host"] == socket.gethostname() or job else f"{said}; if it is gone, add --take-over"


def _paths(run):
    paths = (run.folder / "owners").glob("*.json")
    return sorted((path for path in paths if path.stem.isdecimal()), key=lambda path: int(path.stem))


def _read(path):
    """Return an owner, {} if its file is damaged or just being written; then the time of the file decides."""
    try:
        owner = json.loads(path.read_text("utf-8"))
    except (ValueError, OSError):
        return {}
    whole = isinstance(owner, dict) and all(isinstance(owner.get(name), kind) for name, kind in OWNER.items())
    return owner if whole else {}


def _beat(path, ended):
    while not ended.wait(BEAT):
        try:
            os.utime(path)
        except OSError:  # a file system that is away for a while; the run itself will notice
            continue
