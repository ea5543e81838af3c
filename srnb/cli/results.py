"""Commands that show, keep and share what runs have made: report, publish, blind, site, runs."""

import time
from pathlib import Path

import click

from srnb import files
from srnb.cli.command import main, plainly, results_option


@main.command()
@click.argument("name", metavar="RUN")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown instead, for a README.")
@click.option("--try", "trial", is_flag=True, help="Let readers enlarge pictures of their own in the page.")
@results_option
@plainly
def report(name, markdown, trial, results):
    """Render the report of a run again, finished or not.

    It is results/RUN/report/index.html, one file that opens anywhere.

    \b
    srnb report sample
    srnb report sample --try        with the network, for pictures of its readers
    srnb report sample --markdown   tables alone, on standard output
    """
    from srnb.reports import report
    from srnb.reports.web import page
    from srnb.runner import names

    run = names.find(name, results=results)
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
    """Keep what a grid measured as small tables that fit into git.

    They are what `srnb grid GRID --base RUN` made, with all its seeds: DIR/GRID and, in words, DIR/README.md. They hold
    no pictures and no paths; notebook 5 shows them beside the runs that are here. Runs that notebook 4 has not measured
    are measured now, on their held-out photographs.

    \b
    srnb publish losses --base ablation
    srnb publish losses --base ablation --metrics psnr_y,psnr_rgb --out tables
    """
    from srnb.evaluation import archive
    from srnb.runner import names, presets
    from srnb.runs import find

    run = names.find(base, results=results)
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
    """Ask people which of two results looks more like a photograph.

    They are not told which is which. This writes results/RUN/blind/index.html, a page of one file that shows details in
    pairs, in random order and on random sides. Its readers save their answers as a file. The result is a share with its
    exact binomial interval.

    \b
    srnb blind sample                                    the page
    srnb blind sample --models gan,bicubic --seed 1      other pairs, counted anew
    srnb blind sample --answers answers-sample-1.json    one sitting more
    """
    import json

    from srnb.evaluation import blind as test
    from srnb.reports import blind as pages
    from srnb.runner import names, presets

    run = names.find(name, results=results)
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
    """Collect the index of all runs and their reports in a folder.

    Any static host can serve DIR, as a project page.

    \b
    srnb site --out page
    """
    from srnb.reports import overview

    click.echo(overview.site(results, out))


@main.command()
@click.option("--watch", is_flag=True, help="Refresh every few seconds, until Ctrl-C.")
@results_option
@plainly
def runs(watch, results):
    """Show all runs side by side.

    Each is queued (with the reason), running (with notebook, step and time left), done, failed or interrupted. This
    makes results/runs.csv and results/index.html anew.

    \b
    srnb runs
    srnb runs --watch
    srnb runs --results ~/elsewhere
    """
    from srnb import runs as known
    from srnb.runner import states

    while True:
        click.echo(states.listing(results))
        for reason in known.damaged(results).values():
            click.echo(f"damaged: {reason}", err=True)
        if not watch:
            return
        time.sleep(5)
        click.clear()
