"""One notebook in one kernel, by papermill, with a reliable record of how it ended.

papermill's own record of a killed, timed-out or interrupted notebook says that every cell completed, and it counts an
early sys.exit(0) as success. Here every end but a good one raises a `Failure` that names the cell, and the partial copy
says the same. The kernel is a child of this process and ends by itself when the process dies.
"""

import logging
import os
import re
import signal
import sqlite3
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from subprocess import STDOUT

import nbformat
import papermill
import psutil
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbformat.sign import NotebookNotary
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError
from papermill.execute import raise_for_execution_errors
from traitlets.config import Config

from srnb import progress, runs

SILENCE = 20  # seconds without a line after which the terminal is told that a cell is still at work


class Failure(Exception):
    """A notebook did not run to its end.

    record: a dict of notebook, cell (its number, as in `In [7]`; None before the first), cell_id, source (the cell's
    first line), kind (the exception's name, or KernelDied, Timeout, EarlyExit, Interrupted) and message.
    """

    def __init__(self, record):
        where = record["notebook"] + (f", cell {record['cell']}" if record["cell"] else "")
        lines = record["message"].splitlines()
        lines = [*lines[:5], f"… and {len(lines) - 5} lines more in run.json"] if len(lines) > 6 else lines
        super().__init__("\n  ".join([f"{where}: {record['kind']}: {''.join(lines[:1])}", *lines[1:]]))
        self.record = record


class EarlyExit(Exception):
    """A cell called sys.exit(0)."""


def run(path, copy, parameters, *, environment, watch, timeout=None):
    """Run a notebook with `parameters` injected and write the executed copy, signed so that Jupyter shows its widgets.

    While it runs, the copy is called `<name>.running.ipynb`. The kernel gets `environment` and runs in the notebook's
    folder; its output goes to `watch`. timeout: seconds per cell. Raises Failure, also on Ctrl-C.
    """
    running = runs.running_name(copy)
    copy.parent.mkdir(parents=True, exist_ok=True)
    running.unlink(missing_ok=True)
    # a socket's path may have 107 characters, and parallel runs must not share one
    short = None if len(tempfile.gettempdir()) < 60 else "/tmp"
    with (
        tempfile.TemporaryDirectory(prefix="srnb-", dir=short, ignore_cleanup_errors=True) as sockets,
        open(Path(sockets) / "words", "w+", encoding="utf-8", errors="replace") as words,
    ):
        transport = {"transport": "ipc", "ip": os.path.join(sockets, "k")} if os.name == "posix" else {}
        try:
            node = papermill.execute_notebook(
                _literal(path),
                _literal(running),
                parameters,
                engine_name="srnb",
                progress_bar=False,
                autosave_cell_every=5,
                config=Config({"KernelManager": transport}),
                kernel={"env": environment, "cwd": str(path.parent), "stdout": words, "stderr": STDOUT},
                watch=watch,
                cell_timeout=timeout,
            )
            if node.metadata.papermill.exception:
                raise EarlyExit
        except (Exception, KeyboardInterrupt) as error:
            raise Failure({"notebook": path.stem, **_explain(running, error, timeout, words)}) from error
        finally:
            watch.stop()
            notebook = _read(running)
            if notebook:
                _sign(notebook, copy, watch)
                running.replace(copy)
            running.unlink(missing_ok=True)


def _sign(notebook, copy, watch):
    """Sign an executed copy. A home that is read-only, full, or busy with other jobs is no reason to end a run."""
    try:
        NotebookNotary().sign(notebook)
    except (OSError, sqlite3.Error) as error:
        watch.write(f"Jupyter will not trust the widgets in {copy.name}, which could not be signed: {error}\n")


def _literal(path):
    """Return a path as text, escaped for papermill, which would fill in parameters between braces."""
    return str(path).replace("{", "{{").replace("}", "}}")


class Watch:
    """Passes on what a kernel prints, line by line, samples its memory, and reports a cell that is silent for long."""

    def __init__(self, label, echo):
        self.peak = 0  # bytes resident, of the kernel and its children
        self._label, self._echo, self._text = label, echo, ""
        self._heard, self._stopped = time.monotonic(), threading.Event()
        self._thread = None

    def see(self, notebook, client):
        """Start watching: `client` is about to run `notebook`, whose metadata says which cell is running."""
        self._thread = threading.Thread(target=self._look, args=(notebook, client), daemon=True)
        self._thread.start()

    def stop(self):
        """Stop watching and pass on an unfinished line."""
        self._stopped.set()
        if self._thread:
            self._thread.join()
        self.write("\n")

    def write(self, text):
        """Take text that the kernel prints."""
        *lines, self._text = (self._text + text).replace("\r", "\n").split("\n")
        for line in filter(str.strip, lines):
            self._say(line)

    def flush(self):
        """Do nothing: lines are passed on as they come, but papermill expects a file."""

    def _say(self, line):
        self._heard = time.monotonic()
        self._echo(f"{self._label} │ {line}")

    def _look(self, notebook, client):
        while not self._stopped.wait(0.25):
            with suppress(psutil.Error, AttributeError):  # no process yet, or no longer
                kernel = psutil.Process(client.km.provisioner.pid)
                used = sum(each.memory_info().rss for each in [kernel, *kernel.children(recursive=True)])
                self.peak = max(self.peak, used)
            if time.monotonic() - self._heard > SILENCE:
                number, cell = _current(notebook)
                first = cell.source.split("\n")[0] if cell else "the kernel starts"
                self._say(f"cell {number} still at work: {first}" if cell else first)


class Client(PapermillNotebookClient):
    """papermill's client, with USR1 blocked in its kernels: the signal waits until a training listens, see `warn`."""

    def start_new_kernel(self, **options):
        if not hasattr(signal, "pthread_sigmask"):
            super().start_new_kernel(**options)
            return
        earlier = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        try:
            super().start_new_kernel(**options)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, earlier)
        if _warned.is_set():
            warn()


class Engine(NBClientEngine):
    """papermill's engine, with control over the kernel's environment, folder and process."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, *, kernel, watch, cell_timeout, config, **_):
        quiet = logging.getLogger("srnb.kernel")  # what nbclient logs comes back as an exception, too
        quiet.setLevel(logging.CRITICAL + 1)
        logging.getLogger("asyncio").addFilter(_is_news)
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            timeout=cell_timeout,
            startup_timeout=120,
            extra_arguments=["--IPKernelApp.capture_fd_output=False"],  # what C libraries mutter is no cell's output
            stdout_file=watch,
            stderr_file=watch,
            config=config,
            log=quiet,
        )
        watch.see(nb_man.nb, client)
        return client.execute(**kernel)


def _is_news(record):
    """Return False for what asyncio logs of the cell that Ctrl-C left: its run has been recorded as interrupted."""
    return "exception was never retrieved" not in record.getMessage()


papermill_engines.register("srnb", Engine)


_warned = threading.Event()  # this process has little time left


def warn():
    """Warn the present and future kernels of this process that time is short: a training saves its state and ends."""
    _warned.set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error):
            if "ipykernel_launcher" in process.cmdline():
                process.send_signal(signal.SIGUSR1)


def end_orphans(pid):
    """Kill the kernels that a dead process has left: they would end by themselves, but a busy one only later.

    Raises ValueError if one is still there after a minute.
    """
    orphans = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            kernel = "ipykernel_launcher" in process.cmdline() and process.ppid() != pid
            if kernel and process.environ().get("JPY_PARENT_PID") == str(pid):
                process.kill()
                orphans.append(process)
    deadline = time.monotonic() + 60
    while any(map(_is_there, orphans)):
        if time.monotonic() > deadline:
            raise ValueError(f"kernels of a killed runner must end. Received: {', '.join(map(str, orphans))}")
        time.sleep(0.05)


def _is_there(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _explain(copy, error, timeout, words):
    """Return the record of a failure and mark its cell in the partial copy; papermill does so for exceptions only."""
    if isinstance(error, PapermillExecutionError):
        kind, message = error.ename, error.evalue
        if kind in ("KeyboardInterrupt", "Stopped"):  # a training that was warned
            kind, message = "Interrupted", message or "the notebook was told to stop"
    elif isinstance(error, DeadKernelError):
        kind, message = "KernelDied", "the kernel's process ended: out of memory, killed, or os._exit" + _last(words)
    elif isinstance(error, CellTimeoutError):
        kind, message = "Timeout", f"the cell took longer than {progress.duration(timeout)}"
    elif isinstance(error, EarlyExit):
        kind, message = "EarlyExit", "sys.exit ended the notebook before its last cell"
    elif isinstance(error, KeyboardInterrupt):
        kind, message = "Interrupted", str(error) or "Ctrl-C"
    else:
        if isinstance(error, OSError) and error.errno and not error.filename:  # papermill could not write the copy
            error.filename = str(copy)
        kind, message = type(error).__name__, str(error) + _last(words)
    record = {"cell": None, "cell_id": None, "source": None, "kind": kind, "message": message}
    notebook = _read(copy)
    number, cell = _current(notebook, begun=True) if notebook else (None, None)
    if cell is None:
        return record
    record |= {"cell": number, "cell_id": cell.id, "source": cell.source.split("\n")[0]}
    if not isinstance(error, PapermillExecutionError):
        following = notebook.cells[notebook.cells.index(cell) + 1 :]
        for each in following:
            each.metadata.papermill.status = "pending"
        cell.metadata.papermill |= {"status": "failed", "exception": True}
        cell.execution_count, notebook.metadata.papermill.exception = number, True
        cell.outputs.append(
            nbformat.v4.new_output("error", ename=kind, evalue=message, traceback=[f"{kind}: {message}"])
        )
        # it puts its red note above the cell and at the top, if the disk has room
        with suppress(PapermillExecutionError, OSError):
            raise_for_execution_errors(notebook, str(copy))
    return record


def _read(copy):
    """Return an executed copy, None if it is missing or cut off: papermill writes in place, even on a full disk."""
    try:
        return nbformat.read(copy, 4)
    except (FileNotFoundError, ValueError):
        return None


def _last(words):
    """Return the last line that a kernel's process wrote outside of cells, without start-up messages."""
    words.seek(0)
    said = [line.strip() for line in words if line.strip() and not re.match(r"[IW]\d{4} |WARNING: All log", line)]
    return f"\nIts last words: {said[-1]}" if said else ""


def _current(notebook, *, begun=False):
    """Return number and node of the running code cell, or of the last one begun; (None, None) if there is none."""
    found = None, None
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    for number, cell in enumerate(cells, start=1):
        state = cell.metadata.get("papermill", {})
        if state.get("start_time") if begun else state.get("status") == "running":
            found = number, cell
    return found
