"""objectives: from parameters to terms, opponents and optimizers."""

import keras
import numpy as np
import pytest
from keras import layers

from srnb import losses, models
from srnb.evaluation import metrics
from srnb.models import features
from srnb.training import objectives, optimizers

HR, SR = np.random.default_rng(0).random((2, 2, 16, 16, 3), dtype="float32")


def critic():
    image = keras.Input((None, None, 3))
    x = layers.GlobalAveragePooling2D()(layers.LeakyReLU(0.2)(layers.Conv2D(4, 3)(image)))
    return keras.Model(image, layers.Dense(1)(x))


def test_weights_of_zero_leave_nothing_behind():
    assert objectives.terms(critic(), steps=10) == ({}, [])
    assert objectives.opponent(None, optimizer=None, adversarial_weight=0.0) == {}


def test_a_perceptual_term_of_several_layers_is_their_mean_or_their_weighted_sum():
    taps = ["block1_conv1", "block2_conv2"]
    extractor = features.build("vgg16", taps)
    first, second = (float(losses.l1(a, b)) for a, b in zip(extractor(HR), extractor(SR), strict=True))
    for text, expected in (("", (first + second) / 2), ("2,0.5", 2 * first + 0.5 * second)):
        terms, frozen = objectives.terms(
            critic(), steps=1, perceptual_weight=3.0, feature_layers=", ".join(taps), feature_weights=text
        )
        weight, perceptual = terms["perceptual"]
        assert weight == 3.0 and len(frozen) == 1
        assert float(perceptual(HR, SR)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("net, metric", [("vgg16", "vgg"), ("alexnet", "alex")])
def test_lpips_as_a_loss_is_the_metric_of_its_network(net, metric):
    hr, sr = (np.kron(np.round(image[0] * 255) / 255, np.ones((4, 4, 1))) for image in (HR, SR))  # metrics round
    terms, frozen = objectives.terms(critic(), steps=1, lpips_weight=0.5, lpips_network=net)
    weight, loss = terms["lpips"]
    assert weight == 0.5 and len(frozen) == 1
    assert float(loss(hr[None], sr[None])) == pytest.approx(metrics.lpips(sr, hr, net=metric), rel=1e-5)
    luma = (hr[None, ..., :1], sr[None, ..., :1])  # what a network of one channel gives
    grey = metrics.lpips(*(np.repeat(image[0], 3, axis=-1) for image in luma), net=metric)
    assert float(loss(*luma)) == pytest.approx(grey, rel=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_feature_matching_looks_at_maps_and_not_at_the_logit(precision):
    keras.config.set_dtype_policy(optimizers.policy(precision))
    try:
        discriminator = models.build("srgan_discriminator", width=4, grid=1)
    finally:
        keras.config.set_dtype_policy("float32")
    terms, _ = objectives.terms(critic(), discriminator, steps=1, feature_matching_weight=1.0)
    maps = terms["feature_matching"][1].keywords["features"](HR)
    assert maps.shape[-1] == discriminator.get_layer("dense_2").input.shape[-1] > 1


def test_schedules_count_batches_however_seldom_the_generator_moves():
    options = {"schedule": "step", "milestones": "10, 20", "warmup": 4, "steps": 30}
    every, fifth = objectives.optimizer(1.0, **options), objectives.optimizer(1.0, every=2, **options)
    rates = [[float(o._learning_rate(update)) for update in range(30)] for o in (every, fifth)]
    assert rates[0] == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 7 + [0.5] * 10 + [0.25] * 10)
    assert rates[1][:15] == pytest.approx([0.5] + [1.0] * 4 + [0.5] * 5 + [0.25] * 5)


def test_an_opponent_brings_its_penalties():
    against = objectives.opponent(
        critic(), optimizer="adam", adversarial_weight=0.5, historical_weight=2.0, gradient_penalty_weight=10.0
    )
    assert against["adversarial"] == (0.5, losses.vanilla)
    weights = {name: weight for name, (weight, _) in against["discriminator_terms"].items()}
    assert weights == {"gradient_penalty": 10.0, "discriminator_history": 2.0}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"feature_weights": "1,2"}, "feature_weights must be as many"),
        ({"distance": "l3"}, "distance must be one of"),
        ({"feature_layers": "block9_conv1"}, "taps must be"),
        ({"feature_matching_weight": 1.0}, "must have a discriminator"),
    ],
)
def test_what_makes_no_terms_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        objectives.terms(critic(), steps=1, perceptual_weight=1.0, **options)
