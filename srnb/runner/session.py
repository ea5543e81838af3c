"""A run made by hand: a notebook whose cells are run one by one, or by any tool other than our runner.

Here the kernel itself keeps the records that the runner keeps otherwise: run.json with parameters, seed, commit,
versions, times and the end of each notebook, an executed copy of each notebook, and a report once one is complete.

It holds the run's `lock` for as long as a cell runs. Not for its life: the kernels of notebooks that have run stay up,
and the next notebook has one of its own.
"""

import html
import os
import sys
import time
from contextlib import ExitStack

from srnb import files, progress, runs

OUTPUTS = ("stream", "display_data", "update_display_data", "execute_result", "error", "clear_output")

_recorder = None  # of the notebook that this kernel runs


class Refused(ValueError):
    """A run's folder belongs to another experiment; a notebook shows one line instead of a traceback."""

    def _render_traceback_(self):  # IPython asks for it
        return [str(self)]


def begin(stem, run_folder):
    """Return the run of a folder, and keep its record from here on unless a runner does it.

    stem: the notebook that calls, such as "02_pretrain". Its parameters are read from the kernel. Nothing is ever
    overwritten: raises `Refused`, with a free name to use, if the folder belongs to a run that a runner made, or if
    notebook 1 asks for other data in the folder of a run that has been trained; also while another process is at it.
    """
    global _recorder
    run = runs.Run(run_folder)
    if not progress.is_watched():
        return run
    from IPython import get_ipython

    from srnb.runner import presets

    hold = _Hold(run, stem)
    if _recorder:
        hold.path = _recorder.hold.path if _recorder.run.folder == run.folder else None
        _recorder.stop()
        _recorder = None
    record = run.read()
    path = presets.beside(stem)
    known = presets.parameters(path)
    if record.get("notebooks") and not record.get("by_hand"):
        if "runs" in known:  # a notebook that compares only reads
            return run
        raise Refused(f"run_folder must be of a run made by hand. Received: {run.name}; {_free(run)} is free")
    shell = get_ipython()
    hold.take()
    try:
        _open(run, run.read(), path, {name: shell.user_ns[name] for name in known if name in shell.user_ns})
        _recorder = Recorder(shell, run, path, hold)
    except BaseException:
        hold.release()
        raise
    return run


class _Hold:
    """The lock of a run, in the hands of a kernel as long as one of its cells runs. `path` is the file that says so."""

    def __init__(self, run, stem):
        self.run, self.stem, self.path, self._held = run, stem, None, ExitStack()

    def take(self):
        """Take the lock. Raises `Refused` if another process is at the run."""
        from srnb.runner import lock

        try:
            self.path = self._held.enter_context(lock.held(self.run, notebook=self.stem, earlier=self.path))
        except ValueError as error:
            raise Refused(f"{error}; run the cell again when that has ended") from None

    def release(self):
        self._held.close()


def free(run):
    """Return the first folder of lab, lab-2, lab-3 … beside a run's that is not taken; its own, if nothing is there."""
    name, _, number = run.name.rpartition("-")
    name = name if name and number.isdigit() else run.name
    folder, number = run.folder, 1
    while folder.exists():
        number += 1
        folder = run.folder.parent / f"{name}-{number}"
    return folder


def _free(run):
    """Return it as a line of the parameters cell."""
    return f'run_folder = "{os.path.relpath(free(run))}"'


def _open(run, record, path, values):
    """Record in run.json that a notebook starts, with its parameters."""
    from srnb.runner import chain

    stem, backend = path.stem, _backend()
    parameters = chain.effective([path], values)[stem]
    earlier = record.get("parameters", {}).get(stem)
    trained = record.get("notebooks", {}).keys() - {stem}
    if stem.startswith("01") and trained and earlier not in (None, parameters):
        changed = [name for name in parameters if earlier.get(name) != parameters[name]]
        raise Refused(
            f"a run must keep its data. Received: {run.name}, trained already, with other {', '.join(changed)}; "
            f"for a new experiment {_free(run)} is free"
        )
    if values.get("resume") and earlier is not None and record.get("backend") not in (None, backend):
        raise Refused(
            f"a training must go on with the backend that it began with, {record['backend']}. Received: {backend}"
        )
    if stem.startswith("01") and trained:
        print(f"{run.name} goes on, begun {record['started']}; for a new experiment {_free(run)} is free")
    if not record.get("notebooks"):
        chain.begin(run.folder, [path], values=parameters, backend=backend)
        record = run.read()
    steps = record["notebooks"] | {stem: {"status": "running", "started": runs.now()}}
    run.update(
        by_hand=True,
        status="running",
        error=None,
        backend=backend,
        notebook_folder=str(path.parent),
        notebooks=dict(sorted(steps.items())),
        values=record["values"] | parameters,
        parameters=record["parameters"] | {stem: parameters},
        seed=record.get("seed") if record.get("seed") is not None else parameters.get("seed"),
    )
    (run.folder / "DONE").unlink(missing_ok=True)


def _backend():
    keras = sys.modules.get("keras")
    return keras.backend.backend() if keras else os.environ.get("KERAS_BACKEND") or "tensorflow"


class Recorder:
    """Keep the executed copy of a notebook, and in run.json how it goes, from what the kernel runs and sends.

    hold: of the run's lock, taken for the cell that runs now. A cell that does not get it is not executed.
    """

    def __init__(self, shell, run, path, hold):
        import nbformat  # takes more than a second, which kernels that a runner starts are spared

        self.run, self.stem, self.shell, self.hold, self.refusal = run, path.stem, shell, hold, None
        self.copy = run.folder / path.name
        self.notebook = nbformat.read(path, 4)
        self.notebook.metadata.pop("widgets", None)
        self.displays, self.seconds, self.started = {}, 0.0, time.perf_counter()
        self.cell, self.ended = None, {}  # the cell that runs or ran last; cell id -> whether it ended well
        ran = list(shell.user_ns["In"])
        for cell in self._code():
            cell.outputs, cell.execution_count = [], None
            if cell.source in ran[:-1]:
                cell.execution_count = len(ran) - 2 - ran[:-1][::-1].index(cell.source)
        self._note_parameters()
        self.cell = self._find(None, ran[-1])
        self.cell.execution_count = len(ran) - 1
        shell.events.register("pre_run_cell", self._before)
        shell.events.register("post_run_cell", self._after)
        shell.ast_transformers.append(self)  # nothing else can keep a cell from running
        self._session, self._send = shell.kernel.session, shell.kernel.session.send
        self._session.send = self._sent

    def stop(self):
        """Stop recording."""
        self.shell.events.unregister("pre_run_cell", self._before)
        self.shell.events.unregister("post_run_cell", self._after)
        self.shell.ast_transformers.remove(self)
        self._session.send = self._send
        self.hold.release()

    def _code(self):
        return [cell for cell in self.notebook.cells if cell.cell_type == "code" and cell.source.strip()]

    def _note_parameters(self):
        """Update the parameters cell from the kernel: it may have been edited, or a tool may have set other values."""
        import nbformat

        from srnb.runner import presets

        place, cell = next(
            (n, cell) for n, cell in enumerate(self.notebook.cells) if "parameters" in cell.metadata.get("tags", [])
        )
        default = presets.parameters_of(cell.source)
        now = {name: self.shell.user_ns[name] for name in default if name in self.shell.user_ns}
        changed = [f"{name} = {value!r}" for name, value in now.items() if value != default[name]]
        cell.execution_count = cell.execution_count or 1
        if changed:
            told = nbformat.v4.new_code_cell("\n".join(changed), metadata={"tags": ["injected-parameters"]})
            told.execution_count = cell.execution_count
            self.notebook.cells.insert(place + 1, told)

    def _find(self, identity, source):
        """Return the cell that has been run, inserting it after the last one that ran if the notebook lacks it."""
        import nbformat

        cells = self._code()
        for cell in cells:
            if identity and cell.id == identity:
                cell.source = source
                return cell
        for cell in cells:
            if cell.source == source:
                return cell
        new = nbformat.v4.new_code_cell(source)
        last = self.cell or cells[0]
        self.notebook.cells.insert(self.notebook.cells.index(last) + 1, new)
        return new

    def _before(self, info):
        if not info.store_history or not info.raw_cell.strip():
            return
        try:
            self.hold.take()
        except (Refused, OSError) as refusal:
            self.refusal = refusal
            return
        self.cell = self._find(getattr(info, "cell_id", None), info.raw_cell)
        self.cell.outputs, self.cell.execution_count = [], self.shell.execution_count
        self.started = time.perf_counter()

    def visit(self, tree):
        """Let a cell run, which IPython asks about as about a change of its code."""
        if self.refusal:
            from IPython.core.error import InputRejected

            rejected = InputRejected(str(self.refusal))
            rejected._render_traceback_ = lambda: [str(rejected)]
            raise rejected
        return tree

    def _after(self, result):
        if not result.info.store_history:
            return
        if self.refusal:  # the record is another's
            self.refusal = None
            return
        try:
            self._note(result)
        finally:
            self.hold.release()

    def _note(self, result):
        sys.stdout.flush()
        sys.stderr.flush()
        self.seconds += time.perf_counter() - self.started
        error = result.error_before_exec or result.error_in_exec
        self.ended[self.cell.id] = error is None
        status = "running"
        if error is not None:
            status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        elif all(cell.execution_count and self.ended.get(cell.id, True) for cell in self._code()):
            status = "complete"
        self._keep(status, error)
        if status == "complete":
            self._report()

    def _keep(self, status, error):
        import nbformat

        record, running = self.run.read(), runs.running_name(self.copy)
        state = record["notebooks"].get(self.stem, {}) | {"status": status, "seconds": round(self.seconds, 1)}
        steps = record["notebooks"] | {self.stem: state}
        failure = error is not None and {
            **{"notebook": self.stem, "cell": self.cell.execution_count, "cell_id": self.cell.id},
            **{"source": self.cell.source.split("\n")[0], "kind": type(error).__name__, "message": str(error)},
        }
        every = status if status != "complete" else _common(step["status"] for step in steps.values())
        self.run.update(
            notebooks=steps,
            status=every,
            error=failure or None,
            seconds=round(sum(step.get("seconds", 0) for step in steps.values()), 1),
            finished=runs.now() if every == "complete" else None,
        )
        whole, other = (self.copy, running) if status == "complete" else (running, self.copy)
        files.write_text(whole, nbformat.writes(self.notebook))
        other.unlink(missing_ok=True)

    def _report(self):
        """Render the report and show a link to it below the last cell of the notebook."""
        from IPython.display import HTML, display

        from srnb.reports import overview, report

        path = report.render(self.run)
        record = self.run.read()
        if record["status"] == "complete" and (self.run.folder / "metrics.csv").is_file():
            files.write_text(self.run.folder / "DONE", runs.now() + "\n")
        overview.write(self.run.folder.parent)
        address = html.escape(os.path.relpath(path), quote=True)
        display(HTML(f'Report of {html.escape(self.run.name)}: <a href="{address}" target="_blank">{address}</a>'))

    def _sent(self, stream, message, content=None, *arguments, **options):
        sent = self._send(stream, message, content, *arguments, **options)
        kind, body = (message, content) if isinstance(message, str) else (message["msg_type"], message["content"])
        if kind in OUTPUTS and not self.refusal:
            self._take(kind, dict(body or {}))
        return sent

    def _take(self, kind, body):
        """Store an output of a cell, as a front end would."""
        import nbformat

        outputs, transient = self.cell.outputs, body.pop("transient", None) or {}
        if kind == "clear_output":
            outputs.clear()
        elif kind == "update_display_data":
            for output in self.displays.get(transient.get("display_id"), ()):
                output.update(data=body["data"], metadata=body["metadata"])
        elif kind == "stream" and outputs and outputs[-1].output_type == kind and outputs[-1].name == body["name"]:
            outputs[-1].text += body["text"]
        else:
            fields = {"error": ("ename", "evalue", "traceback"), "stream": ("name", "text")}.get(kind)
            kept = {name: body[name] for name in fields or ("data", "metadata", "execution_count") if name in body}
            output = nbformat.from_dict(nbformat.v4.new_output(kind, **kept))
            outputs.append(output)
            if "display_id" in transient:
                self.displays.setdefault(transient["display_id"], []).append(output)


def _common(statuses):
    """Return the status of a run from those of its notebooks: complete if all are, else the first other one."""
    return next((status for status in statuses if status != "complete"), "complete")
