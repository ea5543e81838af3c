"""A run that is whole but tiny, five notebooks and a variation in two minutes, and `srnb` as a process."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from PIL import Image

from srnb.data import datasets

PRESET = {
    **{"blocks": 1, "width": 8, "steps": 6, "batch_size": 2, "patch_size": 32, "rehearsal_steps": 0},
    **{"gan_steps": 6, "gan_batch_size": 2, "gan_patch_size": 32, "discriminator_width": 4, "perceptual_weight": 0.0},
    **{"log_every": 2, "validate_every": 2, "blends": "", "shipped_networks": "", "strips": 1},
}
MEASURED = re.compile("seconds_per_megapixel")
PROGRAM = str(Path(sys.executable).parent / "srnb")
ENVIRONMENT = os.environ | {"KERAS_BACKEND": "tensorflow"}


def photographs(folder, *, count=4):
    """Write small photographs into a folder, made if need be; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for path, source in zip(paths, datasets.photographs("sample"), strict=False):
        Image.open(source).convert("RGB").crop((100, 40, 196, 136)).save(path)
    return paths


def preset(folder, **changes):
    """Write tiny.yaml and the photographs that it names into a folder; return its path."""
    photographs(folder / "photographs")
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({"dataset_folder": str(folder / "photographs"), **PRESET, **changes}))
    return path


def srnb(*arguments, folder, environment=ENVIRONMENT, timeout=1800):
    """Run a command to its end; return its exit code and what both of its streams said."""
    command = [PROGRAM, *map(str, arguments)]
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    done = subprocess.run(command, cwd=folder, env=environment, timeout=timeout, errors="replace", **streams)
    return done.returncode, done.stdout


def require_plain(status, output, *, fails=None):
    """A command may fail, in words for its user: no traceback, and one error. fails: whether it must, if known."""
    assert "Traceback" not in output, output
    assert status in (0, 1), (status, output)
    assert fails is None or status == fails, output
    errors = [line for line in output.splitlines() if line.startswith("Error: ")]
    assert len(errors) == status and all(len(line) > len("Error: ") + 10 for line in errors), output


def numbers(run):
    """Return the text of a run's log and metrics without what is time: equal runs have equal text."""
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    log = [{name: value for name, value in record.items() if name != "images_per_second"} for record in log]
    rows = (run / "metrics.csv").read_text().splitlines() if (run / "metrics.csv").exists() else []
    return "\n".join([*map(json.dumps, log), *(row for row in rows if not MEASURED.search(row))])


def before(finished, number, folder):
    """Copy a finished run into `folder` as it stood before notebook `number`, which is to be its last; return its path.

    The grid is left out. What that notebook and the later ones have made is taken away, log lines included.
    """
    record = json.loads((finished / "run.json").read_text())
    stems = list(record["notebooks"])[:number]
    gone = ["DONE", "report", "owners", *(f"{stem}.ipynb" for stem in list(record["notebooks"])[number - 1 :])]
    gone += ["metrics.csv"] * (number <= 4)
    stages = [stage for stage, trained in (("pretrain", 2), ("gan", 3)) if number <= trained]

    def ignored(_, names):
        return [name for name in names if name in gone or any(name.startswith(stage) for stage in stages)]

    run = folder / finished.name
    shutil.copytree(finished, run, ignore=ignored)
    record["notebooks"] = {stem: {"status": "complete"} for stem in stems[:-1]} | {stems[-1]: {"status": "pending"}}
    record |= {"parameters": {stem: record["parameters"][stem] for stem in stems}, "grid": None, "status": "pending"}
    record |= {"data": None} if number == 1 else {}
    (run / "run.json").write_text(json.dumps(record))
    lines = (run / "log.jsonl").read_text().splitlines(keepends=True)
    (run / "log.jsonl").write_text("".join(line for line in lines if json.loads(line)["stage"] not in stages))
    return run
