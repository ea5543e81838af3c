"""Sets of photographs: list, fetch, check, add; the cache."""

from pathlib import Path

import click

from srnb.cli.command import Group, main, plainly, results_option


@main.group(cls=Group)
def data():
    """List, fetch, check and add sets of photographs; clean the cache.

    \b
    srnb data list
    srnb data fetch Set5
    srnb data add mine ~/photographs
    srnb data clean
    """


@data.command("list")
@plainly
def list_sets():
    """Show all known sets: how many photographs, where, and the licence.

    \b
    srnb data list
    """
    from srnb.data import datasets

    for name, (count, place, licence) in datasets.overview().items():
        numbers = ", ".join(f"{number} {split}" for split, number in count.items())
        click.echo(f"{name:10} {numbers:20} {place or '(not here)'} · {licence}")


@data.command()
@click.argument("name")
@click.option(
    "--scale",
    "scales",
    type=int,
    multiple=True,
    metavar="NUMBER",
    help="Fetch published LR for this scale too (DIV2K, DIV2F).",
)
@plainly
def fetch(name, scales):
    """Download a set into data/NAME; an interrupted download is resumed.

    \b
    srnb data fetch Set14
    srnb data fetch DIV2K --scale 2 --scale 4
    """
    from srnb.data import datasets

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
    """Compare every photograph of a set with what was fetched.

    \b
    srnb data check DIV2K
    """
    from srnb.data import datasets

    wrong = datasets.check(name)
    if wrong:
        raise ValueError("\n".join(wrong))
    click.echo(f"{name} is whole: {len(datasets.photographs(name))} photographs")


@data.command()
@click.argument("name")
@click.argument("folder")
@plainly
def add(name, folder):
    """Register the photographs in FOLDER under NAME.

    \b
    srnb data add mine ~/photographs
    srnb run -p dataset mine
    """
    from srnb.data import datasets

    datasets.add(name, folder)
    click.echo(f"{name} has {len(datasets.photographs(name))} photographs")


@data.command()
@results_option
@plainly
def cache(results):
    """Show what is cached, its size, and which runs use it.

    These are decoded photographs and feature networks.

    \b
    srnb data cache
    """
    from srnb import files
    from srnb.data import shards

    used, counted = _used(results), {}
    click.echo(f"shards in {shards.pool()}")
    for index in shards.indices():
        record, sizes = shards.read(index), shards.size(index)
        counted |= sizes
        low = record["lr"]
        made = f", LR x{low['scale']} {low['degradation']} in {low['copies']}" if low else ""
        folder = Path(record["photographs"][0]["path"]).parent
        users = ", ".join(used.get(index, ())) or "no run"
        count = f"{len(record['photographs'])} photographs of {folder}{made}"
        click.echo(f"  {_mib(sum(sizes.values()))}  {index.stem}  {count} · used by {users}")
    shared = sum(file.stat().st_size for file in shards.pool().rglob("*") if file.is_file())
    click.echo(f"  {_mib(shared)}  in all; a photograph that is in several sets is there once")
    for file in sorted(path for path in files.cache().glob("*") if path.is_file()):
        click.echo(f"{_mib(file.stat().st_size)}  {file}")


@data.command()
@click.option(
    "--older-than",
    "days",
    type=click.FloatRange(0),
    default=1,
    show_default=True,
    metavar="DAYS",
    help="Keep what was used within this many days; 0 is safe only while nothing is being prepared.",
)
@click.option(
    "--finished",
    is_flag=True,
    help="Also remove what only finished runs use; these keep their weights, numbers and report.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@results_option
@plainly
def clean(days, finished, yes, results):
    """Remove decoded photographs that nothing needs.

    No run under --results uses them, and nobody has within DAYS. They are listed first. Notebook 1 makes all of them
    again from the photographs.

    \b
    srnb data clean
    srnb data clean --finished --older-than 30 --yes
    """
    from srnb.data import shards

    unused = shards.unused(_used(results, unfinished=finished), days=days)
    for path, size in unused.items():
        click.echo(f"{_mib(size)}  {path}")
    click.echo(f"{_mib(sum(unused.values()))}  in {len(unused)} files and folders that nothing needs")
    if unused and (yes or click.confirm("Remove them?")):
        shards.remove(unused)
        click.echo("removed")


def _used(results, *, unfinished=False):
    """Return {index of shards: names of the runs that use it}; unfinished: whether only unfinished runs count."""
    from srnb import runs

    used, damaged = {}, runs.damaged(results)
    if damaged:
        raise ValueError("every run must say which photographs it needs. " + "; ".join(damaged.values()))
    for run in runs.find(results):
        if unfinished and run.is_done:
            continue
        record = run.read()
        origin = (record.get("values") or {}).get("start_from")  # its shards are this run's, from notebook 3 on
        for source in (record, runs.Run(origin).read() if origin else {}):
            index = (source.get("data") or {}).get("shards")
            if index and run.name not in used.setdefault(Path(index), []):
                used[Path(index)].append(run.name)
    return used


def _mib(size):
    return f"{size / 2**20:9,.1f} MiB"
