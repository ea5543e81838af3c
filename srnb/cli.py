"""The `srnb` command."""

import os
import sys
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
BACKENDS = ("tensorflow", "jax")


class Group(click.Group):
    """Commands in the order in which they are written, not of the alphabet."""

    def list_commands(self, context):
        return list(self.commands)


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def main():
    """Super-resolution workbook: run the notebooks, queue runs, look at what came out.

    \b
    srnb run                          the five notebooks with the preset `sample`, then the report
    srnb run --preset smoke           the same in a minute or two, to see that everything works
    srnb run 01 02 -p steps 500       two notebooks, one parameter changed
    srnb run --resume sample          go on where a run stopped
    srnb runs                         all runs side by side
    srnb upscale photo.jpg --model sample --out large
    srnb evaluate --model sample --sets Set5,Set14

    `srnb COMMAND --help` says more.
    """


def plainly(command):
    """Let a command end with one clear message instead of a traceback when its user can put things right."""

    @wraps(command)
    def wrapped(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (ValueError, OSError) as error:
            raise click.ClickException(_sentence(error)) from None

    return wrapped


def _sentence(error):
    if isinstance(error, OSError) and error.filename:
        return f"{error.strerror}: {error.filename}"
    return str(error)


# ------------------------------------------------------------------------------------------------ run, resume, grid

results_option = click.option(
    "--results",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "results",
    metavar="DIR",
    help="Where run folders live.  [default: results/ of the checkout]",
)
backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    help="Backend of Keras.  [default: $KERAS_BACKEND, else tensorflow]",
)
preset_option = click.option(
    "--preset", metavar="NAME", help="File in notebooks/presets, or a path.  [default: sample]"
)
parameter_option = click.option(
    "-p",
    "overrides",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Set one parameter, after the preset; as often as needed.",
)
timeout_option = click.option(
    "--timeout", type=click.IntRange(1), metavar="SECONDS", help="Let no cell take longer.  [default: no limit]"
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Grid runs side by side, each with its share of the cores and a GPU of its own if there are any.",
)
scheduler_option = click.option(
    "--scheduler", metavar="ADDRESS", help="Send grid runs to this Dask scheduler (tcp://…) instead."
)
folder_option = click.option(
    "--notebooks",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    default=ROOT / "notebooks",
    metavar="DIR",
    help="Where notebooks and presets live.  [default: notebooks/ of the checkout]",
)


@main.command()
@click.argument("names", metavar="[NOTEBOOK]...", nargs=-1)
@preset_option
@parameter_option
@click.option("--run", "name", metavar="NAME", help="Name of the new run's folder.  [default: the preset's name]")
@click.option("--resume", metavar="RUN", help="Go on with a run that failed or was interrupted.")
@backend_option
@click.option("--grid", metavar="NAME", help="Variations to compare with.  [default: the grid named as the preset]")
@click.option("--no-grid", is_flag=True, help="Run no variations.")
@workers_option
@scheduler_option
@timeout_option
@results_option
@folder_option
@plainly
def run(names, preset, overrides, name, resume, backend, grid, no_grid, workers, scheduler, timeout, results, folder):
    """Run notebooks in order, headless, and render their report.

    NOTEBOOK is a number, as in `srnb run 01 02`; without any, all of them run. Every run has a folder of its own,
    results/NAME. Nothing is ever overwritten: where results/sample exists, the next run is sample-2.

    Before the first kernel starts, names and types of all parameters are checked against the notebooks, and the data is
    looked for. When a cell fails or Ctrl-C stops the run, the partial notebook stays in the run's folder, run.json says
    which cell and why, and --resume goes on from that notebook.

    A grid (notebooks/presets/grids/NAME.yaml) holds variations of the run, each with some parameters changed. They run
    before the notebook that compares, each in a folder of its own: results/NAME-VARIATION. What comes before the first
    notebook that a variation concerns is taken from the main run.

    \b
    srnb run --preset sample -p gan_steps 400 -p pixel_loss mse
    srnb run -p dataset_folder ~/photographs --run mine
    srnb run --resume mine
    srnb run 03 04 -p start_from mine -p adversarial_weight 0.005 --run mine-softer
    """
    from srnb import batch
    from srnb import grid as grids

    if resume:
        if names or name or grid or no_grid:
            raise ValueError("--resume must stand without notebooks, --run and --grid: the run knows its own")
        begun = batch.find(resume, results=results)
        _require_same(begun, preset, overrides, backend)
    else:
        begun = _begun(names, preset or "sample", overrides, name, backend, grid, no_grid, results, folder)
    if begun.is_done:
        click.echo(f"{begun.name} is done already")
    else:
        click.echo(f"{begun.name} · folder {begun.folder}")
        with batch.terminated_like_interrupted(), _failing(begun):
            grids.complete(begun, workers=workers, scheduler=scheduler, timeout=timeout, echo=click.echo)
    _conclude(begun)


@main.command()
@click.argument("name", metavar="GRID")
@preset_option
@parameter_option
@click.option("--run", "prefix", metavar="NAME", help="Folders are called NAME-VARIATION.  [default: the grid's name]")
@backend_option
@workers_option
@scheduler_option
@timeout_option
@results_option
@folder_option
@plainly
def grid(name, preset, overrides, prefix, backend, workers, scheduler, timeout, results, folder):
    """Run the variations of notebooks/presets/grids/GRID.yaml alone, each from the first notebook on.

    The same command again skips what is done and goes on with what is not: queue it over night, look in the morning,
    call it again. The file maps names to parameters; `common` holds for all of them:

    \b
    common: {steps: 2000}
    baseline: {}
    no-batchnorm: {normalization: none}

    \b
    srnb grid sample --workers 2
    srnb grid losses --preset srgan --backend jax --workers 8      eight GPUs, one for each worker
    srnb grid losses --preset srgan --scheduler tcp://head:8786    workers of a cluster (dask-jobqueue, SSH …)
    """
    from srnb import batch, kernels, presets
    from srnb import grid as grids

    paths = [path for path in presets.notebooks(folder=folder) if "runs" not in presets.parameters(path)]
    values = presets.resolve(paths, preset=preset or "sample", overrides=overrides, folder=folder)
    planned = {
        variation: (paths, values | presets.resolve(paths, variation=changed, folder=folder))
        for variation, changed in presets.read_grid(name, folder=folder).items()
    }
    fixed = {"backend": _backend(backend), "preset": preset or "sample"}
    begun = grids.begin(planned, results=results, prefix=prefix or Path(name).stem, **fixed)
    try:
        with batch.terminated_like_interrupted():
            grids.execute(begun, workers=workers, scheduler=scheduler, timeout=timeout, echo=click.echo)
    except kernels.Failure as failure:
        raise click.ClickException(f"{failure}\nThe same command goes on with what is not done.") from None
    finally:
        _echo_runs(results, [each.name for each in begun])


def _begun(names, preset, overrides, name, backend, grid, no_grid, results, folder):
    """Check everything that was asked for and return a new run; no kernel has started yet."""
    from srnb import batch, presets

    paths = presets.notebooks(names, folder=folder)
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=folder)
    values = batch.settle(values, paths, results=results)
    comparing = any("runs" in presets.parameters(path) for path in paths)
    if grid and not comparing:
        raise ValueError("--grid must come with a notebook that compares runs; `srnb grid` runs variations alone")
    if not grid and comparing and not no_grid and (folder / "presets" / "grids" / f"{preset}.yaml").is_file():
        grid = preset
    variations = {
        variation: presets.resolve(paths, variation=changed, folder=folder)
        for variation, changed in (presets.read_grid(grid, folder=folder) if grid else {}).items()
    }
    if name and (results / name).exists():
        raise ValueError(f"--run must be a new name, or use --resume {name}. Received: {results / name}, which exists")
    fixed = {"backend": _backend(backend), "preset": preset}
    target = batch.new_folder(results, name or Path(preset).stem)
    return batch.begin(target, paths, values=values, variations=variations, **fixed)


def _require_same(run, preset, overrides, backend):
    """Raise ValueError unless what was asked for beside --resume is what the run was begun with."""
    from srnb import batch, presets

    record, paths = run.read(), list(batch.chain(run))
    values = presets.resolve(paths, preset=preset, overrides=overrides, folder=paths[0].parent)
    values = record["values"] | batch.settle(values, paths, results=run.folder.parent)
    batch.require_same(run, batch.effective(paths, values))
    if backend and backend != record["backend"]:
        raise ValueError(f"a run must go on with its backend, {record['backend']}. Received: {backend}")


def _backend(name):
    backend = name or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend not in BACKENDS:
        raise ValueError(f"KERAS_BACKEND must be {' or '.join(BACKENDS)}. Received: {backend}")
    return backend


@contextmanager
def _failing(run):
    """Turn the failure of a run into one line, what to do next, and an exit code: 1, or 130 after Ctrl-C."""
    from srnb import kernels

    try:
        yield
    except (kernels.Failure, KeyboardInterrupt) as error:
        interrupted = isinstance(error, KeyboardInterrupt) or error.record["kind"] == "Interrupted"
        click.echo(f"Error: {error or 'interrupted'}", err=True)
        click.echo(f"What there is so far: {run.folder}. Go on with: srnb run --resume {run.folder}", err=True)
        sys.exit(130 if interrupted else 1)


# ------------------------------------------------------------------------------------------------ what came out


@main.command()
@click.argument("name", metavar="RUN")
@results_option
@plainly
def report(name, results):
    """Render RUN's report again, finished or not: results/RUN/report/index.html, one file that opens anywhere."""
    from srnb import batch, report

    click.echo(report.render(batch.find(name, results=results)))


@main.command()
@results_option
@plainly
def runs(results):
    """Show all runs side by side, and rebuild results/runs.csv and results/index.html."""
    _echo_runs(results)


@main.command(context_settings={"ignore_unknown_options": True})
@backend_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@plainly
def lab(backend, arguments):
    """Open JupyterLab on the notebooks, for this computer only; ARGUMENTS go to `jupyter lab`."""
    os.environ["KERAS_BACKEND"] = _backend(backend)
    options = ["--ServerApp.ip=127.0.0.1", f"--ServerApp.root_dir={ROOT}", "--LabApp.default_url=/lab/tree/notebooks"]
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options, *arguments])


# ------------------------------------------------------------------------------------------------ data


@main.group(cls=Group)
def data():
    """Sets of photographs: what there is, fetching, checking, adding a folder of one's own."""


@data.command("list")
@plainly
def list_sets():
    """Show all known sets: how many photographs to train and test on, where they are, who may use them."""
    from srnb import datasets

    for name, (count, place, licence) in datasets.overview().items():
        numbers = ", ".join(f"{number} {split}" for split, number in count.items())
        click.echo(f"{name:10} {numbers:20} {place or '(not here)'} · {licence}")


@data.command()
@click.argument("name")
@click.option("--scale", "scales", type=int, multiple=True, help="Fetch published LR for this scale too (DIV2K).")
@plainly
def fetch(name, scales):
    """Download a set into data/NAME; goes on where a download broke off."""
    from srnb import datasets

    shown = {}

    def progress(file, done, total):
        tenths = 10 * done // total if total else 0
        if shown.get(file) != tenths:
            shown[file] = tenths
            click.echo(f"{file}: {done / 1e6:.0f} of {(total or done) / 1e6:.0f} MB")

    click.echo(f"{name} is in {datasets.fetch(name, scales=scales, progress=progress)}")


@data.command()
@click.argument("name")
@plainly
def check(name):
    """Read every photograph of a set and compare it with what was fetched."""
    from srnb import datasets

    wrong = datasets.check(name)
    if wrong:
        raise ValueError("\n".join(wrong))
    click.echo(f"{name} is whole: {len(datasets.photographs(name))} photographs")


@data.command()
@click.argument("name")
@click.argument("folder")
@plainly
def add(name, folder):
    """Call the photographs in FOLDER by NAME from now on."""
    from srnb import datasets

    datasets.add(name, folder)
    click.echo(f"{name} has {len(datasets.photographs(name))} photographs")


def _conclude(run):
    """Print the table of a run and where its report is."""
    from srnb import report

    report.index(run.folder.parent)
    table = report.summary(run)
    if table is not None:
        click.echo("\n" + table.to_string(float_format="{:.4g}".format, na_rep="") + "\n")
    click.echo(f"report: {run.folder / 'report' / 'index.html'}")


def _echo_runs(results, names=None):
    """Print a line for each run, or for those in `names`, after rebuilding the tables of all runs."""
    from srnb import report

    table = report.index(results)
    if names is not None:
        table = table[table["run"].isin(names)]
    columns = [name for name in report.COLUMNS if name in table]
    click.echo(table[columns].to_string(index=False, na_rep="") if len(table) else f"no runs in {results}")


# ------------------------------------------------------------------------------------------------ upscale, evaluate


@main.command()
@click.argument("photos", metavar="PHOTO...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", required=True, metavar="RUN", help="Name or folder of a run, or one of its weight files.")
@click.option(
    "--out", required=True, metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Where results go."
)
@click.option(
    "--tile", type=click.IntRange(16), default=192, show_default=True, help="Side of a tile in PHOTO's pixels."
)
@click.option("--ensemble", is_flag=True, help="Mean over eight flips and turns: a little truer, eight times slower.")
@click.option(
    "--blend",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="Walk between RUN's two generators: 0 is the pretrained one, 1 the GAN.  [default: the GAN if there is one]",
)
@results_option
@backend_option
@plainly
def upscale(photos, model, out, tile, ensemble, blend, results, backend):
    """Enlarge each PHOTO, a file or a folder of them, to DIR/PHOTO_x4.png (or what the model's scale is).

    Any size fits into memory. Transparency, grey and 16 bits are kept. What cannot be done is named at the end; the
    others are done all the same.

    \b
    srnb upscale holiday/*.jpg --model sample --out large
    srnb upscale holiday/*.jpg --model sample --blend 0.8 --out large      a little less invention
    """
    os.environ["KERAS_BACKEND"] = _backend(backend)
    from srnb import inference, models

    path, failures = _weights(model, results), []
    if blend is None:
        network = inference.load(path)
    else:
        if not path.is_dir():
            raise ValueError(f"--blend must stand with a run, which has two generators. Received: --model {model}")
        ends = [inference.load(path / "weights" / f"{stage}.weights.h5") for stage in ("pretrained", "gan")]
        network = models.interpolate(*ends, blend)
    for source, target in _targets(photos, out, inference.scale(network), failures):
        try:
            with click.progressbar(length=1000, label=source.name) as bar:

                def show(done, total, bar=bar):
                    bar.update(1000 * done // total - bar.pos)

                inference.upscale_file(network, source, target, tile=tile, ensemble=ensemble, progress=show)
        except (ValueError, OSError) as error:
            failures.append(_sentence(error))
    if failures:
        raise click.ClickException("\n  ".join([f"{len(failures)} not done:", *failures]))


@main.command()
@click.option("--model", "names", multiple=True, metavar="RUN", help="As for upscale; give several to compare them.")
@click.option("--sets", default="sample", show_default=True, help="Comma separated: sample, Set5, …, or folders.")
@click.option("--metrics", metavar="NAMES", help="Comma separated.  [default: all but the slow ones]")
@click.option("--scale", default=4, show_default=True, type=click.IntRange(2), help="How many times smaller LR is.")
@click.option("--reference", default="bicubic", show_default=True, help="The model that the others are held against.")
@click.option("--grey", default="luma", show_default=True, help="What a grey file counts as: luma (MATLAB) or rgb.")
@click.option("--ensemble", is_flag=True, help="Measure the mean over eight flips and turns.")
@click.option(
    "--out",
    default="evaluation.csv",
    show_default=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of the rows.",
)
@results_option
@backend_option
@plainly
def evaluate(names, sets, metrics, scale, reference, grey, ensemble, out, results, backend):
    """Measure models against bicubic on whole sets: one row per picture and number, written as CSV.

    Of `sample` and of no other set it takes the held-out part. Published values of the same sets are shown beside the
    means where there are any.

    \b
    srnb evaluate --model sample --sets Set5,Set14
    """
    os.environ["KERAS_BACKEND"] = _backend(backend)
    from functools import partial

    import pandas as pd

    from srnb import datasets, evaluation, inference, progress, runs

    sets = [name.strip() for name in sets.split(",") if name.strip()]
    metrics = metrics.split(",") if metrics else evaluation.DEFAULT_METRICS
    pairs = {
        name: [(path, None) for path in datasets.photographs(name, "test")]
        if name == "sample"
        else datasets.pairs(name, scale=scale)
        for name in sets
    }
    networks = {}
    for name in names:
        path = _weights(name, results)
        network = inference.load(path)
        if inference.scale(network) != scale:
            raise ValueError(
                f"--scale must be that of the model {name}. Received: {scale}, not {inference.scale(network)}"
            )
        label = path.name if path.is_dir() else f"{path.parent.parent.name} {path.name.partition('.')[0]}"
        networks[label] = partial(inference.upscale, network, ensemble=ensemble)
    tables = []
    for name, files in pairs.items():
        scenes = progress.track(evaluation.pictures(networks, files, scale=scale), name, total=len(files))
        tables.append(evaluation.tabulate(scenes, dataset=name, metrics=metrics, grey=grey))
    table = pd.concat(tables)
    runs.write_text(out, table.to_csv(index=False))
    click.echo(evaluation.summary(table).T.to_string(float_format="{:.4f}".format))
    if networks:
        differences = evaluation.bootstrap(table, reference=reference)
        click.echo(
            f"\nDifference to {reference}, 95 % interval over the pictures\n{differences.to_string(index=False)}"
        )
    published = evaluation.published(datasets=sets, scale=scale)
    if len(published):
        shown = evaluation.marked(published).droplevel("protocol").to_string()
        click.echo(f"\nPublished, in parentheses what is measured otherwise and not comparable\n{shown}")
    click.echo(f"\n{len(table)} rows, each with its protocol: {out}")


@main.command()
@click.option("--model", required=True, metavar="RUN", help="Name or folder of a run, or one of its weight files.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "saved_model", "litert"]),
    default="saved_model",
    show_default=True,
    help="onnx needs the extra `export`: uv pip install tf2onnx onnx.",
)
@click.option(
    "--out", required=True, metavar="PATH", type=click.Path(path_type=Path), help="….onnx, ….tflite, a folder."
)
@results_option
@plainly
def export(model, form, out, results):
    """Write a generator for other programs; it takes pictures of any height and width, NHWC, RGB in [0, 1].

    \b
    srnb export --model sample --format onnx --out sample.onnx
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the backend that can write all three
    from srnb import inference
    from srnb.models import export as exports

    exports.write(inference.load(_weights(model, results)), out, format=form)
    click.echo(out)


def _weights(model, results):
    """Return the weight file or the run's folder that a user means."""
    from srnb import batch

    return Path(model) if Path(model).is_file() else batch.find(model, results=results).folder


def _targets(photos, out, scale, failures):
    """Yield (file, its target) for files and folders of photos; what has no target goes to `failures`."""
    from srnb import images

    taken = set()
    for photo in photos:
        try:
            files = images.find(photo) if photo.is_dir() else [photo]
        except FileNotFoundError as error:
            failures.append(_sentence(error))
            continue
        for file in files:
            target = out / f"{file.stem}_x{scale}.png"
            if target in taken:
                failures.append(f"{file}: another photo of this name was written to {target}")
            else:
                taken.add(target)
                yield file, target


if __name__ == "__main__":
    main()
