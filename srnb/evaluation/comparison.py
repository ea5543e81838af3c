"""Is one model better than another, or do they only differ by chance?"""

import numpy as np
import pandas as pd

from srnb.evaluation.metrics import METRICS
from srnb.evaluation.tables import SPEED


def bootstrap(table, *, reference="bicubic", level=0.95, samples=10000, seed=0):
    """Return how much each model differs from `reference`, with a paired bootstrap interval of the mean difference.

    Images are drawn with replacement, the same for both models. One row per dataset, model and metric: difference, low,
    high, images, and verdict: better, worse, or unclear when the interval holds zero or there is only one image.
    """
    if reference not in set(table["model"]):
        raise ValueError(f"reference must be a model of the table. Received: {reference!r}")
    random, rows = np.random.default_rng(seed), []
    for (dataset, metric), values in table.groupby(["dataset", "metric"], sort=False):
        values = values.pivot(index="image", columns="model", values="value")
        if metric == SPEED or reference not in values:
            continue
        drawn = random.integers(len(values), size=(samples, len(values)))
        for model in [name for name in table["model"].unique() if name in values and name != reference]:
            difference = (values[model] - values[reference]).to_numpy()
            low, high = np.quantile(difference[drawn].mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
            verdict = "unclear"
            if len(values) > 1 and low * high > 0:
                verdict = "better" if (low > 0) == (METRICS[metric].direction == "higher") else "worse"
            rows.append((dataset, model, metric, difference.mean(), low, high, len(values), verdict))
    columns = ["dataset", "model", "metric", "difference", "low", "high", "images", "verdict"]
    return pd.DataFrame(rows, columns=columns)
