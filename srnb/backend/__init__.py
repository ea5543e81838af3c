"""What Keras cannot say for every framework: the two operations of a training step, and where it runs.

`minimize(loss_fn, model, optimizer, state)` runs `loss_fn() -> (loss, output)`, moves the model's trainable variables
down the gradient and returns `output`.
`gradient(function, x)` is that of the sum of `function(x)` with respect to `x`; inside a step it can itself be
differentiated. `function` must not change variables.
`compile_step(step, state)` compiles a stateful `step(*arrays)`. The result is called with NumPy arrays; its `sync()`
writes the new values back into the Keras variables of `state` and must be called before anyone reads them.
`state` lists every variable that a step reads or changes.
`accelerator()` names the GPU or TPU that steps run on, None on a CPU.
"""

import keras

if keras.backend.backend() == "tensorflow":
    from srnb.backend.tensorflow import accelerator, compile_step, gradient, minimize
elif keras.backend.backend() == "jax":
    from srnb.backend.jax import accelerator, compile_step, gradient, minimize
else:
    raise ValueError(f"KERAS_BACKEND must be 'tensorflow' or 'jax'. Received: {keras.backend.backend()!r}")

__all__ = ["accelerator", "compile_step", "gradient", "minimize"]
