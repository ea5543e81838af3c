"""A run and its variants, each with something changed: what they changed, and what they measured."""

import numpy as np
import pandas as pd

from srnb import runs
from srnb.evaluation import comparison

UNCOMPARED = ("start_from", "rehearsal_steps")  # parameters that do not change the recipe


def variants(run, names=()):
    """Return the runs to compare, label -> run, and those that cannot be compared, label -> reason.

    `run` comes first. names: folders beside it; by default its variants, the runs beside it whose record names it as
    their base. A run can be compared if it is finished, was measured on the same held-out photographs, and belongs to a
    variant that shares a seed with `run`.
    """
    if names:
        beside = [runs.Run(run.folder.parent / name) for name in names if name != run.name]
    else:
        beside = [other for other in runs.find(run.folder.parent) if other.read().get("base") == run.name]
    compared, left_out = {run.name: run}, {}
    for other in beside:
        label, reason = other.name.removeprefix(f"{run.name}-"), _unusable(other, run)
        if reason:
            left_out[label] = reason
        else:
            compared[label] = other
    (_, own), *others = replicas(compared).items()
    for label in [label for _, seeds in others if not seeds.keys() & own for label in seeds.values()]:
        seed = compared.pop(label).read().get("seed") or 0
        left_out[label] = f"its seed is {seed}, those of {run.name} are {', '.join(map(str, own))}"
    return compared, left_out


def replicas(compared):
    """Return variant -> {seed: label} for runs, label -> run. Replicas of a variant differ only in their seed.

    A replica of `label` with seed 1 is called label-seed1, and one of the first run seed1 (`runner.presets.replicas`).
    """
    found, first = {}, next(iter(compared))
    for label, run in compared.items():
        seed = run.read().get("seed") or 0
        variant = first if label in (first, f"seed{seed}") else label.removesuffix(f"-seed{seed}")
        found.setdefault(variant, {}).setdefault(seed, label)
    return found


def changes(compared):
    """Return a frame with a row per run of `compared`, label -> run, and two columns of text.

    changed: the parameters in which it differs from the first run. noticed: symptoms that its trainer reported.
    """
    base, rows = _parameters(next(iter(compared.values()))), {}
    for label, run in compared.items():
        log, parameters = run.read_log(), _parameters(run)
        notices = log.dropna(subset="notice") if "notice" in log else log[:0]
        changed = [f"{name} = {value!r}" for name, value in parameters.items() if base.get(name, value) != value]
        noticed = [f"{row.stage} {row.step}: {row.notice}" for row in notices.itertuples()]
        rows[label] = ", ".join(changed) or "nothing", "; ".join(noticed[:3]) or "nothing"
    return pd.DataFrame(rows, index=["changed", "noticed"]).T


def measured(compared, *, metrics):
    """Return the metrics.csv of runs, label -> run, on their held-out photographs as one frame.

    Its column run holds variants, and a column seed tells their `replicas` apart. Interpolated networks are left out,
    bicubic is there once, and a pretrained generator only with the run that trained it. Raises ValueError for a metric
    that a run has not measured.
    """
    tables = []
    named = {label: (variant, seed) for variant, own in replicas(compared).items() for seed, label in own.items()}
    for number, (label, (variant, seed)) in enumerate(named.items()):
        run = compared[label]
        table = run.metrics()
        if missing := [metric for metric in metrics if metric not in set(table["metric"])]:
            known = ", ".join(table["metric"].unique())
            raise ValueError(f"metrics must be among those of {label}: {known}. Received: {', '.join(missing)}")
        table = table[(table["dataset"] == table["dataset"].iloc[0]) & table["metric"].isin(metrics)]
        own = not run.read().get("values", {}).get("start_from")
        models = ["bicubic"] * (number == 0) + ["pretrained"] * own + ["gan"]
        tables.append(table[table["model"].isin(models)].assign(run=variant, seed=seed))
    return pd.concat(tables, ignore_index=True)


def stages(table, *, reference):
    """Return stage -> rows of `measured` with runs in the column model, for stages that can be compared.

    These are the stages that `reference` and at least one other run have.
    """
    return {
        stage: rows.assign(model=rows["run"])
        for stage, rows in table[table["model"] != "bicubic"].groupby("model", sort=False)
        if reference in set(rows["run"]) and rows["run"].nunique() > 1
    }


def spread(rows, *, reference):
    """Return the spread between seeds beside the differences between variants, as text; `rows` are of one of `stages`.

    A row per variant, a column per metric: the mean over photographs and seeds, its difference from `reference`, and,
    with several seeds, the standard deviation between seeds of the mean over photographs.
    """
    cells = {}
    for metric, own in rows.groupby("metric", sort=False):
        digits = comparison.decimals(metric)
        means = own.groupby(["model", "seed"], sort=False)["value"].mean().unstack("seed")
        for model, values in means.iterrows():
            difference, parts = (values - means.loc[reference]).mean(), [f"{values.mean():.{digits}f}"]
            if model != reference and np.isfinite(difference):
                parts.append(f"{difference:+.{digits}f} from {reference}")
            several = values.count() > 1
            parts.append(f"{values.std():.{digits}f} between {values.count()} seeds" if several else "one seed")
            cells.setdefault(metric, {})[model] = ", ".join(parts)
    return pd.DataFrame(cells)


def finals(table):
    """Return the rows of `measured` of each run's last stage, with runs in the column model."""
    trained = table[table["model"] != "bicubic"]
    with_gan = set(trained.loc[trained["model"] == "gan", "run"])
    rows = trained[(trained["model"] == "gan") | ~trained["run"].isin(with_gan)]
    return rows.assign(model=rows["run"])


def _unusable(run, base):
    """Return why a run cannot be compared with `base`, or None."""
    record = run.read()
    if not run.is_done:
        return (record.get("error") or {}).get("message") or "not finished"
    if not (run.folder / "metrics.csv").is_file():
        return "it has no metrics.csv: notebook 4 has not measured it"
    held_out = [each.read().get("data", {}).get("test") for each in (base, run)]
    if held_out[0] != held_out[1]:
        return "it was measured on other photographs"
    return None


def _parameters(run):
    cells = run.read().get("parameters", {}).values()
    return {name: value for cell in cells for name, value in cell.items() if name not in UNCOMPARED}
