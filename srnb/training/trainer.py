"""One trainer for both stages: pretraining is the generator's objective without a discriminator.

The generator is updated first and its output, detached, goes to the discriminator: one generator forward pass per step.
Data is a function of the step, so a checkpoint needs only variables: networks, their average, optimizers, step, and the
state of loss terms.
"""

from contextlib import contextmanager

import keras
import numpy as np
from keras import ops

from srnb import backend, losses, progress
from srnb.evaluation import inference
from srnb.models import layers
from srnb.training import checkpoints, optimizers, signals
from srnb.training.log import Log
from srnb.training.validation import Validation


class Trainer:
    """Train a generator on `terms`, and against a discriminator if there is one.

    terms: name -> (weight, function); a function takes `(hr, sr)` and returns a scalar (see `losses`). One with state
        lists it in `.variables` and may assign it when called, once per update.
    adversarial: (weight, adversarial loss), required with a discriminator.
    discriminator_terms: like `terms`, added to the discriminator's loss (a gradient penalty).
    discriminator_steps: the discriminator is updated at every step, the generator at every n-th one; each step has a
        batch of its own. Wasserstein critics use 5.
    frozen: feature networks inside the terms, so that no backend compiles their weights in as constants.
    ema_decay: the second generator `average` follows every update as decay * average + (1 - decay) * generator,
        including moving statistics of BatchNorm; 0 makes it a copy. 0.999 is the ESRGAN authors' value for long runs.
    jit_compile: XLA on TensorFlow, see `backend.compile_step`.
    parameters: dict for JSON, stored in checkpoints, that a resumed training must share with the interrupted one.

    A generator of one channel learns from the luma of the batches, as `inference.upscale` will give it; the terms and
    the discriminator then see nothing else, feature networks see it as grey.
    With two optimizers the players can have different rates (TTUR); clipping, gradient accumulation and loss scaling
    belong to the optimizers (see `optimizers.adam`). Losses are computed in float32 whatever the networks' precision.
    """

    def __init__(
        self,
        generator,
        *,
        terms,
        generator_optimizer,
        discriminator=None,
        adversarial=None,
        discriminator_optimizer=None,
        discriminator_terms=None,
        discriminator_steps=1,
        frozen=(),
        ema_decay=0.999,
        jit_compile=None,
        parameters=None,
    ):
        together = [discriminator is None, adversarial is None, discriminator_optimizer is None]
        if any(together) != all(together):
            raise ValueError(
                "discriminator, adversarial and discriminator_optimizer must be given together. "
                f"Received: {discriminator}, {adversarial}, {discriminator_optimizer}"
            )
        if discriminator is None and (discriminator_terms or discriminator_steps != 1):
            raise ValueError(
                "discriminator_terms and discriminator_steps must come with a discriminator. Received: none"
            )
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1). Received: {ema_decay}")
        if discriminator_steps < 1:
            raise ValueError(f"discriminator_steps must be at least 1. Received: {discriminator_steps}")
        channels = generator.output_shape[-1]
        if discriminator is not None and discriminator.input_shape[-1] != channels:
            raise ValueError(
                f"a discriminator must take as many channels as the generator gives, {channels}. "
                f"Received: {discriminator.input_shape[-1]}"
            )
        self.generator, self.discriminator = generator, discriminator
        self.terms, self.adversarial, self.ema_decay = dict(terms), adversarial, ema_decay
        self.discriminator_terms, self.discriminator_steps = dict(discriminator_terms or {}), discriminator_steps
        self.generator_optimizer, self.discriminator_optimizer = generator_optimizer, discriminator_optimizer
        self.average = keras.models.clone_model(generator)
        for average, variable in zip(self.average.variables, generator.variables, strict=True):
            average.assign(ops.copy(variable))  # JAX may not be given one buffer twice
        self.parameters = dict(parameters or {})
        self.iterations = keras.Variable(0, dtype="int32", trainable=False, name="iterations")

        generator_optimizer.build(generator.trainable_variables)
        self.state = [self.iterations, *generator.variables, *self.average.variables, *generator_optimizer.variables]
        if discriminator is not None:
            discriminator_optimizer.build(discriminator.trainable_variables)
            self.state += [*discriminator.variables, *discriminator_optimizer.variables]
        for _, term in [*self.terms.values(), *self.discriminator_terms.values()]:
            self.state += getattr(term, "variables", [])
        self.references = None
        self._all_variables = self.state + [variable for network in frozen for variable in network.variables]
        self._compiled_step = backend.compile_step(self._step, self._all_variables, split=True, jit_compile=jit_compile)

    def _step(self, lr, hr, generator_moves=True):
        logs, (lr, hr) = {}, self._seen(lr, hr)
        for network, images in self.references or ():
            layers.set_reference(network, images)  # by the weights of now
        if generator_moves:
            learning_rate = ops.convert_to_tensor(self.generator_optimizer.learning_rate)  # of this step, so read first
            updates = ops.copy(self.generator_optimizer.iterations)
            sr, logs = backend.minimize(
                lambda: self._generator_objective(lr, hr), self.generator, self.generator_optimizer, self._all_variables
            )
            logs["learning_rate"] = learning_rate
            if hasattr(self.generator_optimizer, "dynamic_scale"):
                logs["loss_scale"] = ops.convert_to_tensor(self.generator_optimizer.dynamic_scale)
            # while gradients accumulate there is nothing new to follow
            new = self.generator_optimizer.iterations > updates
            keep, take = ops.where(new, self.ema_decay, 1.0), ops.where(new, 1 - self.ema_decay, 0.0)
            for average, variable in zip(self.average.variables, self.generator.variables, strict=True):
                if "float" in variable.dtype:
                    average.assign(keep * average + take * variable)
                else:  # counters of random generators
                    average.assign(variable)
        else:
            sr = ops.cast(self.generator(lr, training=True), "float32")
        if self.discriminator is not None:
            logs |= backend.minimize(
                lambda: self._discriminator_objective(hr, ops.stop_gradient(sr)),
                self.discriminator,
                self.discriminator_optimizer,
                self._all_variables,
            )
        self.iterations.assign_add(1)
        return logs

    def _generator_objective(self, lr, hr):
        sr = ops.cast(self.generator(lr, training=True), "float32")
        logs = {name: loss(hr, sr) for name, (_, loss) in self.terms.items()}
        total = sum(weight * logs[name] for name, (weight, _) in self.terms.items())
        if self.discriminator is not None:
            weight, loss = self.adversarial
            # batch statistics as in the discriminator's own step, but its moving statistics stay as they are
            kept = [ops.copy(variable) for variable in self.discriminator.non_trainable_variables]
            fake_logits = self._logits(sr)
            # only a relativistic generator reads the real logits; the others are spared the pass
            real_logits = self._logits(hr) if losses.relativistic(loss) else fake_logits
            for variable, value in zip(self.discriminator.non_trainable_variables, kept, strict=True):
                variable.assign(value)
            logs["adversarial"] = loss(real_logits, fake_logits)[0]
            total = total + weight * logs["adversarial"]
        logs["colour_drift"] = ops.max(ops.abs(ops.mean(sr - hr, axis=(0, 1, 2))))
        return total, (sr, logs)

    def _discriminator_objective(self, hr, sr):
        real_logits, fake_logits = self._logits(hr), self._logits(sr)
        loss = self.adversarial[1](real_logits, fake_logits)[1]
        logs = {name: term(hr, sr) for name, (_, term) in self.discriminator_terms.items()}
        total = loss + sum(weight * logs[name] for name, (weight, _) in self.discriminator_terms.items())
        means = {"real_logit": ops.mean(real_logits), "fake_logit": ops.mean(fake_logits)}
        return total, {"discriminator": loss} | logs | means

    def _seen(self, lr, hr):
        """Return what the networks see of a batch: RGB, or luma for a generator of one channel."""
        if self.generator.input_shape[-1] != 1:
            return lr, hr
        return inference.luma(lr), inference.luma(hr)

    def _logits(self, images):
        return ops.cast(self.discriminator(images, training=True), "float32")

    @property
    def step(self):
        """The number of steps so far."""
        self.sync()
        return int(np.asarray(self.iterations.value))

    def train_step(self, lr, hr, *, generator_moves=True):
        """Run one compiled step on arrays (N, h, w, 3) and (N, H, W, 3) in [0, 1]; return its log, name -> scalar.

        Keras variables show the result only after `sync`.
        """
        return self._compiled_step(lr, hr, generator_moves=generator_moves)

    def generator_moves(self, step):
        """Return whether the generator is updated at this step, counted from 1, or only the discriminator."""
        return step % self.discriminator_steps == 0

    def take_reference(self, batches):
        """Make the first batch of all the reference of virtual batch normalisation, in networks that have it.

        `fit` and `rehearse` call it before the first step. As in the paper the reference passes through the network at
        every step; unlike there, no gradient flows through it.
        """
        if self.references is not None:
            return
        sides = [(self.generator, 0), (self.average, 0), (self.discriminator, 1)]
        sides = [(network, side) for network, side in sides if network and layers.virtual_batch(network)]
        pair = self._seen(*next(batches(0))) if sides else None
        for network, side in sides:
            layers.set_reference(network, pair[side])
        # the average follows the statistics of the generator as it follows its weights
        self.references = [(network, pair[side]) for network, side in sides if network is not self.average]

    def fit(
        self,
        batches,
        *,
        steps,
        run,
        stage,
        log_every=50,
        validate=None,
        picture=None,
        validate_every=500,
        best=None,
        checkpoint_every=500,
        callbacks=(),
        view=None,
    ):
        """Train up to step number `steps`; a restored trainer continues from its step.

        batches: function of a first step that yields (lr, hr) from there on, such as `patches.Patches.stream`.
        run: `runs.Run` that receives log lines and checkpoints, under the name `stage`.
        validate: function of the averaged generator that returns {name: number}, called every `validate_every` steps.
        picture: function of the averaged generator that returns an image (H, W, 3) in [0, 1], kept at the same times as
            figures/<stage>-<step>.png.
        best: metric of `validate` by which the best weights are kept as weights/<stage>-best.weights.h5. They are
            selected on the validation photographs, so their score on those is biased.
        callbacks: Keras callbacks; an epoch of theirs is the interval between two log lines, numbered by its last step.
        view: function that returns HTML to show below the progress bar, see `progress.Progress`.
        Symptoms of failing training are logged as `notice` and printed, see `symptoms`.
        Raises FloatingPointError, which names step and term, once a loss is not finite; the last checkpoint stays.
        After USR1, a scheduler's warning, or a first Ctrl-C, saves a checkpoint and raises `signals.Stopped`, a
        KeyboardInterrupt; another call continues.
        """
        if checkpoint_every % log_every or validate_every % log_every:
            raise ValueError(
                "checkpoint_every and validate_every must be multiples of log_every, so that a resumed log equals an "
                f"unbroken one. Received: {checkpoint_every}, {validate_every} and {log_every}"
            )
        first = self.step
        if first < steps:
            self._require_rates(first)
            aside = run.set_aside(stage, own=first == 0)
            if aside:
                print(f"what was made here before is now in {aside.relative_to(run.folder.parent)}", flush=True)
        self.take_reference(batches)
        checkpoints.forget(run.checkpoints, stage, after=first)
        checkpoints.forget(run.figures, stage, after=first, suffix="png")
        log = Log(run, stage, first=first, loss=self.adversarial and self.adversarial[1])
        validation = Validation(run, stage, records=log.records, measure=validate, picture=picture, best=best)
        if backend.accelerator():
            run.update(device=backend.accelerator())
        bar = progress.Progress(steps, stage, start=first, view=view)
        with signals.heard() as told, self._watched(callbacks) as watchers, bar:
            log.restart(log.kept(first))
            forms = set()  # of the step: with and without a move of the generator
            for step, (lr, hr) in zip(range(first + 1, steps + 1), batches(first), strict=False):
                if told.is_set():
                    self._leave(run, log, step - 1)
                moves = self.generator_moves(step)
                if moves not in forms:
                    bar.phase("compiling the training step")
                    forms.add(moves)
                watchers.on_train_batch_begin(step)
                log.add(step, self.train_step(lr, hr, generator_moves=moves))
                watchers.on_train_batch_end(step)
                bar.update(step, **log.news)
                if step % log_every and step < steps:
                    continue
                record = log.mean(batch_size=len(lr))
                self.sync()
                if step % validate_every == 0 or step == steps:
                    bar.phase("validating")
                    record |= validation(step, self.average)
                log.write(step, record)
                bar.update(step, **log.news)
                if step % checkpoint_every == 0 or step == steps:
                    self._checkpoint(run, stage, step)
                watchers.on_epoch_end(step, record)
                if self.generator.stop_training:
                    break
                log.restart()

    def _require_rates(self, first):
        """Raise ValueError if a player would not learn at all after step `first`."""
        for name, optimizer in self._optimizers().items():
            if optimizers.has_ended(optimizer):
                raise ValueError(
                    f"the learning rate of the {name} must be above zero. Received: 0 from step {first + 1} on, where "
                    f"its schedule has ended; a cosine begins again with {first} among its restarts"
                )

    def _checkpoint(self, run, stage, step):
        """Save the state after a step; of the earlier ones the last is kept."""
        self.save(run.checkpoints / f"{stage}-{step:08d}.safetensors")
        checkpoints.forget_all_but(2, run.checkpoints, stage)

    def _leave(self, run, log, step):
        """Save the state after a step, also between two log lines, and end the training."""
        log.keep(step)
        self._checkpoint(run, log.stage, step)
        raise signals.Stopped(
            f"{log.stage} was told to end, saved at step {step}: run the cell again to go on; after a restart of the "
            "kernel, with resume = True"
        )

    @contextmanager
    def _watched(self, callbacks):
        """Run Keras callbacks around a training, and leave its networks usable however it ends."""
        watchers = keras.callbacks.CallbackList(list(callbacks), model=self.generator)
        self.generator.stop_training = False
        self.generator.optimizer = self.generator_optimizer  # TensorBoard and others look for the rate there
        try:
            watchers.on_train_begin()
            yield watchers
            self.sync()
            watchers.on_train_end()
        finally:  # also after Ctrl-C and a loss that is not finite: on JAX a step consumes the buffers of its variables
            self.sync()
            del self.generator.optimizer  # Keras would write it into weight files

    def sync(self):
        """Bring the Keras variables up to date; `fit` does so before validation and checkpoints, and at its end."""
        self._compiled_step.sync()

    def save(self, path):
        """Write a checkpoint: every variable of networks, average, optimizers and loss terms, and the step."""
        self.sync()
        rates = {name: optimizers.rates(optimizer) for name, optimizer in self._optimizers().items()}
        checkpoints.save(path, self.state, self.parameters | {"learning_rates": rates})

    def restore(self, path):
        """Read a checkpoint that `save` wrote.

        Raises ValueError if it is damaged or from another training. Learning rates must agree up to the checkpoint's
        step; after it a training may change them.
        """
        self.sync()
        stored = checkpoints.parameters(path).get("learning_rates", {})
        for name, optimizer in self._optimizers().items():
            before = stored.get(name, {})
            now = optimizers.rates(optimizer, before)
            if any(abs(before[update] - now[update]) > 1e-4 * max(now.values()) for update in before):
                raise ValueError(
                    f"the learning rates of the {name} must have been the same so far. Received: {path} with {before} "
                    f"by update, where this schedule has {now}. (Where steps were raised a cosine needs among its "
                    "restarts the step at which the earlier training ended.)"
                )
        checkpoints.restore(path, self.state, self.parameters | {"learning_rates": stored})

    def resume(self, run, stage):
        """Restore the newest checkpoint of `stage` in the run's folder, if there is one, for `fit` to continue from."""
        paths = checkpoints.kept(run.checkpoints, stage)
        if not paths:
            return
        try:
            self.restore(paths[-1])
        except ValueError as error:
            earlier = f"; delete it to go on from {paths[-2].name}" if paths[1:] else ""
            raise ValueError(f"{error}{earlier}") from None

    def _optimizers(self):
        both = {"generator": self.generator_optimizer, "discriminator": self.discriminator_optimizer}
        return {name: optimizer for name, optimizer in both.items() if optimizer is not None}
