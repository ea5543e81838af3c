"""The objectives and optimizers of both players, from the parameters of a notebook.

Arguments have the names of the parameters, without the prefix of the stage. A weight of zero removes a term and its
feature network.
"""

import inspect
from functools import partial

import keras

from srnb import backend, losses
from srnb.models import features
from srnb.training import optimizers


def require(parameters):
    """Raise ValueError or OSError unless the objectives and optimizers of a notebook's `parameters` can be made.

    Downloads the weights of a feature network that Keras does not bundle. Terms that take a network are left out.
    """
    stage = "gan_" if "gan_steps" in parameters else ""

    def made(function, *networks, **fixed):
        named = {
            name: parameters[key]
            for name in inspect.signature(function).parameters
            for key in (name, stage + name)  # the stage's own comes last and holds
            if key in parameters
        }
        return function(*networks, **(named | fixed))

    made(optimizer, precision=backend.precision(parameters["precision"]))
    if stage:
        made(terms, None, historical_weight=0.0, feature_matching_weight=0.0)
        made(losses.adversarial_loss, name=parameters["adversarial_loss"])
    else:
        made(losses.pixel_loss, name=parameters["pixel_loss"])


def terms(
    generator,
    discriminator=None,
    *,
    steps,
    discriminator_steps=1,
    pixel_weight=0.0,
    pixel_loss="l1",
    perceptual_weight=0.0,
    feature_network="vgg16",
    feature_layers="block2_conv2",
    feature_weights="",
    before_activation=False,
    distance="l1",
    style_weight=0.0,
    lpips_weight=0.0,
    lpips_network="vgg16",
    total_variation_weight=0.0,
    historical_weight=0.0,
    feature_matching_weight=0.0,
):
    """Return the terms of the generator's loss, name -> (weight, function), and a list of the frozen networks in them.

    steps: number of batches of the whole training, the length of the schedule of "adaptive_mix".
    feature_layers: layers whose maps the perceptual and the style loss compare, such as "block2_conv2,block3_conv3".
    feature_weights: weights of these layers in the perceptual loss, such as "0.5,1"; empty for their mean.
    distance: the distance between maps in the perceptual loss, one of `losses.PIXEL`.
    lpips_network: "vgg16", which its authors mean for a loss, or "alexnet", by which others are judged.
    Raises ValueError for unknown names, and for feature matching without a discriminator.
    """
    weighted, frozen = {}, []
    if pixel_weight:
        updates = max(1, steps // discriminator_steps)
        weighted["pixel"] = (pixel_weight, losses.pixel_loss(pixel_loss, steps=updates))
    if perceptual_weight or style_weight:
        layers, weights = _split(feature_layers), _numbers("feature_weights", feature_weights, float)
        network = features.build(feature_network, layers, before_activation=before_activation)
        frozen.append(network)
        extractor = partial(features.maps_of, network)
    if perceptual_weight:
        if distance not in losses.PIXEL:
            raise ValueError(f"distance must be one of {', '.join(losses.PIXEL)}. Received: {distance!r}")
        if weights and len(weights) != len(layers):
            raise ValueError(f"feature_weights must be as many as {feature_layers}. Received: {feature_weights!r}")
        options = {"features": extractor, "distance": losses.PIXEL[distance], "weights": weights or None}
        weighted["perceptual"] = (perceptual_weight, partial(losses.perceptual, **options))
    if style_weight:
        weighted["style"] = (style_weight, partial(losses.style, features=extractor))
    if lpips_weight:
        judge = features.build(lpips_network, features.lpips_taps(lpips_network))
        frozen.append(judge)
        options = {"features": partial(features.maps_of, judge), "heads": features.lpips_heads(lpips_network)}
        weighted["lpips"] = (lpips_weight, partial(losses.lpips, **options))
    if total_variation_weight:
        weighted["total_variation"] = (total_variation_weight, lambda hr, sr: losses.total_variation(sr))
    if historical_weight:
        weighted["history"] = (historical_weight, losses.HistoricalAverage(generator))
    if feature_matching_weight:
        if discriminator is None:
            raise ValueError("feature matching must have a discriminator to look at. Received: none")
        maps = partial(losses.feature_matching, features=_last_maps(discriminator))
        weighted["feature_matching"] = (feature_matching_weight, maps)
    return weighted, frozen


def opponent(
    discriminator,
    *,
    optimizer,
    adversarial_weight,
    adversarial_loss="vanilla",
    real_target=1.0,
    discriminator_steps=1,
    gradient_penalty_weight=0.0,
    historical_weight=0.0,
    seed=0,
):
    """Return the arguments of `Trainer` that concern the discriminator, {} if it is None.

    seed: of the random points between real and fake images at which the gradient penalty is evaluated.
    """
    if discriminator is None:
        return {}
    penalties = {}
    if gradient_penalty_weight:
        penalty = losses.GradientPenalty(discriminator, seed=seed)
        penalties["gradient_penalty"] = (gradient_penalty_weight, penalty)
    if historical_weight:
        penalties["discriminator_history"] = (historical_weight, losses.HistoricalAverage(discriminator))
    return {
        "discriminator": discriminator,
        "adversarial": (adversarial_weight, losses.adversarial_loss(adversarial_loss, real_target=real_target)),
        "discriminator_optimizer": optimizer,
        "discriminator_terms": penalties,
        "discriminator_steps": discriminator_steps,
    }


def optimizer(
    learning_rate,
    *,
    steps,
    every=1,
    schedule="constant",
    milestones="",
    decay=0.5,
    cycles=1,
    restarts="",
    warmup=0,
    beta_2=0.99,
    clip_norm=0.0,
    accumulate=1,
    precision="float32",
):
    """Return Adam with its schedule, for a network that is updated every `every` batches.

    steps, warmup, milestones and restarts (such as "50000,100000") count batches, whatever `every` is.
    For the rest see `optimizers.schedule` and `optimizers.adam`.
    """
    rate = optimizers.schedule(
        schedule,
        learning_rate,
        steps=max(1, steps // every),
        warmup=warmup // every,
        milestones=[milestone // every for milestone in _numbers("milestones", milestones, int)],
        factor=decay,
        cycles=cycles,
        restarts=[restart // every for restart in _numbers("restarts", restarts, int)],
    )
    options = {"beta_2": beta_2, "clip_norm": clip_norm, "accumulate": accumulate, "precision": precision}
    return optimizers.adam(rate, **options)


def _split(text):
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(name, text, kind):
    try:
        return [kind(part) for part in _split(text)]
    except ValueError:
        whole = " whole" if kind is int else ""
        raise ValueError(f"{name} must be{whole} numbers with commas between. Received: {text!r}") from None


def _last_maps(discriminator):
    """Return the input of the layer that computes the logit. (The last layer may only cast the logit to float32.)"""
    last = [layer for layer in discriminator.layers if layer.weights][-1]
    return keras.Model(discriminator.input, last.input)
