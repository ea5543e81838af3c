"""One trainer for both stages: pretraining is the generator's objective without a discriminator.

The generator moves first and its output, detached, goes to the discriminator: one generator forward pass per step.
Data is a function of the step, so a checkpoint needs only variables: networks, their average, optimizers, step.
"""

import json
import math
import time

import keras
import numpy as np
from keras import ops
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from srnb import backend, losses, progress

UNSEEN = ("learning_rate", "images_per_second", "real_logit", "fake_logit")  # logged, but no news for a progress line


class Trainer:
    """Train a generator on `terms`, and against a discriminator if there is one.

    terms: name -> (weight, function); a function takes `(hr, sr)` and returns a scalar (see `losses`).
    adversarial: (weight, function of logits), required with a discriminator.
    frozen: networks inside the terms (feature networks), so that no backend bakes their weights into the program.
    ema_decay: `average`, a second generator, follows as decay * average + (1 - decay) * generator, moving statistics
        of BatchNorm included; 0 makes it a copy. 0.999 is the ESRGAN authors' value for long runs.
    parameters: flat dict of what a resumed training must share with the interrupted one; stored in checkpoints.
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
        frozen=(),
        ema_decay=0.999,
        parameters=None,
    ):
        together = [discriminator is None, adversarial is None, discriminator_optimizer is None]
        if any(together) != all(together):
            raise ValueError(
                "discriminator, adversarial and discriminator_optimizer must be given together. "
                f"Received: {discriminator}, {adversarial}, {discriminator_optimizer}"
            )
        if not 0 <= ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1). Received: {ema_decay}")
        self.generator, self.discriminator = generator, discriminator
        self.terms, self.adversarial, self.ema_decay = dict(terms), adversarial, ema_decay
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
        self._all_variables = self.state + [variable for network in frozen for variable in network.variables]
        self._compiled_step = backend.compile_step(self._step, self._all_variables)

    def _step(self, lr, hr):
        sr, logs = backend.minimize(
            lambda: self._generator_objective(lr, hr), self.generator, self.generator_optimizer, self._all_variables
        )
        logs["learning_rate"] = ops.convert_to_tensor(self.generator_optimizer.learning_rate)
        if self.discriminator is not None:
            logs |= backend.minimize(
                lambda: self._discriminator_objective(hr, sr),
                self.discriminator,
                self.discriminator_optimizer,
                self._all_variables,
            )
        for average, variable in zip(self.average.variables, self.generator.variables, strict=True):
            if "float" in variable.dtype:
                average.assign(self.ema_decay * average + (1 - self.ema_decay) * variable)
            else:  # counters of random generators
                average.assign(variable)
        self.iterations.assign_add(1)
        return logs

    def _generator_objective(self, lr, hr):
        sr = self.generator(lr, training=True)
        logs = {name: loss(hr, sr) for name, (_, loss) in self.terms.items()}
        total = sum(weight * logs[name] for name, (weight, _) in self.terms.items())
        if self.discriminator is not None:
            weight, loss = self.adversarial
            # batch statistics as in the discriminator's own step, but its moving statistics stay as they are
            kept = [ops.copy(variable) for variable in self.discriminator.non_trainable_variables]
            fake_logits = self.discriminator(sr, training=True)
            # only a relativistic generator reads the real logits; the others are spared the pass
            real_logits = self.discriminator(hr, training=True) if loss in losses.RELATIVISTIC else fake_logits
            for variable, value in zip(self.discriminator.non_trainable_variables, kept, strict=True):
                variable.assign(value)
            logs["adversarial"] = loss(real_logits, fake_logits)[0]
            total = total + weight * logs["adversarial"]
        return total, (sr, logs)

    def _discriminator_objective(self, hr, sr):
        real_logits = self.discriminator(hr, training=True)
        fake_logits = self.discriminator(ops.stop_gradient(sr), training=True)
        loss = self.adversarial[1](real_logits, fake_logits)[1]
        return loss, {
            "discriminator": loss,
            "real_logit": ops.mean(real_logits),  # far apart for long: the discriminator has won
            "fake_logit": ops.mean(fake_logits),
        }

    @property
    def step(self):
        """Number of steps made so far."""
        self.sync()
        return int(np.asarray(self.iterations.value))

    def fit(
        self,
        batches,
        *,
        steps,
        run,
        stage,
        log_every=50,
        validate=None,
        validate_every=500,
        checkpoint_every=500,
        callbacks=(),
    ):
        """Train up to step number `steps`; a trainer that has been restored goes on from its step.

        batches: function of the first step that yields (lr, hr), as `patches.Patches.stream`.
        run: `runs.Run` that receives log lines and checkpoints, under the name `stage`.
        validate: function of the averaged generator that returns named numbers, called every `validate_every` steps.
        callbacks: Keras callbacks; their epoch is the stretch between two log lines.
        Raises FloatingPointError that names step and term once a loss is not finite; the last checkpoint stays.
        """
        if checkpoint_every % log_every or validate_every % log_every:
            raise ValueError(
                "checkpoint_every and validate_every must be multiples of log_every, so that a resumed log equals an "
                f"unbroken one. Received: {checkpoint_every}, {validate_every} and {log_every}"
            )
        watchers = keras.callbacks.CallbackList(list(callbacks), model=self.generator)
        self.generator.stop_training = False
        watchers.on_train_begin()
        first, record = self.step, {}
        run.truncate_log(stage, first)  # what an earlier training of this folder did after this step is forgotten
        for path in _checkpoints(run, stage):
            if path.stem > f"{stage}-{first:08d}":
                path.unlink()
        if backend.accelerator():
            run.update(device=backend.accelerator())
        with progress.Progress(steps, stage, start=first) as bar:
            pending, started = [], time.perf_counter()
            for step, (lr, hr) in zip(range(first + 1, steps + 1), batches(first), strict=False):
                watchers.on_train_batch_begin(step)
                pending.append((step, self._compiled_step(lr, hr)))
                watchers.on_train_batch_end(step)
                bar.update(step, **{name: value for name, value in record.items() if name not in UNSEEN})
                if step % log_every and step < steps:
                    continue
                record = _mean_of(pending)
                seconds = time.perf_counter() - started
                record["images_per_second"] = round(len(pending) * len(lr) / seconds, 2)
                if validate and (step % validate_every == 0 or step == steps):
                    self.sync()
                    record |= {f"validation_{name}": value for name, value in validate(self.average).items()}
                run.log({"stage": stage, "step": step, **record})
                if step % checkpoint_every == 0 or step == steps:
                    self.save(run.checkpoints / f"{stage}-{step:08d}.safetensors")
                    for path in _checkpoints(run, stage)[:-2]:
                        path.unlink()
                watchers.on_epoch_end(step // log_every, record)
                if self.generator.stop_training:
                    break
                pending, started = [], time.perf_counter()
        self.sync()
        watchers.on_train_end()

    def sync(self):
        """Bring the networks' variables up to date; `fit` does it before validation, checkpoints and its end."""
        self._compiled_step.sync()

    def save(self, path):
        """Write every variable of both networks, average, optimizers and the step: all that a resume needs."""
        self.sync()
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        arrays = {name: np.asarray(variable.value) for name, variable in self._named_state().items()}
        try:
            save_file(arrays, temporary, metadata={"parameters": json.dumps(self.parameters)})
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

    def restore(self, path):
        """Read a checkpoint that `save` wrote. Raises ValueError if it is damaged or from another training."""
        try:
            with safe_open(path, framework="numpy") as file:
                parameters = json.loads((file.metadata() or {}).get("parameters", "{}"))
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, not a dict
        except SafetensorError as error:
            raise ValueError(f"a checkpoint must be whole. Received: {path} ({error})") from None
        variables = self._named_state()
        shapes = {name: tuple(array.shape) for name, array in arrays.items()}
        expected = {name: tuple(variable.shape) for name, variable in variables.items()}
        differences = _differences(expected, shapes) + _differences(self.parameters, parameters)
        if differences:
            raise ValueError(
                f"a checkpoint must come from the same training. Received: {path}: {'; '.join(differences)}"
            )
        self.sync()
        for name, variable in variables.items():
            variable.assign(arrays[name])

    def resume(self, run, stage):
        """Restore the newest checkpoint of `stage` in the run's folder, if there is one; `fit` goes on from there."""
        checkpoints = _checkpoints(run, stage)
        if not checkpoints:
            return
        try:
            self.restore(checkpoints[-1])
        except ValueError as error:
            earlier = f"; delete it to go on from {checkpoints[-2].name}" if checkpoints[1:] else ""
            raise ValueError(f"{error}{earlier}") from None

    def _named_state(self):
        return {f"{index:05d}": variable for index, variable in enumerate(self.state)}


def _differences(expected, received):
    """One line for each of the first five entries in which two dicts differ."""
    names = [name for name in {**expected, **received} if expected.get(name) != received.get(name)]
    return [f"{name} is {received.get(name)}, not {expected.get(name)}" for name in names[:5]]


def _mean_of(pending):
    """Mean of each logged value over some steps; raises at the first that is not finite."""
    steps = [(step, {name: float(value) for name, value in logs.items()}) for step, logs in pending]
    for step, values in steps:
        broken = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if broken:
            raise FloatingPointError(f"every loss must stay finite. Received at step {step}: {', '.join(broken)}")
    return {name: float(np.mean([values[name] for _, values in steps])) for name in steps[0][1]}


def _checkpoints(run, stage):
    """Return the checkpoints of a stage, oldest first."""
    return sorted(run.checkpoints.glob(f"{stage}-*.safetensors"))
