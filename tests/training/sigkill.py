"""Train a stage that is killed with SIGKILL five times and goes on each time, and the same stage unbroken.

    python tests/training/sigkill.py STAGE FOLDER SEED

STAGE is pretrain or gan. It leaves FOLDER/unbroken and FOLDER/killed.

Every training is a process of its own, forked before any framework has started, so that it costs no import: nothing may
make a variable while modules are imported. A child says that a step begins, and is killed up to a few milliseconds
later: inside the step, the log, or a checkpoint.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import keras
from test_trainer import batches, trainer

from srnb import losses, runs
from srnb.training import optimizers

STEPS, KILLS = 40, 5


def build(stage):
    """A trainer whose every part has a state to lose."""
    subject = trainer(adversarial=None)
    generator, discriminator = subject.generator, trainer().discriminator
    terms = {"pixel": (1.0, losses.pixel_loss("adaptive_mix", steps=STEPS))}
    rate = optimizers.schedule("cosine", 1e-2, steps=STEPS, warmup=5, cycles=2)
    options = {"generator_optimizer": optimizers.adam(rate, accumulate=2, clip_norm=1.0), "ema_decay": 0.9}
    if stage == "gan":
        terms["history"] = (1e-2, losses.HistoricalAverage(generator))
        options |= {
            "discriminator": discriminator,
            "adversarial": (0.1, losses.relativistic_average),
            "discriminator_optimizer": optimizers.adam(1e-3, precision="float16"),  # with a loss scale
            "discriminator_terms": {"penalty": (1.0, losses.GradientPenalty(discriminator))},
            "discriminator_steps": 2,
        }
    return type(subject)(generator, terms=terms, **options)


def train(stage, folder, *, tell=lambda step: None):
    """Go on from where the folder stands, to the last step."""
    run, subject = runs.Run(folder), build(stage)
    subject.resume(run, stage)
    subject.fit(
        batches,
        steps=STEPS,
        run=run,
        stage=stage,
        log_every=2,
        checkpoint_every=4,
        validate_every=4,
        validate=lambda network: {"psnr_y": float(keras.ops.sum(network.variables[0]))},
        best="psnr_y",
        callbacks=[keras.callbacks.LambdaCallback(on_train_batch_begin=lambda step, logs: tell(step))],
    )


def fork(function):
    process = os.fork()
    if process == 0:
        try:
            function()
            os._exit(0)
        finally:
            os._exit(1)
    return process


def wait(process):
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def killed(stage, folder, step, delay):
    """Kill the training `delay` seconds after it has begun `step`; return its exit status."""
    reader, writer = os.pipe()

    def tell(now):
        if now >= step:
            os.write(writer, b".")
            time.sleep(10 if now == STEPS else 0.005)  # it must not come to its end before the signal does

    process = fork(lambda: train(stage, folder, tell=tell))
    os.close(writer)
    os.read(reader, 1)
    time.sleep(delay)
    os.kill(process, signal.SIGKILL)
    os.close(reader)
    return wait(process)


if __name__ == "__main__":
    stage, folder, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    generator = random.Random(seed)
    steps = sorted(generator.sample(range(2, STEPS - 2), KILLS))
    statuses = [wait(fork(lambda: train(stage, folder / "unbroken")))]
    statuses += [killed(stage, folder / "killed", step, generator.uniform(0, 0.01)) for step in steps]
    statuses += [wait(fork(lambda: train(stage, folder / "killed")))]
    print("killed in steps", steps, "statuses", statuses)
    sys.exit(statuses != [0, *[-signal.SIGKILL] * KILLS, 0])
