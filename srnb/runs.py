"""The folder of a run: parameters, versions, log, weights, tables. Everything in a report comes from its files.

Files such as run.json and metrics.csv are written under a temporary name and then renamed, so that a reader never meets
half a file. The log grows by a line per record. DONE comes last: a run without it is unfinished.
"""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from srnb import files

FIELDS = {  # what a reader of run.json may rely on: each is of its type, null, or missing
    **dict.fromkeys(("status", "started", "finished", "preset", "backend", "device", "notebook_folder", "base"), str),
    **dict.fromkeys(("notebooks", "values", "parameters", "grid", "error", "git", "machine", "versions"), dict),
    **dict.fromkeys(("data", "references"), dict),
    "by_hand": bool,
    "options": list,
    **dict.fromkeys(("seconds", "peak_memory_gib"), int | float),
}
PRODUCTS = {  # what each stage leaves beside its lines of the log; the later build on it
    "pretrain": (
        *("weights/pretrained.weights.h5", "weights/pretrain-best.weights.h5"),
        *("checkpoints/pretrain-*", "figures/pretrain-*"),
    ),
    "gan": ("weights/gan.weights.h5", "weights/gan-best.weights.h5", "checkpoints/gan-*", "figures/gan-*"),
    "evaluate": (
        *("metrics.csv", "blind", "figures/scenes"),
        *(f"figures/{name}.png" for name in ("strip_*", "failure_*", "best", "worst", "per_image", "cost_quality")),
        *(f"figures/{name}.png" for name in ("perception_distortion", "agreement", "differences", "spectra")),
    ),
}
NUMBERS = ("model", "dataset", "image", "metric", "protocol", "value")  # columns of metrics.csv, beside "run"


class Missing(FileNotFoundError):
    """A run's folder lacks what an earlier notebook writes; a notebook shows one line instead of a traceback."""

    def _render_traceback_(self):  # IPython asks for it
        return [str(self)]


class Run:
    """The folder of a run, created when something is first written; `name` is the folder's name."""

    def __init__(self, folder):
        self.folder = Path(folder).absolute()
        self.name = self.folder.name

    def __repr__(self):
        return f"Run({str(self.folder)!r})"

    @property
    def is_done(self):
        """Whether the run is finished."""
        return (self.folder / "DONE").is_file()

    @property
    def weights(self):
        """The folder weights/, made if necessary; likewise `checkpoints` and `figures`."""
        return self._made("weights")

    @property
    def checkpoints(self):
        return self._made("checkpoints")

    @property
    def figures(self):
        return self._made("figures")

    def generators(self):
        """Return {stage: weight file} of the trained generators that are there: pretrained, then gan."""
        files_of = {stage: self.folder / "weights" / f"{stage}.weights.h5" for stage in ("pretrained", "gan")}
        return {stage: file for stage, file in files_of.items() if file.is_file()}

    def read(self):
        """Return run.json as a dict, {} if there is none yet. Raises ValueError if it is damaged or foreign."""
        path = self.folder / "run.json"
        for own in (path, self.folder / "DONE"):
            if own.is_dir():
                raise ValueError(f"{own.name} must be a file. Received: a folder, {own}")
        try:
            record = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise ValueError(f"run.json must be JSON. Received: {path} ({error})") from None
        if not isinstance(record, dict):
            raise ValueError(f"run.json must be an object. Received: {path}, {type(record).__name__}")
        for name, kind in FIELDS.items():
            if not isinstance(record.get(name), kind | None):
                kind = getattr(kind, "__name__", kind)
                raise ValueError(f"{name} in run.json must be {kind}. Received: {path}, {record[name]!r:.80}")
        steps = {**(record.get("notebooks") or {}), "grid": record.get("grid") or {"status": ""}}
        for name, state in steps.items():
            if not isinstance(state, dict) or not isinstance(state.get("status"), str):
                raise ValueError(f"a step in run.json must have a status. Received: {path}, {name}: {state!r:.80}")
        if record.get("grid") and not isinstance(record["grid"].get("variations"), dict):
            raise ValueError(f"a grid in run.json must have variations. Received: {path}, {record['grid']!r:.80}")
        return record

    def require(self, field, *, notebook):
        """Return a field of run.json that notebook number `notebook` writes. Raises Missing if that has not run."""
        record = self.read()
        if not record.get(field):
            raise Missing(
                f"{self.folder} must hold the {field} of notebook {notebook}: run it first with this run_folder"
            )
        return record[field]

    def set_aside(self, stage, *, own=True):
        """Move the products of a stage and of later ones to attempts/1, 2 …; return that folder, or None.

        A training that starts again makes other weights, and what was made from the old ones must not stay beside them;
        nor may the checkpoints of one that has not ended be lost.
        own: whether the products of `stage` itself are moved, too; False for a training that continues.
        """
        names = list(PRODUCTS)
        stages = names[names.index(stage) + (not own) :] if stage in names else []
        products = [path for name in stages for pattern in PRODUCTS[name] for path in self.folder.glob(pattern)]
        if not products:
            return None
        aside = self.next_attempt()
        for path in products:
            target = aside / path.relative_to(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.rename(target)
        if self._records():
            files.write_text(aside / "log.jsonl", (self.folder / "log.jsonl").read_text("utf-8"))
        for name in stages:
            self.truncate_log(name, 0)
        (self.folder / "DONE").unlink(missing_ok=True)
        return aside

    def next_attempt(self):
        """Return the folder attempts/n to move things to, which is not there yet: n is one more than the last."""
        taken = [int(path.name) for path in self.folder.glob("attempts/*") if path.name.isdecimal()]
        return self.folder / "attempts" / str(1 + max(taken, default=0))

    def update(self, **fields):
        """Set top-level fields of run.json, keeping the others."""
        write_json(self.folder / "run.json", self.read() | fields)

    def log(self, record):
        """Append one record, a flat dict, to log.jsonl."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "log.jsonl"
        try:
            with open(path, "a", encoding="utf-8") as file:
                file.write(json.dumps(record, default=_plain) + "\n")
        except OSError as error:  # a full disk does not say whose file had no room
            error.filename = str(path)
            raise

    def read_log(self):
        """Return log.jsonl as a frame, one row per record, NaN where a record lacks a value.

        Raises ValueError if a line is damaged; a last line without its end is ignored.
        """
        return pd.DataFrame(self._records())

    def truncate_log(self, stage, step):
        """Drop the records of `stage` after `step`: a training that resumes from there writes them again."""
        records = self._records()
        kept = [each for each in records if each.get("stage") != stage or each.get("step", 0) <= step]
        files.write_text(self.folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in kept))

    def metrics(self):
        """Return metrics.csv, a frame with columns run, model, dataset, image, metric, protocol, value.

        Raises Missing if there is none, ValueError if it is damaged.
        """
        path = self.folder / "metrics.csv"
        if not path.is_file():
            raise Missing(f"{self.folder} must hold the metrics.csv of notebook 4: run it first with this run_folder")
        try:
            text = path.read_text("utf-8")
            if text and not text.endswith("\n"):  # the last number may have lost digits
                raise ValueError("its last line is cut off")
            table = pd.read_csv(io.StringIO(text), dtype=dict.fromkeys(NUMBERS[:-1], str) | {"value": float})
        except ValueError as error:  # of pandas, too
            raise ValueError(f"metrics.csv must be a table. Received: {path} ({error})") from None
        if table.empty or not set(NUMBERS) <= set(table):
            raise ValueError(
                f"metrics.csv must have rows and columns {', '.join(NUMBERS)}. "
                f"Received: {path}, {len(table)} rows, {', '.join(map(repr, table))}"
            )
        return table

    def write_metrics(self, frame):
        """Write a tidy table of metrics, with the run's name as first column."""
        frame = frame.drop(columns="run", errors="ignore")
        frame.insert(0, "run", self.name)
        files.write_text(self.folder / "metrics.csv", frame.to_csv(index=False))

    def _made(self, name):
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _records(self):
        path = self.folder / "log.jsonl"
        if not path.is_file():
            return []
        records, (*lines, rest) = [], path.read_bytes().split(b"\n")
        if rest.strip(b"\0")[:1] not in (b"", b"{"):  # neither a line that a kill cut short nor zeros of a power cut
            lines.append(rest)
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line.decode("utf-8"))
            except (ValueError, RecursionError):
                record = None
            if not isinstance(record, dict) or not isinstance(record.get("step", 0), int):
                raise ValueError(f"a log's lines must be records. Received: {path}, line {number}: {line[:80]!r}")
            records.append(record)
        return records


def running_name(copy):
    """Return the path of an executed copy of a notebook while it is still running."""
    return copy.with_suffix(".running.ipynb")


def write_json(path, value):
    """Write `value` as indented JSON, whole or not at all."""
    files.write_text(path, json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def now():
    """Return the present time in UTC as ISO 8601 text, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def find(results):
    """Return the runs under a results folder, oldest first, without those whose record is damaged, see `damaged`."""
    return _survey(results)[0]


def damaged(results):
    """Return {name: reason} of the runs under a results folder whose run.json cannot be read."""
    return _survey(results)[1]


def _survey(results):
    readable, reasons = [], {}
    for path in sorted(Path(results).glob("*/run.json")):
        run = Run(path.parent)
        try:
            readable.append((run.read().get("started") or "", run.name, run))
        except (ValueError, OSError) as error:
            reasons[run.name] = str(error)
    return [run for *_, run in sorted(readable, key=lambda entry: entry[:2])], reasons


def _plain(value):
    """Turn NumPy scalars and paths into what JSON knows."""
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a run's record must hold numbers, text, lists and dicts. Received: {type(value).__name__}")
