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
    """Return in words how far each model, or each of `models`, lies from `reference`: a line per model, by dataset.

    Written from the numbers of `table`, that of `tabulate`: the mean difference in every metric, and on how many
    photographs the model is better.
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
    digits = 2 if entry.unit == "dB" else 4
    mean = round(differences.mean(), digits)
    text = f"{mean:+.{digits}f}" if mean else f"{0:.{digits}f}"
    better = int((differences > 0).sum() if entry.direction == "higher" else (differences < 0).sum())
    return f"{entry.name} {text} {entry.unit}".strip() + f" (better on {better})"


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
