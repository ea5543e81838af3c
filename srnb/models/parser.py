"""From a spec to a Functional keras.Model."""

import inspect
import re

import keras

from srnb.models import spec as specs
from srnb.models.words import WORDS, convolution

CONVOLUTION = re.compile(r"k(\d+)n(\d+)(?:s(1/)?(\d+))?")
STRUCTURES = {
    "add": {"add", "scale", "skip"},
    "concat": {"concat", "skip"},
    "multiply": {"multiply", "skip"},
    "repeat": {"repeat", "times", "shared"},
    "upscale": {"upscale", "by"},
    "model": {"model", "with"},
}


def build(spec, *, parts=None, **overrides):
    """Build the network of a spec: images (N, H, W, channels) of any height and width in, `body` of them out.

    `spec` is a dict, the name of a zoo network, or a YAML or JSON file; `overrides` replace its parameters. `parts` are
    built models by name, for {"model": name}. Raises ValueError with the path of the entry that is wrong.
    """
    spec = specs.resolve(spec, **overrides)
    builder = _Builder(spec, parts or {})
    images = keras.Input((None, None, spec["channels"]), name="images")
    output = builder.entry(images, spec["body"], "body", specs.values(spec), _Scope())
    if "outputs" in spec:
        output = {name: _as_float32(builder.recall(name, "outputs"), f"{name}_float32") for name in spec["outputs"]}
    else:
        output = _as_float32(output, "float32")
    return keras.Model(images, output, name=spec["name"])


class _Scope:
    """Where layers get their names: residual3.conv, residual3.conv_2. Equal names mean the same layer, hence `turn`:
    in a shared repeat the names of every turn are the same, but for the normalisations'."""

    def __init__(self, prefix="", turn=1):
        self.prefix, self.turn, self.counts = prefix, turn, {}

    def name(self, kind):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        number = self.counts[kind]
        turn = f"_turn{self.turn}" if self.turn > 1 and kind in ("batch", "virtual_batch") else ""
        return self.prefix + kind + (f"_{number}" if number > 1 else "") + turn

    def numbered(self, kind):
        """A scope inside this one: kind1, kind2 …"""
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

    def entry(self, x, entry, path, values, scope):
        steps = list(self.steps(entry, path, values))
        for number, (step_path, step) in enumerate(steps):
            following = steps[number + 1][1] if number + 1 < len(steps) else None
            if isinstance(step, dict):
                x = self.structure(x, step, step_path, values, scope)
            else:
                x = self.word(x, *step, following, step_path, values, scope)
        return x

    def steps(self, entry, path, values):
        """Flatten strings and lists into pairs of a path and either a word with its arguments or a structure."""
        if isinstance(entry, str):
            for word in specs.words(str(specs.fill(entry, values, path)), path):
                yield path, word
        elif isinstance(entry, list):
            for number, inner in enumerate(entry):
                yield from self.steps(inner, f"{path}[{number}]", values)
        elif isinstance(entry, dict):
            kinds = [key for key in STRUCTURES if key in entry]
            if not kinds and len(entry) == 1 and isinstance(next(iter(entry.values())), dict):
                ((word, arguments),) = entry.items()
                arguments = {key: specs.fill(value, values, path) for key, value in arguments.items()}
                yield path, (str(specs.fill(word, values, path)), [], arguments)
                return
            if len(kinds) != 1 or not entry.keys() <= STRUCTURES[kinds[0]]:
                raise ValueError(
                    f"{path}: must have one of the keys {', '.join(STRUCTURES)}, or a word with its arguments. "
                    f"Received keys: {', '.join(entry)}"
                )
            yield path, entry
        else:
            raise ValueError(f"{path}: must be a string, a list or a dict. Received: {entry!r}")

    def structure(self, x, entry, path, values, scope):
        if "add" in entry:
            return self.add(x, entry, path, values, scope)
        if "concat" in entry:
            skip = self.skip(x, entry, path, values, scope)
            inner = self.entry(x, entry["concat"], f"{path}.concat", values, scope)
            return self.apply(keras.layers.Concatenate, [skip, inner], path, scope.name("concat"))
        if "multiply" in entry:
            return self.multiply(x, entry, path, values, scope)
        if "repeat" in entry:
            return self.repeat(x, entry, path, values, scope)
        if "upscale" in entry:
            by = self.integer(entry.get("by", "{scale}"), f"{path}.by", values)
            for factor in _primes(by):
                inner = {**values, "factor": factor}
                x = self.entry(x, entry["upscale"], f"{path}.upscale", inner, scope.numbered("upscale"))
            return x
        return self.model(x, entry, path, values, scope)

    def add(self, x, entry, path, values, scope):
        inner = self.entry(x, entry["add"], f"{path}.add", values, scope)
        skip = self.skip(x, entry, path, values, scope)
        scale = specs.fill(entry.get("scale", 1), values, f"{path}.scale")
        if not isinstance(scale, (int, float)) or isinstance(scale, bool):
            raise ValueError(f"{path}.scale: must be a number. Received: {scale!r}")
        if scale != 1:
            inner = self.apply(lambda name: keras.layers.Rescaling(scale, name=name), inner, path, scope.name("scale"))
        if skip is None:
            return inner
        if skip.shape[-1] != inner.shape[-1]:  # Keras would stretch a single channel over the others
            raise ValueError(
                f"{path}: must add as many channels as it gets, {skip.shape[-1]}. Received: {inner.shape[-1]}"
            )
        return self.apply(keras.layers.Add, [skip, inner], path, scope.name("add"))

    def multiply(self, x, entry, path, values, scope):
        gate = self.entry(x, entry["multiply"], f"{path}.multiply", values, scope)
        skip = self.skip(x, entry, path, values, scope)
        if skip is None:
            raise ValueError(f'{path}.skip: must be an entry that the gate multiplies. Received: "none"')
        if gate.shape[-1] not in (1, skip.shape[-1]):  # one map gates all channels alike
            raise ValueError(
                f"{path}: must multiply by one channel or as many as it gets, {skip.shape[-1]}. "
                f"Received: {gate.shape[-1]}"
            )
        return self.apply(keras.layers.Multiply, [skip, gate], path, scope.name("multiply"))

    def skip(self, x, entry, path, values, scope):
        """What goes past a structure: x itself, x through the entry `skip`, or None for "none"."""
        skip = specs.fill(entry.get("skip", ""), values, f"{path}.skip")
        return None if skip == "none" else self.entry(x, skip, f"{path}.skip", values, scope)

    def repeat(self, x, entry, path, values, scope):
        times = self.integer(entry.get("times"), f"{path}.times", values)
        block = entry["repeat"]
        kind = block if isinstance(block, str) and block in self.blocks else "repeat"
        shared = entry.get("shared", False)
        prefix = scope.numbered(kind).prefix if shared else ""
        for turn in range(1, times + 1):
            inside = _Scope(prefix, turn) if shared else scope.numbered(kind)
            if kind == "repeat":
                x = self.entry(x, block, f"{path}.repeat", values, inside)
            else:
                x = self.block(x, kind, values, inside)
        return x

    def block(self, x, name, values, scope):
        if name in self.open:
            raise ValueError(f"where.{name}: a block must not be a part of itself. Received: {' > '.join(self.open)}")
        self.open.append(name)
        x = self.entry(x, self.blocks[name], f"where.{name}", values, scope)
        self.open.pop()
        return x

    def model(self, x, entry, path, values, scope):
        reference, overrides = entry["model"], entry.get("with", {})
        overrides = {key: specs.fill(value, values, f"{path}.with") for key, value in overrides.items()}
        if isinstance(reference, str) and reference in self.parts:
            if overrides:
                raise ValueError(f"{path}.with: must be left out for a built model. Received: {overrides}")
            return self.parts[reference](x)
        try:
            inner = specs.resolve(reference, **overrides)
            name = scope.name(inner["name"])
            if name not in self.layers:
                self.layers[name] = build(inner, parts=self.parts, name=name)
        except ValueError as error:
            raise ValueError(f"{path}.model: {error}") from error
        return self.layers[name](x)

    def word(self, x, word, positional, named, following, path, values, scope):
        if word == "none":
            return x
        if word == "keep":
            self.kept[self.only(positional, named, path)] = x
            return x
        if word == "recall":
            return self.recall(self.only(positional, named, path), path)
        if word in self.blocks:
            if positional:
                raise ValueError(f"{path}: arguments of block {word!r} must have names. Received: {positional}")
            return self.block(x, word, {**values, **named}, scope.numbered(word))

        match = CONVOLUTION.fullmatch(word)
        if match:
            kernel, maps, inverse, stride = match.groups()
            icnr = self.shuffle_factor(following, values)
            make = convolution(int(kernel), int(maps), int(stride or 1), transposed=bool(inverse), icnr=icnr)
            named = {**{key: specs.fill(value, values, "conv") for key, value in self.convolution.items()}, **named}
            return self.apply(make, x, path, scope.name("conv"), word, positional, named)
        kind, number = re.fullmatch(r"(.*?)(\d*)", word).groups()
        if kind not in WORDS:
            hint = specs.suggest(word, [*self.blocks, *WORDS]) or f"; layers: kXnYsZ, {', '.join(WORDS)}"
            blocks = ", ".join(self.blocks) or "none"
            raise ValueError(f"{path}: no block or layer named {word!r}; blocks: {blocks}{hint}")
        positional = ([int(number)] if number else []) + positional
        if not positional and "factor" in inspect.signature(WORDS[kind]).parameters and "scale" in values:
            named = {"factor": values["scale"], **named}
        return self.apply(WORDS[kind], x, path, scope.name(kind), word, positional, named)

    def shuffle_factor(self, step, values):
        """The factor of a pixel shuffle, 1 for any other step: the convolution in front of it starts without a grid."""
        if not isinstance(step, tuple) or not (match := re.fullmatch(r"shuffle(\d*)", step[0])):
            return 1
        return int(match[1]) if match[1] else (step[1] + [step[2].get("factor", values.get("scale", 1))])[0]

    def apply(self, make, x, path, name, word="", positional=(), named=None):
        """Call the layer of this name, made if it is new, on `x`; whatever fails is told with the path."""
        try:
            if name not in self.layers:
                options = [key for key in inspect.signature(make).parameters if key not in ("name", "kwargs")]
                if len(positional) > len(options) or not set(named or {}) <= set(options):
                    raise ValueError(f"arguments must be among {', '.join(options)}")
                self.layers[name] = make(name=name, **dict(zip(options, positional, strict=False)), **(named or {}))
            return self.layers[name](x)
        except (TypeError, ValueError) as error:
            shapes = keras.tree.map_structure(lambda tensor: tuple(tensor.shape), x)
            raise ValueError(f"{path}: {word or name} cannot take maps of shape {shapes}: {error}") from error

    def recall(self, name, path):
        if name not in self.kept:
            raise ValueError(f"{path}: nothing is kept as {name!r}; kept: {', '.join(self.kept) or 'nothing'}")
        return self.kept[name]

    def only(self, positional, named, path):
        if len(positional) != 1 or named:
            raise ValueError(f"{path}: keep and recall must have one name. Received: {[*positional, *named]}")
        return positional[0]

    def integer(self, value, path, values):
        value = specs.fill(value, values, path)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{path}: must be a whole number from 1. Received: {value!r}")
        return value


def _primes(number):
    """2, 2 for 4: each is one step of an enlargement."""
    factor = 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            yield factor
            number //= factor


def _as_float32(output, name):
    """Pictures and logits leave a network as float32, whatever it computes in; the lists of a feature network too."""
    if isinstance(output, list):
        return [_as_float32(tensor, f"{name}_{number}") for number, tensor in enumerate(output, 1)]
    if keras.backend.standardize_dtype(output.dtype) == "float32":
        return output
    return keras.layers.Activation("linear", dtype="float32", name=name)(output)
