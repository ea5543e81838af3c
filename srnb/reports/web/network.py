"""From a Keras network to what the browser's engine runs: a list of operations, and its weights in few bytes.

Operation n of the list makes maps n + 1 (0 is the picture) from the maps that its `inputs` name. Their fields:

    conv        kernel, bias, norm, factor, slope: slope(factor * norm(kernel * x + bias))
    normalise   norm            affine    scale, offset      slope     slope
    function    name            shuffle   factor             enlarge   kind, factor
    add, multiply, concat       and all of them `maps`, how many they make, in `places` for each pixel of the picture

A value for each map is {"tensor": number}, a number for all, or a list. Where it has fewer values than there are maps,
they repeat. BatchNorm stays apart from its kernel until the engine folds it: the fold of a blend of two networks is not
the blend of their folds. A transposed convolution is written as a convolution with a pixel shuffle behind it.

Kernels are integers of 15 bits in two bytes, with a scale for each map. With a trained `compact`, 0.03 to 0.10 % of the
values of ten photographs (Set5, Set14) then differ, by 1 of 255; with float16, 4 % smaller when compressed, 0.13 to
0.46 % do.
"""

import keras
import numpy as np

from srnb.models import layers, receptive_field

LEVELS = 2**14 - 1
FUNCTIONS = ("tanh", "sigmoid", "gelu", "silu", "softplus")


def encode(ends):
    """Return the network that all `ends` are, a dict for JSON, and the weights of each, bytes.

    `ends` are one generator, or two that the page blends. Raises ValueError, with the reason for a reader, for what the
    engine cannot do, and where two ends are not the same network.
    """
    drawn = [_Graph(end) for end in ends]
    first = drawn[0]
    for other in drawn[1:]:
        if other.nodes != first.nodes or other.shapes() != first.shapes():
            raise ValueError(f"a blend must be of one network. Received: {', '.join(end.name for end in ends)}")
    nodes, output = _fused(first.nodes, first.output)
    network = {
        "scale": first.scales[first.output],
        "reach": receptive_field(ends[0]) // 2,
        "nodes": nodes,
        "output": output,
        "tensors": first.shapes(),
    }
    return network, [b"".join(_bytes(tensor) for tensor in one.tensors) for one in drawn]


def _bytes(tensor):
    """A tensor as the engine's `readWeights` wants it. Raises ValueError if it is not finite."""
    if not np.isfinite(tensor).all():
        raise ValueError("the weights must be finite. Received: NaN or infinity; the network is not usable")
    if tensor.ndim < 4:
        return tensor.astype("<f4").tobytes()
    scale = np.abs(tensor).max(axis=(0, 1, 2)) / LEVELS
    whole = np.rint(tensor / np.where(scale > 0, scale, 1)).astype("<i2")
    planes = np.frombuffer(whole.tobytes(), "u1").reshape(-1, 2).T  # apart, the high bytes compress
    return scale.astype("<f4").tobytes() + planes.tobytes()


class _Graph:
    """The operations of a network and their tensors, in the order of computation."""

    def __init__(self, model):
        if model.inputs[0].shape[-1] != 3 or len(model.outputs) != 1 or model.outputs[0].shape[-1] != 3:
            raise ValueError(f"{model.name} takes and gives no RGB pictures")
        try:
            receptive_field(model)
        except ValueError:
            raise ValueError(
                f"{model.name} looks at the whole picture at once (attention, or pooling over it); "
                "a browser enlarges in tiles"
            ) from None
        self.nodes, self.tensors, self.numbers = [], [], {}
        self.maps, self.scales = [3], [1]
        (self.output,) = self.walk(model, [0])

    def shapes(self):
        return [{"shape": list(tensor.shape), "packed": tensor.ndim == 4} for tensor in self.tensors]

    def walk(self, model, inputs):
        """Add the operations of a Functional model, inner models included; return the numbers of its outputs."""
        number = {id(tensor): place for tensor, place in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                if node.input_tensors:
                    sources = [number[id(tensor)] for tensor in node.input_tensors]
                    layer = node.operation
                    inner = isinstance(layer, keras.Model)
                    results = self.walk(layer, sources) if inner else [self.layer(layer, sources)]
                    number.update(zip((id(tensor) for tensor in node.outputs), results, strict=True))
        return [number[id(tensor)] for tensor in model.outputs]

    def add(self, op, inputs, *, maps=None, enlarged=1, **fields):
        maps = maps or self.maps[inputs[0]]
        self.maps.append(maps)
        self.scales.append(self.scales[inputs[0]] * enlarged)
        self.nodes.append({"op": op, "inputs": inputs, "maps": maps, "places": self.scales[-1] ** 2, **fields})
        return len(self.nodes)

    def tensor(self, key, value):
        """Note a tensor under a key of its own: layers that share weights share it."""
        if key not in self.numbers:
            self.numbers[key] = len(self.tensors)
            self.tensors.append(np.asarray(keras.ops.convert_to_numpy(value), "float32"))
        return {"tensor": self.numbers[key]}

    def layer(self, layer, inputs):
        (first, *_), kl = inputs, keras.layers
        maps = self.maps[first]
        if isinstance(layer, layers.SpectralNormalization):
            left = np.asarray(layer.left)
            sigma = np.linalg.norm(left @ np.asarray(layer._matrix())) / np.linalg.norm(left)
            return self.convolution(layer.layer, first, 1 / float(sigma))
        if isinstance(layer, (kl.Conv2D, kl.Conv2DTranspose)):
            return self.convolution(layer, first)
        if isinstance(layer, kl.Activation):
            return self.activation(layer, inputs)
        if isinstance(layer, kl.ReLU) and layer.max_value is None and not layer.threshold:
            return self.add("slope", inputs, slope=float(layer.negative_slope))
        if isinstance(layer, kl.LeakyReLU):
            return self.add("slope", inputs, slope=float(layer.negative_slope))
        if isinstance(layer, kl.PReLU) and layer.alpha.shape[:-1] == (1, 1):
            slope = self.tensor((id(layer), "alpha"), keras.ops.reshape(layer.alpha, (-1,)))
            return self.add("slope", inputs, slope=slope)
        if isinstance(layer, kl.BatchNormalization):
            return self.add("normalise", inputs, norm=self.normalisation(layer))
        if isinstance(layer, kl.Rescaling):
            scale, offset = (np.ravel(value).tolist() for value in (layer.scale, layer.offset))
            return self.add("affine", inputs, scale=scale, offset=offset)
        if isinstance(layer, kl.Dropout):
            return first
        if isinstance(layer, kl.Add):
            return self.add("add", inputs)
        if isinstance(layer, kl.Multiply) and len(inputs) == 2:
            return self.add("multiply", inputs, maps=max(self.maps[number] for number in inputs))
        if isinstance(layer, kl.Concatenate):
            return self.add("concat", inputs, maps=sum(self.maps[number] for number in inputs))
        if isinstance(layer, layers.PixelShuffle):
            factor = layer.factor
            return self.add("shuffle", inputs, maps=maps // factor**2, enlarged=factor, factor=factor)
        if isinstance(layer, layers.Interpolation):
            factor, kind = layer.factor, layer.interpolation
            return self.add("enlarge", inputs, enlarged=factor, kind=kind, factor=factor)
        raise ValueError(f"its layer {layer.name} ({type(layer).__name__}) is unknown to the engine of the page")

    def activation(self, layer, inputs):
        name = layer.activation.__name__
        if name == "linear":
            return inputs[0]
        if name == "relu":
            return self.add("slope", inputs, slope=0.0)
        if name in FUNCTIONS:
            return self.add("function", inputs, name=name)
        raise ValueError(f"its activation {name} is unknown to the engine of the page")

    def normalisation(self, layer):
        values = {
            "gamma": layer.gamma,
            "beta": layer.beta,
            "mean": layer.moving_mean,
            "variance": layer.moving_variance,
        }
        tensors = {name: self.tensor((id(layer), name), value) for name, value in values.items() if value is not None}
        return {**tensors, "epsilon": layer.epsilon}

    def convolution(self, layer, source, scale=1.0):
        """Add a convolution whose kernel is multiplied by `scale`; transposed, as one that makes all sub-pixels."""
        stride, transposed = layer.strides[0], isinstance(layer, keras.layers.Conv2DTranspose)
        unequal = len({*layer.kernel_size}) > 1 or len({*layer.strides}) > 1 or {*layer.dilation_rate} != {1}
        if unequal or layer.padding != "same" or getattr(layer, "groups", 1) > 1 or (stride > 1 and not transposed):
            raise ValueError(f"its convolution {layer.name} has a form that is unknown to the engine of the page")
        kernel = np.asarray(keras.ops.convert_to_numpy(layer.kernel)) * np.float32(scale)
        kernel = _sub_pixels(kernel, stride) if transposed else kernel
        fields = {"kernel": self.tensor((id(layer), "kernel"), kernel)}
        if layer.use_bias:
            fields["bias"] = self.tensor((id(layer), "bias"), layer.bias)  # the engine repeats it for the sub-pixels
        number = self.add("conv", [source], maps=kernel.shape[-1], **fields)
        if not transposed or stride == 1:
            return number
        return self.add("shuffle", [number], maps=layer.filters, enlarged=stride, factor=stride)


def _sub_pixels(kernel, stride):
    """Return the kernel (side, side, inputs, stride² maps) whose maps a pixel shuffle makes into what a transposed
    convolution with `kernel` (height, width, maps, inputs) gives.

    Output stride q + r is the sum over inputs q + d of tap r + left - stride d.
    """
    size, _, maps, inputs = kernel.shape
    left = max(size - stride, 0) // 2
    taps = {(d, r): r + left - stride * d for r in range(stride) for d in range(-size, size + 1)}
    taps = {place: tap for place, tap in taps.items() if 0 <= tap < size}
    half = max(abs(d) for d, _ in taps)
    whole = np.zeros((2 * half + 1, 2 * half + 1, inputs, stride, stride, maps), "float32")
    for (dy, ry), ty in taps.items():
        for (dx, rx), tx in taps.items():
            whole[dy + half, dx + half, :, ry, rx] = kernel[ty, tx].T
    return whole.reshape(*whole.shape[:3], -1)


def _fused(nodes, output):
    """Return nodes in which convolutions do what follows them and no one else reads: BatchNorm, a factor, a slope.

    A pixel shuffle between them does not matter, since its maps lie innermost.
    """
    readers = np.bincount([number for node in nodes for number in node["inputs"]] + [output])
    kept, number = [], {0: 0}  # number: of the old maps among the new
    producer = {}  # new maps -> the convolution that made them, through a shuffle maybe, as long as it can take more
    for old, node in enumerate(nodes, start=1):
        source = number[node["inputs"][0]]
        convolution = producer.get(source) if readers[node["inputs"][0]] == 1 else None
        if convolution and _absorb(convolution, node):
            number[old] = source
            continue
        kept.append({**node, "inputs": [number[place] for place in node["inputs"]]})
        number[old] = len(kept)
        if node["op"] == "conv":
            producer[len(kept)] = kept[-1]
        elif node["op"] == "shuffle" and convolution:
            producer[len(kept)] = convolution
    return kept, number[output]


def _absorb(convolution, node):
    """Let a convolution do what `node` does, if it can: first the norm, then the factor, then the slope."""
    if node["op"] == "normalise" and not {"norm", "factor", "slope"} & convolution.keys():
        convolution["norm"] = node["norm"]
    elif node["op"] == "affine" and len(node["scale"]) == 1 and not any(node["offset"]):
        if {"factor", "slope"} & convolution.keys():
            return False
        convolution["factor"] = node["scale"][0]
    elif node["op"] == "slope" and "slope" not in convolution:
        convolution["slope"] = node["slope"]
    else:
        return False
    return True
