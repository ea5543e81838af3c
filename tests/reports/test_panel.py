"""panel: what a training shows is what it logged, needs nothing but itself, and keeps the reader's place."""

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import partial
from html.parser import HTMLParser

import keras
import numpy as np
import pytest
from keras import layers, ops

from srnb import losses, runs, training
from srnb.reports import charts, panel, report

REFERENCE = {"psnr_y": 20.25}
CROPS = {name: np.full((8, 8, 3), value, "float32") for name, value in (("bicubic", 0.3), ("HR", 0.6))}


def batches(first):
    while True:
        hr = np.random.default_rng(first).random((4, 8, 8, 3), dtype="float32")
        yield hr.reshape(4, 4, 2, 4, 2, 3).mean((2, 4)), hr
        first += 1


def game():
    keras.utils.set_random_seed(0)
    lr, image = keras.Input((None, None, 3)), keras.Input((None, None, 3))
    return training.Trainer(
        keras.Model(lr, layers.Conv2DTranspose(3, 2, strides=2)(layers.Conv2D(4, 3, padding="same")(lr))),
        terms={"pixel": (1.0, losses.l1)},
        generator_optimizer=keras.optimizers.Adam(1e-2),
        discriminator=keras.Model(image, layers.Conv2D(1, 3)(image)),
        adversarial=(0.1, losses.vanilla),
        discriminator_optimizer=keras.optimizers.Adam(1e-2),
    )


def trained(folder, steps=40, view=None):
    """A game of some steps, with a picture at every second one."""
    run, subject = runs.Run(folder), game()
    lr, hr = next(batches(99))

    def validate(network):
        return {"psnr_y": float(-10 * np.log10(np.mean((ops.convert_to_numpy(network(lr)) - hr) ** 2)))}

    subject.fit(
        batches,
        steps=steps,
        run=run,
        stage="gan",
        log_every=2,
        validate=validate,
        picture=lambda network: ops.convert_to_numpy(network(lr))[0].clip(0, 1),
        validate_every=2,
        checkpoint_every=steps,
        view=view and view(run),
    )
    return run


class Page(HTMLParser):
    """Tags that must close do, in order; what has been met is kept."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.backends
def test_the_panel_holds_what_was_logged(tmp_path):
    shown = partial(panel.Panel, stage="gan", reference=REFERENCE, crops=CROPS)
    view = shown(runs.Run(tmp_path / "run"))
    run = trained(tmp_path / "run", view=lambda run: view)
    log, page = run.read_log(), Page(view())
    said = [svg["aria-label"] for svg in page.named("svg")]
    psnr, pixel = log["validation_psnr_y"], log["pixel"]
    assert said[0] == f"PSNR Y (dB), held out over 40 steps, from {psnr[0]:.4g} to {psnr[19]:.4g}; bicubic 20.25"
    assert f"pixel over 40 steps, from {pixel[0]:.4g} to {pixel[19]:.4g}" in said
    (balance,) = [text for text in said if text.startswith("mean logit")]
    for name in ("real_logit", "fake_logit"):
        assert f"from {log[name][0]:.3g} to {log[name][19]:.3g}" in balance
    moments = [image for image in page.named("img") if "data-step" in image]
    assert [len(moments), moments[0]["data-step"], moments[-1]["data-step"]] == [panel.FRAMES, "2", "40"]
    assert [image["alt"] for image in page.named("img") if "data-step" not in image] == ["bicubic", "HR"]
    assert all(image["src"].startswith("data:image/webp;base64,") for image in page.named("img"))
    assert "http" not in re.sub(r"base64,[^\"]*", "", view()), "nothing is asked for from elsewhere"
    assert len(view()) < 60_000


def test_it_is_drawn_anew_only_when_something_is_new(tmp_path):
    run = runs.Run(tmp_path / "run")
    view = panel.Panel(run, "gan", crops=CROPS)
    assert "<svg" not in view() and 'alt="HR"' in view()
    for step in (1, 2):
        run.log({"stage": "gan", "step": step, "pixel": 1.0 / step, "notice": "colours <drift>"})
    drawn = view()
    assert view() is drawn and "pixel over 2 steps" in drawn and "step 2: colours &lt;drift&gt;" in drawn
    run.log({"stage": "gan", "step": 3, "pixel": 0.1})
    assert "pixel over 3 steps" in view()


def test_report_and_panel_draw_the_same(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.update(status="complete", notebooks={})
    view = panel.Panel(run, "gan", crops=CROPS)
    view()
    for step in (2, 4):
        run.log({"stage": "gan", "step": step, "pixel": 1.0 / step, "real_logit": 0.5, "fake_logit": -0.5 * step})
        shutil.copy(run.figures / "gan-crop-HR.png", run.figures / f"gan-{step:08d}.png")
    drawings = re.findall(r"<svg.*?</svg>", view())
    text = report.render(run).read_text()
    assert len(drawings) == 2 and all(drawing in text for drawing in drawings)
    assert text.count("data-step=") == 2 and 'alt="bicubic"' in text
    for drawing in drawings:
        ET.fromstring(drawing)


def test_curves_of_another_stage_are_not_in_the_way(tmp_path):
    run = runs.Run(tmp_path / "run")
    run.log({"stage": "pretrain", "step": 2, "pixel": 1.0})
    run.log({"stage": "pretrain", "step": 4, "pixel": 0.5})
    run.log({"stage": "gan", "step": 2, "pixel": 0.4, "real_logit": 0.0, "fake_logit": 0.0})
    pretrain, gan = charts.of_log(run.read_log())
    assert [chart["kind"] for chart in pretrain["charts"]] == ["term"]
    assert [chart["kind"] for chart in gan["charts"]] == ["balance"]


LIVE = """
import sys
sys.path.insert(0, sys.argv[1])
from IPython.core.interactiveshell import InteractiveShell
shell, sent = InteractiveShell.instance(), []
shell.kernel = True
shell.display_pub.publish = lambda data, metadata=None, transient=None, update=False, **_: sent.append(
    (update, transient["display_id"], data["text/html"], data["text/plain"]))
import test_panel
from srnb.reports import panel
run = test_panel.trained(sys.argv[2], 20, lambda run: panel.Panel(run, "gan"))
print(len({identity for _, identity, _, _ in sent}), [update for update, *_ in sent].count(False))
print(*[line for *_, line in sent], sep="\\n")
(sys.argv[3:] and open(sys.argv[3], "w").write(sent[-1][2]))
"""


@pytest.mark.parametrize("headless", ["", "1"], ids=["watched", "headless"])
def test_one_display_renews_itself_and_stays_as_it_was_last(tmp_path, monkeypatch, headless):
    monkeypatch.setenv("SRNB_HEADLESS", headless)
    command = [sys.executable, "-c", LIVE, __file__.rpartition("/")[0], tmp_path / "run", tmp_path / "last.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("gan 10:", "gan 12:"))]
    at = lines.index("1 1")
    shown, printed = lines[at + 1 :], lines[:at]
    assert shown[-1].startswith("gan 20/20")
    assert any("compiling the training step" in line for line in (printed if headless else shown))
    assert (len(shown) == 1) == bool(headless), "a batch pays for the last state only"
    last = (tmp_path / "last.html").read_text()
    assert "pixel over 20 steps" in last and 'data-step="20"' in last


@pytest.fixture
def page(tmp_path, open_page):
    run = runs.Run(tmp_path / "run")
    view = panel.Panel(run, "gan", crops=CROPS)
    view()
    for step in (2, 4, 6):
        shutil.copy(run.figures / "gan-crop-HR.png", run.figures / f"gan-{step:08d}.png")
    (tmp_path / "index.html").write_text('<!DOCTYPE html><div id="cell"></div>')
    page = open_page(tmp_path / "index.html", size=(900, 700))

    def renew():
        """Put the panel in its place again, as Lab does."""
        page.evaluate(
            """(text) => {
              const host = document.querySelector("#cell");
              host.innerHTML = text;
              host.querySelectorAll("script").forEach((old) => {
                const script = document.createElement("script");
                script.textContent = old.textContent;
                old.replaceWith(script);
              });
            }""",
            view(),
        )

    page.renew, page.run = renew, run
    renew()
    return page


def test_the_slider_goes_through_time_and_outlives_a_renewal(page):
    caption, slider = page.locator(".moments figcaption"), page.locator(".crop input")
    assert caption.inner_text() == "step 6" and page.locator(".moments img:visible").count() == 1
    slider.focus()
    page.keyboard.press("ArrowLeft")
    assert caption.inner_text() == "step 4"
    page.renew()
    assert caption.inner_text() == "step 4"
    page.keyboard.press("ArrowLeft")
    assert caption.inner_text() == "step 2", "the focus is kept"
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 2, middle)
    page.mouse.down()
    page.renew()
    page.mouse.move(box["x"] + box["width"] / 2, middle, steps=3)
    assert caption.inner_text() == "step 4", "the grip is kept"
    page.mouse.move(box["x"] + box["width"], middle, steps=3)
    page.mouse.up()
    page.mouse.move(box["x"], middle)
    assert caption.inner_text() == "step 6"
    shutil.copy(page.run.figures / "gan-crop-HR.png", page.run.figures / "gan-00000008.png")
    page.renew()
    assert caption.inner_text() == "step 8", "at its end the slider stays with what is newest"
