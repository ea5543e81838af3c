"""What is better than what, and whether metrics agree on it."""

from textwrap import fill

from matplotlib.ticker import MaxNLocator

from srnb.evaluation.metrics import METRICS
from srnb.reports.figures.drawing import COLOURS, INK, label, new, themed


@themed
def intervals(differences, gains, *, title="", dot="photographs"):
    """Draw for each metric the interval of every model's mean difference, where there are enough photographs for one.

    A small dot stands for each row of `gains`: a photograph and seed, or what else `dot` says that it is.

    `differences` and `gains` are the frames of `evaluation.intervals` and `evaluation.gains` of one dataset.
    """
    metrics, models = differences["metric"].unique(), differences["model"].unique()
    colours = dict.fromkeys(differences["verdict"], INK) | {"better": COLOURS[2], "worse": COLOURS[1]}
    size = 2.9 * len(metrics) + 1, 0.9 + 0.32 * len(models)
    figure, axes = new(*size, columns=len(metrics), sharey=True, squeeze=False)
    figure.suptitle(title)
    lines = {model: number for number, model in enumerate(models)}
    for axis, metric in zip(axes[0], metrics, strict=True):
        axis.axvline(0, color=INK, linewidth=0.8)
        dots = gains[gains["metric"] == metric]
        for row in differences[differences["metric"] == metric].itertuples():
            line = lines[row.model]
            axis.plot([row.low, row.high], [line] * 2, color=colours[row.verdict], linewidth=2.5, zorder=3)
            axis.scatter(row.difference, line, s=26, color=colours[row.verdict], zorder=4)
            values = dots.loc[dots["model"] == row.model, "difference"]
            axis.scatter(values, [line + 0.3] * len(values), s=6, color=INK, linewidths=0, zorder=5)
        axis.set_title(label(metric))
        axis.xaxis.set_major_locator(MaxNLocator(4))  # more labels of four digits would touch
    axes[0, 0].set_yticks(range(len(models)), models, parse_math=False)
    axes[0, 0].set_ylim(len(models) - 0.45, -0.55)  # first on top, and the small dots of the last above the axis
    counts = ", ".join(f"{count} {verdict}" for verdict, count in differences["verdict"].value_counts().items())
    return figure.described(
        f"{title or 'Mean differences'}: bars are intervals of the mean difference, small dots single {dot}; "
        "grey is unclear, also beside zero where many differences were tested.",
        f"Intervals of {', '.join(models)} in {', '.join(METRICS[metric].name for metric in metrics)}: {counts}.",
    )


@themed
def agreement(frame):
    """Draw the frame of `evaluation.agreement`: blue is the same order of models, red the reverse."""
    names = [METRICS[metric].name for metric in frame.index]
    figure, axis = new(1.5 + 0.85 * len(names), 0.8 + 0.5 * len(names))
    axis.imshow(frame.to_numpy(), cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for row, values in enumerate(frame.to_numpy()):
        for column, value in enumerate(values):
            ink = "white" if abs(value) > 0.6 else "black"
            axis.text(
                column, row, f"{value:.2f}" if value == value else "–", ha="center", va="center", color=ink, fontsize=9
            )
    axis.set_xticks(range(len(names)), [fill(name, 10) for name in names])
    axis.set_yticks(range(len(names)), names)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)
    pairs = [
        f"{names[row]} and {names[column]} {frame.iat[row, column]:.2f}"
        for row in range(len(names))
        for column in range(row)
    ]
    return figure.described(
        "How far metrics agree on the order of models: rank correlation on each photograph, averaged.",
        f"Table of rank correlations: {'; '.join(pairs)}.",
    )
