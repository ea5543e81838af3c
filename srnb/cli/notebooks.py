"""Commands that run notebooks and show the results: run, grid, report, blind, site, runs, lab."""

import os
import shlex
import sys
import time
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
timeout_option = click.option(
    "--timeout", type=click.IntRange(1), metavar="SECONDS", help="Time limit of each cell.  [default: none]"
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs at a time, each with its share of the cores and, if there are any, a GPU of its own.",
)
cluster_option = click.option(
    "--cluster",
    metavar="NAME",
    help="Submit the runs to Slurm, --workers of them at a time, with the settings of this site: `slurm`, or "
    "~/.config/srnb/clusters/NAME.yaml.",
)
sbatch_option = click.option(
    "-o", "extra", multiple=True, metavar="KEY=VALUE", help="With --cluster: an option of sbatch, --KEY=VALUE."
)
dry_run_option = click.option("--dry-run", is_flag=True, help="With --cluster: print what would be submitted.")
folder_option = click.option(
    "--notebooks",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    default=files.NOTEBOOKS,
    metavar="DIR",
    help="Where notebooks and presets live.  [default: notebooks/ of the checkout]",
)


@main.command()
@click.argument("names", metavar="[NOTEBOOK]...", nargs=-1)
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
@workers_option
@timeout_option
@cluster_option
@sbatch_option
@dry_run_option
@results_option
@folder_option
@plainly
def run(
    names,
    preset,
    overrides,
    name,
    resume,
    take_over,
    backend,
    grid,
    no_grid,
    seeds,
    workers,
    timeout,
    cluster,
    extra,
    dry_run,
    results,
    folder,
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
    srnb run 03 04 -p start_from mine -p adversarial_weight 0.005 --run mine-softer
    srnb run --preset srgan --cluster slurm -o partition=gpu -o gres=gpu:1 -o time=24:00:00 --workers 4
    """
    from srnb.runner import chain, jobs
    from srnb.runner import grid as grids

    _require_cluster(cluster, extra, dry_run)
    if resume:
        if name or grid or seeds:
            raise ValueError("--resume must stand without --run, --grid and --seeds: the run knows its own")
        if names and dry_run:
            raise ValueError("--dry-run must stand without notebooks for --resume, which would be added to the run")
        begun = chain.find(resume, results=results)
        _take_up(begun, names, preset, overrides, backend, take_over)
    elif take_over:
        raise ValueError("--take-over must come with --resume")
    else:
        asked = _asked(names, preset or "sample", overrides, name, backend, grid, no_grid, seeds, results, folder)
        if dry_run:
            planned = jobs.stages(Path(results).absolute() / asked.pop("name"), asked["variations"])
            return _submit(planned, cluster, extra, workers, timeout, dry_run)
        begun = chain.begin(chain.new_folder(results, asked.pop("name")), **asked)
    if cluster and not begun.is_done:
        options = [word for option in extra for word in ("-o", option)]
        with _unsubmitted(shlex.join(["srnb", "run", "--resume", str(begun.folder), "--cluster", cluster, *options])):
            return _submit(jobs.stages_of(begun), cluster, extra, workers, timeout, dry_run)
    if begun.is_done:
        click.echo(f"{begun.name} is done already")
    else:
        click.echo(f"{begun.name} · folder {begun.folder}")
        with jobs.attempt(begun, echo=click.echo), _failing(begun):
            options = {"take_over": take_over, "alone": bool(resume and no_grid)}
            grids.complete(begun, workers=workers, timeout=timeout, echo=click.echo, **options)
    if begun.is_done:
        _conclude(begun)


@main.command()
@click.argument("name", metavar="GRID")
@click.argument("names", metavar="[NOTEBOOK]...", nargs=-1)
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
@workers_option
@timeout_option
@cluster_option
@sbatch_option
@dry_run_option
@results_option
@folder_option
@plainly
def grid(
    name,
    names,
    preset,
    overrides,
    prefix,
    base,
    seeds,
    backend,
    workers,
    timeout,
    cluster,
    extra,
    dry_run,
    results,
    folder,
):
    """Run the variations of notebooks/presets/grids/GRID.yaml alone, each from the first NOTEBOOK on.

    Without NOTEBOOK, numbers as in `srnb run 01 02`, each runs all but those that compare. Without notebook 1, the
    photographs are those of --base.

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
    srnb grid losses 02 04 --preset ablation --base ablation       the data of `ablation`, no GAN stage
    srnb grid losses --preset srgan --backend jax --workers 8      eight GPUs, one for each worker
    srnb grid losses --preset srgan --cluster slurm --workers 4 -o partition=gpu -o gres=gpu:1 -o time=24:00:00
    """
    from srnb.runner import chain, kernel, presets
    from srnb.runner import grid as grids

    _require_cluster(cluster, extra, dry_run)
    paths = presets.steps(names, folder=folder)
    comparing = [path for path in paths if "runs" in presets.parameters(path)]
    if names and comparing:
        raise ValueError(f"a grid's notebooks must not compare: that is left to --base. Received: {comparing[0].stem}")
    paths = [path for path in paths if path not in comparing]
    values = presets.resolve(paths, preset=preset or "sample", overrides=overrides, folder=folder)
    variations, own = presets.read_grid(name, folder=folder)
    planned = {
        variation: (paths, values | presets.resolve(paths, variation=changed, folder=folder))
        for variation, changed in presets.replicas(variations, seeds or own, seed=_seed(paths, values)).items()
    }
    if base:
        base = chain.find(base, results=results)
        if base.folder.parent.resolve() != results.resolve():  # notebook 5 looks beside it
            raise ValueError(f"--base must be a run in --results, {results}. Received: {base.folder}")
    data = base.require("data", notebook=1) if base and not paths[0].stem.startswith("01") else None
    fixed = {"backend": chosen_backend(backend), "preset": preset or "sample", "data": data}
    prefix = prefix or Path(name).stem
    for variation in planned:
        chain.require_name(f"{prefix}-{variation}")
    if dry_run:
        folders = [Path(results).absolute() / f"{prefix}-{variation}" for variation in planned]
        return _submit([(prefix, folders, [])], cluster, extra, workers, timeout, dry_run)
    begun = grids.begin(planned, results=results, prefix=prefix, base=base and base.name, **fixed)
    if base:
        begun = [*grids.begin_seeds(base, paths, seeds or own, **fixed), *begun]
    if cluster:
        folders = [run.folder for run in begun]
        with _unsubmitted("the same command"):
            return _submit([(prefix, folders, [])], cluster, extra, workers, timeout, dry_run)
    try:
        grids.execute(begun, workers=workers, timeout=timeout, echo=click.echo)
    except kernel.Failure as failure:
        raise click.ClickException(f"{failure}\nThe same command goes on with what is not done.") from None
    finally:
        _echo_runs(results, [each.name for each in begun])


def _require_cluster(cluster, extra, dry_run):
    if not cluster and (extra or dry_run):
        raise ValueError("-o and --dry-run must come with --cluster")
    if cluster:
        from srnb.runner import jobs

        jobs.settings(cluster)
        jobs.options(extra)


def _submit(planned, cluster, extra, workers, timeout, dry_run):
    from srnb.runner import jobs

    options = {"extra": extra, "workers": workers, "timeout": timeout, "dry_run": dry_run}
    jobs.submit(planned, cluster=cluster, echo=click.echo, **options)


def _asked(names, preset, overrides, name, backend, grid, no_grid, seeds, results, folder):
    """Check everything that was asked for and return the arguments of `chain.begin`, with the run's name."""
    from srnb.runner import chain, presets

    paths = presets.steps(names, folder=folder)
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=folder)
    values = chain.settle(values, paths, results=results, backend=chosen_backend(backend))
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
        chain.settle(values | changed, paths, results=results, backend=chosen_backend(backend))
    chain.require_name(name or chain.default_name(preset))
    if name and (results / name).exists():
        raise ValueError(f"--run must be a new name, or use --resume {name}. Received: {results / name}, which exists")
    fixed = {"backend": chosen_backend(backend), "preset": preset, "name": name or chain.default_name(preset)}
    return {"notebooks": paths, "values": values, "variations": variations, "options": options, **fixed}


def _seed(paths, values):
    """Return the seed that the notebooks will have; 0 if none has one."""
    from srnb.runner import chain

    return next((cell["seed"] for cell in chain.effective(paths, values).values() if "seed" in cell), 0)


def _take_up(run, names, preset, overrides, backend, take_over):
    """Add notebooks `names` to a run that is taken up again by --resume.

    Raises ValueError unless the options beside --resume agree with those with which it was begun.
    """
    from srnb.runner import chain, lock, presets

    record, own = run.read(), list(chain.notebooks(run))
    added = presets.steps(names, folder=own[0].parent) if names else []
    paths = [*own, *added]
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=own[0].parent)
    values = record["values"] | chain.settle(values, paths, results=run.folder.parent, backend=record["backend"])
    chain.require_same(run, chain.effective(own, values))
    if backend and backend != record["backend"]:
        raise ValueError(f"a run must go on with its backend, {record['backend']}. Received: {backend}")
    if added:
        with lock.held(run, take_over=take_over):
            chain.extend(run, added, values=values)


@main.command()
@click.argument("name", metavar="RUN")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown instead, for a README.")
@click.option("--try", "trial", is_flag=True, help="Let readers enlarge pictures of their own in the page.")
@results_option
@plainly
def report(name, markdown, trial, results):
    """Render RUN's report again, finished or not: results/RUN/report/index.html, one file that opens anywhere."""
    from srnb.reports import report
    from srnb.reports.web import page
    from srnb.runner import chain

    run = chain.find(name, results=results)
    if markdown:
        click.echo(report.markdown(run))
    else:
        click.echo(report.render(run, trial=page.trial(run, shipped=True) if trial else ""))


@main.command()
@click.argument("name", metavar="GRID")
@click.option("--base", required=True, metavar="RUN", help="Run that the grid was begun for, by its --base.")
@click.option(
    "--metrics", default="psnr_y,ssim_y,lpips_alex", show_default=True, metavar="A,B", help="What notebook 4 measured."
)
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    default=files.RESULTS / "published",
    help="Folder of what is published.  [default: results/published of the checkout]",
)
@results_option
@plainly
def publish(name, base, metrics, out, results):
    """Keep what `srnb grid GRID --base RUN` made, with all its seeds, as small tables: DIR/GRID and DIR/README.md.

    They hold no pictures and no paths, fit into git, and are what notebook 5 shows beside the runs that are here. Runs
    that notebook 4 has not measured are measured now, on their held-out photographs.
    """
    from srnb.evaluation import archive
    from srnb.runner import chain, presets
    from srnb.runs import find

    run = chain.find(base, results=results)
    beside = [each for each in find(run.folder.parent) if each.read().get("base") == run.name]
    others = [each for each in beside if each.name.startswith(f"{name}-")]
    if not others:
        raise ValueError(f"GRID must have runs {name}-… whose --base was {run.name}. Received: none in {results}")
    asked = presets.listed(metrics)
    for each in (run, *archive.seeds(run), *others):
        if each.is_done and not (each.folder / "metrics.csv").is_file():
            click.echo(f"measuring {each.name}")
            archive.measure(each, metrics=asked)
    click.echo(archive.write(out / name, run, others, metrics=asked))
    files.write_text(out / "README.md", archive.page(out))


@main.command()
@click.argument("name", metavar="RUN")
@click.option("--models", metavar="A,B", help="Two results of notebook 4.  [default: the last two stages]")
@click.option("--seed", default=0, show_default=True, help="Draws order and sides.")
@click.option("--details", default=3, show_default=True, type=click.IntRange(1), help="Places of each photograph.")
@click.option(
    "--answers",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take in what a reader of the page saved, and say the result.",
)
@results_option
@plainly
def blind(name, models, seed, details, answers, results):
    """Ask people which of two results looks more like a photograph, without telling which is which.

    Writes results/RUN/blind/index.html, a page of one file that shows details in pairs, in random order and on random
    sides. Its readers save their answers as a file. The result is a share with its exact binomial interval.

    \b
    srnb blind sample                                       the page
    srnb blind sample --models gan,bicubic --seed 1         other pairs; earlier answers no longer count
    srnb blind sample --answers answers-sample-1.json       one sitting more
    """
    import json

    from srnb.evaluation import blind as test
    from srnb.reports import blind as pages
    from srnb.runner import chain, presets

    run = chain.find(name, results=results)
    if answers:
        try:
            given = json.loads(answers.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(
                f"--answers must be a JSON file that the page saved. Received: {answers} ({error})"
            ) from None
        test.store(run, given)
    else:
        asked = presets.listed(models or "")
        click.echo(pages.page(run, test.prepare(run, models=asked, seed=seed, details=details)))
    click.echo(test.finding(run))


@main.command()
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Folder to write to."
)
@results_option
@plainly
def site(out, results):
    """Collect the index of all runs and their reports in DIR, for a project page: any static host can serve it."""
    from srnb.reports import overview

    click.echo(overview.site(results, out))


@main.command()
@click.option("--watch", is_flag=True, help="Refresh every few seconds, until Ctrl-C.")
@results_option
@plainly
def runs(watch, results):
    """Show all runs side by side, and rebuild results/runs.csv and results/index.html.

    Each is queued (with the reason), running (with notebook, step and time left), done, failed or interrupted.
    """
    from srnb import runs as known

    while True:
        _echo_runs(results)
        for reason in known.damaged(results).values():
            click.echo(f"damaged: {reason}", err=True)
        if not watch:
            return
        time.sleep(5)
        click.clear()


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--give-back", metavar="NOTEBOOK", help="Write the copy of NOTEBOOK to notebooks/, without outputs.")
@click.option("--new", "fresh", is_flag=True, help="Begin a new run: lab-2, lab-3 … in the copies' parameters.")
@backend_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@plainly
def lab(give_back, fresh, backend, arguments):
    """Open JupyterLab on copies of the notebooks, for this computer only; ARGUMENTS go to `jupyter lab`.

    The copies are in lab/ of the checkout, and what you change there is yours: a newer notebook replaces a copy only if
    you have not edited it. Their runs go to results/lab, with --new to a folder that nothing is in yet. To send an
    improvement back, `srnb lab --give-back 02` writes your copy into notebooks/, where git sees it.
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
    """Print the table of a run and the path of its report."""
    from srnb.reports import overview, report

    overview.write(run.folder.parent)
    table = report.summary(run)
    if table is not None:
        click.echo("\n" + table.to_string(float_format="{:.4g}".format, na_rep="") + "\n")
    click.echo(f"report: {run.folder / 'report' / 'index.html'}")


def _echo_runs(results, names=None):
    """Print a line for each run, or for those in `names`, after rebuilding the tables of all runs."""
    from srnb.reports import overview
    from srnb.runner import states
    from srnb.runs import find

    if not results.is_dir():
        click.echo(f"no runs in {results}")
        return
    table, readable = overview.write(results), find(results)
    standing = dict(zip([run.name for run in readable], states.states(readable), strict=True))
    if len(table):  # of a run with damaged files the table says so, and that matters more than where it stands
        rows = zip(table["run"], table["status"], strict=True)
        table["status"] = [status if "damaged" in status else standing.get(name, status) for name, status in rows]
    if names is not None:
        table = table[table["run"].isin(names)]
    columns = [name for name in overview.COLUMNS if name in table]
    click.echo(table[columns].to_string(index=False, na_rep="") if len(table) else f"no runs in {results}")
