"""Speed and memory of a training step: each backend of this package, and plain PyTorch where it is installed.

    python benchmarks/train_step.py                                 all cases; esrgan only on a GPU
    python benchmarks/train_step.py --case paper-pixel              SRResNet as in the paper, pixel loss
    python benchmarks/train_step.py --precision bfloat16 --backend jax
    python benchmarks/train_step.py --torch ~/torch/bin/python      PyTorch of another environment
    python benchmarks/train_step.py --compile                       PyTorch through torch.compile as well

PyTorch is the extra `compare`; without it the other figures are printed. Each engine is a process of its own. It builds
and warms up while the others rest; then all take turns in short rounds, so that other work on the machine slows all of
them, and what is compared is the median of the rounds' ratios.

first step    compilation: the first step less a median one
peak memory   of the process, and of the GPU where there is one
waiting       share of the wall time spent in next() when the batches come from shards of the bundled photographs
of matmul     floating-point operations a second, as a share of what a big matrix product of the same precision gets.
              Those of a step are counted: two for each multiply-add of a convolution or dense layer; a network that
              learns is passed three times (forward, gradients of maps, gradients of weights). A pixel step is 3 G, a
              GAN step 3 G + 2 D (through the discriminator to the generator) + 6 D (real and fake), one D more where
              the loss is relativistic, + 3 V (features of real and fake, and back to the generator); G, D and V are one
              forward pass of a batch. There is one generator forward pass.

GAN cases have a pixel, a perceptual and an adversarial loss. The features are VGG16's, up to block2_conv2 as in the
sample run, or to block5_conv3, the last: VGG19's, which the papers take, would have to be downloaded.
"""

import argparse
import contextlib
import importlib.util
import math
import shutil
import signal
import statistics
import sys
import tempfile
import time
from functools import partial

from reference import processes

SMALL = {"blocks": 4, "width": 32, "skip": "bilinear"}
FULL = {"blocks": 16, "width": 64, "skip": "none"}
CASES = {
    "sample-pixel": {"generator": ("srresnet", SMALL), "patch": 48, "batch": 16},
    "sample-gan": {
        "generator": ("srresnet", SMALL),
        "discriminator": ("srgan_discriminator", {"width": 32, "grid": 1}),
        "adversarial": "vanilla",
        "features": "block2_conv2",
        "patch": 64,
        "batch": 8,
    },
    "paper-pixel": {"generator": ("srresnet", FULL), "patch": 96, "batch": 16},
    "paper-gan": {
        "generator": ("srresnet", FULL),
        "discriminator": ("srgan_discriminator", {"width": 64, "grid": 6}),
        "adversarial": "vanilla",
        "features": "block5_conv3",
        "patch": 96,
        "batch": 16,
    },
    "esrgan": {
        "generator": ("rrdb", {}),
        "discriminator": ("esrgan_discriminator", {}),
        "adversarial": "relativistic_average",
        "features": "block5_conv3",
        "patch": 128,
        "batch": 16,
    },
}
COMPILED = "torch, compiled"
TORCH = ("torch, channels last", "torch, channels first", COMPILED)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=CASES, action="append", help="only this one; may be repeated")
    parser.add_argument("--all", action="store_true", help="esrgan on a CPU too: minutes a step")
    parser.add_argument("--backend", choices=("tensorflow", "jax"), action="append", help="only this one")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="networks compute in")
    parser.add_argument("--rounds", type=int, default=7, help="turns that each engine takes (default 7)")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of a turn, about (default 3)")
    parser.add_argument("--torch", metavar="PYTHON", help="the Python that has torch and numpy (default: this one)")
    parser.add_argument("--compile", action="store_true", help="also PyTorch through torch.compile, channels last")
    parser.add_argument(
        "--serve", nargs=2, help=argparse.SUPPRESS
    )  # engine and index of shards: the other side of the pipe
    options = parser.parse_args()
    if options.serve:
        return serve(*options.serve, CASES[options.case[0]], options.precision)
    if options.torch is None and importlib.util.find_spec("torch"):
        options.torch = sys.executable
    if options.torch and not shutil.which(options.torch):
        parser.error(f"--torch must name a Python that has torch. Received: {options.torch}")

    from srnb.data import datasets, shards

    accelerated = False
    with tempfile.TemporaryDirectory() as folder:
        index = shards.prepare(datasets.photographs("sample", "train"), folder)
        for case in options.case or CASES:
            if case == "esrgan" and not (options.case or options.all or accelerated):
                print("esrgan: left out on a CPU, where a step takes minutes; --all runs it")
                continue
            accelerated = measure(case, options, index)


def measure(name, options, index):
    """Print the table of one case; return whether it ran on a GPU."""
    case, python = CASES[name], {backend: sys.executable for backend in options.backend or ("tensorflow", "jax")}
    if options.torch and case["generator"][0] == "srresnet":
        python |= {engine: options.torch for engine in TORCH if engine != COMPILED or options.compile}
    with contextlib.ExitStack() as stack:
        ask, about, first, count, seconds = {}, {}, {}, {}, {engine: [] for engine in python}
        for engine in python:
            command = [python[engine], __file__, "--serve", engine, index, "--case", name]
            command += ["--precision", options.precision]
            backend = engine if engine not in TORCH else ""
            ask[engine] = stack.enter_context(processes.engine(engine, command, backend))
            about[engine] = ask[engine]("describe")
            first[engine] = ask[engine]("run", 1)
            count[engine] = math.ceil(options.seconds / ask[engine]("run", 2))
        if len({str(network["parameters"]) for network in about.values()}) > 1:
            raise SystemExit(f"all engines must train the same networks. Received: {about}")
        some = next(iter(about.values()))
        networks = " + ".join(case[player][0] for player in ("generator", "discriminator") if player in case)
        print(
            f"\n{name}: {networks}, {' + '.join(f'{n:,}' for n in some['parameters'])} parameters in every engine\n"
            f"batch {case['batch']}, {case['patch'] // 4} to {case['patch']} pixels, {options.precision}, "
            f"{some['flops'] / 1e9:,.0f} GFLOP a step, on {some['device']}\n"
            f"{'':22}{'steps/s':>8}{'images/s':>10}{'first step':>12}{'peak memory':>13}{'waiting':>9}{'of matmul':>11}"
        )
        for _ in range(options.rounds):
            for engine in python:
                seconds[engine].append(ask[engine]("run", count[engine]))
        median = {engine: statistics.median(rounds) for engine, rounds in seconds.items()}
        for engine in python:
            memory = " + ".join(f"{gib:.2f}" for gib in ask[engine]("memory")) + " GiB"
            own = f"{1 / median[engine]:8.2f}{case['batch'] / median[engine]:10.1f}"
            print(f"{engine:22}{own}{max(0.0, first[engine] - median[engine]):10.1f} s{memory:>13}", end="", flush=True)
            if engine not in TORCH:
                share = some["flops"] / median[engine] / ask[engine]("matmul")
                print(f"{ask[engine]('wait', max(10, count[engine])):9.2%}{share:11.0%}", end="")
            print()
    best = {engine: min(rounds) for engine, rounds in seconds.items()}
    ours = min(set(python) - {*TORCH}, key=best.get)
    if theirs := min(set(python) & {*TORCH}, key=best.get, default=None):
        ratios = sorted(b / a for a, b in zip(seconds[ours], seconds[theirs], strict=True))
        print(
            f"{ours} makes {statistics.median(ratios):.2f} steps for each of {theirs} "
            f"(by round {ratios[0]:.2f} to {ratios[-1]:.2f}, fastest against fastest {best[theirs] / best[ours]:.2f})"
        )
    return some["device"] != "CPU"


def serve(engine, index, case, precision):
    """Answer the requests of `measure`: a line of JSON each, until there are no more."""
    import numpy as np

    step, about = (torch_step if engine in TORCH else keras_step)(case, precision, engine)
    hr = np.random.default_rng(0).random((case["batch"], case["patch"], case["patch"], 3), dtype="float32")
    lr = np.ascontiguousarray(hr[:, ::4, ::4])

    def run(count):
        start = time.perf_counter()
        for _ in range(count):
            loss = step(lr, hr)
        float(loss)
        return (time.perf_counter() - start) / count

    def wait(count):
        from srnb.data import patches

        source = patches.Patches(index, patch_size=case["patch"], scale=4, batch_size=case["batch"], seed=0)
        stream, waiting = source.stream(), 0.0
        next(stream)  # the threads have started
        start = time.perf_counter()
        for _ in range(count):
            asked = time.perf_counter()
            batch = next(stream)
            waiting += time.perf_counter() - asked
            float(step(*batch))  # before the next is asked for: what is waited for is the data alone
        return waiting / (time.perf_counter() - start)

    answers = {"describe": lambda: about, "run": run, "wait": wait}
    answers |= {"memory": lambda: peak_memory(engine, about["device"]), "matmul": lambda: matmul_peak(precision)}
    processes.answer(sys.stdin, answers)


def keras_step(case, precision, _):
    from srnb import backend, losses, models, training
    from srnb.models import features
    from srnb.training import optimizers

    # isort: split
    import keras  # after srnb, which lets it import less

    keras.config.set_dtype_policy(optimizers.POLICIES[precision])
    name, overrides = case["generator"]
    networks, gan = [models.build(name, **overrides)], {}
    if "discriminator" in case:
        name, overrides = case["discriminator"]
        networks.append(models.build(name, **overrides))
        gan = {
            "discriminator": networks[1],
            "adversarial": (1e-3, losses.ADVERSARIAL[case["adversarial"]]),
            "discriminator_optimizer": optimizers.adam(1e-4, precision=precision),
        }
    terms = {"pixel": (1.0, losses.l1)}
    if "features" in case:
        vgg = features.build("vgg16", case["features"])
        terms["perceptual"] = (1.0, partial(losses.perceptual, features=vgg))
    trainer = training.Trainer(
        networks[0],
        terms=terms,
        generator_optimizer=optimizers.adam(1e-4, precision=precision),
        **gan,
    )
    costs = [models.cost(network) for network in (*networks, *([vgg] if "features" in case else []))]
    passes = 3, 9 if gan and losses.relativistic(gan["adversarial"][1]) else 8, 3
    forward = [cost["multiply_adds"] * case["patch"] ** 2 + cost["multiply_adds_per_picture"] for cost in costs]
    about = {
        "device": backend.accelerator() or "CPU",
        "parameters": [cost["trainable"] for cost in costs[: len(networks)]],
        "flops": 2 * case["batch"] * sum(count * work for count, work in zip(passes, forward, strict=False)),
    }
    return lambda lr, hr: trainer.train_step(lr, hr)["pixel"], about


def torch_step(case, precision, engine):
    from reference.srresnet_torch import training_step

    _, discriminator = case.get("discriminator", (None, None))
    form = {"channels_last": "first" not in engine, "bfloat16": precision == "bfloat16", "compiled": engine == COMPILED}
    step, parameters = training_step(case["generator"][1], discriminator, case.get("features"), **form)
    return step, {"device": None, "parameters": parameters}


def peak_memory(engine, device):
    """Return the highest GiB so far of this process, and of the GPU if it has one."""
    import resource

    peak = [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20]  # KiB on Linux
    if engine in TORCH:
        import torch

        if torch.cuda.is_available():
            peak.append(torch.cuda.max_memory_allocated() / 2**30)
    elif device != "CPU":
        if engine == "jax":
            import jax

            peak.append(jax.local_devices()[0].memory_stats()["peak_bytes_in_use"] / 2**30)
        else:
            import tensorflow

            peak.append(tensorflow.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30)
    return peak


def matmul_peak(dtype):
    """Return the floating-point operations a second of a big matrix product on this device, best of five."""
    from keras import ops, random

    from srnb import backend

    side, count = (8192, 20) if backend.accelerator() else (2048, 2)
    a, b = (random.normal((side, side), stddev=side**-0.5, dtype=dtype) for _ in range(2))
    times = []
    for _ in range(6):
        start = time.perf_counter()
        for _ in range(count):
            a = ops.matmul(a, b)
        float(a[0, 0])
        times.append((time.perf_counter() - start) / count)
    return 2 * side**3 / min(times[1:])


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clears up as Ctrl-C does
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
