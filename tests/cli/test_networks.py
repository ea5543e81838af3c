"""Commands that use a network: quiet on stderr, clean after Ctrl-C, files only where they were asked for."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from srnb import evaluation, models, runs, shipped
from srnb.cli import main
from srnb.data import duplicates, images, resize
from srnb.evaluation import metrics


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
    ("content", "message"),
    [(b"no weights", "must be a PyTorch file of tensors"), (None, "a network must be one that ships")],
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


def test_a_reader_that_has_seen_enough_is_no_error(results):
    process = start("models", "--results", results)
    process.stdout.close()  # as `head` does
    assert process.stderr.read() == "" and process.wait(timeout=300) == 1


@pytest.fixture
def few(tmp_path):
    """A folder with two small pictures."""
    for number in range(2):
        picture = np.random.default_rng(number).random((48, 40, 3), "float32")
        (tmp_path / "few").mkdir(exist_ok=True)
        images.write(tmp_path / "few" / f"{number}.png", picture)
    return tmp_path / "few"


def evaluate(results, *arguments):
    command = ["evaluate", "--results", results, *arguments]
    return CliRunner().invoke(main, [str(each) for each in command])


@pytest.fixture
def unmeasured(monkeypatch):
    monkeypatch.setattr("srnb.evaluation.tabulate", None)


def copied(results, place):
    """Return a copy of the run in another folder."""
    return shutil.copytree(results / "small", place)


MISTAKES = {
    "reference": (["--reference", "bicubik"], "--reference must be one of bicubic, small. Received: bicubik"),
    "no metric": (["--metrics", " , "], "--metrics must name one metric at least, and every one once"),
    "a metric twice": (["--metrics", "psnr_y,ssim_y,psnr_y"], "every one once. Received: 'psnr_y,ssim_y,psnr_y'"),
    "an unknown metric": (["--metrics", "psnr"], "metric must be one of psnr_y, "),
    "a metric that needs an original": (
        ["--degradation", "none", "--metrics", "niqe,psnr_y,dists"],
        "without originals --metrics must be niqe or lr_consistency. Received: psnr_y, dists",
    ),
    "no set": (["--sets", ","], "--sets must name a set or a folder at least. Received: ','"),
    "a set twice": (["--sets", "few,./few/../few,few/"], "Received: ./few/../few and few/"),
    "a folder that is a file": (["--out", "file/rows.csv"], "Not a directory: "),
    "seed": (["--degradation-seed", "-1"], "-1 is not in the range x>=0"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_found_before_anything_is_measured(results, few, monkeypatch, unmeasured, case):
    monkeypatch.chdir(few.parent)
    (few.parent / "file").touch()
    arguments, message = MISTAKES[case]
    result = evaluate(results, "--model", "small", "--sets", "./few", *arguments)
    assert result.exit_code in (1, 2) and message in result.output, result.output
    assert isinstance(result.exception, SystemExit) and sorted(os.listdir()) == ["few", "file"]


def test_models_of_one_name_and_one_that_is_called_as_the_baseline_are_refused(results, few, tmp_path, unmeasured):
    other, baseline = copied(results, tmp_path / "small"), copied(results, tmp_path / "bicubic")
    result = evaluate(results, "--model", "small", "--model", other, "--sets", few)
    assert result.exit_code == 1 and f"Received: small and {other}, both small" in result.output
    result = evaluate(results, "--model", baseline, "--sets", few)
    assert result.exit_code == 1 and "a model must not be called as the baseline" in result.output


def test_the_scale_is_that_of_the_models(results, few, unmeasured):
    result = evaluate(results, "--model", "small", "--model", "compact", "--sets", few)
    assert (
        result.exit_code == 1 and "by the same factor to be compared. Received: small x2, compact x4" in result.output
    )
    result = evaluate(results, "--model", "small", "--scale", "4", "--sets", few)
    assert result.exit_code == 1 and "--scale must be that of the model small. Received: 4, not 2" in result.output


def test_what_few_photographs_say_of_an_ensemble(results, few, tmp_path):
    rows = tmp_path / "rows.csv"
    result = evaluate(results, "--model", "small", "--sets", few, "--metrics", "psnr_y", "--ensemble", "--out", rows)
    assert result.exit_code == 0, result.output
    assert f"{few}, 2 photographs: too few to tell a difference to bicubic from chance" in result.stdout
    assert "inf" not in result.stdout and "verdict" not in result.stdout
    assert result.stderr.count("small: no hashes of the photographs that it was trained on are recorded") == 1
    table = pd.read_csv(rows)
    marked = table["protocol"].str.endswith("; eightfold self-ensemble")
    assert marked.equals(table["model"] == "small") and marked.any()


def test_what_a_shipped_network_was_trained_on_is_no_test_also_in_a_copy_of_its_file(
    results, few, tmp_path, monkeypatch, unmeasured
):
    (photograph, *_) = sorted(few.iterdir())
    (own,) = duplicates.hashes(duplicates.decoded([photograph])).values()
    monkeypatch.setattr(shipped, "hashes", lambda name: {"of-the-training.webp": own})
    copy = tmp_path / "copy.safetensors"
    exported = CliRunner().invoke(main, ["export", "--model", "compact_x2", "--out", str(copy)])
    assert exported.exit_code == 0, exported.output
    for model in ("compact_x2", copy):
        result = evaluate(results, "--model", model, "--sets", few, "--metrics", "psnr_y")
        assert result.exit_code == 1 and f"of-the-training.webp = {photograph.name}" in result.output, result.output


def test_photographs_of_one_name_are_told_apart(results, few, tmp_path, monkeypatch, unmeasured):
    first, second, *_ = sorted(few.iterdir())
    hashes = list(duplicates.hashes(duplicates.decoded([first, second])).values())
    (run := runs.Run(tmp_path / "runs" / "own")).update(**runs.Run(results / "small").read())
    shutil.copytree(results / "small" / "weights", run.folder / "weights")
    names = ["/home/me/photographs/one/0.png", "/home/me/photographs/two/0.png"]
    run.update(data={"hashes": dict(zip(names, hashes, strict=True))})
    exported = CliRunner().invoke(
        main, ["export", "--model", str(run.folder), "--out", str(tmp_path / "own.safetensors")]
    )
    assert exported.exit_code == 0, exported.output
    assert models.hashes_of(tmp_path / "own.safetensors") == dict(zip(["one/0.png", "two/0.png"], hashes, strict=True))

    monkeypatch.setattr(shipped, "hashes", lambda name: {"0.png": hashes[name == "compact-gan"]})
    result = evaluate(results, "--model", "compact", "--model", "compact-gan", "--sets", few, "--metrics", "psnr_y")
    assert result.exit_code == 1
    assert all(f"0.png = {path.name}" in result.output for path in (first, second)), result.output


def test_a_folder_of_another_program_is_measured(results, few, tmp_path, monkeypatch):
    monkeypatch.setattr("srnb.evaluation.costs.measure", lambda *_, **__: pd.DataFrame())
    folder, rows = tmp_path / "Other", tmp_path / "rows.csv"
    folder.mkdir()
    for scene in evaluation.upscale_pairs({}, [(path, None) for path in sorted(few.iterdir())], scale=2):
        images.write(folder / f"{scene.image}_x2.png", scene.sr["bicubic"])
    models = ["--model", "small", "--model", folder]
    result = evaluate(results, *models, "--sets", few, "--metrics", "psnr_y", "--out", rows)
    assert result.exit_code == 0, result.output
    values = pd.read_csv(rows).pivot(index="image", columns="model", values="value")
    assert values["Other"].equals(values["bicubic"]) and not values["small"].equals(values["bicubic"])
    next(folder.iterdir()).unlink()
    result = evaluate(results, *models, "--sets", few, "--metrics", "psnr_y")
    assert result.exit_code == 1 and "must hold one result for each photograph. Received: none" in result.output


def test_small_photographs_are_measured_without_an_original(results, few, tmp_path, monkeypatch):
    monkeypatch.setattr("srnb.evaluation.costs.measure", lambda *_, **__: pd.DataFrame())
    folder, rows = tmp_path / "Other", tmp_path / "rows.csv"
    for path in few.iterdir():
        images.write(path, images.read(path).repeat(4, axis=0).repeat(4, axis=1))
        images.write(folder / f"{path.stem}_x2.png", resize.imresize(images.to_uint8(images.read(path)), 2))
    models = ["--model", "small", "--model", folder]
    result = evaluate(results, *models, "--sets", few, "--degradation", "none", "--out", rows)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(rows)
    assert set(table["protocol"].str.rpartition("; ")[2]) == {"the photographs are LR"}
    values = table.pivot(index=["image", "metric"], columns="model", values="value")
    assert values["Other"].equals(values["bicubic"]) and not values["small"].equals(values["bicubic"])
    enlarged, small = (images.read(folder / "0_x2.png"), images.read(few / "0.png"))
    assert values["Other"][0, "niqe"] == pytest.approx(metrics.niqe(enlarged, border=2))
    expected = metrics.lr_consistency(enlarged, small, border=0, channel="rgb")
    assert values["Other"][0, "lr_consistency"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("side", "metric", "message"),
    [
        (1, "psnr_y", "tiny.png: an image must be at least 2 pixels high and wide"),
        (12, "ssim_y", "tiny: Inside its border a picture must hold the 11x11 window of SSIM"),
        (28, "lpips_alex", "tiny: for LPIPS alex a picture must be at least 31 pixels high and wide. Received: 28x28"),
    ],
)
def test_a_picture_too_small_to_be_measured_is_named(results, few, side, metric, message):
    images.write(few / "tiny.png", np.full((side, side, 3), 0.5, "float32"))
    result = evaluate(results, "--sets", few, "--metrics", metric, "--scale", "2")
    assert result.exit_code == 1 and message in result.output
