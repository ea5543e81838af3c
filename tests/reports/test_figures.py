"""figures: what they show is checked on their artists; whether they please is a matter of looking."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.text import Text

from srnb import evaluation
from srnb.data import resize
from srnb.reports import figures


@pytest.fixture(scope="module")
def shown():
    random = np.random.default_rng(0)
    lr, hr = random.random((10, 12, 3)), random.random((40, 48, 3))
    return {"LR": lr, "bicubic": hr * 0.5, "HR": hr}


@pytest.fixture(scope="module")
def table():
    rows = [
        (model, "set", f"image{i}", metric, "", value + i)
        for metric, values in {"psnr_y": (25, 26, 24), "lpips_alex": (0.4, 0.35, 0.2)}.items()
        for model, value in zip(("bicubic", "pretrained", "gan"), values, strict=True)
        for i in range(3)
    ]
    return pd.DataFrame(rows, columns=evaluation.COLUMNS)


def test_a_strip_shows_the_same_place_at_every_scale(shown):
    figure = figures.strip(shown, box=(8, 12, 16), title="title", notes={"bicubic": "25 dB\n0.4"})
    whole, *crops = figure.axes
    assert [axis.get_title() for axis in crops] == ["LR", "bicubic", "HR"]
    for axis, picture in zip(crops, shown.values(), strict=True):
        drawn = axis.images[0]
        np.testing.assert_array_equal(drawn.get_array(), picture)  # the pixels themselves, none invented
        assert drawn.get_interpolation() == "nearest"
        assert drawn.get_extent() == [-0.5, 47.5, 39.5, -0.5]
        assert axis.get_xlim() == (11.5, 27.5) and axis.get_ylim() == (23.5, 7.5)
    assert whole.patches[-1].get_bbox().bounds == (12, 8, 16, 16)
    assert crops[1].get_xlabel() == "25 dB\n0.4"


def test_names_with_dollar_signs_are_no_formulas(shown, table):
    name = "$\\frac$"
    table = table.replace({"model": {"gan": name}})
    points = evaluation.plane(table, dataset="set")
    frame = pd.DataFrame({"file": [name], "split": name, "entropy": 5.0, "gradient": 40.0})
    drawn = [figures.strip({name: shown["HR"], "HR": shown["HR"]}, title=name), figures.gallery({name: shown["HR"]})]
    drawn += [figures.intervals(evaluation.intervals(table), evaluation.gains(table), title=name)]
    drawn += [figures.scatter(table, ["psnr_y"]), figures.perception_distortion(points, line=["pretrained", name])]
    for figure in [*drawn, figures.content(frame)]:
        assert name in [text.get_text() for text in figure.findobj(Text)]
        FigureCanvasAgg(figure).draw()


def test_a_name_that_begins_with_an_underscore_is_in_the_legend(table):
    table = table.replace({"model": {"gan": "_gan"}})
    points = evaluation.plane(table, dataset="set")
    for figure in (figures.scatter(table, ["psnr_y"]), figures.perception_distortion(points, line=["pretrained"])):
        assert "_gan" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_without_a_box_a_strip_shows_everything(shown):
    figure = figures.strip(shown)
    assert len(figure.axes) == 3 and figure.axes[0].get_xlim() == (-0.5, 47.5)


def test_a_model_has_one_colour_in_all_figures_of_a_run():
    colours = figures.palette(["bicubic", "pretrained", "gan", "50% gan", "compact"])
    assert len(set(colours.values())) == 5
    assert figures.palette(["bicubic", "pretrained", "gan", "compact"]).items() <= colours.items()
    pieces = {"bicubic": 20.0, "pretrained": 21.0, "gan": 20.5, "50% gan": 20.8, "compact": 22.0}
    points = pd.DataFrame([("set", name, 1.0, value, False) for name, value in pieces.items()])
    points.columns = ["dataset", "model", "cost", "quality", "published"]
    points.loc[points["model"] == "bicubic", "cost"] = float("nan")
    legend = figures.cost_quality(points).legends[0]
    shown = zip(legend.get_texts(), legend.legend_handles, strict=True)
    assert all(to_hex(dot.get_facecolor()[0]).upper() == colours[text.get_text()] for text, dot in shown)


def test_captions_are_the_numbers_of_the_table(table):
    assert figures.captions(table, "image1")["gan"] == "PSNR Y 25.00 dB\nLPIPS alex 1.200"


def test_the_plane_has_a_point_for_each_model_and_one_line(table):
    points = evaluation.plane(table, dataset="set")
    axis = figures.perception_distortion(points, line=["pretrained", "gan"]).axes[0]
    dots = axis.collections
    assert [each.get_label() for each in dots] == ["bicubic", "pretrained", "gan"]
    np.testing.assert_allclose(np.concatenate([each.get_offsets() for each in dots]), points.to_numpy())
    np.testing.assert_allclose(axis.lines[0].get_xydata(), points.loc[["pretrained", "gan"]].to_numpy())


def test_quality_against_cost_names_networks_of_papers_and_marks_ours_where_only_they_were_measured():
    rows = [("mine", "bicubic", np.nan, 25.0, False), ("mine", "gan", 16.0, 26.0, False)]
    rows += [("Set5", "SRResNet", 127.8, 32.05, True), ("Set5", "EDSR", 2894.5, 32.46, True)]
    points = pd.DataFrame(rows, columns=["dataset", "model", "cost", "quality", "published"])
    figure = figures.cost_quality(points)
    ours, theirs = figure.axes
    assert ours.collections[0].get_offsets().tolist() == [[16.0, 26.0]] and ours.lines[0].get_ydata()[0] == 25.0
    assert [text.get_text() for text in theirs.texts] == ["SRResNet", "EDSR", " ours"]
    assert len(theirs.patches) == 1 and theirs.get_xlim() == ours.get_xlim() and theirs.get_title() == "Set5, published"
    assert "gan 16" in figure.alt and "SRResNet, EDSR" in figure.alt


def boxes(figure):
    FigureCanvasAgg(figure).draw()
    return {text.get_text(): text.get_window_extent() for text in figure.axes[-1].texts}


def test_names_of_dots_cover_neither_each_other_nor_dots_and_are_not_cut_off():
    published = evaluation.published_values(datasets=["Set5"])
    points = evaluation.cost_plane(pd.DataFrame(columns=evaluation.COLUMNS), published)
    files = {"camera": (7.24, 395), "astronaut": (7.45, 420), "coffee": (7.66, 465), "motorcycle_left": (7.72, 540)}
    photographs = pd.DataFrame(files.values(), columns=["entropy", "gradient"]).assign(file=list(files), split="train")
    drawn = [figures.cost_quality(points), figures.content(photographs)]
    for figure in drawn:
        axis, placed = figure.axes[-1], boxes(figure)
        assert len(placed) >= 4
        for name, box in placed.items():
            assert not box.count_overlaps([other for key, other in placed.items() if key != name]), name
            assert figure.bbox.contains(*box.min) and figure.bbox.contains(*box.max), name
            for dots in axis.collections:
                assert not any(box.contains(*place) for place in axis.transData.transform(dots.get_offsets())), name


def test_what_lies_beyond_lr_is_not_struck_through():
    frequencies = np.linspace(0.01, 0.5, 50)
    figure = figures.spectra({"gan": (frequencies, frequencies), "HR": (frequencies, frequencies)}, limit=0.125)
    level = figure.axes[0].transData.transform((0, 1))[1]
    assert boxes(figure)[" beyond LR"].y1 < level


def test_maps_of_a_row_share_their_scale_and_spectra_stand_beside_hr(shown):
    pictures = {"bicubic": shown["bicubic"], "gan": shown["HR"]}
    errors = {"bicubic": np.full((40, 48), 4.0), "gan": np.full((40, 48), 2.0)}
    figure = figures.differences(pictures, errors, errors, title="chelsea")
    maps = [axis.images[0] for axis in figure.axes if axis.images and axis.images[0].get_array().ndim == 2][:4]
    assert {each.get_clim() for each in maps} == {(0.0, 4.0)} and "gan 2 grey levels" in figure.alt
    frequencies = np.linspace(0.01, 0.5, 50)
    curves = {"bicubic": (frequencies, np.full(50, 0.5)), "HR": (frequencies, np.full(50, 2.0))}
    figure = figures.spectra(curves, limit=0.125)
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), 0.25)
    assert "bicubic 0.25" in figure.alt


def test_agreement_is_written_into_its_cells():
    frame = pd.DataFrame([[1, 0.25], [0.25, np.nan]], index=["psnr_y", "dists"], columns=["psnr_y", "dists"])
    figure = figures.agreement(frame)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "0.25", "0.25", "–"]
    assert "DISTS and PSNR Y 0.25" in figure.alt


def test_the_scatter_sets_every_model_against_the_reference(table):
    axis = figures.scatter(table, ["psnr_y", "lpips_alex"]).axes[0]
    np.testing.assert_allclose(axis.collections[1].get_offsets(), [(25 + i, 24 + i) for i in range(3)])
    assert "above" in axis.get_title() and "below" in axis.figure.axes[1].get_title()


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_kernels_are_those_of_the_resize_and_only_one_lets_aliases_through(scale):
    left, right = figures.kernels(scale).axes
    antialiased, interpolated = (dots.get_offsets() for dots in left.collections)
    for taps, narrowing in ((antialiased, 1 / scale), (interpolated, 1)):
        weights = resize.kernel(taps[:, 0], scale=narrowing)
        np.testing.assert_allclose(taps[:, 1], weights / weights.sum(), atol=1e-12)
    assert np.abs(antialiased[:, 0]).max() > (scale - 1) * 2 > np.abs(interpolated[:, 0]).max() - 2
    passing, aliasing = (line.get_ydata() for line in right.lines[:2])
    assert passing[0] == pytest.approx(1) and aliasing[0] == pytest.approx(1)
    beyond = right.lines[0].get_xdata() > 0.75 / scale
    assert passing[beyond].max() < 0.25 and aliasing[beyond].max() > 2 * passing[beyond].max()


def drawn(table, shown):
    gains = evaluation.gains(table)
    points = evaluation.plane(table, dataset="set")
    log = pd.DataFrame({"stage": "gan", "step": [1, 2], "pixel": [0.5, 0.1], "real_logit": 1.0, "fake_logit": 0.0})
    yield figures.strip(shown, box=(8, 12, 16), title="title", notes={"bicubic": "25 dB"})
    yield figures.perception_distortion(points, line=["pretrained", "gan"])
    yield figures.scatter(table, ["psnr_y", "lpips_alex"])
    yield figures.intervals(evaluation.intervals(table), gains, title="title")
    yield figures.rates(log.assign(learning_rate=[1e-3, 1e-2]), chosen=1e-3)
    yield figures.rehearsals({"one": log})
    yield figures.kernels(2)


def test_figures_suit_a_dark_page_and_a_light_one(table, shown):
    ours = {*figures.COLOURS, figures.INK}
    for figure in drawn(table, shown):
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())
        assert pixels[0, 0, 3] == 0  # transparent
        texts = [text for text in figure.findobj(Text) if text.get_text()]
        assert texts and {text.get_color() for text in texts} <= ours
        opaque = pixels[pixels[..., 3] > 250][:, :3].astype(int)
        photographs = len([axis for axis in figure.axes if axis.images])
        assert photographs or opaque.max(axis=1).min() > 60  # nothing is drawn in black
    assert matplotlib.rcParams["text.color"] == "black"  # of the process nothing was changed


def test_text_stays_readable_however_many_pictures_there_are(shown):
    names = [f"model {number}" for number in range(9)]
    figure = figures.strip({name: shown["HR"] for name in names}, box=(8, 12, 16))
    assert figure.get_size_inches()[0] <= figures.WIDEST
    assert min(text.get_fontsize() for text in figure.findobj(Text) if text.get_text()) >= 7
    wide, _ = figures.new(20, 6)
    assert wide.get_size_inches().tolist() == [10, 3]


def test_dots_of_the_scatter_are_named(table):
    axis = figures.scatter(table, ["psnr_y"]).axes[0]
    assert [text.get_text() for text in axis.texts] == ["image0", "image1", "image2"]
    many = pd.concat([table.assign(image=table["image"] + str(number)) for number in range(5)])
    assert not figures.scatter(many, ["psnr_y"]).axes[0].texts


def test_the_interval_figure_has_a_line_and_a_dot_for_each_photograph(table):
    table = table[table["metric"] == "psnr_y"]
    few = figures.intervals(evaluation.intervals(table), evaluation.gains(table)).axes[0]
    assert not any(np.isfinite(line.get_xdata()).any() for line in few.lines[1:])
    table = pd.concat([table.assign(image=table["image"] + part) for part in "abcd"])
    differences = evaluation.intervals(table)
    axis = figures.intervals(differences, evaluation.gains(table)).axes[0]
    psnr = differences[differences["metric"] == "psnr_y"]
    np.testing.assert_allclose([line.get_xdata() for line in axis.lines[1:]], psnr[["low", "high"]])
    means, dots = axis.collections[::2], axis.collections[1::2]
    np.testing.assert_allclose([dot.get_offsets()[0, 0] for dot in means], psnr["difference"])
    assert [len(dot.get_offsets()) for dot in dots] == [12, 12]
    assert axis.lines[1].get_color() == figures.COLOURS[2] and axis.lines[2].get_color() == figures.COLOURS[1]


def test_figures_are_unknown_to_pyplot(shown):
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    figures.strip(shown)
    assert plt.get_fignums() == before
