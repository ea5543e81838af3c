"""A training step on TensorFlow: gradients from a tape, the step a graph, variables updated in place."""

import tensorflow as tf


def minimize(loss_fn, model, optimizer, state):
    variables = [variable.value for variable in model.trainable_variables]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        loss, output = loss_fn()
        scaled_loss = optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled_loss, variables)
    optimizer.apply(gradients, model.trainable_variables)
    return output


def gradient(function, x):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        total = tf.reduce_sum(function(x))
    return tape.gradient(total, x)


def compile_step(step, state, *, split=False, jit_compile=None):
    # on a CPU without XLA: paper-size SRResNet, batch 16, 24 to 96 pixels: 0.97 s a step on two cores, 1.26 s with it
    compiled = tf.function(step, jit_compile=bool(accelerator()) if jit_compile is None else jit_compile)

    def run(*arrays, **options):
        return compiled(*map(tf.convert_to_tensor, arrays), **options)

    run.sync = lambda: None
    return run


def distribute():
    return 1


def accelerator():
    devices = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU") if devices else None
