"""The networks that ship with the package: list them, make one from a run."""

from pathlib import Path

import click

from srnb.cli.command import main, plainly, results_option


@main.command()
@click.option("--markdown", is_flag=True, help="Print the networks that ship as a table for a README instead.")
@results_option
@plainly
def models(markdown, results):
    """List what `--model` takes: networks that ship, and runs.

    Metrics are means over a set, as measured by `srnb evaluate` or notebook 4, beside those of bicubic on the
    same pictures. Means over what a training held out are on the network's card: they differ in their photographs.

    \b
    srnb models
    srnb models --markdown
    """
    from srnb import runs, shipped

    if markdown:
        from srnb.reports import card

        click.echo(card.table())
        return
    from srnb.evaluation.metrics import METRICS

    for name in shipped.names():
        card = shipped.card(name)
        size = (shipped.FOLDER / name / "weights.safetensors").stat().st_size / 2**20
        click.echo(f"{name}: x{card['spec']['scale']}, {card['parameters']:,} parameters, {size:.1f} MiB")
        click.echo(f"    {card['summary']}")
        made = card["degradation"]["name"]
        bicubic = shipped.baseline(name)
        for dataset, values in card["metrics"].items():
            if dataset != "held out":
                shown = [
                    "{0.name} {1:.{0.decimals}f} (bicubic {2:.{0.decimals}f})".format(
                        METRICS[metric], values[metric], bicubic[dataset][metric]
                    )
                    for metric in shipped.SHOWN
                    if metric in values
                ]
                click.echo(f"    {dataset}{f', LR by {made}' * (made != 'bicubic')}: {', '.join(shown)}")
    for run in runs.find(results):
        stages, spec = list(run.generators()), run.read().get("generator")
        if spec and stages:
            click.echo(f"{run.name}: a run, x{spec['scale']}, {spec['name']}, {' and '.join(stages)}")


@main.command()
@click.argument("run")
@click.argument("name")
@click.option("--stage", type=click.Choice(["pretrained", "gan"]), required=True, help="Which generator ships.")
@click.option("--summary", required=True, help="One sentence: what the network is for.")
@click.option(
    "--blend",
    default=1.0,
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="Share of the GAN in it, the rest pretrained; notebook 4 must have measured it.  [default: 1]",
)
@click.option("--start", metavar="NAME", help="The shipped network that its training began from.")
@click.option(
    "--sources",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Table (TSV) of the photographs: file, source_repo, source_path, licence_as_stated.",
)
@results_option
@plainly
def ship(run, name, stage, summary, blend, start, sources, results):
    """Make the generator of a finished run a network that ships.

    This writes weights, spec, metrics, a thinned log, a picture and a page to srnb/weights/NAME. Notebook 4 must have
    measured the run.

    \b
    srnb ship mine compact --stage pretrained --summary "Nearest to the truth."
    srnb ship mine compact-gan --stage gan --start compact --summary "Sharp."
    """
    from srnb import shipped
    from srnb.reports import card
    from srnb.runner import names

    card.write(
        names.find(run, results=results), name, stage=stage, summary=summary, blend=blend, start=start, sources=sources
    )
    click.echo(shipped.FOLDER / name)
