"""Is one model better than another, or do they only differ by chance?"""

import numpy as np
import pandas as pd

from srnb.evaluation.metrics import METRICS
from srnb.evaluation.tables import SPEED


def gains(table, *, reference="bicubic"):
    """Return how far each model lies from `reference` on every image: dataset, model, metric, image, difference.

    `table` is that of `tabulate`. Time is left out. Raises ValueError unless the models were measured on the same
    images.
    """
    if reference not in set(table["model"]):
        raise ValueError(f"reference must be a model of the table. Received: {reference!r}")
    parts = []
    for (dataset, metric), values in table.groupby(["dataset", "metric"], sort=False):
        values = values.pivot(index="image", columns="model", values="value")
        if metric == SPEED or reference not in values:
            continue
        if values.isna().any(axis=None):
            lacking = ", ".join(values.columns[values.isna().any()])
            raise ValueError(f"models must be measured on the same images. Received: some are missing for {lacking}")
        for model in [name for name in table["model"].unique() if name in values and name != reference]:
            rows = (values[model] - values[reference]).rename("difference").reset_index()
            parts.append(rows.assign(dataset=dataset, model=model, metric=metric))
    columns = ["dataset", "model", "metric", "image", "difference"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def bootstrap(table, *, reference="bicubic", level=0.95, samples=10000, seed=0):
    """Return how much each model differs from `reference`, with a paired bootstrap interval of the mean difference.

    Images are drawn with replacement, the same for both models. One row per dataset, model and metric: difference, low,
    high, images, and verdict: better, worse, equal when no image differs at all, or unclear when the interval holds
    zero or there is only one image.
    """
    random, rows = np.random.default_rng(seed), []
    for (dataset, metric), differences in gains(table, reference=reference).groupby(["dataset", "metric"], sort=False):
        images = differences["image"].nunique()
        drawn = random.integers(images, size=(samples, images))
        for model, difference in differences.groupby("model", sort=False)["difference"]:
            difference = difference.to_numpy()
            low, high = np.quantile(difference[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
            verdict = "unclear" if difference.any() else "equal"
            if images > 1 and low * high > 0:
                verdict = "better" if (low > 0) == (METRICS[metric].direction == "higher") else "worse"
            rows.append((dataset, model, metric, difference.mean(), low, high, images, verdict))
    columns = ["dataset", "model", "metric", "difference", "low", "high", "images", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def findings(table, *, reference="bicubic", models=None):
    """Return a sentence for each dataset and model: its mean difference from `reference` in every metric, in words.

    It is written from the numbers of `table`, that of `tabulate`, and says on how many photographs a model is better.
    """
    sentences = []
    differences = gains(table, reference=reference)
    for (dataset, model), rows in differences.groupby(["dataset", "model"], sort=False):
        parts = []
        for metric, values in rows.groupby("metric", sort=False)["difference"]:
            entry = METRICS[metric]
            better = int((values > 0).sum() if entry.direction == "higher" else (values < 0).sum())
            parts.append(f"{entry.name} {text(values.mean(), metric)} (better on {better})")
        if models is None or model in models:
            count = rows["image"].nunique()
            photographs = f"{count} photograph{'s' if count != 1 else ''}"
            sentences.append(f"{model} against {reference}, {photographs} of {dataset}: {', '.join(parts)}.")
    return "\n".join(sentences)


def text(difference, metric):
    """Return a difference with its sign and unit: to a hundredth of a decibel, otherwise to four digits."""
    entry = METRICS[metric]
    return f"{difference:+.{2 if entry.unit == 'dB' else 4}f} {entry.unit}".strip()


def verdicts(differences):
    """Return the rows of `bootstrap` to be read: a row for each model, a column for each metric.

    A cell says the mean difference, its interval, and the verdict.
    """

    def cell(row):
        if row["verdict"] == "equal":
            return "equal"
        digits = 3 if METRICS[row["metric"]].unit == "dB" else 4
        mean, low, high = (f"{row[name]:+.{digits}f}" for name in ("difference", "low", "high"))
        return f"{mean} [{low}, {high}] {row['verdict']}"

    table = differences.assign(cell=[cell(row) for row in differences.to_dict("records")])
    index = ["dataset", "model"] if table["dataset"].nunique() > 1 else ["model"]
    table = table.pivot(index=index, columns="metric", values="cell")
    return table.loc[differences.set_index(index).index.unique(), differences["metric"].unique()]
