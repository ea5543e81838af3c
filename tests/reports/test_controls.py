"""controls: their stills stand alone, and each answers what is asked of it; a browser sees them in tests/lab."""

import re
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from srnb import progress
from srnb.data import degrade, images, resize
from srnb.reports.controls import desk, picker, playground, pointer, still, trial


def every(widget, kind=None, **traits):
    """Return the widgets within one that are of a kind and have these traits."""
    inside = [found for child in getattr(widget, "children", ()) for found in every(child, kind, **traits)]
    own = type(widget).__name__ == kind and all(getattr(widget, name) == value for name, value in traits.items())
    return [widget, *inside] if own else inside


def one(widget, kind, **traits):
    (found,) = every(widget, kind, **traits)
    return found


def shown(output):
    """Return the HTML that an Output widget shows."""
    return "".join(each["data"]["text/html"] for each in output.outputs)


@pytest.fixture
def photograph(tmp_path):
    picture = np.random.default_rng(0).random((70, 90, 3), "float32")
    images.write(tmp_path / "photo.png", picture)
    return tmp_path / "photo.png"


def test_a_control_only_where_someone_watches(monkeypatch):
    import ipywidgets

    made, outputs = [], []
    build = lambda: made.append(ipywidgets.HTML("alive")) or made[0]
    monkeypatch.setattr(still, "display", lambda output, raw=False: outputs.append(output))
    still.show("<p>still</p>", build)
    assert len(outputs) == 1 and not made
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    still.show("<p>still</p>", build)
    assert "<p>still</p>" in outputs[1].data
    assert "application/vnd.jupyter.widget-view+json" in outputs[2] and outputs[2]["text/plain"] == ""
    assert still.ALIVE in made[0]._dom_classes


def test_names_and_notes_of_a_row_are_text():
    row = still.row({"<b>": np.zeros((4, 4, 3), "float32")}, notes={"<b>": "a & b\nc"})
    assert "<b>" not in row and "a &amp; b<br>c" in row and row.count("data:image/webp") == 1


@pytest.mark.parametrize(
    ("centre", "side", "expected"),
    [
        ((50, 40), 20, (30, 50, 40, 60)),
        ((0, 0), 20, (0, 20, 0, 20)),
        ((99, 79), 20, (60, 80, 80, 100)),
        ((50, 40), 90, (0, 80, 5, 95)),
    ],
)
def test_a_square_lies_in_the_picture(centre, side, expected):
    rows, columns = pointer.square(80, 100, centre, side)
    assert (rows.start, rows.stop, columns.start, columns.stop) == expected


def test_a_pointer_cuts_what_its_square_shows():
    picture = np.random.default_rng(0).random((600, 900, 3), "float32")
    place = pointer.Pointer(picture, 100)
    assert (place.width, place.height, place.centre) == (900, 600, (450, 300))
    assert np.array_equal(place.cut(picture), picture[250:350, 400:500])
    place.centre = (0, 600)
    assert np.array_equal(place.cut(picture), picture[500:, :100])


def test_a_photograph_is_enlarged_by_blends_and_networks(photograph, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = trial.Trial([photograph], {name: name for name in ("compact-gan", "compact-photo", "compact")}, side=24)
    control = trial.control(made, "compact-gan", 1.0)
    looked, (between, said) = one(control, "Output"), every(control, "HTML")
    assert between.value == "<small>0: compact, 1: compact-gan</small>"
    assert 'data-name="compact-gan"' in shown(looked) and "download" in said.value
    blend, network = one(control, "FloatSlider"), one(control, "Dropdown", description="network")
    blend.value = 0.5
    assert 'data-name="50% compact-gan"' in shown(looked) and 'data-name="compact-gan"' not in shown(looked)
    half = made.enlarge("compact-gan", 0.5, made.read[1][:24, :24])
    ends = [made.enlarge("compact-gan", share, made.read[1][:24, :24]) for share in (0.0, 1.0)]
    assert min(np.abs(half - end).mean() for end in ends) > 1e-4
    network.value = "compact"
    assert {'data-name="50% compact-gan"', 'data-name="compact"'} <= set(re.findall('data-name="[^"]*"', shown(looked)))
    assert blend.disabled and not between.value, "compact was trained from nothing else"
    one(control, "Pointer").centre = (12, 12)
    assert "compact-gan" not in shown(looked), "what was seen elsewhere cannot be compared"
    one(control, "Button").click()
    assert images.read(tmp_path / "photo_x4.png").shape == (280, 360, 3)
    assert '<a href="photo_x4.png" download>' in shown(looked)


def test_what_cannot_be_read_is_said(photograph):
    made = trial.Trial([photograph], {"compact": "compact"}, side=24)
    control = trial.control(made, "compact", 1.0)
    upload, (_, said) = one(control, "FileUpload"), every(control, "HTML")
    file = {"type": "image/png", "size": 5, "last_modified": datetime.now(UTC)}
    upload.value = ({"name": "no.png", "content": memoryview(b"hello"), **file},)
    assert "not an image of a known format" in said.value
    upload.value = ({"name": "../mine.png", "content": memoryview(photograph.read_bytes()), **file},)
    assert one(control, "Dropdown", description="photo").value == "mine.png" and "download" in said.value


def test_a_network_that_is_not_listed_is_refused(photograph):
    with pytest.raises(ValueError, match=r"network must be one of compact\. Received: 'compat'"):
        trial.show([photograph], {"compact": "compact"}, network="compat")


def test_known_networks_are_those_that_ship_and_trained_runs(tmp_path):
    from srnb import models, runs

    known = trial.known(tmp_path)
    assert {"compact", "compact-gan", "compact-photo"} <= known.keys()
    untrained, trained = runs.Run(tmp_path / "untrained"), runs.Run(tmp_path / "trained")
    network = models.build("srresnet", blocks=1, width=4)
    models.save_weights(network, trained.weights / "pretrained.weights.h5")
    for run in (untrained, trained):
        run.update(generator=models.resolve("srresnet", blocks=1, width=4))
    assert trial.known(tmp_path).keys() - known.keys() == {"trained"}
    made = trial.Trial([], trial.known(tmp_path), side=8)
    assert list(made.ends("trained")) == ["pretrained"] and made.label("trained", 1.0) == "trained pretrained"


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_kernel_is_what_resize_weighs_by(scale):
    """Against what one pixel of LR gets from each row of HR, all of whose columns are alike."""
    height = 2 * playground.REACH * scale + scale
    rows = np.eye(height, dtype="float32")[:, :, None, None] + np.zeros((1, 1, height, 1), "float32")
    expected = resize.imresize(rows, 1 / scale)[:, playground.REACH, 0, 0]
    found = playground.kernel("bicubic", scale=scale)
    assert found.sum() == pytest.approx(1, abs=1e-4)
    np.testing.assert_allclose(found.sum(axis=1), expected, atol=1e-5)


def test_a_spectrum_says_where_detail_is():
    for cycles in (4, 20):
        row = 0.5 + 0.4 * np.sin(2 * np.pi * cycles * np.arange(64) / 64)
        level = playground.spectrum(np.tile(row[None, :, None], (64, 1, 3)).astype("float32"))[32, :, 0]
        assert set(np.flatnonzero(level == level.max())) <= {32 - cycles, 32 + cycles}


def test_a_setting_is_seen_and_goes_to_the_parameters():
    hr = np.random.default_rng(0).random((200, 260, 3), "float32")
    control = playground.control(hr, 4, "bicubic", 0)
    said, seen = every(control, "HTML")
    pictures = [seen.value]
    one(control, "FloatSlider", description="noise").value = 20
    assert one(control, "Dropdown", description="kind").value == playground.OWN
    pictures.append(seen.value)
    one(control, "IntSlider").value = 40
    pictures.append(seen.value)
    one(control, "Dropdown", description="scale").value = 3
    pictures.append(seen.value)
    one(control, "IntText").value = 7
    pictures.append(seen.value)
    one(control, "Pointer").centre = (96, 100)
    pictures.append(seen.value)
    assert len(set(pictures)) == 6, "each of them changes the pictures"
    assert "scale = 3" in said.value and "&quot;bicubic noise20 jpeg40&quot;" in said.value
    assert degrade.find("bicubic noise20 jpeg40")["random"]
    one(control, "Text").value = "blur bicubic"
    assert "a degradation must be one of" in said.value
    one(control, "Text").value = "bicubic"
    assert "&quot;bicubic&quot;" in said.value


@pytest.fixture
def plan():
    return desk.Desk("compact", 4)


def test_the_desk_keeps_the_last_network_without_a_mistake(plan):
    before = plan.spec
    broken = before | {"body": ["k3n{width}s1", {"repeat": "nothing", "times": 2}]}
    with pytest.raises(ValueError, match=r"body\[1\]\.repeat: no block or layer named 'nothing'"):
        plan.put(broken)
    with pytest.raises(ValueError, match="4"):
        plan.put(before | {"scale": 2})
    assert plan.spec == before and plan.cost["parameters"] == 375_456


def test_a_network_is_built_on_the_desk(plan):
    lr = np.random.default_rng(0).random((60, 90, 3), "float32")
    control = desk.control(plan, lr)
    said, drawn = every(control, "HTML")
    assert "375,456" in said.value and "<svg" in drawn.value and one(control, "Pointer").side == 39
    one(control, "IntSlider", description="blocks").value = 2
    assert (
        plan.spec["blocks"] == 2
        and one(control, "Pointer").side == 15
        and "blocks: 2" in one(control, "Textarea").value
    )
    one(control, "Textarea").value = one(control, "Textarea").value.replace("relu", "rellu")
    assert "where.residual.add" in said.value and "rellu" in said.value and plan.spec["blocks"] == 2
    one(control, "Dropdown").value = "srcnn"
    assert plan.spec["name"] == "srcnn" and one(control, "IntSlider", description="blocks").disabled
    one(control, "IntSlider", description="width").value = 16
    assert plan.spec["width"] == 16 and one(control, "Dropdown").value == "of your own"


def test_runs_are_laid_over_each_other(tmp_path):
    from srnb import runs

    for number, name in enumerate(("first", "second", "third <b>")):
        run = runs.Run(tmp_path / name)
        run.update(status="complete", started=f"2026-01-0{number + 1}")
        for step in (10, 20):
            run.log({"stage": "pretrain", "step": step, "pixel": 0.1, "validation_psnr_y": 20.0 + number + step / 100})
        if number < 2:
            row = {"model": "gan", "dataset": "x", "image": "a", "metric": "psnr_y", "protocol": "p"}
            run.write_metrics(pd.DataFrame([row | {"value": 30.125 + number}]))
    (tmp_path / "second" / "metrics.csv").write_text(
        (tmp_path / "second" / "metrics.csv").read_text().replace("second", "first")  # as in a copy of the first
    )
    known = {run.name: run for run in runs.find(tmp_path)}
    control = picker.control(known, ["first"], ["psnr_y", "lpips_alex"])
    listed, seen = one(control, "SelectMultiple"), one(control, "HTML")
    assert listed.options == ("first", "second", "third <b>")
    assert seen.value.count("<polyline") == 1 and "first: 20.2 at step 20" in seen.value and "30.12" in seen.value
    listed.value = ("second",)
    assert "<td>second</td>" in seen.value and "<td>first</td>" not in seen.value
    listed.value = ("first", "third <b>")
    assert seen.value.count("<polyline") == 2 and "<b>" not in seen.value
    assert "third &lt;b&gt; has no numbers of notebook 4 yet" in seen.value
    listed.value = ()
    assert "no run is chosen" in seen.value
