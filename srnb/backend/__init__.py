"""What Keras does not offer for both frameworks: the operations of a training step, and the devices it runs on.

`minimize(loss_fn, model, optimizer, state)` calls `loss_fn() -> (loss, output)`, updates the trainable variables of the
model by the gradient of the loss, and returns `output`.
`gradient(function, x)` returns the gradient of the sum of `function(x)` with respect to `x`; within a step it can be
differentiated again. `function` must not change variables.
`compile_step(step, state, split=False, jit_compile=None)` compiles a stateful `step(*arrays, **options)`, whose options
are constants. `state` lists every variable that the step reads or changes. The result is called with NumPy arrays; its
`sync()` writes the new values back into the Keras variables of `state` and must be called before they are read. `split`
spreads the first axis of the arrays over the devices of `distribute`. `jit_compile` is TensorFlow's XLA, by default on
for a GPU and off for a CPU; JAX always compiles.
`compile_network(network)` compiles the inference of a Functional network: a function of its inputs that returns the
list of its outputs, computed with the present weights. TensorFlow compiles once, JAX once per shape.
`distribute()` places all networks built later on every device that JAX sees, on all hosts, and returns the number of
devices; TensorFlow uses one. Call it before the first network is built.
`batch_normalization(x, gamma, beta, epsilon)` normalises maps (N, H, W, C) by their own statistics; it returns them, in
the dtype of `x`, with mean and (biased) variance, (C,) in float32. `gamma` and `beta` may be None.
`convolution(x, kernel, strides, single)` is that of maps (N, H, W, C) with a kernel (h, w, C, K) and zeros around the
picture. `single` is a hint for speed: N will be 1, as it is where a photograph is enlarged.
`prelu(x, alpha)` is x where positive, alpha x elsewhere; `alpha` is of any shape that broadcasts with `x`.
All three can be differentiated twice.
`accelerator()` returns the name of the GPU or TPU that steps run on, None on a CPU.
"""

import keras

from srnb.backend import processor

if keras.backend.backend() == "tensorflow":
    from srnb.backend.tensorflow import (
        accelerator,
        batch_normalization,
        compile_network,
        compile_step,
        convolution,
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
        convolution,
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
    "convolution",
    "distribute",
    "gradient",
    "minimize",
    "precision",
    "prelu",
]


def precision(name, recorded=None):
    """Return the precision that `name` stands for here: "auto" is bfloat16 where that is faster, else float32.

    It is faster on a GPU or TPU, and with TensorFlow on some CPUs (`processor.multiplies_bfloat16`); on a CPU, JAX's
    XLA converts every bfloat16 convolution to float32. `recorded` is the precision that a training began with, on
    whatever machine: "auto" then means that one. Other names are returned as they are.
    """
    if name != "auto":
        return name
    if recorded:
        return recorded
    fast = accelerator() or (keras.backend.backend() == "tensorflow" and processor.multiplies_bfloat16())
    return "bfloat16" if fast else "float32"
