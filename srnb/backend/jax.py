"""A training step on JAX: stateful Keras code run on explicit values, then compiled with the state donated."""

import jax
import keras


def _run(function, variables, values, *arrays):
    """Call `function` as if `variables` held `values`; return its output and the values they would hold after it."""
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

    gradient = jax.value_and_grad(objective, has_aux=True)
    (_, (output, new_rest)), gradients = gradient([variable.value for variable in trainable])
    for variable, value in zip(rest, new_rest, strict=True):
        variable.assign(value)
    optimizer.apply(gradients, trainable)
    return output


def gradient(function, x):
    return jax.grad(lambda x: function(x).sum())(x)


def compile_step(step, state):
    compiled = jax.jit(lambda values, *arrays: _run(step, state, values, *arrays), donate_argnums=0)
    values = None

    def run(*arrays):
        nonlocal values
        if values is None:
            values = [variable.value for variable in state]
        output, values = compiled(values, *arrays)
        return output

    def sync():
        nonlocal values
        if values is not None:
            for variable, value in zip(state, values, strict=True):
                variable.assign(value)
            values = None  # the next step starts from the variables, whoever has changed them meanwhile

    run.sync = sync
    return run


def accelerator():
    device = jax.devices()[0]
    return None if device.platform == "cpu" else device.device_kind
