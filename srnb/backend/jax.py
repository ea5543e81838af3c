"""A training step on JAX: stateful Keras code run on explicit values, then compiled with the state donated."""

import os
from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec


def _run(function, variables, values, *arrays):
    """Call `function` as if `variables` held `values`; return its output and the values after it."""
    with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
        output = function(*arrays)
    strays = scope.state_mapping.keys() - {id(variable) for variable in variables}
    if strays:  # the update of a variable that is not in the state would vanish without a word
        raise ValueError(f"state must list every variable that a step changes. Received: {len(strays)} others changed")
    return output, [scope.get_current_value(variable) for variable in variables]


def minimize(loss_fn, model, optimizer, state):
    trainable = model.trainable_variables
    identities = {id(variable) for variable in trainable}
    rest = [variable for variable in state if id(variable) not in identities]
    rest_values = [variable.value for variable in rest]

    def objective(values):
        (loss, output), new = _run(loss_fn, [*trainable, *rest], [*values, *rest_values])
        return optimizer.scale_loss(loss), (output, new[len(trainable) :])

    differentiate = jax.value_and_grad(objective, has_aux=True)
    values = [variable.value for variable in trainable]
    (_, (output, new_rest)), gradients = differentiate(values)
    for variable, value in zip(rest, new_rest, strict=True):
        variable.assign(value)
    # the stateless form, because a scaled loss decides in a branch whether weights move
    slots = [variable.value for variable in optimizer.variables]
    values, slots = optimizer.stateless_apply(slots, gradients, values)
    for variable, value in zip([*trainable, *optimizer.variables], [*values, *slots], strict=True):
        variable.assign(value)
    return output


def gradient(function, x):
    return jax.grad(lambda x: function(x).sum())(x)


def batch_normalization(x, gamma, beta, epsilon):
    maps = x.astype("float32")
    mean, variance = maps.mean((0, 1, 2)), maps.var((0, 1, 2))
    factor = jax.lax.rsqrt(variance + epsilon) * (1 if gamma is None else gamma)
    return ((maps - mean) * factor + (0 if beta is None else beta)).astype(x.dtype), mean, variance


def convolution(x, kernel, strides, *, single):
    return jax.lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def prelu(x, alpha):
    return jnp.where(x > 0, x, alpha * x)


def compile_step(step, state, *, split=False, jit_compile=None):
    if jit_compile is False:
        raise ValueError("jit_compile must be None or True on JAX, which always compiles. Received: False")
    mesh = _mesh() if split else None
    everywhere = {"out_shardings": NamedSharding(mesh, PartitionSpec())} if mesh else {}

    def pure(values, options, *arrays):
        return _run(partial(step, **dict(options)), state, values, *arrays)

    compiled = jax.jit(pure, static_argnums=1, donate_argnums=0, **everywhere)
    values = None

    def run(*arrays, **options):
        nonlocal values
        if values is None:
            values = [variable.value for variable in state]
        if mesh:
            arrays = [_share(array, mesh) for array in arrays]
        output, values = compiled(values, tuple(sorted(options.items())), *arrays)
        return output

    def sync():
        nonlocal values
        if values is not None:
            for variable, value in zip(state, values, strict=True):
                variable.assign(value)
            values = None  # the next step starts from the variables, whoever has changed them meanwhile

    run.sync = sync
    return run


def compile_network(network):
    @jax.jit
    def pure(values, *maps):
        maps = keras.tree.pack_sequence_as(network.input, list(maps))
        return jax.tree.leaves(_run(partial(network, training=False), network.variables, values, maps)[0])

    return lambda *maps: pure([variable.value for variable in network.variables], *maps)


def distribute():
    if "KERAS_DISTRIBUTION_JOB_ADDRESSES" in os.environ:
        keras.distribution.initialize()
    devices = keras.distribution.list_devices()
    if len(devices) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices, auto_shard_dataset=False))
    return len(devices)


def _mesh():
    distribution = keras.distribution.distribution()
    return distribution.device_mesh.backend_mesh if distribution else None


def _share(array, mesh):
    """Distribute a batch, which every process holds whole, over the devices of all processes."""
    if len(array) % mesh.size:
        raise ValueError(f"a batch must divide among {mesh.size} devices. Received: {len(array)} pictures")
    array = np.asarray(array)
    sharding = NamedSharding(mesh, PartitionSpec(*mesh.axis_names))
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def accelerator():
    device = jax.devices()[0]
    return None if device.platform == "cpu" else device.device_kind
