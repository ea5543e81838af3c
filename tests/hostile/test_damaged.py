"""Every file of a finished run noise, empty, half or foreign: commands say so in a line and lose nothing."""

import hashlib
import io
import json
import random
import shutil

import commands
import h5py
import pytest
import tiny

pytestmark = pytest.mark.slow

REMADE = ("report", "owners", "runs.csv", "index.html")  # what the commands themselves write
COMMON = ("run.json", "DONE", "metrics.csv", "log.jsonl", "owners")  # what more commands read than `report`


def _other_weights():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["kernel"] = [1.0, 2.0]
    return buffer.getvalue()


FOREIGN = {  # by ending: whole files of another kind
    ".json": [b'["a"]\n', b"null\n", b"{}\n", b'{"run": 3, "notebooks": {"01_data": {"status": "complete"}}}\n'],
    ".csv": [b"a,b\n1,2\n"],
    ".jsonl": [b'{"loss": 1}\n', b"[1]\n", b'{"stage": 3, "step": 2, "pixel": "x"}\n{"stage": 3, "pixel": {"a": 1}}\n'],
    ".ipynb": [b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}', b'{"a": 1}', b"[]"],
    ".h5": [_other_weights()],
    ".safetensors": [b"\x08\0\0\0\0\0\0\0{}      "],
    ".png": [b"GIF89a"],
    ".html": [b"<p>"],
    "": [b"yesterday"],
}


def damages(file, content):
    """Return {name: bytes} of what a file may have become."""
    half = len(content) // 2
    foreign = {f"foreign {number}": other for number, other in enumerate(FOREIGN[file.suffix])}
    hole = {"hole": content[:half] + bytes(2000) + content[half + 2000 :]} if file.suffix == ".h5" else {}
    noise = random.Random(file.name).randbytes(500)
    return {"noise": noise, "empty": b"", "half": content[:half], **foreign, **hole}


def states(folder):
    """Return {file: hash} of a run's files, but for those that commands make anew."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    files = {path.relative_to(folder): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {path: value for path, value in files.items() if path.parts[0] not in REMADE}


def test_a_finished_run(results, tmp_path):
    whole, photograph = results / "tiny", tiny.photographs(tmp_path / "photographs", count=1)[0]
    asked, cases = [], []
    for file in sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        if file.parts[0] == "figures" and file.parts[1] != "scenes":
            continue  # nobody reads them again
        for name, content in damages(file, (whole / file).read_bytes()).items():
            place = tmp_path / f"{len(cases):03d}"
            # rendering notebooks is slow, and one of them is enough
            ignored = [path.name for path in whole.glob("*.ipynb") if path.name not in (file.name, "01_data.ipynb")]
            shutil.copytree(whole, place / "tiny", ignore=shutil.ignore_patterns("report", *ignored))
            (place / "tiny" / file).parent.mkdir(exist_ok=True)
            (place / "tiny" / file).write_bytes(content)
            own = [["report", "tiny"]]
            if file.parts[0] in COMMON:
                own += [["runs"], ["models"], ["run", "--resume", "tiny"]]
            if file.parts[0] == "weights" or file.name == "run.json":
                own.append(["upscale", photograph, "--model", "tiny", "--out", place / "out"])
            asked += [[*command, "--results", place] for command in own]
            cases += [(file, name, place / "tiny", command) for command in own]
    kept = {folder: states(folder) for *_, folder, _ in cases}
    for (file, name, folder, command), (status, output) in zip(cases, commands.answers(asked), strict=True):
        told = f"{file} {name}: {command}\n{output}"
        assert "Traceback" not in output and status in (0, 1), told
        errors = [line for line in output.splitlines() if line.startswith("Error: ")]
        assert len(errors) == status, told
        assert not errors or (str(folder) in errors[0] and f".{file.name}." not in errors[0]), told
        assert command[0] not in ("runs", "models") or status == 0, told
        assert command[0] != "upscale" or status == (not (folder.parent / "out" / "0_x4.png").exists()), told
        if command[0] == "report" and status == 0 and name == "noise" and file.parts[0] not in ("weights", "owners"):
            page = (folder / "report" / "index.html").read_text()
            read = file.suffix in (".ipynb", ".csv", ".jsonl") or file.parts[0] == "figures"
            assert not read or f"{file.parts[0]}" in page.partition("could not be read")[2], told
    for folder, before in kept.items():
        assert states(folder) == before
    print(f"{len(kept)} damaged runs, {len(cases)} commands")


CHECKPOINT = "checkpoints/gan-00000006.safetensors"
STOPPING = [
    ("log.jsonl", "noise"),
    ("weights/pretrained.weights.h5", "hole"),
    (CHECKPOINT, "noise"),
    (CHECKPOINT, "half"),
    (CHECKPOINT, "foreign 0"),
]


def test_a_run_that_is_to_go_on(results, tmp_path):
    """The notebook says which file is damaged; once that is put right, the run ends with the same numbers."""
    run = tiny.before(results / "tiny", 3, tmp_path)
    for path in (results / "tiny" / "checkpoints").glob("gan-*"):
        shutil.copy(path, run / "checkpoints")
    shutil.copy(results / "tiny" / "log.jsonl", run)
    record = json.loads((run / "run.json").read_text())
    record["notebooks"]["03_gan"]["status"] = "failed"
    (run / "run.json").write_text(json.dumps(record))
    resume = ["run", "--resume", "tiny", "--results", tmp_path]
    for file, name in STOPPING:
        content = (run / file).read_bytes()
        (run / file).write_bytes(damages(run / file, content)[name])
        status, output = tiny.srnb(*resume, folder=tmp_path)
        tiny.require_plain(status, output, fails=True)
        assert str(run / file) in output.partition("Error: ")[2], f"{name}\n{output}"
        (run / file).write_bytes(content)
    (run / CHECKPOINT).unlink()  # the message says that: the one before it is there
    status, output = tiny.srnb(*resume, folder=tmp_path)
    tiny.require_plain(status, output, fails=False)
    assert (run / "log.jsonl").read_bytes().count(b"\n") == 6
    assert tiny.numbers(run).splitlines() == tiny.numbers(results / "tiny").splitlines()[:6]
