"""Specs: networks as plain data in the notation of the papers.

A spec is a dict of literals, so it can stand in a notebook cell, a YAML preset or a run's JSON:

    {
        "name": "srresnet",
        "scale": 4, "blocks": 16, "width": 64,                        # parameters, for {…} below and for overrides
        "where": {"residual": {"add": "k3n{width}s1 batch prelu k3n{width}s1 batch"}},              # named blocks
        "body": [
            "k9n{width}s1 prelu",
            {"add": [{"repeat": "residual", "times": "{blocks}"}, "k3n{width}s1 batch"]},
            {"upscale": "k3n{width*factor*factor}s1 shuffle{factor} prelu", "by": "{scale}"},
            "k9n{channels}s1",
        ],
    }

An entry (`body`, a block, the value of a structure) is a string of words, a list of entries, or one structure:

    {"add": entry, "scale": 0.2, "skip": entry}      0.2 * entry(x) + skip(x); skip "none" leaves the sum out
    {"concat": entry, "skip": entry}                 [skip(x), entry(x)] along the channels
    {"multiply": entry, "skip": entry}               skip(x) * entry(x): a gate, such as "k1n{width}s1 sigmoid"
    {"repeat": entry, "times": 16, "shared": true}   one after the other; shared: the same weights every time
    {"upscale": entry, "by": 4}                      once for every prime of `by`, which the entry sees as {factor}
    {"model": name or spec, "with": {overrides}}     another network as a layer
    {"rescale": {"scale": 255}}                      a word with its arguments as a dict

Words: kXnYsZ is a convolution (s1/2: transposed, doubles the size); every other word is the name of a block or of a
layer of `srnb.models.words`, with a number behind it or arguments in parentheses: shuffle2, lrelu(0.2),
k3n64s1(bias=false, spectral=true). keep(name) remembers a tensor, recall(name) goes on from it.

Other keys of a spec: `paper` (its figure), `conv` (arguments of every convolution, for instance {"msra": 0.1}),
`outputs` (names of kept tensors; the network then returns a dict of them).
"""

import difflib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from srnb.models import zoo

RESERVED = ("name", "paper", "body", "where", "conv", "outputs")
STRUCTURES = {
    "add": {"add", "scale", "skip"},
    "concat": {"concat", "skip"},
    "multiply": {"multiply", "skip"},
    "repeat": {"repeat", "times", "shared"},
    "upscale": {"upscale", "by"},
    "model": {"model", "with"},
}


@dataclass(frozen=True)
class Place:
    """The place of an entry in its spec: its path, for errors, and the values that {…} may name there."""

    path: str
    values: dict

    def inside(self, step, **changed):
        """Return the place of an entry within this one, with some values changed."""
        return Place(self.path + step, {**self.values, **changed})

    def fill(self, text):
        """Replace every {…} in `text` by its value; a text that is nothing but one {…} becomes the value itself."""
        if not isinstance(text, str):
            return text
        whole = re.fullmatch(r"\{([^{}]*)\}", text)
        if whole:
            return _evaluate(whole[1], self.values, self.path)
        return re.sub(r"\{([^{}]*)\}", lambda match: str(_evaluate(match[1], self.values, self.path)), text)

    def integer(self, value):
        """Return `value`, filled in, as an integer. Raises ValueError unless it is one from 1 on."""
        value = self.fill(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{self.path}: must be a whole number from 1. Received: {value!r}")
        return value


@dataclass(frozen=True)
class Word:
    """One word of an entry with its arguments: lrelu(0.2)."""

    name: str
    positional: tuple = ()
    named: dict = field(default_factory=dict)


def read(spec):
    """Return a copy of the spec that is given as a zoo name, a .yaml, .yml or .json file, or a dict.

    Raises ValueError, or FileNotFoundError for a missing file.
    """
    if isinstance(spec, (str, Path)):
        path = Path(spec)
        if path.suffix in (".yaml", ".yml", ".json"):
            if not path.is_file():
                raise FileNotFoundError(f"a spec file must exist. Received: {path}")
            try:
                spec = yaml.safe_load(path.read_text(encoding="utf-8"))  # JSON is YAML, too
            except (yaml.YAMLError, UnicodeDecodeError) as error:
                found = " ".join(str(error).split())
                raise ValueError(f"a spec file must be YAML or JSON. Received: {path}: {found}") from None
        elif str(spec).replace("-", "_") in zoo.SPECS:
            spec = zoo.SPECS[str(spec).replace("-", "_")]
        else:
            raise ValueError(
                f"spec must name a network: {', '.join(zoo.SPECS)}. Received: {spec!r}{suggest(spec, zoo.SPECS)}"
            )
    if not isinstance(spec, dict):
        raise ValueError(f"a spec must be a dict, a name or a file. Received: {type(spec).__name__}")
    try:
        return json.loads(json.dumps(spec, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(f"a spec must be plain data, as JSON can hold it. Received: {error}") from error


def resolve(spec, **overrides):
    """Return a spec with its parameters overridden: plain data that builds the same network on its own.

    Only parameters that the spec has can be overridden, by values of the same type; "channels" (default 3) and "name"
    always. Raises ValueError otherwise.
    """
    spec = read(spec)
    if "body" not in spec:
        raise ValueError(f"a spec must have a 'body'. Received keys: {', '.join(spec)}")
    for key, kind in (("where", dict), ("conv", dict), ("outputs", list)):
        if not isinstance(spec.get(key, kind()), kind):
            raise ValueError(f"{key} must be a {kind.__name__}. Received: {spec[key]!r}")
    spec = {"name": "network", "channels": 3, **spec}
    parameters = {key: value for key, value in spec.items() if key not in RESERVED}
    for key, value in parameters.items():
        if not isinstance(value, (int, float, str)):
            known = ", ".join(("a parameter", *RESERVED))
            raise ValueError(
                f"{key} must be a number or a string, or else one of the keys {known}. Received: {value!r}"
            )
    for key, value in overrides.items():
        if key != "name" and key not in parameters:
            raise ValueError(
                f"overrides of {spec['name']} must be among {', '.join(parameters)}. "
                f"Received: {key!r}{suggest(key, parameters)}"
            )
        if not _same_kind(value, spec[key]):
            raise ValueError(f"{key} must be {_kind(spec[key])}, like {spec[key]!r}. Received: {value!r}")
    return {**spec, **overrides}


def from_parameters(network, **parameters):
    """Return the spec of `network` with `parameters` overridden, and the names of those that it does not have.

    `network` is anything that `read` takes. Empty text and 0 stand for the network's own value, as in the parameters
    cell of a notebook. Parameters that the network does not have are left out, so that one parameter is enough to
    choose another network.
    """
    own = values(resolve(network))
    asked = {name: value for name, value in parameters.items() if value not in ("", 0)}
    left_out = [name for name in asked if name not in own]
    return resolve(network, **{name: value for name, value in asked.items() if name in own}), left_out


def values(spec):
    """Return the parameters of a resolved spec, name -> value: those that `{…}` may name."""
    return {key: value for key, value in spec.items() if key not in RESERVED}


def steps(entry, place):
    """Flatten the strings and lists of an entry: yield (place, Word or structure) in the written order."""
    if isinstance(entry, str):
        for word in words(str(place.fill(entry)), place.path):
            yield place, word
    elif isinstance(entry, list):
        for number, inner in enumerate(entry):
            yield from steps(inner, place.inside(f"[{number}]"))
    elif isinstance(entry, dict):
        kinds = [key for key in STRUCTURES if key in entry]
        if not kinds and len(entry) == 1 and isinstance(next(iter(entry.values())), dict):
            ((word, arguments),) = entry.items()
            yield place, Word(str(place.fill(word)), (), {key: place.fill(value) for key, value in arguments.items()})
            return
        if len(kinds) != 1 or not entry.keys() <= STRUCTURES[kinds[0]]:
            raise ValueError(
                f"{place.path}: must have one of the keys {', '.join(STRUCTURES)}, or a word with its arguments. "
                f"Received keys: {', '.join(entry)}"
            )
        yield place, entry
    else:
        raise ValueError(f"{place.path}: must be a string, a list or a dict. Received: {entry!r}")


def factors(number):
    """Return the prime factors of a scale, [2, 2] for 4: an `upscale` takes one step for each."""
    primes, factor = [], 2
    while number > 1:
        if number % factor:
            factor += 1
        else:
            primes.append(factor)
            number //= factor
    return primes


def words(text, path):
    """Split a string into its Words. Raises ValueError with `path` for one that is malformed."""
    split, position = [], 0
    while text[position:].strip():
        match = re.compile(r"\s*([^\s()]+)(?:\(([^()]*)\))?(?=\s|$)").match(text, position)
        if not match:
            raise ValueError(f"{path}: must be words with arguments in parentheses. Received: {text[position:]!r}")
        position = match.end()
        positional, named = [], {}
        for argument in (match[2] or "").split(","):
            name, equals, value = argument.rpartition("=")
            if equals:
                named[name.strip()] = literal(value)
            elif value.strip():
                positional.append(literal(value))
        split.append(Word(match[1], tuple(positional), named))
    return split


def literal(text):
    """Return an argument as a number or bool if it reads as one, otherwise as the text itself."""
    text = text.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def suggest(name, known):
    """Return a hint at the known name closest to a mistyped one, or an empty string."""
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _evaluate(expression, values, path):
    """Evaluate names and integers joined by * and /, from left to right: {width}, {width*4}, {width/16}."""
    tokens = re.split(r"\s*([*/])\s*", expression.strip())
    terms = []
    for token in tokens[::2]:
        if token.isdigit():
            terms.append(int(token))
        elif token in values:
            terms.append(values[token])
        else:
            raise ValueError(
                f"{path}: no value named {token!r}{suggest(token, values)}; values: {', '.join(values) or 'none'}"
            )
    result = terms[0]
    for operator, term in zip(tokens[1::2], terms[1:], strict=True):
        if isinstance(result, str) or isinstance(term, str):
            raise ValueError(f"{path}: only numbers can be multiplied. Received: {{{expression}}}")
        if operator == "/":
            if result % term:
                raise ValueError(f"{path}: {{{expression}}} must divide without rest. Received: {result} / {term}")
            result //= term
        else:
            result *= term
    return result


def _kind(value):
    return {bool: "true or false", int: "an integer", float: "a number"}.get(type(value), "a string")


def _same_kind(value, default):
    if isinstance(default, bool) or isinstance(value, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, (int, float))
    return isinstance(value, type(default))
