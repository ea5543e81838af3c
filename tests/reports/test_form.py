"""form: what a training takes, and the lines that make what is changed there the parameters of a run."""

import random

import keras
import pytest

from srnb import models, runs
from srnb.models import features
from srnb.reports.controls import form
from srnb.runner import presets


def defaults(number):
    (path,) = presets.notebooks([number])
    return presets.parameters(path)


def every(widget, description):
    inside = [found for child in getattr(widget, "children", ()) for found in every(child, description)]
    return [widget, *inside] if getattr(widget, "description", None) == description else inside


def test_every_parameter_has_its_comment_and_its_group():
    for stem in ("02_pretrain", "03_gan"):
        groups = presets.described(stem)
        names = [name for group in groups.values() for name in group]
        assert names == list(defaults(stem)) and "" not in groups
        assert all(comment for group in groups.values() for comment in group.values())
    assert presets.described("02_pretrain")["The network"]["blocks"].startswith("residual blocks; the SRGAN paper")


def test_pretraining_takes_three_passes_of_the_network():
    values = defaults("02") | {"batch_size": 2, "patch_size": 32, "steps": 7}
    effort = form.pretraining(values, scale=4)
    cost = models.cost("srresnet", blocks=4, width=32, skip="bilinear", normalization="batch")
    assert effort.parameters == cost["parameters"] and effort.steps == 7
    assert effort.work == pytest.approx(3 * 2 * 32**2 * cost["multiply_adds"])
    assert form.pretraining(values | {"batch_size": 4}, scale=4).work == pytest.approx(2 * effort.work)


def test_a_game_takes_more_with_each_network_in_it():
    generator = models.build("srresnet", blocks=1, width=8)
    critic = models.build("srgan_discriminator", width=4, grid=1)
    nets = {"generator": generator, "discriminator": critic, "features": [features.build("vgg16", ["block2_conv2"])]}
    values = defaults("03")
    whole = form.game(values, **nets)
    alone = form.game(values | {"perceptual_weight": 0.0, "adversarial_weight": 0.0}, **nets)
    without = form.game(values | {"perceptual_weight": 0.0}, **nets)
    assert whole.work > without.work > alone.work > 0
    vgg = 9 * (3 * 64 + 64 * 64 + (64 * 128 + 128 * 128) / 4)  # multiply-adds for each pixel, up to block2_conv2
    pixels = values["gan_batch_size"] * values["gan_patch_size"] ** 2
    assert whole.work - without.work == pytest.approx(3 * vgg * pixels)
    judged = form.game(values | {"perceptual_weight": 0.0, "lpips_weight": 1.0}, **nets)
    assert judged.work == whole.work  # LPIPS as a loss passes through features, too
    assert whole.parameters == alone.parameters + critic.count_params()


def test_a_run_that_has_trained_tells_how_fast(tmp_path):
    run = runs.Run(tmp_path / "run")
    assert form.speed(run)[1].startswith("as fast as this machine convolves")
    values = defaults("02") | {"batch_size": 4}
    run.update(parameters={"02_pretrain": values}, data={"scale": 4})
    for rate in (10.0, 20.0, 90.0):
        run.log({"stage": "pretrain", "step": 1, "images_per_second": rate})
    effort = form.pretraining(values, scale=4)
    rate, source = form.speed(run)
    assert rate / effort.work == pytest.approx(20 / 4) and source == "as fast as notebook 2 trained"


def test_what_is_changed_becomes_lines_for_the_parameters_cell():
    groups, values = presets.described("02_pretrain"), defaults("02")
    effort = lambda values: form.pretraining(values, scale=4)
    control = form.control(groups, values, ["steps", "pixel_loss"], effort, (1e9, "<fast>"), {"pixel_loss": ["mse"]})
    said = control.children[-1]
    assert "for the parameters cell" not in said.value and "&lt;fast&gt;" in said.value
    (steps,), (loss,), (seed,) = (every(control, name) for name in ("steps", "pixel_loss", "seed"))
    assert loss.options == ("mse", "l1"), "all that there is to choose from, and what was chosen"
    before = said.value
    steps.value = 1600
    assert "steps = 1600" in said.value and "for 1,600 steps" in said.value and before != said.value
    loss.value, seed.value = "mse", 3
    pasted = said.value.split("<pre>")[1].split("</pre>")[0].replace("&#x27;", "'")
    assert presets.parameters_of(pasted) == {"steps": 1600, "pixel_loss": "mse", "seed": 3}
    (generator,) = every(control, "generator")
    generator.value = "no such"
    assert "no such" in said.value and "color:#d1495b" in said.value
    folded = control.children[-2]
    assert folded.selected_index is None and folded.titles[0] == "The run, and how long it trains"


def test_a_step_is_measured_and_nothing_else_changes():
    values = defaults("02") | {"batch_size": 2, "patch_size": 32, "blocks": 1, "width": 8}
    drawn, policy = random.getstate(), keras.config.dtype_policy()
    small = min(form.seconds_per_step(values, scale=4) for _ in range(2))
    assert 0 < small < form.seconds_per_step(values | {"batch_size": 32, "patch_size": 128, "width": 32}, scale=4)
    assert random.getstate() == drawn and keras.config.dtype_policy() is policy


def test_a_button_measures_what_the_form_shows():
    groups, values, asked = presets.described("02_pretrain"), defaults("02"), []

    def measure(values):
        asked.append(values)
        return 0.5

    effort = lambda values: form.pretraining(values, scale=4)
    control = form.control(groups, values, ["steps"], effort, (1e9, "a guess"), {}, measure)
    (steps,), (button,), said = every(control, "steps"), every(control, "measure a step here"), control.children[-2]
    steps.value = 1600
    button.click()
    assert asked == [values | {"steps": 1600}] and not button.disabled
    assert "about 2 steps a second" in said.value and "13:20" in said.value and "a guess" not in said.value


def test_what_cannot_be_measured_is_said_and_the_button_stays_usable():
    groups, values = presets.described("02_pretrain"), defaults("02")
    effort = lambda values: form.pretraining(values, scale=4)
    measure = lambda values: form.seconds_per_step(values, scale=4)
    control = form.control(groups, values, ["patch_size"], effort, (1e9, "a guess"), {}, measure)
    (size,), (button,), said = every(control, "patch_size"), every(control, "measure a step here"), control.children[-2]
    size.value = 30
    button.click()
    assert "`patch_size` must be a multiple of `scale` 4. Received: 30" in said.value
    assert not button.disabled and button.description == "measure a step here"
