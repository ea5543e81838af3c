"""Is one model better than another, or do they differ only by chance?"""

import warnings

import numpy as np
import pandas as pd

from srnb.evaluation import certainty
from srnb.evaluation.metrics import COSTS, METRICS

FEW = "too few photographs"


def gains(table, *, reference="bicubic"):
    """Return the difference of each model from `reference` on every image.

    table: a frame of `tabulate`, or of `ablation.measured`, whose column seed then pairs a model with the reference of
    the same seed. Columns of the result: dataset, model, metric, seed, image, difference. Costs are left out. Raises
    ValueError unless all models were measured on the same images.
    """
    if reference not in set(table["model"]):
        raise ValueError(f"reference must be a model of the table. Received: {reference!r}")
    table = table if "seed" in table else table.assign(seed=0)
    parts = []
    for (dataset, metric), values in table.groupby(["dataset", "metric"], sort=False):
        if metric in COSTS or reference not in set(values["model"]):
            continue
        values = values.pivot(index=["seed", "image"], columns="model", values="value")
        for model in [name for name in table["model"].unique() if name in values and name != reference]:
            pair = values[[model, reference]].unstack("image")
            seeds = [seed for seed in pair.index if pair.loc[seed].unstack(0).notna().any().all()]
            if pair.loc[seeds].isna().any(axis=None):
                raise ValueError(f"models must be measured on the same images. Received: some are missing for {model}")
            if not seeds:
                raise ValueError(f"models must share a seed. Received: none for {model} and {reference}")
            own, other = pair.loc[seeds, model], pair.loc[seeds, reference]
            differences = (own - other).where(own != other, 0.0)  # two infinite PSNR are equal, too
            rows = differences.stack().rename("difference").reset_index()
            parts.append(rows.assign(dataset=dataset, model=model, metric=metric))
    columns = ["dataset", "model", "metric", "seed", "image", "difference"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def intervals(table, *, reference="bicubic", level=0.95, seed=0):
    """Return the mean difference of each model from `reference`, its uncertainty, and a verdict.

    One row per dataset, model and metric: difference, the mean over seeds and photographs; low and high, its interval
    by `certainty.interval`, for this difference alone; p, Holm's for all rows of a dataset together; images and seeds,
    their numbers; verdict: better or worse; equal if no image differs at all; unclear if p exceeds 1 - level; too few
    photographs if no outcome could have given a smaller p: it takes six for one row, ten for twenty.
    """
    rows = []
    for _, differences in gains(table, reference=reference).groupby("dataset", sort=False):
        own = []
        for (metric, model), values in differences.groupby(["metric", "model"], sort=False):
            values = values.pivot(index="seed", columns="image", values="difference").to_numpy()
            row = dict(zip(("seeds", "images"), values.shape, strict=True))
            row |= {"dataset": differences["dataset"].iloc[0], "model": model, "metric": metric}
            row["low"], row["high"] = map(float, certainty.interval(values, level=level, seed=seed))
            row |= {"difference": values.mean(), "p": float(certainty.p_value(values, seed=seed))}
            own.append(row | {"equal": not values.any()})
        asked = [row for row in own if not row["equal"]]
        for row, p in zip(asked, certainty.holm([row["p"] for row in asked]), strict=True):
            few = len(asked) * certainty.finest(row["images"]) > 1 - level
            row |= {"p": p, "verdict": FEW if few else _verdict(row, p, level)}
        rows += [{"verdict": "equal"} | row for row in own]
    columns = ["dataset", "model", "metric", "difference", "low", "high", "p", "images", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def agreement(table):
    """Return how far metrics agree: a square frame of Spearman's rank correlation between each two of them.

    On every photograph the models are ranked by each metric, from best to worst, and correlations are averaged over
    photographs: 1 means the same order everywhere, -1 the reverse. A metric that ranks all models equal on every
    photograph has NaN.
    """
    table = table[~table["metric"].isin(COSTS)]
    metrics, found = table["metric"].unique(), []
    for _, rows in table.groupby(["dataset", "image"], sort=False):
        values = rows.pivot(index="model", columns="metric", values="value").reindex(columns=metrics)
        signs = [1 if METRICS[metric].direction == "higher" else -1 for metric in metrics]
        with np.errstate(invalid="ignore", divide="ignore"):
            found.append((values * signs).rank().corr().to_numpy())
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")  # NaN is the answer there
        mean = np.nanmean(found, axis=0)
    return pd.DataFrame(mean, index=metrics, columns=metrics)


def _verdict(row, p, level):
    if not p <= 1 - level:
        return "unclear"
    return "better" if (row["low"] > 0) == (METRICS[row["metric"]].direction == "higher") else "worse"


def findings(table, *, reference="bicubic", models=None):
    """Return the differences from `reference` in words: a line for each model, or each of `models`, by dataset.

    A line has the mean difference in every metric of `table`, a frame of `tabulate`, and the number of photographs on
    which the model is better.
    """
    lines, differences = [], gains(table, reference=reference)
    for dataset, rows in differences.groupby("dataset", sort=False):
        count = rows["image"].nunique()
        lines.append(f"{dataset}, {count} photograph{'s' if count != 1 else ''}")
        for model, own in rows.groupby("model", sort=False):
            if models is None or model in models:
                parts = [_finding(metric, values) for metric, values in own.groupby("metric", sort=False)["difference"]]
                lines.append(f"  {model} against {reference}: {', '.join(parts)}")
    return "\n".join(lines)


def _finding(metric, differences):
    entry = METRICS[metric]
    digits = entry.decimals
    mean = round(differences.mean(), digits)
    text = f"{mean:+.{digits}f}" if mean else f"{0:.{digits}f}"
    better = int((differences > 0).sum() if entry.direction == "higher" else (differences < 0).sum())
    return f"{entry.name} {text} {entry.unit}".strip() + f" (better on {better})"


def sentences(differences):
    """Return what `intervals` concludes in words: how much stands behind it, then a line for each model.

    `differences` are rows of one dataset. The verdicts come from the best to the worst, each with its metrics, and
    these with the mean difference and its interval.
    """
    if differences.empty:
        return []
    counted = {name: int(differences[name].max()) for name in ("images", "seeds")}
    words = {"images": "photograph", "seeds": "seed"}
    found = [f"{count} {words[name]}{'s' if count != 1 else ''}" for name, count in counted.items()]
    lines = [f"{', '.join(found)}; {len(differences)} differences were tested, and Holm's correction counts them all"]
    for model, own in differences.groupby("model", sort=False):
        parts = []
        for verdict in ("better", "worse", "unclear", FEW, "equal"):
            rows = own[own["verdict"] == verdict].to_dict("records")
            if rows:
                parts.append(f"{verdict} in " + ", ".join(map(_stated, rows)) if verdict != FEW else f"{FEW} to tell")
        lines.append(f"{model}: {'; '.join(parts)}")
    return lines


def _stated(row):
    """Return a row of `intervals` in words: metric, mean difference and interval."""
    entry = METRICS[row["metric"]]
    if row["verdict"] == "equal":
        return entry.name
    mean, low, high = _rounded(row)
    return f"{entry.name} ({mean}{f' {entry.unit}'.rstrip()}, {low} to {high})"


def _rounded(row):
    """Return mean difference and ends of the interval, from a row of `intervals`, as text."""
    return (f"{row[name]:+.{decimals(row['metric'])}f}" for name in ("difference", "low", "high"))


def decimals(metric):
    """Return how many decimals of a metric are shown where differences matter."""
    return 3 if METRICS[metric].unit == "dB" else 4


def verdicts(differences):
    """Return the frame of `intervals` as text: a row per model, a column per metric.

    A cell holds the mean difference, its interval if it is finite, and the verdict.
    """

    def cell(row):
        if row["verdict"] == "equal":
            return "equal"
        mean, low, high = _rounded(row)
        interval = f" [{low}, {high}]" if np.isfinite(row["high"] - row["low"]) else ""
        return f"{mean}{interval} {row['verdict']}"

    table = differences.assign(cell=[cell(row) for row in differences.to_dict("records")])
    index = ["dataset", "model"] if table["dataset"].nunique() > 1 else ["model"]
    table = table.pivot(index=index, columns="metric", values="cell")
    return table.loc[differences.set_index(index).index.unique(), differences["metric"].unique()]
