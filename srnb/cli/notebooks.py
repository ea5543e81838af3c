"""Commands that execute notebooks: run, grid, lab."""

import os
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

import click

from srnb import files
from srnb.cli.command import backend_option, chosen_backend, main, plainly, results_option, sentence

preset_option = click.option(
    "--preset", metavar="NAME", help="File in notebooks/presets, or a path.  [default: sample]"
)
parameter_option = click.option(
    "-p",
    "overrides",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Override one parameter of the preset; may be repeated.",
)
seeds_option = click.option(
    "--seeds",
    type=click.IntRange(1),
    metavar="NUMBER",
    help="Run everything with this many seeds: NAME, NAME-seed1, NAME-seed2.  [default: `seeds` of the grid, else 1]",
)
folder_option = click.option(
    "--notebooks",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    default=files.NOTEBOOKS,
    metavar="DIR",
    help="Where notebooks and presets live.  [default: notebooks/ of the checkout]",
)
EXECUTION = (  # how runs are executed, here or by a cluster
    click.option(
        "--workers",
        type=click.IntRange(1),
        default=1,
        show_default=True,
        help="Runs at a time, each with its share of the cores and, if there are any, a GPU of its own.",
    ),
    click.option(
        "--timeout", type=click.IntRange(1), metavar="SECONDS", help="Time limit of each cell.  [default: none]"
    ),
    click.option(
        "--cluster",
        metavar="NAME",
        help="Submit the runs to Slurm, --workers of them at a time, with the settings of this site: `slurm`, or "
        "~/.config/srnb/clusters/NAME.yaml.",
    ),
    click.option(
        "-o", "extra", multiple=True, metavar="KEY=VALUE", help="With --cluster: an option of sbatch, --KEY=VALUE."
    ),
    click.option("--dry-run", is_flag=True, help="With --cluster: print what would be submitted."),
)


def execution_options(command):
    """Add the options of EXECUTION; the command gets them together, as `**execution`: arguments of `jobs.submit`."""
    for option in reversed(EXECUTION):
        command = option(command)
    return command


@main.command()
@click.argument("notebooks", metavar="[NOTEBOOK]...", nargs=-1)
@preset_option
@parameter_option
@click.option(
    "--run",
    "name",
    metavar="NAME",
    help="Name of the new run's folder.  [default: the preset's name, PRESET-run if a network that ships has it]",
)
@click.option("--resume", metavar="RUN", help="Go on with a run that failed or was interrupted.")
@click.option(
    "--take-over", is_flag=True, help="With --resume: the process on another host that was working on it is gone."
)
@backend_option
@click.option("--grid", metavar="NAME", help="Variations to compare with.  [default: the grid named as the preset]")
@click.option("--no-grid", is_flag=True, help="Run no variations; with --resume, stop before them.")
@seeds_option
@execution_options
@results_option
@folder_option
@plainly
def run(
    notebooks, preset, overrides, name, resume, take_over, backend, grid, no_grid, seeds, results, folder, **execution
):
    """Run notebooks in order, headless, and render their report.

    NOTEBOOK is a number, as in `srnb run 01 02`; without any, all of them run. Every run has a folder of its own,
    results/NAME. Nothing is ever overwritten: where results/sample exists, the next run is sample-2.

    Before the first kernel starts, names and types of all parameters are checked against the notebooks, and the data is
    looked for. When a cell fails or Ctrl-C stops the run, the partial notebook stays in the run's folder, run.json says
    which cell and why, and --resume goes on from that notebook.

    A grid (notebooks/presets/grids/NAME.yaml) holds variations of the run, each with some parameters changed. They run
    before the notebook that compares them, each in a folder of its own: results/NAME-VARIATION. A variation of the GAN
    stage alone takes everything before that from the main run, any other begins with notebook 1; with --workers 2 or
    more they go on beside the main run. With --seeds 3, the run and each variation are made three times, on the same
    photographs and with the same three seeds.

    \b
    srnb run --preset sample -p gan_steps 400 -p pixel_loss mse
    srnb run -p dataset_folder ~/photographs --run mine
    srnb run --resume mine
    srnb run 04 --resume mine -p test_sets Set5,Set14
    srnb run 03 04 -p start_from mine -p adversarial_weight 0.005 --run softer
    srnb run --preset srgan --cluster slurm -o partition=gpu -o gres=gpu:1
    """
    from srnb.runner import chain, jobs, names
    from srnb.runner import grid as grids

    _require_cluster(execution)
    if resume:
        if name or grid or seeds:
            raise ValueError("--resume must stand without --run, --grid and --seeds: the run knows its own")
        if notebooks and execution["dry_run"]:
            raise ValueError("--dry-run must stand without notebooks for --resume, which would be added to the run")
        begun = names.find(resume, results=results)
        _take_up(begun, notebooks, preset, overrides, backend, take_over)
    elif take_over:
        raise ValueError("--take-over must come with --resume")
    else:
        preset = preset or "sample"
        asked = _asked(notebooks, preset, overrides, name, backend, grid, no_grid, seeds, results, folder)
        name = name or names.default(preset)
        if execution["dry_run"]:
            planned = jobs.stages(results.absolute() / name, asked["variations"])
            return jobs.submit(planned, echo=click.echo, **execution)
        begun = chain.begin(names.new_folder(results, name), **asked)
    if begun.is_done:
        click.echo(f"{begun.name} is done already")
    elif cluster := execution["cluster"]:
        options = [word for option in execution["extra"] for word in ("-o", option)]
        with _unsubmitted(shlex.join(["srnb", "run", "--resume", str(begun.folder), "--cluster", cluster, *options])):
            return jobs.submit(jobs.stages_of(begun), echo=click.echo, **execution)
    else:
        click.echo(f"{begun.name} · folder {begun.folder}")
        options = {"workers": execution["workers"], "timeout": execution["timeout"], "echo": click.echo}
        with jobs.attempt(begun, echo=click.echo), _failing(begun):
            grids.complete(begun, take_over=take_over, alone=bool(resume and no_grid), **options)
    if begun.is_done:
        _conclude(begun)


@main.command()
@click.argument("name", metavar="GRID")
@click.argument("notebooks", metavar="[NOTEBOOK]...", nargs=-1)
@preset_option
@parameter_option
@click.option("--run", "prefix", metavar="NAME", help="Folders are called NAME-VARIATION.  [default: the grid's name]")
@click.option(
    "--base",
    metavar="RUN",
    help="Run that these are variants of, to be shown in its notebook 5. With --seeds it is repeated, too, once.",
)
@seeds_option
@backend_option
@execution_options
@results_option
@folder_option
@plainly
def grid(name, notebooks, preset, overrides, prefix, base, seeds, backend, results, folder, **execution):
    """Run the variations of a grid alone.

    GRID is the name of a file in notebooks/presets/grids, or a path. Each variation runs NOTEBOOK, numbers as in `srnb
    run 01 02`, by default all but those that compare. Without notebook 1, the photographs are those of --base.

    The same command again skips what is done and goes on with the rest: queue it overnight, look in the morning, call
    it again. The file maps names to parameters; those in `common` hold for all of them, and `seeds` says with how many
    seeds each is run:

    \b
    common: {steps: 2000}
    seeds: 3
    baseline: {}
    no-batchnorm: {normalization: none}

    \b
    srnb grid sample --workers 2
    srnb grid losses 02 04 --preset ablation --base ablation   data of `ablation`
    srnb grid losses --preset srgan --backend jax --workers 8  eight GPUs
    srnb grid losses --preset srgan --cluster slurm --workers 4 -o partition=gpu
    """
    from srnb.runner import grid as grids
    from srnb.runner import jobs, kernel, names, states

    _require_cluster(execution)
    preset, prefix = preset or "sample", prefix or Path(name).stem
    paths, planned, seeds = _varied(name, notebooks, preset, overrides, seeds, folder)
    if base:
        base = names.find(base, results=results)
        if base.folder.parent.resolve() != results.resolve():  # notebook 5 looks beside it
            raise ValueError(f"--base must be a run in --results, {results}. Received: {base.folder}")
    data = base.require("data", notebook=1) if base and not paths[0].stem.startswith("01") else None
    fixed = {"backend": chosen_backend(backend), "preset": preset, "data": data}
    for variation in planned:
        names.require(f"{prefix}-{variation}")
    if execution["dry_run"]:
        folders = [results.absolute() / f"{prefix}-{variation}" for variation in planned]
        return jobs.submit([(prefix, folders, [])], echo=click.echo, **execution)
    begun = grids.begin(planned, results=results, prefix=prefix, base=base and base.name, **fixed)
    if base:
        begun = [*grids.begin_seeds(base, paths, seeds, **fixed), *begun]
    if execution["cluster"]:
        with _unsubmitted("the same command"):
            return jobs.submit([(prefix, [run.folder for run in begun], [])], echo=click.echo, **execution)
    try:
        grids.execute(begun, workers=execution["workers"], timeout=execution["timeout"], echo=click.echo)
    except kernel.Failure as failure:
        raise click.ClickException(f"{failure}\nThe same command goes on with what is not done.") from None
    finally:
        click.echo(states.listing(results, [run.name for run in begun]))


def _require_cluster(execution):
    """Raise ValueError or FileNotFoundError if options of `execution` that concern a cluster are wrong."""
    from srnb.runner import jobs

    if execution["cluster"]:
        jobs.settings(execution["cluster"])
        jobs.options(execution["extra"])
    elif execution["extra"] or execution["dry_run"]:
        raise ValueError("-o and --dry-run must come with --cluster")


def _varied(name, notebooks, preset, overrides, seeds, folder):
    """Return the paths of a grid's notebooks, variation -> (paths, values), and the number of seeds."""
    from srnb.runner import presets

    paths = presets.steps(notebooks, folder=folder)
    comparing = [path for path in paths if "runs" in presets.parameters(path)]
    if notebooks and comparing:
        raise ValueError(f"a grid's notebooks must not compare: that is left to --base. Received: {comparing[0].stem}")
    paths = [path for path in paths if path not in comparing]
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=folder)
    variations, own = presets.read_grid(name, folder=folder)
    seeds = seeds or own
    changes = presets.replicas(variations, seeds, seed=_seed(paths, values))
    varied = {
        variation: (paths, values | presets.resolve(paths, variation=changed, folder=folder))
        for variation, changed in changes.items()
    }
    return paths, varied, seeds


def _asked(notebooks, preset, overrides, name, backend, grid, no_grid, seeds, results, folder):
    """Return the arguments of `chain.begin` for a new run, after checking everything that was asked for."""
    from srnb.runner import chain, names, presets

    backend = chosen_backend(backend)
    paths = presets.steps(notebooks, folder=folder)
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=folder)
    values = chain.settle(values, paths, results=results, backend=backend)
    comparing = any("runs" in presets.parameters(path) for path in paths)
    options = [*(["--grid", grid] * bool(grid)), *["--no-grid"] * no_grid, *(["--seeds", str(seeds)] * bool(seeds))]
    if grid and not comparing:
        raise ValueError("--grid must come with a notebook that compares runs; `srnb grid` runs variations alone")
    if not grid and comparing and not no_grid and (files.grids(folder) / f"{preset}.yaml").is_file():
        grid = preset
    if (seeds or 1) > 1 and (no_grid or not comparing):
        raise ValueError("--seeds must come with a notebook that compares runs, without --no-grid")
    changes, own = presets.read_grid(grid, folder=folder) if grid else ({}, 1)
    changes = presets.replicas(changes, seeds or own, seed=_seed(paths, values), base=True)
    variations = {
        variation: presets.resolve(paths, variation=changed, folder=folder) for variation, changed in changes.items()
    }
    for changed in variations.values():  # they come last, when the run has trained for days
        chain.settle(values | changed, paths, results=results, backend=backend)
    names.require(name or names.default(preset))
    if name and (results / name).exists():
        raise ValueError(f"--run must be a new name, or use --resume {name}. Received: {results / name}, which exists")
    fixed = {"backend": backend, "preset": preset, "options": options}
    return {"notebooks": paths, "values": values, "variations": variations, **fixed}


def _seed(paths, values):
    """Return the seed that the notebooks will have; 0 if none has one."""
    from srnb.runner import chain

    return next((cell["seed"] for cell in chain.effective(paths, values).values() if "seed" in cell), 0)


def _take_up(run, notebooks, preset, overrides, backend, take_over):
    """Add notebooks to a run that is taken up again by --resume.

    Raises ValueError unless the options beside --resume agree with those with which it was begun.
    """
    from srnb.runner import chain, lock, presets

    record, own = run.read(), list(chain.notebooks(run))
    added = presets.steps(notebooks, folder=own[0].parent) if notebooks else []
    paths = [*own, *added]
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=own[0].parent)
    values = record["values"] | chain.settle(values, paths, results=run.folder.parent, backend=record["backend"])
    chain.require_same(run, own, values)
    if backend and backend != record["backend"]:
        raise ValueError(f"a run must go on with its backend, {record['backend']}. Received: {backend}")
    if added:
        with lock.held(run, take_over=take_over):
            chain.extend(run, added, values=values)


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--give-back", metavar="NOTEBOOK", help="Write the copy of NOTEBOOK to notebooks/, without outputs.")
@click.option("--new", "fresh", is_flag=True, help="Begin a new run: lab-2, lab-3 … in the copies' parameters.")
@backend_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@plainly
def lab(give_back, fresh, backend, arguments):
    """Open JupyterLab on copies of the notebooks.

    It can be reached from this computer only; ARGUMENTS go to `jupyter lab`. The copies are in lab/ of the checkout,
    and what you change there is yours: a newer notebook replaces a copy only if you have not edited it. Their runs go
    to results/lab, with --new to a folder that nothing is in yet. To send an improvement back, --give-back writes your
    copy into notebooks/, where git sees it.

    \b
    srnb lab                            with the copies as you left them
    srnb lab --new --backend jax        a new experiment, on JAX
    srnb lab --no-browser --port 9999   options of `jupyter lab`
    srnb lab --give-back 02
    """
    from srnb import runs as known
    from srnb.runner import copies, session

    if give_back:
        click.echo(f"written to {copies.give_back(give_back)}")
        return
    for name in copies.refresh():
        click.echo(f"lab/{name} is your own; notebooks/{name} has changed, too: delete or rename yours to get it")
    if fresh:
        run_folder = os.path.relpath(session.free(known.Run(files.RESULTS / "lab")), copies.FOLDER)
        copies.begin_run(run_folder)
        click.echo(f"a new run: run_folder = {run_folder!r} in the parameters of every notebook")
    click.echo(f"notebooks are copies in {copies.FOLDER}; runs go to {files.RESULTS}")
    os.environ["KERAS_BACKEND"] = chosen_backend(backend)
    options = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={files.ROOT}", "--LabApp.news_url="]
    options += [f"--LabApp.default_url=/lab/tree/{copies.FOLDER.name}/01_data.ipynb"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # in a container
        options.append("--ServerApp.allow_root=True")
    os.execv(sys.executable, [sys.executable, "-P", "-m", "jupyterlab", *options, *arguments])


@contextmanager
def _failing(run):
    """Turn the failure of a run into one line, the next step, and an exit code: 1, or 130 after Ctrl-C."""
    from srnb.runner import kernel

    try:
        yield
    except (kernel.Failure, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt) or error.record["kind"] == "Interrupted"
        click.echo(f"Error: {error or 'interrupted'}", err=True)
        click.echo(f"Results so far: {run.folder}. To go on: srnb run --resume {run.folder}", err=True)
        sys.exit(130 if interrupted else 1)


@contextmanager
def _unsubmitted(command):
    """Say what goes on with runs that have begun when they, or some of them, cannot be submitted."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise ValueError(f"{sentence(error)}\nThe run has begun and waits. To submit what is not: {command}") from None


def _conclude(run):
    """Print what a run has measured, what its networks cost, and the path of its report."""
    from srnb import evaluation
    from srnb.reports import overview, report

    overview.write(run.folder.parent)
    table = report.summary(run)
    if table is not None:
        for part in evaluation.quality_and_costs(table):
            if part.size:
                click.echo(f"\n{part.to_string(float_format='{:.4g}'.format, na_rep='')}")
    click.echo(f"\nreport: {run.folder / 'report' / 'index.html'}")
