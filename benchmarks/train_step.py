"""Speed and memory of a training step on each backend: SRResNet in the sample's and in the paper's size.

With and without a discriminator; each line is a process of its own. The median of ten steps, compilation apart.

    python benchmarks/train_step.py
"""

import os
import subprocess
import sys
import time

CASES = {  # blocks, width, HR patch, batch, discriminator's width or None
    "sample, pixel loss": (4, 32, 48, 16, None),
    "sample, GAN": (4, 32, 64, 8, 32),
    "paper, pixel loss": (16, 64, 96, 16, None),
}


def measure(blocks, width, patch, batch, discriminator_width):
    import keras
    import numpy as np
    import psutil

    from srnb import losses, models, training

    gan = {}
    if discriminator_width:
        gan = {
            "discriminator": models.build("srgan_discriminator", width=discriminator_width, grid=1),
            "adversarial": (1e-3, losses.vanilla),
            "discriminator_optimizer": keras.optimizers.Adam(1e-4),
        }
    trainer = training.Trainer(
        models.build("srresnet", blocks=blocks, width=width),
        terms={"pixel": (1.0, losses.l1)},
        generator_optimizer=keras.optimizers.Adam(1e-4),
        **gan,
    )
    hr = np.random.default_rng(0).random((batch, patch, patch, 3), dtype="float32")
    lr, seconds = np.ascontiguousarray(hr[:, ::4, ::4]), []
    for _ in range(12):
        start = time.perf_counter()
        float(trainer._compiled_step(lr, hr)["pixel"])
        seconds.append(time.perf_counter() - start)
    step = float(np.median(seconds[2:]))
    memory = psutil.Process().memory_info().rss / 2**30
    print(f"{1 / step:7.2f} steps/s {batch / step:7.1f} images/s   first step {seconds[0]:5.1f} s   {memory:.2f} GiB")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(*CASES[sys.argv[1]])
    else:
        for case in CASES:
            for backend in ("tensorflow", "jax"):
                print(f"{case:20} {backend:10}", end=" ", flush=True)
                environment = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
                command = [sys.executable, __file__, case]
                subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
