"""What Keras cannot say for every framework: the operations of a training step, and where it runs.

`minimize(loss_fn, model, optimizer, state)` runs `loss_fn() -> (loss, output)`, moves the model's trainable variables
down the gradient and returns `output`.
`gradient(function, x)` is that of the sum of `function(x)` with respect to `x`; inside a step it can itself be
differentiated. `function` must not change variables.
`compile_step(step, state, split=False, jit_compile=None)` compiles a stateful `step(*arrays, **options)`, options being
constants. The result is called with NumPy arrays; its `sync()` writes the new values back into the Keras variables of
`state` and must be called before anyone reads them. `split` spreads the first axis of the arrays over the devices of
`distribute`. `jit_compile` is TensorFlow's XLA, by default on for a GPU and off for a CPU; JAX always compiles.
`state` lists every variable that a step reads or changes.
`compile_network(network)` compiles the inference of a Functional network: a function of its inputs that returns the
list of its outputs, with the weights of the moment. TensorFlow does it once, JAX once for each shape.
`distribute()` makes every later network live on all devices that JAX sees, of all hosts, and returns their number;
TensorFlow uses one. Call it before the first network is built.
`batch_normalization(x, gamma, beta, epsilon)` normalises maps (N, H, W, C) by their own statistics; returns them, in
the dtype of `x`, with mean and (biased) variance (C,) in float32. `gamma` and `beta` are None where there are none.
`prelu(x, alpha)` is x above zero and alpha x below, `alpha` being of any shape that goes with `x`.
Both can be differentiated twice.
`accelerator()` names the GPU or TPU that steps run on, None on a CPU.
"""

import keras

from srnb.backend.processor import multiplies_bfloat16

if keras.backend.backend() == "tensorflow":
    from srnb.backend.tensorflow import (
        accelerator,
        batch_normalization,
        compile_network,
        compile_step,
        distribute,
        gradient,
        minimize,
        prelu,
    )
elif keras.backend.backend() == "jax":
    from srnb.backend.jax import (
        accelerator,
        batch_normalization,
        compile_network,
        compile_step,
        distribute,
        gradient,
        minimize,
        prelu,
    )
else:
    raise ValueError(f"KERAS_BACKEND must be 'tensorflow' or 'jax'. Received: {keras.backend.backend()!r}")

__all__ = [
    "accelerator",
    "batch_normalization",
    "compile_network",
    "compile_step",
    "distribute",
    "gradient",
    "minimize",
    "precision",
    "prelu",
]


def precision(name, recorded=None):
    """Return the precision that `name` stands for here: "auto" is bfloat16 where that is faster, else float32.

    It is on a GPU or TPU, and with TensorFlow on a CPU that has AMX or AVX512-BF16; XLA, behind JAX, converts every
    such convolution to float32 on a CPU. `recorded` is what a training began with, wherever that was: with it, "auto"
    means the same again. Other names stand for themselves.
    """
    if name != "auto":
        return name
    if recorded:
        return recorded
    fast = accelerator() or (keras.backend.backend() == "tensorflow" and multiplies_bfloat16())
    return "bfloat16" if fast else "float32"
