"""A training step on TensorFlow: gradients from a tape, the step a graph, variables updated in place."""

import logging

import keras
import tensorflow as tf

from srnb.backend import processor

# in a notebook TensorFlow makes its own logger speak up again as it is imported; all it says is that functions are
# traced for new shapes and networks, which is meant
logging.getLogger("tensorflow").setLevel(logging.ERROR)


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


def batch_normalization(x, gamma, beta, epsilon):
    # one operation where Keras has a dozen passes over the maps; in bfloat16 it adds up in float32 by itself
    ones, zeros = tf.ones(x.shape[-1:]), tf.zeros(x.shape[-1:])
    gamma, beta = ones if gamma is None else gamma, zeros if beta is None else beta
    nothing = tf.zeros([0])
    y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x, scale=gamma, offset=beta, mean=nothing, variance=nothing, epsilon=epsilon, is_training=True
    )
    count = tf.cast(tf.size(x) // x.shape[-1], "float32")
    return y, mean, variance * ((count - 1) / count)  # TensorFlow gives the unbiased one


def convolution(x, kernel, strides, *, single):
    rows, columns, inputs, outputs = kernel.shape
    if not accelerator() and outputs <= processor.FEW and rows > 1 and strides == (1, 1):
        # A processor needs as long for 3 maps as for 16. So each row of the kernel makes maps of its own, all in one
        # convolution, and they are added up where they belong. 9x9, 64 to 3 maps, batch 16 of 96 pixels, Eigen on two
        # AVX2 cores: 289 ms forward and 2.0 s with gradients as one convolution, 75 and 435 ms so
        flat = tf.reshape(tf.transpose(kernel, [1, 2, 0, 3]), [1, columns, inputs, rows * outputs])
        height, above = tf.shape(x)[1], (rows - 1) // 2
        maps = convolution(x, flat, strides, single=single)
        maps = tf.pad(maps, [[0, 0], [above, rows - 1 - above], [0, 0], [0, 0]])
        shares = [maps[:, row : row + height, :, row * outputs : (row + 1) * outputs] for row in range(rows)]
        return tf.ensure_shape(tf.add_n(shares), [*x.shape[:3], outputs])
    strides = [1, *strides, 1]
    if single and _leaves_single_pictures_to_gemm() and x.dtype == tf.float32:
        # oneDNN, which `tf.nn.conv2d` is, then takes three times as long as Eigen, which this operation still is
        return tf.raw_ops.Conv(input=x, filter=kernel, strides=strides, padding="SAME")
    return tf.nn.conv2d(x, kernel, strides, "SAME")


def _leaves_single_pictures_to_gemm():
    return not accelerator() and "avx512f" not in processor.features()[1]


@tf.custom_gradient
def prelu(x, alpha):
    def backward(upstream):
        # Keras' two relus leave seven passes over the maps here, and two more of them in memory
        slopes = tf.minimum(x, 0) * upstream
        axes = [axis for axis, side in enumerate([1] * (x.shape.rank - alpha.shape.rank) + alpha.shape) if side == 1]
        return tf.where(x > 0, upstream, alpha * upstream), tf.reshape(tf.reduce_sum(slopes, axes), alpha.shape)

    return tf.where(x > 0, x, alpha * x), backward


def compile_step(step, state, *, split=False, jit_compile=None):
    # on a CPU without XLA: paper-size SRResNet, batch 16, 24 to 96 pixels: 0.97 s a step on two cores, 1.26 s with it
    jit_compile = bool(accelerator()) if jit_compile is None else jit_compile
    compiled = tf.function(step, jit_compile=jit_compile, autograph=False)  # see `compile_network`

    def run(*arrays, **options):
        return compiled(*map(tf.convert_to_tensor, arrays), **options)

    run.sync = lambda: None
    return run


def compile_network(network):
    # sides unknown: one program for pictures of any size
    signature = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in network.inputs]

    @tf.function(input_signature=signature, autograph=False)  # no Python branches on tensors; to look takes seconds
    def run(*maps):
        return tf.nest.flatten(network(keras.tree.pack_sequence_as(network.input, list(maps)), training=False))

    return run


def distribute():
    return 1


def accelerator():
    devices = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(devices[0]).get("device_name", "GPU") if devices else None
