"""Run folders: nothing half-written is ever seen, a kill costs a line at most, all runs end up in one table."""

import shutil
import threading

import numpy as np
import pandas as pd
import pytest

from srnb import runs


@pytest.fixture
def run(tmp_path):
    return runs.Run(tmp_path / "results" / "first")


def test_update_keeps_what_is_there(run):
    assert run.read() == {}
    run.update(seed=1, path=run.folder, mean=np.float32(0.5))
    run.update(seed=2)
    assert run.read() == {"seed": 2, "path": str(run.folder), "mean": 0.5}


def test_a_record_must_be_plain(run):
    with pytest.raises(TypeError, match="Received: object"):
        run.update(thing=object())
    assert not run.folder.exists()


def test_a_reader_never_meets_half_a_file(run):
    run.update(text="")
    stop = threading.Event()

    def write():
        while not stop.is_set():
            run.update(text="x" * 200_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(200):
            assert run.read()["text"] in ("", "x" * 200_000)
    finally:
        stop.set()
        writer.join()
    assert [path.name for path in run.folder.iterdir()] == ["run.json"]


def test_damaged_record(run):
    run.update(seed=1)
    (run.folder / "run.json").write_text('{"seed": ')
    with pytest.raises(ValueError, match=r"must be JSON. Received: .*run\.json"):
        run.read()


FOREIGN = [
    "",
    "[]",
    "7",
    "\x00",
    '{"notebooks": []}',
    '{"notebooks": {"a": 3}}',
    '{"grid": {}, "seconds": "x"}',
    '{"grid": {"status": "pending"}}',
    "[" * 9999,
]


@pytest.mark.parametrize("text", FOREIGN)
def test_a_foreign_record_is_refused_and_named(run, text):
    run.folder.mkdir(parents=True)
    (run.folder / "run.json").write_text(text)
    with pytest.raises(ValueError, match=r"run\.json .*must|must .*run\.json"):
        run.read()
    assert runs.find(run.folder.parent) == [] and list(runs.damaged(run.folder.parent)) == ["first"]


@pytest.mark.parametrize("name", ["run.json", "DONE"])
def test_a_folder_in_the_place_of_a_file_is_named(run, name):
    if name == "DONE":
        run.update(seed=1)
    (run.folder / name).mkdir(parents=True)
    with pytest.raises(ValueError, match=f"{name} must be a file. Received: a folder, .*first/{name}"):
        run.read()
    assert runs.find(run.folder.parent) == [] and list(runs.damaged(run.folder.parent)) == ["first"]


@pytest.mark.parametrize("line", [b"no json", b"\xff", b"[1]", b'{"step": "x"}'])
def test_a_foreign_line_of_a_log_is_named(run, line):
    run.log({"stage": "gan", "step": 1})
    with open(run.folder / "log.jsonl", "ab") as file:
        file.write(line + b"\n")
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2"):
        run.read_log()


@pytest.mark.parametrize("content", [b"noise", b"\xff\xfe", b'{"step": 1}\nnoise'])
def test_noise_is_no_line_that_was_cut_short(run, content):
    run.folder.mkdir(parents=True)
    (run.folder / "log.jsonl").write_bytes(content)
    with pytest.raises(ValueError, match=r"log\.jsonl, line [12]"):
        run.read_log()
    (run.folder / "log.jsonl").write_bytes(b'{"step": 1}\n\0\0')  # a power cut
    assert len(run.read_log()) == 1


HEADER = b"model,dataset,image,metric,protocol,value\n"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a,b\n1,2\n", HEADER, HEADER + b"gan,Set5,a,psnr_y,p,27.4"])
def test_foreign_metrics_are_refused(run, content):
    run.update(seed=1)
    (run.folder / "metrics.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics\.csv must"):
        run.metrics()


def test_missing_metrics_say_which_notebook_writes_them(run):
    with pytest.raises(runs.Missing, match=r"must hold the metrics\.csv of notebook 4"):
        run.metrics()


def test_log_survives_a_cut_line_and_is_cut_back(run):
    for step in (50, 100, 150):
        run.log({"stage": "pretrain", "step": step, "pixel": np.float32(1 / step)})
    run.log({"stage": "gan", "step": 50, "adversarial": 0.7})
    with open(run.folder / "log.jsonl", "a") as file:
        file.write('{"stage": "gan", "st')
    assert list(run.read_log()["step"]) == [50, 100, 150, 50]
    run.truncate_log("pretrain", 100)
    log = run.read_log()
    assert list(zip(log["stage"], log["step"], strict=True)) == [("pretrain", 50), ("pretrain", 100), ("gan", 50)]
    run.log({"stage": "gan", "step": 100})
    assert len(run.read_log()) == 4


def test_a_log_without_room_is_named(run):
    run.folder.mkdir(parents=True)
    (run.folder / "log.jsonl").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: '.*first/log\.jsonl'"):
        run.log({"stage": "gan", "step": 1})


def test_metrics_come_back_exactly(run):
    frame = pd.DataFrame(
        {"model": "gan", "dataset": "Set5", "image": ["0001", "b"], "metric": "psnr_y", "protocol": "p, q"}
    ).assign(value=[1 / 3, 27.123456789012345])
    run.write_metrics(frame)
    pd.testing.assert_frame_equal(run.metrics(), frame.assign(run="first")[["run", *frame.columns]], check_dtype=False)


def test_attempts_are_numbered_after_the_last_one_and_what_was_made_from_old_weights_goes_with_them(run):
    for content in ("first", "second", "third"):
        if content == "third":
            shutil.rmtree(run.folder / "attempts" / "1")
        for name in ("weights/gan.weights.h5", "figures/strip_a.png", "figures/differences.png", "blind/pairs.json"):
            (run.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (run.folder / name).write_text(content)
        aside = run.set_aside("gan")
        assert not [path for path in run.folder.glob("figures/*")] and not (run.folder / "blind").exists()
        assert (aside / "blind" / "pairs.json").read_text() == content
    assert sorted(path.name for path in run.folder.glob("attempts/*")) == ["2", "3"]
    assert (run.folder / "attempts" / "2" / "weights" / "gan.weights.h5").read_text() == "second"
