"""Models and photographs as dots of a plane."""

from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from srnb.evaluation.metrics import METRICS
from srnb.reports.figures.drawing import COLOURS, INK, apart, dashed, label, named, new, palette, themed


@themed
def perception_distortion(points, *, line=()):
    """Draw the perception-distortion plane (Blau & Michaeli 2018); `points` is the frame of `evaluation.plane`.

    `line` names models to be joined in this order: a network, its interpolations, the other network.
    """
    figure, axis = new(5.8, 3.6)
    axis.plot(*points.loc[list(line)].to_numpy().T, color=INK, linewidth=1, zorder=1)
    between, dots = points.loc[list(line[1:-1])], []  # named: a legend that finds them by itself leaves out "_name"
    colours = palette(points.index)
    for name, row in points.drop(between.index).iterrows():
        dots.append(axis.scatter(*row, s=54, color=colours[name], label=name, zorder=3))
    if len(between):
        dots.append(axis.scatter(*between.to_numpy().T, s=18, color=INK, label="blends of the two", zorder=2))
    axis.set_xlabel("RMSE on Y (grey levels) ↓")
    axis.set_ylabel(label(points.columns[1]))
    axis.margins(0.15)
    figure.legend(handles=dots, loc="outside right upper")
    said = "; ".join(f"{name} {x:.2f} and {y:.3f}" for name, (x, y) in points.iterrows())
    return figure.described(
        "Perception against distortion: further left is nearer to the truth, further down looks more like a photo.",
        f"Scatter of {len(points)} models, RMSE across and {METRICS[points.columns[1]].name} up: {said}.",
    )


@themed
def cost_quality(points, *, quality="psnr_y"):
    """Draw quality against multiply-adds, a panel for each dataset; `points` is the frame of `evaluation.cost_plane`.

    Networks of papers are grey and named in place, bicubic is a dashed line. On a set that only papers have measured, a
    band stands for what our networks cost.
    """
    panels = list(points.groupby("dataset", sort=False))
    ours = points[~points["published"]].dropna(subset=["cost"]).drop_duplicates("model").set_index("model")["cost"]
    colours = palette(["bicubic", *ours.index])  # those of the other figures
    limits = points["cost"].min() / 3, points["cost"].max() * 3
    figure, axes = new(3 * len(panels) + 1.2, 3.2, columns=len(panels), squeeze=False)
    for axis, (dataset, rows) in zip(axes[0], panels, strict=True):
        known, theirs = (rows[rows["published"] == side].dropna(subset=["cost"]) for side in (False, True))
        for row in known.itertuples():
            axis.scatter(row.cost, row.quality, s=54, color=colours[row.model], zorder=3)
        for row in theirs.sort_values(["cost", "quality"], ascending=[True, False]).itertuples():
            axis.scatter(row.cost, row.quality, s=18, color=INK, zorder=2)
            named(axis, row.model, (row.cost, row.quality))
        for level in rows.loc[rows["model"] == "bicubic", "quality"]:
            dashed(axis, level, "bicubic", upright=False)
        if known.empty and len(ours):
            axis.axvspan(ours.min() / 1.1, ours.max() * 1.1, color=INK, alpha=0.2, linewidth=0)
            axis.annotate(" ours", (ours.max() * 1.1, 0.96), xycoords=("data", "axes fraction"))
        axis.set(xscale="log", xlim=limits)
        axis.xaxis.set_major_locator(LogLocator(subs=(1,) if limits[1] > 100 * limits[0] else (1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_title(f"{dataset}, published" if rows["published"].all() else dataset)
        axis.set_xlabel("multiply-adds for 1280x720 (10⁹) ↓")
        axis.margins(0.15)
    axes[0, 0].set_ylabel(label(quality))
    handles = [axes[0, 0].scatter([], [], s=54, color=colours[model], label=model) for model in ours.index]
    figure.legend(handles=handles, loc="outside right upper")
    apart(figure)
    said = "; ".join(f"{model} {cost:,.4g}" for model, cost in ours.items())
    names = ", ".join(points.loc[points["published"], "model"].unique())
    return figure.described(
        "What quality costs: further left is less work, further up nearer to the truth; networks of papers are grey.",
        f"{METRICS[quality].name} against multiply-adds on {', '.join(dataset for dataset, _ in panels)}. "
        f"Multiply-adds in 10⁹: {said}.{f' From papers: {names}.' if names else ''}",
    )


@themed
def scatter(table, metrics, *, reference="bicubic"):
    """Draw for each metric the value of every model against that of `reference`, one dot per image.

    On the line a model equals the reference; it is better on the side that the title names. Images are named if there
    are no more than a dozen.
    """
    figure, axes = new(3.5 * len(metrics), 3.6, columns=len(metrics), squeeze=False)
    models = [name for name in table["model"].unique() if name != reference]
    colours = palette([reference, *models])
    for axis, metric in zip(axes[0], metrics, strict=True):
        values = table[table["metric"] == metric].pivot(index=["dataset", "image"], columns="model", values="value")
        for name in models:
            axis.scatter(values[reference], values[name], s=18, color=colours[name], alpha=0.8, label=name, zorder=2)
        names = values.index.get_level_values("image") if len(values) <= 12 else ()
        for name, (_, row) in zip(names, values.iterrows(), strict=False):
            place = row[reference], row[models].max()
            axis.annotate(name, place, xytext=(0, 5), textcoords="offset points", fontsize=7, ha="center")
        axis.margins(0.15)
        axis.axline((values[reference].min(), values[reference].min()), slope=1, color=INK, linewidth=1, zorder=1)
        axis.set_title(f"{label(metric)}, better {'above' if METRICS[metric].direction == 'higher' else 'below'}")
        axis.set_xlabel(reference)
    axes[0][0].set_ylabel("model")
    dots = [dot for dot in axes[0][0].collections if dot.get_label() in models]
    figure.legend(handles=dots, loc="outside lower center", ncols=len(models))
    listed = " and ".join(METRICS[metric].name for metric in metrics)
    return figure.described(
        f"Photograph by photograph, {listed} against {reference}; on the line both are equal.",
        f"Scatter for {listed}: {', '.join(models)} against {reference}, a dot for each photograph.",
    )


@themed
def content(table):
    """Draw photographs by how much there is to learn from them; `table` has file, split, entropy, gradient."""
    figure, axis = new(6.4, 3.4)
    for (split, rows), colour, marker in zip(table.groupby("split", sort=False), COLOURS, "os", strict=False):
        axis.scatter(rows["entropy"], rows["gradient"], color=colour, marker=marker, label=split)
        for row in rows.itertuples() if len(table) <= 40 else ():
            named(axis, row.file, (row.entropy, row.gradient))
    axis.set(xlabel="entropy of grey levels (bits)", ylabel="gradient energy (levels²)", yscale="log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_locator(NullLocator())
    axis.margins(0.08)
    axis.legend()
    apart(figure)
    splits = ", ".join(f"{count} {split}" for split, count in table["split"].value_counts().items())
    return figure.described(
        "How much there is to learn from each photograph: entropy of its grey levels, and energy of its gradient.",
        f"Scatter of photographs, {splits}, entropy across and gradient energy up.",
    )
