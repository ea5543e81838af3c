"""Weights that others have published as PyTorch files: read without running any code of theirs, loaded by name.

Known: RRDB (names of ESRGAN, its older ones, and those of BasicSR, there also for x2), MSRResNet (BasicSR), EDSR
(EDSR-PyTorch and BasicSR), SRVGGNetCompact and the U-Net discriminator of Real-ESRGAN.
"""

import io
import math
import pickle
import re
import struct
import zipfile
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srnb.models import layers, parser, weights
from srnb.models import spec as specs

STORAGES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "BFloat16Storage": "bfloat16",  # a name that NumPy knows once Keras is imported
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "BoolStorage": "|b1",
}
# what a file that was damaged or made up can raise in an unpickler
DAMAGE = (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError)
DAMAGE += (OSError, TypeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile)
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # torch.save before PyTorch 1.6, as for ESRGAN's own files

# Our layer (a pattern) -> theirs, where {I}, {J}, {K} are the pattern's numbers, {i}, {j}, {k} the same counted from 0,
# {twice} 2i, {even} 2I, {odd} 2I + 1 and {third} 3I; {blocks} is how many blocks there are; {end}, {high}, {last} are
# numbers of layers behind all blocks and enlargements.
NAMES = {
    "RRDB, ESRGAN before 2019": {
        r"conv": "model.0",
        r"rrdb(\d+)\.rdb(\d+)\.grow(\d+)\.conv": "model.1.sub.{i}.RDB{J}.conv{K}.0",
        r"rrdb(\d+)\.rdb(\d+)\.conv": "model.1.sub.{i}.RDB{J}.conv5.0",
        r"conv_2": "model.1.sub.{blocks}",
        r"upscale(\d+)\.conv": "model.{third}",
        r"conv_3": "model.{high}",
        r"conv_4": "model.{last}",
    },
    "RRDB, ESRGAN": {
        r"conv": "conv_first",
        r"rrdb(\d+)\.rdb(\d+)\.grow(\d+)\.conv": "RRDB_trunk.{i}.RDB{J}.conv{K}",
        r"rrdb(\d+)\.rdb(\d+)\.conv": "RRDB_trunk.{i}.RDB{J}.conv5",
        r"conv_2": "trunk_conv",
        r"upscale(\d+)\.conv": "upconv{I}",
        r"conv_3": "HRconv",
        r"conv_4": "conv_last",
    },
    "RRDB, BasicSR": {
        r"conv": "conv_first",
        r"rrdb(\d+)\.rdb(\d+)\.grow(\d+)\.conv": "body.{i}.rdb{J}.conv{K}",
        r"rrdb(\d+)\.rdb(\d+)\.conv": "body.{i}.rdb{J}.conv5",
        r"conv_2": "conv_body",
        r"upscale(\d+)\.conv": "conv_up{I}",
        r"conv_3": "conv_hr",
        r"conv_4": "conv_last",
    },
    "MSRResNet, BasicSR": {
        r"conv": "conv_first",
        r"residual(\d+)\.conv": "body.{i}.conv1",
        r"residual(\d+)\.conv_2": "body.{i}.conv2",
        r"upscale(\d+)\.conv": "upconv{I}",
        r"conv_2": "conv_hr",
        r"conv_3": "conv_last",
    },
    "EDSR, BasicSR": {
        r"conv": "conv_first",
        r"residual(\d+)\.conv": "body.{i}.conv1",
        r"residual(\d+)\.conv_2": "body.{i}.conv2",
        r"conv_2": "conv_after_body",
        r"upscale(\d+)\.conv": "upsample.{twice}",
        r"conv_3": "conv_last",
    },
    "EDSR, EDSR-PyTorch": {
        r"conv": "head.0",
        r"residual(\d+)\.conv": "body.{i}.body.0",
        r"residual(\d+)\.conv_2": "body.{i}.body.2",
        r"conv_2": "body.{blocks}",
        r"upscale(\d+)\.conv": "tail.0.{twice}",
        r"conv_3": "tail.1",
    },
    "SRVGGNetCompact, Real-ESRGAN": {
        r"conv": "body.0",
        r"prelu": "body.1",
        r"repeat(\d+)\.conv": "body.{even}",
        r"repeat(\d+)\.prelu": "body.{odd}",
        r"conv_2": "body.{end}",
    },
    "U-Net discriminator, BasicSR": {
        r"conv": "conv0",
        r"down(\d+)\.conv": "conv{I}",
        r"up1\.conv": "conv4",
        r"up2\.conv": "conv5",
        r"up3\.conv": "conv6",
        r"conv_2": "conv7",
        r"conv_3": "conv8",
        r"conv_4": "conv9",
    },
}
# the generators among them: the network of the zoo, and weights that only its files have
GENERATORS = {
    "RRDB, ESRGAN before 2019": ("rrdb", {"model.1.sub.0.RDB1.conv1.0.weight"}),
    "RRDB, ESRGAN": ("rrdb", {"RRDB_trunk.0.RDB1.conv1.weight"}),
    "RRDB, BasicSR": ("rrdb", {"body.0.rdb1.conv1.weight"}),
    "MSRResNet, BasicSR": ("msrresnet", {"body.0.conv1.weight", "upconv1.weight"}),
    "EDSR, BasicSR": ("edsr", {"body.0.conv1.weight", "upsample.0.weight"}),
    "EDSR, EDSR-PyTorch": ("edsr", {"head.0.weight", "body.0.body.0.weight"}),
    "SRVGGNetCompact, Real-ESRGAN": ("srvgg", {"body.0.weight", "body.1.weight", "body.2.weight"}),
}
# what files call a set of weights among other things, in the order in which they are taken
SETS = ("params_ema", "params", "state_dict", "model_state_dict", "model")
# follows from the rest: the mean colour of EDSR-PyTorch, which our spec holds; the second vector of a spectral norm
REDUNDANT = re.compile(r"(sub|add)_mean\.(weight|bias)|.*\.weight_u")


def load_published(model, path):
    """Load a PyTorch file of a reference implementation into the same network of the zoo, built with the same settings.

    A file with several sets of weights gives its averaged ones ("params_ema"). Returns the name of the naming scheme
    that fits. Raises ValueError with all differences from the closest scheme if a weight is missing or left over.
    """
    theirs = _state(path)
    ours = weights.variables(model)
    attempts = {naming: _translate(model, ours, naming) for naming in NAMES}
    found = {
        naming: weights.differences(
            {name: shape for name, _, shape in wanted.values()}, {name: array.shape for name, array in theirs.items()}
        )
        for naming, wanted in attempts.items()
        if len(wanted) == len(ours)
    }
    if not found:
        raise ValueError(f"{model.name} must be one of {', '.join(NAMES)}. Received: layers of other names")
    naming = min(found, key=lambda naming: len(found[naming]))
    if found[naming]:
        listed = "\n".join(found[naming])
        raise ValueError(
            f"{path} must fit {model.name} ({naming}). Received {len(found[naming])} differences:\n{listed}"
        )
    _assign(ours, theirs, attempts[naming])
    return naming


def from_published(path):
    """Return the generator of a PyTorch file or its twin in safetensors, with its weights, and its spec.

    Naming scheme, blocks, width, growth, channels and scale are read from the file. EDSR's residual scaling is not in
    it and follows the authors: 0.1 for 256 maps, 1 for fewer. Raises ValueError for anything but the generators in
    `GENERATORS`.
    """
    theirs = _state(path)
    naming = next((naming for naming, (_, marks) in GENERATORS.items() if marks <= theirs.keys()), None)
    if naming is None:
        shown = ", ".join(f"{name} {array.shape}" for name, array in list(theirs.items())[:3])
        raise ValueError(
            f"{path} must hold the weights of a generator: {'; '.join(GENERATORS)}. "
            f"Received: {len(theirs)} weights{f', first {shown}' * bool(theirs)}"
        )
    try:
        network, sizes = _sizes(naming, theirs)
        spec = specs.resolve(network, **sizes)
        model = parser.build(spec)
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} must hold a whole {naming}. Received: {error}") from error
    ours = weights.variables(model)
    wanted = _translate(model, ours, naming)
    lines = weights.differences(
        {name: shape for name, _, shape in wanted.values()}, {name: array.shape for name, array in theirs.items()}
    )
    if lines:
        raise ValueError(
            f"{path} must fit {naming}, whose names it has. Received {len(lines)} differences, the first: {lines[0]}"
        )
    _assign(ours, theirs, wanted)
    return model, spec


def _state(path):
    """Return the weights of a file by name: the averaged ones if it has several, without redundant ones."""
    tree = weights.arrays(path) if Path(path).suffix == ".safetensors" else read_pytorch(path)
    for key in SETS:
        if isinstance(tree, dict) and isinstance(tree.get(key), dict):
            tree = tree[key]
            break
    return {
        str(name).removeprefix("module."): array.astype("float32", copy=False)  # "module.": PyTorch's DataParallel
        for name, array in (tree.items() if isinstance(tree, dict) else ())
        if isinstance(array, np.ndarray) and not REDUNDANT.fullmatch(str(name))
    }


def _sizes(naming, theirs):
    """Return the network of the zoo and its parameters, from the shapes of weights: (out, in, height, width)."""
    names, network = NAMES[naming], GENERATORS[naming][0]
    width, channels = theirs[f"{names['conv']}.weight"].shape[:2]
    unshuffle = 2 if naming == "RRDB, BasicSR" and channels in (4, 12) else 1  # four pixels of LR folded into one
    channels //= unshuffle**2
    if channels not in (1, 3):
        raise ValueError(f"{channels} channels in; the zoo has networks for 1 and 3")
    sizes = {"width": width, "channels": channels}
    if network == "srvgg":
        count = sum(array.ndim == 4 for array in theirs.values())
        last = theirs[f"body.{2 * count - 2}.weight"].shape[0]
        return network, sizes | {"blocks": count - 2, "scale": math.isqrt(last // channels)}
    blocks, block = 0, next(their for ours, their in names.items() if re.match("rrdb|residual", ours))
    while f"{block.format(i=blocks, J=1, K=1)}.weight" in theirs:
        blocks += 1
    scale, steps = 1, 0
    enlarging = names[r"upscale(\d+)\.conv"]
    while (name := f"{enlarging.format(I=steps + 1, twice=2 * steps, third=3 * steps + 3)}.weight") in theirs:
        scale *= 2 if network == "rrdb" else math.isqrt(theirs[name].shape[0] // width)
        steps += 1
    if network == "rrdb":
        sizes["growth"] = theirs[f"{block.format(i=0, J=1, K=1)}.weight"].shape[0]
    if network == "edsr":
        sizes["residual_scale"] = 0.1 if width >= 256 else 1.0
    if unshuffle > 1:
        network, scale, sizes["unshuffle"] = "rrdb_unshuffle", scale // unshuffle, unshuffle
    return network, sizes | {"blocks": blocks, "scale": scale}


def _assign(ours, theirs, wanted):
    for name, variable in ours.items():
        their_name, turn, _ = wanted[name]
        variable.assign(turn(theirs[their_name]))


def _translate(model, ours, naming):
    """Return {our variable: (their name, function that turns their array into ours, their shape)} where names match."""
    numbered = [re.match(r"(?:residual|rrdb|repeat)(\d+)\.", layer.name) for layer in model.layers]
    blocks = len({match[1] for match in numbered if match})
    steps = len({match[0] for match in (re.match(r"upscale\d+\.", layer.name) for layer in model.layers) if match})
    ends = {"blocks": blocks, "end": 2 * blocks + 2, "high": 3 * steps + 2, "last": 3 * steps + 4}
    wanted = {}
    for name, variable in ours.items():
        layer, _, weight = name.partition("/")
        for pattern, theirs in NAMES[naming].items():
            match = re.fullmatch(pattern, layer)
            if not match:
                continue
            numbers = [int(number) for number in match.groups()]
            fields = {letter: number for letter, number in zip("IJK", numbers, strict=False)}
            fields |= {letter.lower(): number - 1 for letter, number in fields.items()}
            place, count = fields.get("i", 0), fields.get("I", 0)
            places = {"twice": 2 * place, "even": 2 * count, "odd": 2 * count + 1, "third": 3 * count}
            prefix = theirs.format(**fields, **places, **ends)
            spectral = isinstance(model.get_layer(layer), layers.SpectralNormalization)
            wanted[name] = (f"{prefix}.{_their_weight(weight, spectral)}", *_turn(model, layer, weight, variable))
    return wanted


def _their_weight(weight, spectral):
    if spectral and weight == "convolution/kernel":
        return "weight_orig"
    return {"kernel": "weight", "alpha": "weight", "left": "weight_v"}.get(weight, weight)


def _turn(model, layer, weight, variable):
    """Return the function from their array to ours, and its shape: PyTorch's kernels are (out, in, height, width)."""
    shape = tuple(variable.shape)
    before = _factor(model.get_layer(layer)._inbound_nodes[0].parent_nodes, layers.PixelUnshuffle)
    after = _factor(model.get_layer(layer)._outbound_nodes, layers.PixelShuffle)

    def maps_last(array, factor=after):  # PyTorch has the sub-pixels of a channel side by side, Keras the channels
        split = array.reshape(*array.shape[:-1], -1, factor**2)
        return np.swapaxes(split, -1, -2).reshape(array.shape)

    def kernel(array):
        inputs_last = maps_last(array.transpose(2, 3, 0, 1), before)
        return maps_last(inputs_last.swapaxes(2, 3))

    if weight.endswith("kernel"):
        return kernel, (shape[3], shape[2], *shape[:2])
    if weight == "alpha":  # PReLU's slopes
        return lambda array: array.reshape(shape), (shape[-1],)
    if weight == "left":  # the rows of the kernel as a matrix, in PyTorch's order
        height, width, inputs, _ = model.get_layer(layer).layer.kernel.shape
        return lambda array: array.reshape(inputs, height, width).transpose(1, 2, 0).ravel(), shape
    return maps_last, shape


def _factor(nodes, kind):
    """Return the factor of the pixel shuffle among layers next to a convolution, 1 without one."""
    return next((node.operation.factor for node in nodes if isinstance(node.operation, kind)), 1)


def read_pytorch(path):
    """Read a .pth file of tensors into nested dicts of NumPy arrays, without PyTorch and without running code from it.

    Raises ValueError for a file that holds anything but dicts, lists, numbers, strings and tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"a weight file must exist. Received: {path}")
    try:
        return _read_zip(path) if zipfile.is_zipfile(path) else _read_legacy(path)
    except DAMAGE as error:
        raise ValueError(
            f"{path} must be a PyTorch file of tensors. Received: {error or type(error).__name__}"
        ) from error


def _read_zip(path):
    with zipfile.ZipFile(path) as archive:
        (index,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        reader = _TensorsOnly(io.BytesIO(archive.read(index)))
        tree = reader.load()
        folder = index.removesuffix("data.pkl")
        for key, storage in reader.storages.items():
            storage.content = np.frombuffer(archive.read(f"{folder}data/{key}"), storage.dtype)
    return _arrays(tree)


def _read_legacy(path):
    with open(path, "rb") as file:
        if _TensorsOnly(file).load() != LEGACY_MAGIC:
            raise pickle.UnpicklingError("no PyTorch file")
        _TensorsOnly(file).load()  # version of the protocol
        _TensorsOnly(file).load()  # machine it was written on
        reader = _TensorsOnly(file)
        tree = reader.load()
        for key in _TensorsOnly(file).load():
            count = int(np.fromfile(file, "<i8", 1)[0])
            storage = reader.storages[key]
            storage.content = np.fromfile(file, storage.dtype, count)
    return _arrays(tree)


@dataclass
class _Storage:
    dtype: str
    content: np.ndarray | None = None


@dataclass
class _Tensor:
    storage: _Storage
    offset: int
    shape: tuple
    strides: tuple

    def array(self):
        if len(self.shape) != len(self.strides) or min((self.offset, *self.shape, *self.strides)) < 0:
            raise pickle.UnpicklingError(f"a tensor of shape {self.shape} and strides {self.strides}")
        if math.prod(self.shape) > len(self.storage.content):  # a small file may claim to fill the memory
            raise pickle.UnpicklingError(f"a tensor of shape {self.shape} in a storage of {len(self.storage.content)}")
        last = self.offset + sum((side - 1) * stride for side, stride in zip(self.shape, self.strides, strict=True))
        if math.prod(self.shape) and last >= len(self.storage.content):
            raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
        content = self.storage.content[self.offset :]
        strides = [stride * content.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(content, self.shape, strides).copy()


class _TensorsOnly(pickle.Unpickler):
    """An unpickler that admits only the few names that a file of tensors needs."""

    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: _Tensor(storage, offset, tuple(shape), tuple(strides))
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda tensor, *_: tensor
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"the name {module}.{name}, which a file of tensors does not need")

    def persistent_load(self, identity):
        kind, dtype, key = identity[:3]
        if kind != "storage" or dtype not in STORAGES.values():
            raise pickle.UnpicklingError(f"a reference to {kind!r}")
        return self.storages.setdefault(key, _Storage(dtype))


def _arrays(tree):
    if isinstance(tree, _Tensor):
        return tree.array()
    if isinstance(tree, dict):
        return {key: _arrays(value) for key, value in tree.items()}
    return [_arrays(value) for value in tree] if isinstance(tree, (list, tuple)) else tree
