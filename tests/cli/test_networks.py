"""Commands that use a network: quiet on stderr, clean after Ctrl-C, files only where they were asked for."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from srnb import models, runs
from srnb.data import images


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """A folder of results with one run, whose network is small."""
    run = runs.Run(tmp_path_factory.mktemp("results") / "small")
    spec = models.resolve("srresnet", scale=2, blocks=1, width=4)
    run.update(generator=spec, notebooks={})
    models.save_weights(models.build(spec), run.weights / "pretrained.weights.h5")
    return run.folder.parent


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "srnb.cli", *map(str, arguments)],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env={name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"},
        **options,
    )


@pytest.fixture
def photographs(tmp_path):
    """Seven large pictures of seven sizes: each size is compiled for itself."""
    for number in range(7):
        picture = np.full((400 + 8 * number, 400, 3), 0.5, "float32")
        (tmp_path / "photographs").mkdir(exist_ok=True)
        images.write(tmp_path / "photographs" / f"{number}.png", picture)
    return tmp_path / "photographs"


def test_upscale_says_nothing_of_frameworks(results, photographs, tmp_path):
    process = start("upscale", photographs, "--model", "small", "--results", results, "--out", tmp_path / "out")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0 and said == "" and "tensorflow" not in out.lower()
    assert len(list((tmp_path / "out").iterdir())) == 7


def test_evaluate_is_quiet_and_writes_only_what_was_asked_for(results, photographs, tmp_path):
    (tmp_path / "here").mkdir()
    arguments = ["evaluate", "--model", "small", "--results", results, "--sets", photographs, "--scale", "2"]
    process = start(*arguments, "--metrics", "psnr_y", cwd=tmp_path / "here")
    out, said = process.communicate(timeout=300)
    assert process.returncode == 0 and "psnr_y" in out
    assert "absl" not in said and "retracing" not in said and "Traceback" not in said
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.parametrize(("number", "name"), [(signal.SIGINT, "Ctrl-C"), (signal.SIGTERM, "terminated")])
def test_interrupted_upscale_leaves_no_half_file(results, tmp_path, number, name):
    images.write(tmp_path / "large.png", np.random.default_rng(0).random((2500, 2500, 3), "float32"))
    out = tmp_path / "out"
    process = start("upscale", tmp_path / "large.png", "--model", "small", "--results", results, "--out", out)
    while not (out.is_dir() and list(out.iterdir())):  # the first strip is being written
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    # before it TensorFlow may say that it dropped an exception while it traced a program
    assert process.returncode == 130 and said.endswith("Error: interrupted\n"), name
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("content", "message"), [(b"no weights", "must be a PyTorch file of tensors"), (None, "a run must be one of")]
)
def test_a_published_file_that_is_none_is_refused_on_one_line(photographs, tmp_path, content, message):
    file = tmp_path / "published.pth"
    if content:
        file.write_bytes(content)
    result = start("upscale", photographs, "--model", file, "--out", tmp_path / "out")
    assert message in result.communicate(timeout=300)[1]
    assert result.returncode == 1 and not (tmp_path / "out").exists()


def test_one_photo_goes_to_a_file_of_any_name_but_its_own(results, tmp_path):
    images.write(tmp_path / "photo.png", np.full((20, 24, 3), 0.5, "float32"))
    before = (tmp_path / "photo.png").read_bytes()
    model = ["--model", "small", "--results", results]
    refused = {
        "its own": ["photo.png", "--out", "photo.png"],
        "no PNG": ["photo.png", "--out", "large.jpg"],
        "two": ["photo.png", "photo.png", "--out", "large.png"],
        "a folder": [".", "--out", "large.png"],
    }
    for case, arguments in refused.items():
        process = start("upscale", *arguments, *model, cwd=tmp_path)
        assert "--out must be a folder, or a new .png file" in process.communicate(timeout=300)[1], case
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]
    assert (tmp_path / "photo.png").read_bytes() == before
    process = start("upscale", "photo.png", *model, "--out", "deep/large.png", cwd=tmp_path)
    assert process.communicate(timeout=300)[1] == ""
    assert images.read(tmp_path / "deep" / "large.png").shape == (40, 48, 3)
