"""training: resume equals unbroken to the bit, frozen stays frozen, averages by hand, failures name step and term."""

import json
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers, ops

from srnb import losses, models, runs, training
from srnb.evaluation import inference, metrics
from srnb.models.layers import SpectralNormalization, VirtualBatchNormalization
from srnb.training import objectives, optimizers

pytestmark = pytest.mark.backends

RELATIVISTIC_TWICE = losses.relativistic_average, partial(losses.relativistic_average)


def generator():
    lr = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 3, padding="same")(lr)
    x = layers.Dropout(0.1, seed=3)(layers.BatchNormalization()(x))  # moving statistics and a random state
    return keras.Model(lr, layers.Conv2DTranspose(3, 2, strides=2)(x))


def discriminator():
    image = keras.Input((None, None, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, strides=2)(image))
    return keras.Model(image, layers.Dense(1)(layers.GlobalAveragePooling2D()(layers.LeakyReLU(0.2)(x))))


def batches(first):
    """Batch number n is a function of n alone."""
    while True:
        hr = np.random.default_rng(first).random((4, 8, 8, 3), dtype="float32")
        yield hr.reshape(4, 4, 2, 4, 2, 3).mean((2, 4)), hr
        first += 1


def trainer(*, adversarial=losses.relativistic_average, terms=None, ema_decay=0.9, discriminator_rate=1e-3, **options):
    keras.utils.set_random_seed(0)
    gan = {}
    if adversarial:
        optimizer = keras.optimizers.Adam(discriminator_rate)
        gan = {
            "discriminator": discriminator(),
            "adversarial": (0.1, adversarial),
            "discriminator_optimizer": optimizer,
        }
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 20)
    return training.Trainer(
        generator(),
        terms={"pixel": (1.0, losses.l1)} if terms is None else terms,
        generator_optimizer=keras.optimizers.Adam(schedule),
        ema_decay=ema_decay,
        **gan,
        **options,
    )


def plain_trainer(optimizer="sgd", *, terms=None, **options):
    """Without BatchNorm and dropout, so that pictures of a batch do not know of each other; quick to compile."""
    keras.utils.set_random_seed(0)
    lr = keras.Input((None, None, 3))
    network = keras.Model(lr, layers.Conv2DTranspose(3, 2, strides=2)(layers.Conv2D(4, 3, padding="same")(lr)))
    terms = {"pixel": (1.0, losses.mse)} if terms is None else terms
    return training.Trainer(network, terms=terms, generator_optimizer=keras.optimizers.get(optimizer), **options)


def plain_game(adversarial=losses.hinge, *, terms=None, **options):
    """`plain_trainer` with a discriminator of one convolution."""
    image = keras.Input((None, None, 3))
    players = {
        "discriminator": keras.Model(image, layers.Conv2D(1, 3)(image)),
        "adversarial": (1.0, adversarial),
        "discriminator_optimizer": keras.optimizers.SGD(0.1),
    }
    return plain_trainer(terms=terms, **players, **options)


def arrays(variables):
    return [np.asarray(variable.value).copy() for variable in variables]


def fit(subject, folder, steps, **options):
    run = runs.Run(folder)
    subject.fit(
        batches, steps=steps, run=run, stage="gan", log_every=2, checkpoint_every=4, validate_every=4, **options
    )
    return run


def test_a_generator_of_one_channel_learns_the_luma_that_it_is_given_to_upscale(tmp_path):
    keras.utils.set_random_seed(0)
    network = models.build("srresnet", channels=1, scale=2, blocks=1, width=4, normalization="virtual_batch")
    image = keras.Input((None, None, 1))
    game = {
        "discriminator": keras.Model(image, layers.Conv2D(1, 3)(image)),
        "adversarial": (1e-3, losses.relativistic_average),
        "discriminator_optimizer": keras.optimizers.SGD(0.1),
    }
    adam, terms = keras.optimizers.Adam(1e-3), {"pixel": (1.0, losses.mse)}
    subject = training.Trainer(network, terms=terms, generator_optimizer=adam, **game)
    subject.take_reference(batches)
    lr, hr = next(batches(0))
    small, large = (np.float32(metrics.luma(255 * pictures) / 255) for pictures in (lr, hr))
    expected = np.mean((ops.convert_to_numpy(network(small)) - large) ** 2)
    assert float(subject.train_step(lr, hr)["pixel"]) == pytest.approx(expected, rel=1e-4)
    fit(
        subject, tmp_path / "run", 4, validate=lambda network: {"mean": float(inference.upscale(network, lr[0]).mean())}
    )

    with pytest.raises(ValueError, match=r"as the generator gives, 1\. Received: 3"):
        image = keras.Input((None, None, 3))
        rgb = keras.Model(image, layers.Conv2D(1, 3)(image))
        training.Trainer(network, terms=terms, generator_optimizer=adam, **(game | {"discriminator": rgb}))


@pytest.mark.parametrize("adversarial", [None, losses.relativistic_average], ids=["pretraining", "gan"])
def test_a_resumed_run_equals_an_unbroken_one_to_the_bit(tmp_path, adversarial):
    unbroken = trainer(adversarial=adversarial)
    run = fit(unbroken, tmp_path / "unbroken", 10)

    fit(trainer(adversarial=adversarial), tmp_path / "broken", 6)  # checkpoints at 4 and 6, a log line too many below
    (tmp_path / "broken" / "checkpoints" / "gan-00000006.safetensors").unlink()
    resumed = trainer(adversarial=adversarial)
    resumed.resume(runs.Run(tmp_path / "broken"), "gan")
    assert resumed.step == 4
    broken_run = fit(resumed, tmp_path / "broken", 10)

    for a, b in zip(arrays(unbroken.state), arrays(resumed.state), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [run.read_log().drop(columns="images_per_second") for run in (run, broken_run)]
    assert logs[0].to_dict() == logs[1].to_dict()
    assert logs[0]["step"].tolist() == [2, 4, 6, 8, 10]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs USR1")
@pytest.mark.parametrize("step", [5, 6], ids=["between two log lines", "at a log line"])
def test_usr1_saves_at_the_next_step_and_the_resumed_run_equals_an_unbroken_one(tmp_path, step):
    class Scheduler(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == step:
                os.kill(os.getpid(), signal.SIGUSR1)

    unbroken = trainer()
    run = fit(unbroken, tmp_path / "unbroken", 10)
    with pytest.raises(KeyboardInterrupt, match=f"saved at step {step}"):
        fit(trainer(), tmp_path / "broken", 10, callbacks=[Scheduler()])
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    resumed = trainer()
    resumed.resume(runs.Run(tmp_path / "broken"), "gan")
    assert resumed.step == step
    broken_run = fit(resumed, tmp_path / "broken", 10)
    for a, b in zip(arrays(unbroken.state), arrays(resumed.state), strict=True):
        np.testing.assert_array_equal(a, b)
    logs = [run.read_log().drop(columns="images_per_second") for run in (run, broken_run)]
    assert logs[0].to_dict() == logs[1].to_dict()
    assert not list(broken_run.checkpoints.glob("*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["pretrain", "gan"])
def test_a_training_killed_five_times_equals_an_unbroken_one_to_the_bit(tmp_path, stage):
    seed = np.random.default_rng().integers(1000)  # other steps each time; named in the failure
    program = [sys.executable, Path(__file__).parent / "sigkill.py", stage, tmp_path, str(seed)]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 0, f"seed {seed}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    names = [f"checkpoints/{stage}-00000040.safetensors", f"checkpoints/{stage}-00000036.safetensors"]
    for name in names:  # weights, average, optimizer slots, loss scale, step, schedules, random states
        assert (unbroken / name).read_bytes() == (killed / name).read_bytes(), f"seed {seed}: {name}"
    logs = [runs.Run(folder).read_log().drop(columns="images_per_second") for folder in (unbroken, killed)]
    assert logs[0].equals(logs[1]), f"seed {seed}"
    assert [runs.Run(folder).read()["best"] for folder in (unbroken, killed)].count(
        runs.Run(killed).read()["best"]
    ) == 2


FEATURES = lambda images: ops.relu(images - 0.2)
TERMS = {
    **losses.PIXEL,
    "total_variation": lambda hr, sr: losses.total_variation(sr),
    "perceptual": partial(losses.perceptual, features=FEATURES),
    "style": partial(losses.style, features=FEATURES),
    "lpips": partial(losses.lpips, features=FEATURES, heads=[np.ones(3, "float32")]),
    "feature_matching": partial(losses.feature_matching, features=FEATURES),
}


@pytest.mark.parametrize("name", [*TERMS, "adaptive_mix", "balanced_mix", *losses.ADVERSARIAL])
def test_every_term_alone_moves_the_generator(name):
    if name not in losses.ADVERSARIAL:
        term = TERMS.get(name) or losses.pixel_loss(name, steps=3)
        subject = plain_trainer(terms={name: (1.0, term)})
    else:
        subject = plain_game(losses.ADVERSARIAL[name], terms={})
    before = arrays(subject.generator.trainable_variables)
    logs = subject.train_step(*next(batches(0)))
    subject.sync()
    after = arrays(subject.generator.trainable_variables)
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    assert name in logs or "adversarial" in logs


def test_the_generators_step_leaves_the_discriminator_alone():
    subject = trainer(discriminator_rate=0.0)
    before = arrays(subject.discriminator.variables)
    lr, hr = next(batches(0))
    subject.train_step(lr, hr)
    subject.sync()
    after = arrays(subject.discriminator.variables)
    trainable = [variable.trainable for variable in subject.discriminator.variables]
    for a, b, moves in zip(before, after, trainable, strict=True):
        if moves:
            np.testing.assert_array_equal(a, b)
    # moving statistics know two batches, the real and the fake one of the discriminator's own step
    mean = subject.discriminator.layers[2].moving_mean
    fresh = trainer(discriminator_rate=0.0)
    fresh.discriminator(hr, training=True)
    fresh.discriminator(fresh.generator(lr, training=True), training=True)
    np.testing.assert_allclose(*arrays([mean, fresh.discriminator.layers[2].moving_mean]), rtol=1e-4)


def test_average_follows_the_generator_moving_statistics_included():
    subject = trainer(ema_decay=0.75)
    before = arrays(subject.average.variables)
    subject.train_step(*next(batches(0)))
    subject.sync()
    for old, new, average in zip(
        before, arrays(subject.generator.variables), arrays(subject.average.variables), strict=True
    ):
        if old.dtype == "float32":
            np.testing.assert_allclose(average, 0.75 * old + 0.25 * new, rtol=1e-6)


def test_one_generator_forward_pass_per_gan_step(monkeypatch):
    subject, calls = trainer(), []
    call = subject.generator.call
    monkeypatch.setattr(subject.generator, "call", lambda *args, **options: calls.append(1) or call(*args, **options))
    subject.train_step(*next(batches(0)))
    assert len(calls) == 1


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path):
    def poisoned(first):
        for step, (lr, hr) in enumerate(batches(first), first + 1):
            yield lr, hr if step != 7 else hr * np.nan

    subject = trainer()
    with pytest.raises(FloatingPointError, match=r"at step 7: .*pixel = nan"):
        run = runs.Run(tmp_path)
        subject.fit(poisoned, steps=10, run=run, stage="gan", log_every=2, checkpoint_every=4, validate_every=4)
    assert [path.name for path in run.checkpoints.iterdir()] == ["gan-00000004.safetensors"]


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="needs USR1")
def test_a_stop_does_not_save_what_is_no_longer_finite(tmp_path):
    def poisoned(first):
        for step, (lr, hr) in enumerate(batches(first), first + 1):
            if step == 8:
                os.kill(os.getpid(), signal.SIGUSR1)
            yield lr, hr if step != 7 else hr * np.nan

    run = runs.Run(tmp_path)
    with pytest.raises(FloatingPointError, match=r"at step 7: .*pixel = nan"):
        plain_trainer().fit(poisoned, steps=10, run=run, stage="gan", log_every=4, checkpoint_every=4, validate_every=4)
    assert [path.name for path in run.checkpoints.iterdir()] == ["gan-00000004.safetensors"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, FloatingPointError])
def test_a_training_that_is_cut_short_leaves_its_networks_usable(tmp_path, failure):
    def cut_short(first):
        for step, (lr, hr) in enumerate(batches(first), start=first + 1):
            if step == 4 and failure is KeyboardInterrupt:
                raise failure
            yield lr, hr * np.nan if step == 4 else hr

    subject = trainer()
    with pytest.raises(failure):
        run = runs.Run(tmp_path)
        subject.fit(cut_short, steps=10, run=run, stage="gan", log_every=2, checkpoint_every=4, validate_every=4)
    arrays(subject.state)  # JAX: the variables must not hold buffers that a step has consumed
    assert subject.average(np.zeros((1, 4, 4, 3), "float32")).shape == (1, 8, 8, 3)
    assert getattr(subject.generator, "optimizer", None) is None  # else Keras writes it into weight files


def test_a_wrapped_relativistic_loss_gets_the_real_logits():
    plain, wrapped = (trainer(adversarial=loss) for loss in RELATIVISTIC_TWICE)
    for (lr, hr), _ in zip(batches(0), range(2), strict=False):
        expected, received = (float(subject.train_step(lr, hr)["adversarial"]) for subject in (plain, wrapped))
        assert received == pytest.approx(expected, rel=1e-6)


def test_a_training_that_starts_anew_forgets_the_one_before(tmp_path):
    fit(plain_trainer(), tmp_path, 12)
    run = fit(plain_trainer(), tmp_path, 6)
    assert run.read_log()["step"].tolist() == [2, 4, 6]
    assert sorted(path.stem for path in run.checkpoints.iterdir()) == ["gan-00000004", "gan-00000006"]


def test_an_unfinished_training_that_starts_anew_is_set_aside(tmp_path):
    fit(plain_trainer(), tmp_path, 8)
    run = fit(plain_trainer(), tmp_path, 4)
    aside = tmp_path / "attempts" / "1"
    assert sorted(path.stem for path in aside.glob("checkpoints/*")) == ["gan-00000004", "gan-00000008"]
    assert len((aside / "log.jsonl").read_text().splitlines()) == 4
    assert [path.stem for path in run.checkpoints.iterdir()] == ["gan-00000004"]


@pytest.mark.parametrize("accumulate", [1, 2])
def test_another_milestone_in_the_past_is_refused(tmp_path, accumulate):
    def scheduled(milestone):
        rate = optimizers.schedule("step", 1e-2, steps=24, milestones=(milestone,))
        return plain_trainer(optimizers.adam(rate, accumulate=accumulate))

    run = fit(scheduled(15), tmp_path, 20)
    for milestone in (12, 17):
        with pytest.raises(ValueError, match="learning rates of the generator must have been the same so far"):
            scheduled(milestone).resume(run, "gan")
    scheduled(15).resume(run, "gan")


def test_wrong_checkpoints_are_refused(tmp_path):
    subject = trainer(parameters={"learning_rate": 1e-3})
    run = fit(subject, tmp_path, 8)
    with pytest.raises(ValueError, match=r"learning_rate is 0\.001, not 0\.1"):
        trainer(parameters={"learning_rate": 1e-1}).resume(run, "gan")
    with pytest.raises(ValueError, match="same training"):
        trainer(adversarial=None, parameters={"learning_rate": 1e-3}).resume(run, "gan")
    newest = run.checkpoints / "gan-00000008.safetensors"
    newest.write_bytes(newest.read_bytes()[:-100])
    before = arrays(subject.state)
    with pytest.raises(ValueError, match=r"must be whole.*go on from gan-00000004"):
        subject.resume(run, "gan")
    for a, b in zip(before, arrays(subject.state), strict=True):
        np.testing.assert_array_equal(a, b)


def adam(steps, schedule, **options):
    return objectives.optimizer(1e-2, steps=steps, schedule=schedule, **options)


@pytest.mark.parametrize("schedule, options", [("constant", {}), ("step", {"milestones": "3"})])
def test_a_finished_training_goes_on_when_steps_are_raised(tmp_path, schedule, options):
    run = fit(plain_trainer(adam(4, schedule, **options)), tmp_path, 4)
    longer = plain_trainer(adam(8, schedule, **options))
    longer.resume(run, "gan")
    fit(longer, tmp_path, 8)
    assert run.read_log()["step"].tolist() == [2, 4, 6, 8]
    assert (run.read_log()["learning_rate"] > 0).all()


def test_a_cosine_that_has_ended_says_so_and_begins_again_on_request(tmp_path):
    subject = plain_trainer(adam(4, "cosine"))
    run = fit(subject, tmp_path, 4)
    with pytest.raises(ValueError, match=r"above zero\. Received: 0 from step 5 on.*with 4 among its restarts"):
        fit(subject, tmp_path, 8)
    with pytest.raises(ValueError, match="must have been the same so far"):
        plain_trainer(adam(8, "cosine")).resume(run, "gan")
    longer = plain_trainer(adam(8, "cosine", restarts="4"))
    longer.resume(run, "gan")
    fit(longer, tmp_path, 6)
    interrupted = plain_trainer(adam(8, "cosine", restarts="4"))
    interrupted.resume(run, "gan")
    fit(interrupted, tmp_path, 8)
    rates = run.read_log()["learning_rate"].tolist()
    assert rates[2:] == pytest.approx(rates[:2])


def spectral_trainer():
    keras.utils.set_random_seed(0)
    lr = keras.Input((None, None, 3))
    layer = SpectralNormalization(layers.Conv2D(8, 3, padding="same"))
    network = keras.Model(lr, layers.Conv2DTranspose(3, 2, strides=2)(layer(lr)))
    adam = keras.optimizers.Adam(0.03)
    return training.Trainer(network, terms={"pixel": (1.0, losses.mse)}, generator_optimizer=adam, ema_decay=0.9)


def test_the_average_of_a_spectrally_normalised_network_has_the_norm_one():
    subject = spectral_trainer()
    training.rehearse(subject, batches, steps=20)
    layer = next(layer for layer in subject.average.layers if isinstance(layer, SpectralNormalization))
    kernel, left = (np.asarray(ops.convert_to_numpy(x)) for x in (layer.layer.kernel, layer.left))
    x = np.random.default_rng(0).random((1, 5, 5, 3), dtype="float32")
    layer.layer.bias.assign(np.zeros(8, "float32"))
    factor = ops.convert_to_numpy(layer.layer(x)) / ops.convert_to_numpy(layer(x, training=False))
    assert np.linalg.norm(left) < 0.999  # or the test would show nothing
    largest = np.linalg.svd(kernel.reshape(-1, 8), compute_uv=False)[0]
    assert np.median(factor) == pytest.approx(largest, rel=0.02)


def virtual_trainer():
    keras.utils.set_random_seed(0)
    lr = keras.Input((None, None, 3))
    x = VirtualBatchNormalization()(layers.Conv2D(4, 3, padding="same")(lr))
    network = keras.Model(lr, layers.Conv2DTranspose(3, 2, strides=2)(x))
    return training.Trainer(
        network, terms={"pixel": (1.0, losses.mse)}, generator_optimizer=keras.optimizers.SGD(0.1), ema_decay=0.5
    )


def test_virtual_batch_normalisation_has_the_first_batch_as_its_reference(tmp_path):
    subject = virtual_trainer()
    lr, _ = next(batches(0))
    maps = ops.convert_to_numpy(subject.generator.layers[1](lr))  # before the first step
    frame = training.rehearse(subject, batches, steps=1)
    assert len(frame) == 1
    layer = subject.generator.layers[2]
    np.testing.assert_allclose(arrays([layer.mean])[0], maps.mean((0, 1, 2)), atol=1e-6)
    counts = [arrays([network.layers[2].count])[0] for network in (subject.generator, subject.average)]
    assert counts == [4, 4]


def test_keras_callbacks_and_validation_see_the_run(tmp_path):
    seen = []
    stop = keras.callbacks.LambdaCallback(on_epoch_end=lambda step, logs: seen.append((step, logs["pixel"])))
    subject = plain_trainer()
    run = fit(subject, tmp_path, 4, callbacks=[stop], validate=lambda model: {"parameters": model.count_params()})
    assert [step for step, _ in seen] == [2, 4]
    assert run.read_log()["validation_parameters"].tolist()[1:] == [subject.generator.count_params()]


def test_accumulated_gradients_equal_those_of_one_large_batch():
    rate = {"learning_rate": 0.5}
    halves = plain_trainer(keras.optimizers.SGD(**rate, gradient_accumulation_steps=2), ema_decay=0.5)
    whole = plain_trainer(keras.optimizers.SGD(**rate), ema_decay=0.5)
    lr, hr = next(batches(0))
    before = arrays(halves.generator.variables)
    halves.train_step(lr[:2], hr[:2])
    halves.sync()
    for a, b in zip(before, arrays(halves.generator.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    halves.train_step(lr[2:], hr[2:])
    whole.train_step(lr, hr)
    halves.sync(), whole.sync()
    for part in ("generator", "average"):  # which follows updates, not batches
        both = (arrays(getattr(trainer, part).variables) for trainer in (halves, whole))
        for a, b in zip(*both, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_generator_moves_at_every_nth_step_only():
    subject = plain_game(discriminator_steps=3)
    stream, moved = batches(0), []
    for step in range(1, 7):
        before = arrays(subject.generator.trainable_variables) + arrays(subject.discriminator.trainable_variables)
        logs = subject.train_step(*next(stream), generator_moves=step % 3 == 0)
        subject.sync()
        after = arrays(subject.generator.trainable_variables) + arrays(subject.discriminator.trainable_variables)
        changed = [(a != b).any() for a, b in zip(before, after, strict=True)]
        moved.append((any(changed[:4]), any(changed[4:]), "pixel" in logs))
    assert moved == [(False, True, False), (False, True, False), (True, True, True)] * 2


def test_the_log_of_a_line_without_a_generator_step_holds_the_discriminators_terms(tmp_path):
    run = fit(plain_game(discriminator_steps=4), tmp_path, 4)
    log = run.read_log()
    assert log["pixel"].isna().tolist() == [True, False]
    assert log["discriminator"].notna().all()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_follows_single_precision(precision):
    def logs(policy):
        keras.config.set_dtype_policy(optimizers.policy(policy))
        try:
            subject = plain_trainer(optimizers.adam(1e-2, precision=policy))
        finally:
            keras.config.set_dtype_policy("float32")
        assert subject.generator.layers[1].compute_dtype == policy
        stream = batches(0)
        return subject, [subject.train_step(*next(stream)) for _ in range(10)]

    (_, single), (subject, half) = logs("float32"), logs(precision)
    assert str(keras.backend.standardize_dtype(half[-1]["pixel"].dtype)) == "float32"
    for a, b in zip(single, half, strict=True):
        assert float(a["pixel"]) == pytest.approx(float(b["pixel"]), rel=0.02)
    assert all(variable.dtype == "float32" for variable in subject.generator.variables)


def test_a_gradient_that_overflows_float16_halves_the_loss_scale_and_moves_nothing():
    subject = plain_trainer(optimizers.adam(1e-2, precision="float16"))
    lr, hr = next(batches(0))
    first = subject.train_step(lr, hr)
    subject.sync()
    before = arrays(subject.generator.variables)
    assert float(subject.train_step(lr, hr * np.float32(1e36))["loss_scale"]) == float(first["loss_scale"]) / 2
    subject.sync()
    for a, b in zip(before, arrays(subject.generator.variables), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("metric, step", [("psnr_y", 4), ("lpips_alex", 8)])
def test_best_weights_are_those_of_the_step_whose_metric_was_best(tmp_path, metric, step):
    kept, subject = {}, plain_trainer()

    def validate(network):
        kept[4 * (len(kept) + 1)] = arrays(network.variables)
        return {metric: [3.0, 1.0, 2.0][len(kept) - 1]}

    run = fit(subject, tmp_path, 12, validate=validate, best=metric)
    assert run.read()["best"]["gan"]["step"] == step
    best = keras.models.clone_model(subject.generator)
    best.load_weights(run.weights / "gan-best.weights.h5")
    for a, b in zip(kept[step], arrays(best.variables), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"must be one of .* Received: ssim_y"):
        fit(subject, tmp_path / "other", 16, validate=lambda network: {"psnr_y": 1.0}, best="ssim_y")


def test_pictures_are_kept_as_training_goes_on(tmp_path):
    lr, _ = next(batches(0))
    run = fit(plain_trainer(), tmp_path, 8, picture=lambda network: ops.convert_to_numpy(network(lr))[0].clip(0, 1))
    names = ["gan-00000004.png", "gan-00000008.png"]
    assert sorted(path.name for path in run.figures.iterdir()) == names
    assert [image.shape for image in training.pictures(run, "gan").values()] == [(8, 8, 3)] * 2
    fit(plain_trainer(), tmp_path, 2)
    assert [path.name for path in run.figures.iterdir()] == []


def test_a_game_gone_wrong_is_noticed_and_logged(tmp_path, capsys):
    bright = lambda first: ((lr, hr + 1) for lr, hr in batches(first))
    run = runs.Run(tmp_path)
    subject = trainer(discriminator_rate=1e-9)
    subject.fit(bright, steps=12, run=run, stage="gan", log_every=2, checkpoint_every=4, validate_every=4)
    notices = run.read_log()["notice"]
    assert "colours drift" in notices[4] and "given up" in notices[4]
    assert notices.drop(4).isna().all()
    assert "gan 10: " in capsys.readouterr().out


def test_tensorboard_is_given_our_log(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    run = fit(plain_trainer(), tmp_path / "run", 4, callbacks=[keras.callbacks.TensorBoard(tmp_path / "board")])
    board = EventAccumulator(str(tmp_path / "board" / "train")).Reload()
    assert [event.step for event in board.Tensors("epoch_pixel")] == [2, 4]
    values = [float(make_ndarray(event.tensor_proto)) for event in board.Tensors("epoch_pixel")]
    assert values == pytest.approx(run.read_log()["pixel"].tolist(), rel=1e-6)


def test_a_sweep_tries_growing_rates_and_stops_where_the_loss_explodes():
    rate = optimizers.schedule("sweep", 1e6, steps=40, lowest=1e-6)
    frame = training.rehearse(plain_trainer(keras.optimizers.SGD(rate)), batches, steps=40, limit=4)
    assert 10 < len(frame) < 40
    assert frame["learning_rate"].is_monotonic_increasing
    assert frame["learning_rate"].iloc[0] == pytest.approx(1e-6)
    assert not frame["pixel"].iloc[-1] < 4 * frame["pixel"].min()


def test_a_rehearsal_stops_where_the_adversarial_term_is_not_finite():
    def poisoned(first):
        for step, (lr, hr) in enumerate(batches(first), first + 1):
            yield lr, hr if step != 3 else hr * np.nan  # the generator sees it a step later, through its opponent

    rows = training.rehearse(plain_game(terms={}), poisoned, steps=7)
    assert len(rows) == 4


@pytest.mark.parametrize("limit", [3, np.inf])
def test_a_rehearsal_goes_on_where_the_objective_is_below_zero(limit):
    def sunk(hr, sr):  # as that of a generator whose opponent plays hinge or wasserstein
        return losses.l1(hr, sr) - 10

    assert len(training.rehearse(plain_trainer(terms={"sunk": (1.0, sunk)}), batches, steps=5, limit=limit)) == 5


def test_in_a_rehearsal_the_generator_moves_as_seldom_as_in_the_training():
    frame = training.rehearse(plain_game(discriminator_steps=3), batches, steps=6)
    assert frame["pixel"].notna().tolist() == [False, False, True] * 2


FIVE_STEPS = """
import json, sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from srnb import backend
devices = backend.distribute()
from test_trainer import trainer, batches, losses
subject = trainer()
generator = np.random.default_rng(7)
for variable in subject.generator.trainable_variables + subject.discriminator.trainable_variables:
    variable.assign(generator.normal(size=variable.shape).astype("float32") * 0.1)
subject.generator.layers[3].rate = 0.0  # random numbers differ between frameworks
stream = batches(0)
logs = [subject.train_step(*next(stream)) for _ in range(5)]
refused = None
if devices > 1:
    try:
        subject.train_step(*(array[:3] for array in next(stream)))
    except ValueError as error:
        refused = str(error)
print(json.dumps([devices, refused, [{name: float(value) for name, value in step.items()} for step in logs]]))
"""


def five_steps(*environments):
    """Run the program once for each environment, side by side; return what each printed last."""
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", FIVE_STEPS, str(Path(__file__).parent)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        for environment in environments
    ]
    return [json.loads(program.communicate(timeout=300)[0].splitlines()[-1]) for program in programs]


def assert_close(logs, others):
    # Adam divides by the root of tiny second moments: what a reduction in another order rounds off grows to 1e-4 of a
    # logit in five steps. Processes or devices that did not share their batches differ in the first digit.
    for a, b in zip(logs, others, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=5e-4)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="compares both backends already")
def test_five_steps_from_equal_weights_agree_on_tensorflow_jax_and_four_devices():
    four = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    tensorflow, jax, jax_4 = five_steps({"KERAS_BACKEND": "tensorflow"}, {"KERAS_BACKEND": "jax"}, four)
    assert [devices for devices, _, _ in (tensorflow, jax, jax_4)] == [1, 1, 4]
    assert_close(tensorflow[2], jax[2])
    assert_close(jax[2], jax_4[2])
    assert "must divide among 4 devices. Received: 3" in jax_4[1]


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "jax", reason="several hosts are JAX's")
def test_two_processes_train_as_one():
    hosts = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{free_port()}",
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    first, second = five_steps(*({**hosts, "KERAS_DISTRIBUTION_PROCESS_ID": number} for number in "01"))
    (alone,) = five_steps({})
    assert first[0] == second[0] == 2
    assert first[2] == second[2]
    assert_close(first[2], alone[2])


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
