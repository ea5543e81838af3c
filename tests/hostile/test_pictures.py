"""Five hundred malformed pictures through `srnb upscale`, and as the photographs of a run."""

import json

import malformed
import pytest
import tiny

from srnb.data import datasets, images

pytestmark = pytest.mark.slow

COUNT = 500


@pytest.fixture(scope="module")
def damaged(tmp_path_factory):
    return malformed.write(tmp_path_factory.mktemp("malformed"), COUNT)


def test_upscale_refuses_each_in_a_line_and_does_the_others(damaged, tmp_path):
    status, output = tiny.srnb("upscale", *damaged, "--out", tmp_path, folder=tmp_path)
    tiny.require_plain(status, output, fails=True)
    assert "Warning" not in output
    count, _, lines = output.partition("Error: ")[2].partition(" not done:\n")
    lines = [line.removeprefix("  ") for line in lines.splitlines()]
    refused = {path for path in damaged for line in lines if line.startswith(f"{path}: ")}
    assert len(lines) == int(count) == len(refused)
    assert {path for path, must in damaged.items() if must} <= refused
    written = {path for path in damaged if (tmp_path / f"{path.stem}_x4.png").exists()}
    assert written == damaged.keys() - refused
    assert len(list(tmp_path.iterdir())) == len(written)  # and no half file beside them
    for path in written:
        assert images.read(tmp_path / f"{path.stem}_x4.png").shape[0] == 4 * images.read(path).shape[0]


def test_a_folder_of_them_is_no_set_of_photographs(damaged, tmp_path):
    folder = next(iter(damaged)).parent
    command = ["run", "01", "-p", "dataset_folder", folder, "--results", tmp_path]
    status, output = tiny.srnb(*command, folder=tmp_path)
    tiny.require_plain(status, output, fails=True)
    reasons = json.loads((tmp_path / "sample" / "run.json").read_text())["error"]["message"]
    trained_on = datasets.photographs(str(folder), "train")  # the held-out ones come after them
    assert all(f"{path}: " in reasons for path in trained_on if damaged[path])


def test_or_it_is_the_set_of_those_that_can_be_read(damaged, tmp_path):
    folder = next(iter(damaged)).parent
    tiny.photographs(tmp_path / "test")
    command = ["run", "01", "-p", "dataset_folder", folder, "-p", "test_dataset", tmp_path / "test"]
    status, output = tiny.srnb(*command, "-p", "skip_unreadable", "true", "--results", tmp_path, folder=tmp_path)
    tiny.require_plain(status, output, fails=False)
    data = json.loads((tmp_path / "sample" / "run.json").read_text())["data"]
    assert {str(path) for path, must in damaged.items() if must} <= data["refused"].keys()
    assert len(data["train"]) + len(data["refused"]) == COUNT
