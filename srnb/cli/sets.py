"""Sets of photographs: list, fetch, check, add."""

import click

from srnb.cli.command import Group, main, plainly


@main.group(cls=Group)
def data():
    """Sets of photographs: what there is, fetching, checking, adding a folder of one's own."""


@data.command("list")
@plainly
def list_sets():
    """Show all known sets: how many photographs to train and test on, where they are, who may use them."""
    from srnb.data import datasets

    for name, (count, place, licence) in datasets.overview().items():
        numbers = ", ".join(f"{number} {split}" for split, number in count.items())
        click.echo(f"{name:10} {numbers:20} {place or '(not here)'} · {licence}")


@data.command()
@click.argument("name")
@click.option("--scale", "scales", type=int, multiple=True, help="Fetch published LR for this scale too (DIV2K).")
@plainly
def fetch(name, scales):
    """Download a set into data/NAME; goes on where a download broke off."""
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
    """Read every photograph of a set and compare it with what was fetched."""
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
    """Call the photographs in FOLDER by NAME from now on."""
    from srnb.data import datasets

    datasets.add(name, folder)
    click.echo(f"{name} has {len(datasets.photographs(name))} photographs")
