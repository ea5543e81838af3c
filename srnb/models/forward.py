"""The forward pass of a trained network: BatchNorm folded into convolutions, cut in two where it upscales.

A network needs most memory after its upscaling, but has most of its receptive field before it. So each half is tiled on
its own: the body, whose maps are no larger than the picture, in large tiles; the tail in small ones that hardly
overlap. A network that upscales first, or not at all, is a single half.
"""

import math
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import keras
from keras import ops

from srnb import backend
from srnb.backend import processor
from srnb.models import attention, graph, layers

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
IN_ONE_PASS = (
    *CONVOLUTIONS,
    *(keras.layers.Activation, keras.layers.ReLU, keras.layers.LeakyReLU),
    *(keras.layers.Add, keras.layers.Concatenate, layers.PixelShuffle),
)
_PASSES = weakref.WeakKeyDictionary()  # model -> precision -> halves: a network is compiled once


@dataclass
class Half:
    """One part of a network. `run(*maps)` returns a list of maps (N, H, W, C), tensors of the framework.

    Each position of a result depends on `reach` pixels of the picture to each side; infinite if on the whole picture.
    Strides divide a picture into cells of `cell` pixels a side, 1 without strides: it must be made of whole ones.
    """

    run: Callable
    reach: float
    cell: int
    linear: float
    quadratic: float
    copies: list  # (variables, function that returns their values)

    def memory(self, pixels):
        """Estimate the bytes that its maps take for a picture of `pixels` pixels."""
        return self.linear * pixels + self.quadratic * pixels**2


def halves(model, precision="float32"):
    """Return the one or two `Half` of a Functional model, in order, with its present weights.

    `precision` is "float32" or "bfloat16"; what precedes the first convolution or follows the last is always float32.
    Raises ValueError for another precision.
    """
    if precision not in ("float32", "bfloat16"):
        raise ValueError(f"precision must be float32 or bfloat16. Received: {precision!r}")
    passes = _PASSES.setdefault(model, {})
    if precision not in passes:
        passes[precision] = _halves(model, precision)
    for half in passes[precision]:
        for variables, values in half.copies:
            for variable, value in zip(variables, values(), strict=True):
                variable.assign(value)
    return passes[precision]


@dataclass
class _Step:
    """One call of a layer: the numbers of its input maps (0 is the picture) and of its output."""

    layer: keras.Layer
    sources: list
    result: int
    tensor: object
    norm: keras.Layer | None = None  # the BatchNorm that the convolution takes in
    dtype: str = "float32"
    maps: int = field(init=False)

    def __post_init__(self):
        self.maps = self.tensor.shape[-1]


def _halves(model, precision):
    channels = model.inputs[0].shape[-1]
    steps, output = _folded(*_steps(model))
    if precision == "bfloat16":
        _lower(steps, output)
    views = _views(steps, {0: graph.View()})
    made = {0: (channels, "float32")} | {step.result: (step.maps, step.dtype) for step in steps}
    behind = _behind(steps, views, channels)
    parts = [[step for step in steps if (step.result in behind) is side] for side in (False, True)]
    crossing = sorted({source for step in parts[1] for source in step.sources if source not in behind})
    if not all(parts) or any(views[number].step != 1 for number in crossing):
        return [_half(steps, {0: made[0]}, [output])]
    return [
        _half(parts[0], {0: made[0]}, crossing),
        _half(parts[1], {number: made[number] for number in crossing}, [output]),
    ]


def _steps(model):
    """Return the layers of a Functional model in order of computation, inner models flattened, and its output."""
    steps = []

    def walk(model, inputs):
        numbers = {id(tensor): number for tensor, number in zip(model.inputs, inputs, strict=True)}
        for depth in sorted(model._nodes_by_depth, reverse=True):
            for node in model._nodes_by_depth[depth]:
                sources = [numbers[id(tensor)] for tensor in node.input_tensors]
                if not sources:
                    continue
                layer = node.operation
                if isinstance(layer, keras.Model) and hasattr(layer, "_nodes_by_depth"):
                    results = walk(layer, sources)
                else:
                    steps.append(_Step(layer, sources, len(steps) + 1, node.outputs[0]))
                    results = [len(steps)]
                numbers.update(zip((id(tensor) for tensor in node.outputs), results, strict=True))
        return [numbers[id(tensor)] for tensor in model.outputs]

    (output,) = walk(model, [0])
    return steps, output


def _folded(steps, output):
    """Fold every BatchNorm into the convolution before it if nothing else reads the result of that."""
    readers = Counter(source for step in steps for source in step.sources) + Counter([output])
    made = {step.result: step for step in steps}
    kept, same = [], {}
    for step in steps:
        step.sources = [same.get(source, source) for source in step.sources]
        before = made.get(step.sources[0])
        if (
            isinstance(step.layer, keras.layers.BatchNormalization)
            and before
            and isinstance(graph.bare(before.layer), CONVOLUTIONS)
            and before.norm is None
            and readers[before.result] == 1
            and graph.bare(before.layer).activation is keras.activations.linear
        ):
            before.norm = step.layer
            same[step.result] = before.result
            readers[before.result] = readers[step.result]
        else:
            kept.append(step)
    return kept, same.get(output, output)


def _views(steps, views):
    """Return {number: view} of all maps, given `views` of the first ones."""
    views = dict(views)
    for step in steps:
        seen = [views[source] for source in step.sources]
        before = graph.View(seen[0].step, max(view.span for view in seen), max(view.reach for view in seen))
        views[step.result] = graph.through(step.layer, before, step.tensor)
    return views


def _behind(steps, views, channels):
    """Return the numbers of the maps that belong to the tail: those that are larger than the picture, what is made of
    them, and what only they are made of where that has more maps than it is itself made of."""
    behind = set()
    for step in steps:
        larger = views[step.result].step is not None and views[step.result].step < 1
        if larger or behind.intersection(step.sources):
            behind.add(step.result)
    maps = {0: channels} | {step.result: step.maps for step in steps}
    for step in reversed(steps):
        readers = [other.result for other in steps if step.result in other.sources]
        grows = step.maps > sum(maps[source] for source in step.sources)
        if readers and behind.issuperset(readers) and grows and math.isfinite(views[step.result].reach):
            behind.add(step.result)
    return behind


def _lower(steps, output):
    """Let all compute in bfloat16 but the last layer, what has no convolution in front of it or none behind it, and
    what takes means over the picture."""
    before, after = {0}, {output}
    for step in steps:
        if not step.layer.weights and before.issuperset(step.sources):
            before.add(step.result)
    for step in reversed(steps):
        if not step.layer.weights and step.result in after:
            after.update(step.sources)
    for step in steps:
        outside = step.result in before or step.result == output or (step.result in after and not step.layer.weights)
        step.dtype = "float32" if outside or isinstance(step.layer, graph.WHOLE_PICTURE) else "bfloat16"


class _Conv2D(layers.Conv2D):
    """A convolution at its fastest: nothing here goes into an exported file."""

    def call(self, inputs, training=None):
        return self.fast(inputs, single=True)


def _half(steps, sources, results):
    """Rebuild some steps as a network: `sources` are number -> (maps, dtype), `results` numbers."""
    tensors = {number: keras.Input((None, None, maps), dtype=dtype) for number, (maps, dtype) in sources.items()}
    images, made, copies = list(tensors.values()), {}, []
    for step in steps:
        layer = graph.bare(step.layer)
        convolution = isinstance(layer, CONVOLUTIONS)
        key = step.result if convolution else id(layer)
        if key not in made:
            config = {**layer.get_config(), "name": f"step{step.result}", "dtype": step.dtype}
            if convolution:
                config |= {"use_bias": True, "kernel_initializer": "zeros"}
            kind = _Conv2D if isinstance(layer, layers.Conv2D) else type(layer)
            made[key] = kind.from_config(config)
        inputs = [tensors[source] for source in step.sources]
        tensors[step.result] = made[key](inputs if len(inputs) > 1 else inputs[0])
        if convolution:
            copies.append(([made[key].kernel, made[key].bias], partial(_kernel_and_bias, step.layer, step.norm)))
        else:
            copies.append((made[key].variables, partial(list, layer.variables)))
    network = keras.Model(images, [tensors[number] for number in results])
    views = _views(steps, dict.fromkeys(sources, graph.View()))
    reach = max(views[number].reach for number in results)
    cell = math.lcm(*(view.step.numerator for view in views.values() if view.step))
    return Half(backend.compile_network(network), reach, cell, *_memory(steps, sources, results, views), copies)


def _kernel_and_bias(layer, norm):
    """Return kernel and bias of a convolution with spectral and batch normalisation folded in."""
    bare = graph.bare(layer)
    kernel = ops.cast(bare.kernel, "float32")
    bias = ops.cast(bare.bias, "float32") if bare.use_bias else ops.zeros(bare.filters)
    if bare is not layer:
        kernel = kernel / layer.norm()
    if norm is not None:
        deviation = ops.sqrt(norm.moving_variance + norm.epsilon)
        factor = (norm.gamma if norm.scale else 1.0) / deviation
        bias = (bias - norm.moving_mean) * factor + (norm.beta if norm.center else 0.0)
        kernel = kernel * (factor[:, None] if isinstance(bare, keras.layers.Conv2DTranspose) else factor)
    return kernel, bias


def _memory(steps, sources, results, views):
    """Return the peak bytes of the maps of a half: per pixel, and per pair of pixels."""
    places = {number: 1 / view.step**2 if view.step else 1 for number, view in views.items()}
    itemsize = {"float32": 4, "bfloat16": 2}
    alive = {number: maps * itemsize[dtype] * places[number] for number, (maps, dtype) in sources.items()}
    peak, pairs = 0, 0
    for number, step in enumerate(steps):
        alive[step.result] = step.maps * itemsize[step.dtype] * places[step.result]
        # a layer of several operations has something in hand, of the size of what it makes; a convolution to a few maps
        # may make those of every row of its kernel first, and copies them once
        layer, hand = graph.bare(step.layer), alive[step.result]
        if isinstance(layer, layers.Conv2D) and step.maps <= processor.FEW:
            hand *= 2 * layer.kernel_size[0]
        elif isinstance(layer, IN_ONE_PASS):
            hand = 0
        peak = max(peak, sum(alive.values()) + hand)
        if isinstance(step.layer, attention.Attention):
            keys = places[step.result] / step.layer.pool**2
            queries = keys if isinstance(step.layer, attention.FlexibleSelfAttention) else places[step.result]
            pairs = max(pairs, 2 * 4 * queries * keys)  # the weights, and their softmax
        needed = {source for later in steps[number + 1 :] for source in later.sources}.union(results)
        alive = {number: size for number, size in alive.items() if number in needed}
    return float(peak), float(pairs)
