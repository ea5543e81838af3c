"""From a spec to a Functional keras.Model."""

import functools
import inspect
import re
from dataclasses import replace

import keras

from srnb.models import spec as specs
from srnb.models.words import WORDS, convolution

CONVOLUTION = re.compile(r"k(\d+)n(\d+)(?:s(1/)?(\d+))?")


def build(spec, *, parts=None, **overrides):
    """Build the network of a spec: a Functional model of images (N, H, W, channels), any height and width.

    `spec` is a dict, the name of a zoo network, or a YAML or JSON file; `overrides` replace its parameters. `parts` are
    built models by name, for {"model": name}. Raises ValueError with the path of the wrong entry, FileNotFoundError for
    a missing file.
    """
    spec = specs.resolve(spec, **overrides)
    builder = _Builder(spec, parts or {})
    images = keras.Input((None, None, spec["channels"]), name="images")
    output = builder.entry(images, spec["body"], specs.Place("body", specs.values(spec)), _Scope())
    if "outputs" in spec:
        output = {name: _as_float32(builder.recall(name, "outputs"), f"{name}_float32") for name in spec["outputs"]}
    else:
        output = _as_float32(output, "float32")
    return keras.Model(images, output, name=spec["name"])


class _Scope:
    """The source of layer names, such as residual3.conv and residual3.conv_2.

    Equal names mean the same layer. In a shared repeat every `turn` has the same names, except for normalisations.
    """

    def __init__(self, prefix="", turn=1):
        self.prefix, self.turn, self.counts = prefix, turn, {}

    def name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        number = self.counts[kind]
        turn = f"_turn{self.turn}" if self.turn > 1 and kind in ("batch", "virtual_batch") else ""
        return self.prefix + kind + (f"_{number}" if number > 1 else "") + turn

    def numbered(self, kind):
        """Return a scope inside this one: kind1, kind2 …"""
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return _Scope(f"{self.prefix}{kind}{self.counts[kind]}.", self.turn)


class _Builder:
    def __init__(self, spec, parts):
        self.parts = parts
        self.blocks = spec.get("where", {})
        self.convolution = spec.get("conv", {})
        self.kept = {}
        self.layers = {}
        self.open = []  # blocks that are being built, one inside the other
        for name in self.blocks:
            if name in WORDS or name in ("none", "keep", "recall") or CONVOLUTION.fullmatch(name):
                raise ValueError(f"where: a block must not have the name of a layer. Received: {name!r}")

    def entry(self, x, entry, place, scope):
        steps = list(specs.steps(entry, place))
        for number, (step_place, step) in enumerate(steps):
            following = steps[number + 1][1] if number + 1 < len(steps) else None
            if isinstance(step, dict):
                x = self.structure(x, step, step_place, scope)
            else:
                x = self.word(x, step, following, step_place, scope)
        return x

    def structure(self, x, entry, place, scope):
        kind = next(key for key in specs.STRUCTURES if key in entry)
        return getattr(self, kind)(x, entry, place, scope)

    def add(self, x, entry, place, scope):
        inner = self.entry(x, entry["add"], place.inside(".add"), scope)
        skip = self.skip(x, entry, place, scope)
        scale = place.inside(".scale").fill(entry.get("scale", 1))
        if not isinstance(scale, (int, float)) or isinstance(scale, bool):
            raise ValueError(f"{place.path}.scale: must be a number. Received: {scale!r}")
        if scale != 1:
            rescaling = functools.partial(keras.layers.Rescaling, scale)
            inner = self.apply(rescaling, inner, place, scope.name("scale"))
        if skip is None:
            return inner
        if skip.shape[-1] != inner.shape[-1]:  # Keras would stretch a single channel over the others
            raise ValueError(
                f"{place.path}: must add as many channels as it gets, {skip.shape[-1]}. Received: {inner.shape[-1]}"
            )
        return self.apply(keras.layers.Add, [skip, inner], place, scope.name("add"))

    def concat(self, x, entry, place, scope):
        skip = self.skip(x, entry, place, scope)
        inner = self.entry(x, entry["concat"], place.inside(".concat"), scope)
        if skip is None:
            raise ValueError(f'{place.path}.skip: must be an entry that stands in front. Received: "none"')
        return self.apply(keras.layers.Concatenate, [skip, inner], place, scope.name("concat"))

    def multiply(self, x, entry, place, scope):
        gate = self.entry(x, entry["multiply"], place.inside(".multiply"), scope)
        skip = self.skip(x, entry, place, scope)
        if skip is None:
            raise ValueError(f'{place.path}.skip: must be an entry that the gate multiplies. Received: "none"')
        if gate.shape[-1] not in (1, skip.shape[-1]):  # one map gates all channels alike
            raise ValueError(
                f"{place.path}: must multiply by one channel or as many as it gets, {skip.shape[-1]}. "
                f"Received: {gate.shape[-1]}"
            )
        return self.apply(keras.layers.Multiply, [skip, gate], place, scope.name("multiply"))

    def skip(self, x, entry, place, scope):
        """What goes past a structure: x itself, x through the entry `skip`, or None for "none"."""
        place = place.inside(".skip")
        skip = place.fill(entry.get("skip", ""))
        return None if skip == "none" else self.entry(x, skip, place, scope)

    def repeat(self, x, entry, place, scope):
        times = place.inside(".times").integer(entry.get("times"))
        block = entry["repeat"]
        kind = block if isinstance(block, str) and block in self.blocks else "repeat"
        shared = entry.get("shared", False)
        prefix = scope.numbered(kind).prefix if shared else ""
        for turn in range(1, times + 1):
            inside = _Scope(prefix, turn) if shared else scope.numbered(kind)
            if kind == "repeat":
                x = self.entry(x, block, place.inside(".repeat"), inside)
            else:
                x = self.block(x, kind, place.values, inside)
        return x

    def block(self, x, name, values, scope):
        if name in self.open:
            raise ValueError(f"where.{name}: a block must not be a part of itself. Received: {' > '.join(self.open)}")
        self.open.append(name)
        x = self.entry(x, self.blocks[name], specs.Place(f"where.{name}", values), scope)
        self.open.pop()
        return x

    def upscale(self, x, entry, place, scope):
        by = place.inside(".by").integer(entry.get("by", "{scale}"))
        for factor in specs.factors(by):
            x = self.entry(x, entry["upscale"], place.inside(".upscale", factor=factor), scope.numbered("upscale"))
        return x

    def model(self, x, entry, place, scope):
        reference, inside = entry["model"], place.inside(".with")
        overrides = {key: inside.fill(value) for key, value in entry.get("with", {}).items()}
        if isinstance(reference, str) and reference in self.parts:
            if overrides:
                raise ValueError(f"{inside.path}: must be left out for a built model. Received: {overrides}")
            return self.parts[reference](x)
        try:
            inner = specs.resolve(reference, **overrides)
            name = scope.name(inner["name"])
            if name not in self.layers:
                self.layers[name] = build(inner, parts=self.parts, name=name)
        except ValueError as error:
            raise ValueError(f"{place.path}.model: {error}") from error
        return self.layers[name](x)

    def word(self, x, word, following, place, scope):
        name = word.name
        if name == "none":
            return x
        if name == "keep":
            self.kept[self.only(word, place)] = x
            return x
        if name == "recall":
            return self.recall(self.only(word, place), place.path)
        if name in self.blocks:
            if word.positional:
                arguments = list(word.positional)
                raise ValueError(f"{place.path}: arguments of block {name!r} must have names. Received: {arguments}")
            return self.block(x, name, {**place.values, **word.named}, scope.numbered(name))

        match = CONVOLUTION.fullmatch(name)
        if match:
            kernel, maps, inverse, stride = match.groups()
            icnr = self.shuffle_factor(following, place)
            make = convolution(int(kernel), int(maps), int(stride or 1), transposed=bool(inverse), icnr=icnr)
            defaults = specs.Place("conv", place.values)
            everywhere = {key: defaults.fill(value) for key, value in self.convolution.items()}
            word = replace(word, named=everywhere | word.named)
            return self.apply(make, x, place, scope.name("conv"), word)
        kind, number = re.fullmatch(r"(.*?)(\d*)", name).groups()
        if kind not in WORDS:
            hint = specs.suggest(name, [*self.blocks, *WORDS]) or f"; layers: kXnYsZ, {', '.join(WORDS)}"
            blocks = ", ".join(self.blocks) or "none"
            raise ValueError(f"{place.path}: no block or layer named {name!r}; blocks: {blocks}{hint}")
        if number:
            word = replace(word, positional=(int(number), *word.positional))
        if not word.positional and "factor" in inspect.signature(WORDS[kind]).parameters and "scale" in place.values:
            word = replace(word, named={"factor": place.values["scale"]} | word.named)
        return self.apply(WORDS[kind], x, place, scope.name(kind), word)

    def shuffle_factor(self, step, place):
        """The factor of a pixel shuffle, 1 for any other step: the convolution in front of it starts without a grid."""
        if not isinstance(step, specs.Word) or not (match := re.fullmatch(r"shuffle(\d*)", step.name)):
            return 1
        if match[1]:
            return int(match[1])
        return (*step.positional, step.named.get("factor", place.values.get("scale", 1)))[0]

    def apply(self, make, x, place, name, word=None):
        """Call the layer of this name, made if it is new, on `x`; whatever fails is told with the path."""
        word = word or specs.Word("")
        try:
            if name not in self.layers:
                options = [key for key in inspect.signature(make).parameters if key not in ("name", "kwargs")]
                if word.name and (len(word.positional) > len(options) or not set(word.named) <= set(options)):
                    raise ValueError(f"arguments must be among {', '.join(options)}")
                self.layers[name] = make(name=name, **dict(zip(options, word.positional, strict=False)), **word.named)
            return self.layers[name](x)
        except (TypeError, ValueError) as error:
            shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), x)
            raise ValueError(
                f"{place.path}: {word.name or name} cannot take maps of shape {shapes}: {error}"
            ) from error

    def recall(self, name, path):
        if name not in self.kept:
            raise ValueError(f"{path}: nothing is kept as {name!r}; kept: {', '.join(self.kept) or 'nothing'}")
        return self.kept[name]

    def only(self, word, place):
        if len(word.positional) != 1 or word.named:
            arguments = [*word.positional, *word.named]
            raise ValueError(f"{place.path}: keep and recall must have one name. Received: {arguments}")
        return word.positional[0]


def _as_float32(output, name):
    """Let the outputs of a network, also a list of them, be float32, whatever precision it computes in.

    A picture in bfloat16 has steps of one level where it is bright, and what is made of levels / 255 always falls into
    the upper half of a step: a network that learns from such pictures becomes too dark, by half a level.
    """
    if isinstance(output, list):
        return [_as_float32(tensor, f"{name}_{number}") for number, tensor in enumerate(output, 1)]
    if keras.backend.standardize_dtype(output.dtype) == "float32":
        return output
    _compute_in_float32(output)
    return keras.layers.Activation("linear", dtype="float32", name=name)(output)


def _compute_in_float32(output, part=False):
    """Let the layers from the last one with weights on compute in float32.

    part: `output` is a part of a sum; where it comes from a layer with weights it is a correction, and may be rounded.
    """
    layer, node, _ = output._keras_history
    if isinstance(layer, keras.layers.InputLayer) or (part and layer.weights):
        return
    for own in layer._flatten_layers():  # a spectral normalisation wraps the layer that computes
        own.dtype_policy = "float32"
    if not layer.weights:
        sources = layer._inbound_nodes[node].input_tensors
        for tensor in sources:
            _compute_in_float32(tensor, part or len(sources) > 1)
