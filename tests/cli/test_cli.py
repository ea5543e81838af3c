"""The command says in one line what is wrong, before any kernel starts, and ends with a code that a script can read."""

import click
import pytest
from click.testing import CliRunner

from srnb import cli, models, runs
from srnb.data import datasets, duplicates, images, shards
from srnb.runner import chain, names, presets


def srnb(*arguments):
    result = CliRunner().invoke(cli.main, [str(each) for each in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def commands(group, names=()):
    for name, command in group.commands.items():
        yield (*names, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*names, name))


@pytest.mark.parametrize(("names", "command"), list(commands(cli.main)), ids=lambda each: str(each))
def test_help_teaches(names, command):
    result = srnb(*names, "--help")
    assert result.exit_code == 0 and len(command.help.strip()) > 40
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    assert max(map(len, result.output.splitlines())) <= 80
    assert f"\n  srnb {' '.join(names)}" in result.output  # an example


@pytest.mark.parametrize("arguments", [[], ["data"]])
def test_every_command_is_said_in_a_whole_line(arguments):
    assert "..." not in srnb(*arguments, "--help").output.partition("Commands:")[2]


def test_help_shows_every_command():
    result = srnb("--help")
    assert all(f"  {name}" in result.output for name in cli.main.commands) and "srnb run --resume" in result.output


REFUSED = {
    "preset": (["run", "--preset", "smok"], "a preset must be one of"),
    "notebook": (["run", "09"], "a notebook must be one of 01_data"),
    "parameter": (["run", "-p", "stepps", "5"], "no notebook has a parameter stepps; did you mean steps"),
    "type": (["run", "-p", "steps", "many"], "steps must be a whole number. Received: 'many'"),
    "not to run": (["run", "01", "-p", "crop_size", "64"], "crop_size is a parameter of notebooks that are not to run"),
    "resume": (["run", "--resume", "nothing"], "a run must be one of none yet, or a folder. Received: nothing"),
    "resume and more": (["run", "--run", "x", "--resume", "nothing"], "--resume must stand without --run, --grid"),
    "resume dry": (
        ["run", "04", "--resume", "nothing", "--cluster", "slurm", "--dry-run"],
        "--dry-run must stand without notebooks for --resume",
    ),
    "data": (["run", "-p", "dataset_folder", "/no/photographs"], "Received: '/no/photographs'"),
    "set": (["run", "-p", "dataset", "Set55"], "Set55"),
    "augment": (["run", "-p", "augment", "flip,turn"], "Received: 'flip,turn'"),
    "augment prepared": (
        ["run", "-p", "lr_copies", "1", "-p", "augment", "mixup"],
        "with LR prepared must name",
    ),
    "copies": (["run", "-p", "lr_copies", "3"], "Received: 3 of 'bicubic'"),
    "patch": (["run", "-p", "patch_size", "50"], "`patch_size` must be a multiple of `scale` 4. Received: 50"),
    "resident": (["run", "-p", "resident", "true"], "`lr_copies` 1 or more"),
    "grid": (["run", "--grid", "losess"], "a grid must be one of"),
    "grid alone": (["grid", "losess"], "a grid must be one of"),
    "grid that compares": (["grid", "losses", "02", "05"], "notebooks must not compare: that is left to --base"),
    "grid not to run": (["grid", "losses", "02", "-p", "crop_size", "9"], "crop_size is a parameter of notebooks that"),
    "seeds": (["run", "01", "02", "--seeds", "3"], "--seeds must come with a notebook that compares runs"),
    "seeds and resume": (["run", "--resume", "nothing", "--seeds", "3"], "--resume must stand without"),
    "warm start": (
        ["run", "02", "-p", "warm_start", "nothing"],
        "a network must be one that ships (compact, compact-gan, ",
    ),
    "warm start with a slip": (
        ["run", "02", "-p", "warm_start", "compct"],
        "a run (none yet), a run's folder or a weight file. Received: compct; did you mean compact",
    ),
    "origin": (["run", "03", "-p", "start_from", "nothing"], "a run must be one of none yet"),
    "scale of the origin": (
        ["run", "01", "03", "-p", "start_from", "compact", "-p", "scale", "2"],
        "`scale` must be that of the network in `start_from`, 4. Received: 2",
    ),
    "report": (["report", "nothing"], "a run must be one of none yet"),
    "name": (["run", "--run", "../up"], "a run's name must be that of a folder"),
    "names": (["run", "--run", "a,b"], "a run's name must be that of a folder"),
    "name that ships": (["run", "--run", "compact"], "a run must not be called like a network that ships"),
    "variation that ships": (
        ["grid", "PLAIN", "--run", "compact"],
        "a run must not be called like a network that ships. Received: 'compact-gan'",
    ),
    "name of a grid": (["grid", "losses", "--run", "two\nlines"], "a run's name must be that of a folder"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_anything_is_written(tmp_path, case):
    arguments, message = REFUSED[case]
    if "PLAIN" in arguments:
        (tmp_path / "plain.yaml").write_text("gan: {}")
        arguments = [str(tmp_path / "plain.yaml") if each == "PLAIN" else each for each in arguments]
    result = srnb(*arguments, "--results", tmp_path / "results")
    assert result.exit_code == 1 and message in result.output
    assert result.output.startswith("Error: ") and "Traceback" not in result.output
    assert not (tmp_path / "results").exists()


def test_an_empty_folder_of_photographs(tmp_path):
    result = srnb("run", "-p", "dataset_folder", tmp_path, "--results", tmp_path / "results")
    assert result.exit_code == 1 and "must hold image files" in result.output and not (tmp_path / "results").exists()


def test_results_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    result = srnb("run", "--preset", "smoke", "--results", tmp_path / "file" / "results")
    assert result.exit_code == 1 and result.output == f"Error: Not a directory: {tmp_path / 'file' / 'results'}\n"


def test_backend_of_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    result = srnb("run", "--results", tmp_path)
    assert result.exit_code == 1 and "KERAS_BACKEND must be tensorflow or jax. Received: torch" in result.output
    assert not list(tmp_path.iterdir())


def test_a_run_made_by_hand_is_not_resumed(tmp_path):
    runs.Run(tmp_path / "lab").update(data={}, generator={})
    result = srnb("run", "--resume", "lab", "--results", tmp_path)
    assert result.exit_code == 1 and result.output.startswith("Error: a run must have been begun by `srnb run`")


def test_the_base_of_a_grid_stands_beside_it(begun, tmp_path):
    result = srnb("grid", "losses", "--base", begun.folder, "--results", tmp_path / "other")
    assert result.exit_code == 1 and result.output.startswith("Error: --base must be a run in --results")
    assert not (tmp_path / "other").exists()


@pytest.fixture
def begun(tmp_path):
    paths = presets.notebooks(("01", "02"))
    folder = names.new_folder(tmp_path, "mine")
    return chain.begin(folder, paths, values={"steps": 7, "seed": 1}, backend="jax", preset="sample")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-p", "steps", "8"], "02_pretrain: steps is 7 in the run, 8 asked for"),
        (["--backend", "tensorflow"], "a run must go on with its backend, jax. Received: tensorflow"),
    ],
)
def test_resume_refuses_what_differs(begun, arguments, message):
    result = srnb("run", "--resume", "mine", *arguments, "--results", begun.folder.parent)
    assert result.exit_code == 1 and message in result.output
    assert begun.read()["status"] == "pending"


def test_an_existing_name_is_not_overwritten(begun):
    result = srnb("run", "--run", "mine", "--results", begun.folder.parent)
    assert result.exit_code == 1 and "--run must be a new name, or use --resume mine" in result.output


def test_a_run_that_is_done_stays(begun):
    chain.finish(begun)
    result = srnb("run", "--resume", begun.folder)
    assert result.exit_code == 0 and "mine is done already" in result.output
    assert str(begun.folder / "report" / "index.html") in result.output


@pytest.mark.parametrize("names", [["02"], ["03"]])
def test_only_a_run_that_is_done_is_given_more_and_only_what_comes_later(begun, names):
    if names == ["02"]:
        chain.finish(begun)
    result = srnb("run", *names, "--resume", begun.folder)
    assert result.exit_code == 1 and "only such as come after its own, 01_data, 02_pretrain. Received:" in result.output
    assert list(begun.read()["notebooks"]) == ["01_data", "02_pretrain"] and begun.is_done == (names == ["02"])


def test_runs_and_report(begun):
    results = begun.folder.parent
    runs.Run(results / "other").update(status="failed", notebooks={})
    listed = srnb("runs", "--results", results)
    assert listed.exit_code == 0 and "mine" in listed.output and "failed" in listed.output
    assert (results / "runs.csv").is_file() and (results / "index.html").is_file()
    shown = srnb("report", "mine", "--results", results)
    assert shown.output.strip() == str(begun.folder / "report" / "index.html")
    assert srnb("runs", "--results", results / "none").output == f"no runs in {results / 'none'}\n"
    assert not (results / "none").exists()


def test_a_run_of_a_preset_leaves_the_name_to_the_network_that_ships(tmp_path):
    asked = ["run", "01", "-p", "dataset", "sample", "-p", "test_dataset", ""]
    result = srnb(*asked, "--preset", "compact", "--cluster", "slurm", "--dry-run", "--results", tmp_path / "results")
    assert result.exit_code == 0 and f"  {tmp_path / 'results' / 'compact-run'}\n" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["upscale", "photo.png", "--model", "compact"],
        ["evaluate", "--model", "compact"],
        ["demo", "compact", "--out", "page"],
        ["run", "02", "-p", "warm_start", "compact", "--cluster", "slurm", "--dry-run"],
        ["run", "03", "-p", "start_from", "compact", "--cluster", "slurm", "--dry-run"],
    ],
)
def test_a_name_of_two_networks_is_refused(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    runs.Run(tmp_path / "results" / "compact").update(notebooks={})  # as runs were called once
    result = srnb(*arguments, "--results", tmp_path / "results")
    message = "Error: a name must be that of one network. Received: compact, which ships and is a run, too"
    assert result.exit_code == 1 and result.output.startswith(message)
    assert f"say the run's path, {tmp_path / 'results' / 'compact'}, or" in result.output
    assert names.network("results/compact", results="elsewhere") == str(tmp_path / "results" / "compact")


def test_what_a_run_was_trained_on_is_no_test(tmp_path):
    train = datasets.photographs("sample", "test")[:2]
    run, spec = runs.Run(tmp_path / "results" / "mine"), models.resolve("srresnet", blocks=1, width=4)
    models.save_weights(models.build(spec), run.weights / "pretrained.weights.h5")
    run.update(generator=spec, data={"train": [str(path) for path in train]})
    photographs = tmp_path / "photographs"
    images.write(photographs / "new name.png", images.read(train[1])[:, ::-1])
    arguments = ["evaluate", "--model", "mine", "--sets", photographs, "--results", tmp_path / "results"]
    result = srnb(*arguments)
    assert result.exit_code == 1 and f"{train[1].name} = new name.png" in result.output
    hashes = duplicates.hashes(duplicates.decoded(train))
    run.update(data={"train": ["/gone.png"], "hashes": hashes})  # as notebook 1 records it
    assert f"{train[1].name} = new name.png" in srnb(*arguments).output


def test_cache_is_shown_and_cleaned(tmp_path, monkeypatch):
    monkeypatch.setenv("SRNB_CACHE", str(tmp_path / "cache"))
    test = datasets.photographs("sample", "test")
    used, unused = shards.prepare(test[:1]), shards.prepare(test[1:3])
    run = runs.Run(tmp_path / "results" / "mine")
    run.update(data={"shards": str(used)}, started="2026")
    results = ["--results", tmp_path / "results"]
    shown = srnb("data", "cache", *results).output
    assert f"{used.stem}  1 photographs of {test[0].parent} · used by mine" in shown
    assert f"{unused.stem}  2 photographs of {test[1].parent} · used by no run" in shown
    assert "in 0 files" in srnb("data", "clean", *results).output
    asked = srnb("data", "clean", "--older-than", 0, *results)  # nobody answers
    assert asked.exit_code == 1 and str(unused) in asked.output and unused.is_file()
    assert "removed" in srnb("data", "clean", "--older-than", 0, "--yes", *results).output
    assert shards.indices() == [used] and len(list(shards.pool().glob("*.npy"))) == 1
    (run.folder / "DONE").touch()
    assert "in 0 files" in srnb("data", "clean", "--older-than", 0, "--yes", *results).output
    assert "in 2 files" in srnb("data", "clean", "--older-than", 0, "--finished", "--yes", *results).output
    assert not list(shards.pool().iterdir())


def test_a_damaged_run_does_not_hide_the_others(begun):
    results = begun.folder.parent
    for name, file in {"foreign": "run.json", "numbers": "metrics.csv"}.items():
        runs.Run(results / name).update(status="failed", notebooks={})
        (results / name / file).write_text("no such thing")
    listed = srnb("runs", "--results", results)
    assert listed.exit_code == 0 and "mine" in listed.output and "failed, metrics.csv damaged" in listed.output
    assert f"damaged: run.json must be JSON. Received: {results / 'foreign' / 'run.json'}" in listed.output
    assert "mine" in (results / "index.html").read_text()
    for command in (
        ["data", "clean", "--yes"],
        ["report", "foreign"],
        ["run", "--resume", "foreign"],
        ["report", "numbers", "--markdown"],
    ):
        result = srnb(*command, "--results", results)
        assert result.exit_code == 1 and " must " in result.output
