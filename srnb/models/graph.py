"""The properties of a network, from its graph alone: layers, shapes, parameters, receptive field, multiply-adds."""

import itertools
import math
import re
from dataclasses import dataclass, replace
from fractions import Fraction

import keras

from srnb.models import attention, layers, parser

POINTWISE = (
    keras.layers.InputLayer,
    keras.layers.Activation,
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.BatchNormalization,
    keras.layers.Dropout,
    keras.layers.Rescaling,
    keras.layers.Add,
    keras.layers.Multiply,
    keras.layers.Concatenate,
    keras.layers.ZeroPadding2D,
)
WHOLE_PICTURE = (layers.VirtualBatchNormalization, attention.Attention, attention.ChannelAttention)


@dataclass(frozen=True)
class View:
    """What one position of a map sees of the input, in input pixels.

    step: distance between neighbouring positions, None behind an unknown layer and where there are no positions any
    more; span: from the first pixel seen to the last; reach: from the centre to the farthest pixel.
    """

    step: Fraction | None = Fraction(1)
    span: Fraction | float = Fraction(0)
    reach: Fraction | float = Fraction(0)

    def wider(self, span, reach, scale=1):
        """Return the view through a window of `span` and `reach` positions, at a spacing `scale` times as large."""
        return View(self.step * scale, self.span + self.step * span, self.reach + self.step * reach)


NOTHING_LEFT = View(None, math.inf, math.inf)


@dataclass(frozen=True)
class Row:
    """One layer in the table of a network."""

    name: str
    word: str
    maps: str
    parameters: int
    view: View
    multiply_adds: Fraction  # for each input pixel
    per_picture: int  # multiply-adds behind the last map


def receptive_field(model):
    """Return the side, in input pixels, of the square around a pixel that its output depends on, an odd number.

    `receptive_field(model) // 2` is the overlap at which tiling changes nothing. Exact for odd kernels, otherwise an
    upper bound. Raises ValueError if every pixel depends on all, as with attention or global pooling.
    """
    _, view = _walk(model)
    if not math.isfinite(view.reach) or view.step is None:
        raise ValueError(
            f"{model.name} must have a bounded receptive field. Received: a network with attention or pooling over the "
            "whole picture, or with a layer that srnb does not know"
        )
    return _field(view)


def cost(spec, **overrides):
    """Return the cost of a network: parameters, trainable ones, receptive field and multiply-adds.

    `spec` is anything that `build` takes, or a built network. The receptive field is in input pixels, None for the
    whole picture. Multiply-adds of convolutions are per output pixel, or per input pixel for a network that makes the
    picture smaller; those of dense layers are per picture.
    """
    model = _model(spec, overrides)
    rows, view = _walk(model)
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    return {
        "parameters": sum(math.prod(variable.shape) for variable in model.variables),
        "trainable": trainable,
        "receptive_field": _field(view),
        "multiply_adds": round(sum(row.multiply_adds for row in rows) * _area(view)),
        "multiply_adds_per_picture": sum(row.per_picture for row in rows),
    }


def scale(model):
    """Return the factor by which a network upscales. Raises ValueError if its own maps do not fit each other."""
    failure = None
    for side in (16, 720):  # strides of 2 divide the one, those of 3 and 5 the other, too
        try:
            return model.compute_output_shape((1, side, side, model.input_shape[-1]))[1] // side
        except ValueError as error:
            failure = failure or error
    raise ValueError(f"maps that meet in {model.name} must have one size. Received: {failure}")


def require_scale(spec, wanted, **overrides):
    """Raise ValueError unless a network upscales by `wanted`. `spec` is that of `cost`."""
    model = _model(spec, overrides)
    if scale(model) != wanted:
        raise ValueError(
            f"a generator must enlarge by the scale of the run, {wanted}. "
            f"Received: {model.name}, which enlarges by {scale(model)}"
        )


def require_patch_size(spec, patch_size, scale=1, **overrides):
    """Raise ValueError unless a network takes patches `patch_size` pixels a side, made `scale` times as small for it.

    `spec` is that of `cost`. Strides must divide the side where what they make meets other maps, or the HR patch.
    """
    model = _model(spec, overrides)
    whole = patch_size // scale  # pixels for the network
    if not _takes(model, whole):
        beside = range(whole - 1, max(0, whole - 33), -1), range(whole + 1, whole + 33)
        near = (next((scale * side for side in sides if _takes(model, side)), None) for sides in beside)
        hint = " and ".join(str(size) for size in near if size)
        raise ValueError(
            f"the size of patches must suit the strides of {model.name}. Received: {patch_size} pixels"
            + f"; {hint} would" * bool(hint)
        )


def _takes(model, side):
    try:
        shape = model.compute_output_shape((1, side, side, model.input_shape[-1]))
    except ValueError:  # maps of different sizes meet
        return False
    return len(shape) < 4 or scale(model) < 1 or shape[1] == side * scale(model)


def describe(spec, **overrides):
    """Print the layers of a network with maps, parameters, receptive field and multiply-adds, repeated blocks once.

    `spec` is anything that `build` takes, or a built network.
    """
    model = _model(spec, overrides)
    rows, view = _walk(model)
    total = cost(model)
    per = "output pixel" if _enlarges(view) else "input pixel"
    lines = [("layer", "", "maps", "parameters", "field", f"multiply-adds / {per}"), *_lines(rows, "", _area(view))]
    widths = [max(len(line[column]) for line in lines if len(line) > 1) for column in range(6)]
    for line in lines:
        cells = [
            cell.ljust(width) if column < 3 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=False))
        ]
        print("  ".join(cells).rstrip())
    field = total["receptive_field"]
    print(
        f"\n{model.name}: {total['parameters']:,} parameters, {total['trainable']:,} of them trained; "
        f"receptive field {f'{field} x {field}' if field else 'the whole picture'}; "
        f"{total['multiply_adds']:,} multiply-adds per {per}"
        + (f", {total['multiply_adds_per_picture']:,} more per picture" if total["multiply_adds_per_picture"] else "")
    )


def _lines(rows, indent, area):
    """Return the lines of a table: six cells for a layer, one for the title of a block or of several equal blocks."""
    lines = []
    for blocks, inside in _equal_blocks(rows):
        if not blocks:
            lines += [_cells(row, indent, area) for row in inside]
            continue
        title = blocks[0] if len(blocks) == 1 else f"{blocks[0]} … {blocks[-1]}, {len(blocks)} equal blocks"
        lines += [(indent + title,), *_lines(inside, indent + "  ", area)]
    return lines


def _equal_blocks(rows):
    """Group rows into (names of consecutive equal blocks, rows of the first), with ([], rows) for those of no block."""
    groups, last = [], None
    for block, inside in itertools.groupby(rows, lambda row: row.name.rpartition(".")[0].partition(".")[0]):
        inside = [replace(row, name=row.name.removeprefix(f"{block}.")) for row in inside]
        signature = [(row.name, row.word, row.maps, row.parameters) for row in inside]
        if block and signature == last:
            groups[-1][0].append(block)
        else:
            groups.append(([block] if block else [], inside))
        last = signature
    return groups


def _cells(row, indent, area):
    field = _field(row.view)
    counts = (row.parameters, round(row.multiply_adds * area) or row.per_picture)
    parameters, multiply_adds = (f"{count:,}" if count else "" for count in counts)
    return indent + row.name, row.word, row.maps, parameters, str(field) if field else "all", multiply_adds


def _model(spec, overrides):
    if isinstance(spec, keras.Model):
        return spec
    with keras.StatelessScope(initialize_variables=False):  # variables without values
        return parser.build(spec, **overrides)


def _enlarges(view):
    return view.step is not None and view.step <= 1


def _area(view):
    """Return the number of input pixels for each pixel by which multiply-adds are counted."""
    return view.step**2 if _enlarges(view) else 1


def _field(view):
    """Return the side of the square of input pixels that a position sees, None for the whole picture.

    The square is centred on the pixel that the position is a part of. A position of a smaller map covers several
    pixels, and its square is not centred.
    """
    if view.step is None or not math.isfinite(view.reach):
        return None
    if view.step > 1:
        return int(view.span) + 1
    off_centre = (1 - view.step) / 2  # of a sub-pixel in its pixel
    return 2 * math.floor(view.reach + off_centre) + 1


def _walk(model):
    """Return a row for every layer, in order of computation, and the view of the last output."""
    views = {id(tensor): View() for tensor in model.inputs}
    rows = {}
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.input_tensors:
                continue
            layer = node.operation
            seen = [views[id(tensor)] for tensor in node.input_tensors]
            before = View(seen[0].step, max(view.span for view in seen), max(view.reach for view in seen))
            if isinstance(layer, keras.Model) and hasattr(layer, "_nodes_by_depth"):
                inner_rows, inner = _walk(layer)
                after = _inside(before, inner)
                for row in inner_rows:
                    scaled = row.multiply_adds / before.step**2 if before.step else 0
                    name = f"{layer.name}.{row.name}"
                    rows[name] = replace(row, name=name, view=_inside(before, row.view), multiply_adds=scaled)
            else:
                after = through(layer, before, node.outputs[0])
                _add_row(rows, layer, before, after, node.input_tensors[0], node.outputs[0])
            views.update({id(tensor): after for tensor in node.outputs})
    return list(rows.values()), views[id(model.outputs[-1])]


def _add_row(rows, layer, before, after, source, result):
    parameters = sum(math.prod(variable.shape) for variable in layer.variables)
    work = _multiply_adds(layer, before, after, source)
    row = Row(layer.name, _word(layer), _maps(after, result), parameters, after, *work)
    if again := rows.get(layer.name):  # called once more: the work adds up
        both = {"multiply_adds": again.multiply_adds + work[0], "per_picture": again.per_picture + work[1]}
        row = replace(again, **both)
    rows[layer.name] = row


def _inside(before, inner):
    """Return the view through a network that is called on a map with the view `before`."""
    return before.wider(inner.span, inner.reach, inner.step) if before.step and inner.step else NOTHING_LEFT


def through(layer, view, result):
    """Return the `View` of a layer's output `result`, given that of its input."""
    layer = bare(layer)
    if isinstance(layer, POINTWISE) or (isinstance(layer, keras.layers.Dense) and len(result.shape) == 4):
        return view
    if isinstance(layer, WHOLE_PICTURE):
        return replace(view, span=math.inf, reach=math.inf)
    if view.step is None or len(result.shape) != 4:
        return NOTHING_LEFT
    if isinstance(layer, keras.layers.Conv2DTranspose):
        kernel, stride = layer.kernel_size[0], layer.strides[0]
        left, half = max(kernel - stride, 0) // 2, Fraction(1, 2)
        reach = max((kernel - left - half) / stride - half, (left - half) / stride + half)
        return view.wider((kernel - 1) // stride, reach, Fraction(1, stride))
    if isinstance(layer, keras.layers.Conv2D):
        return _window(view, (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0], layer.padding)
    if isinstance(layer, (keras.layers.MaxPooling2D, keras.layers.AveragePooling2D)):
        return _window(view, layer.pool_size[0], layer.strides[0], layer.padding)
    if isinstance(layer, layers.PixelUnshuffle):
        return _window(view, layer.factor, layer.factor, "valid")
    if isinstance(layer, layers.PixelShuffle):
        return _enlarged(view, "nearest", layer.factor)
    if isinstance(layer, layers.Interpolation):
        return _enlarged(view, layer.interpolation, layer.factor)
    if isinstance(layer, keras.layers.UpSampling2D):
        return _enlarged(view, layer.interpolation, layer.size[0])
    return NOTHING_LEFT


def _window(view, kernel, stride, padding):
    """Return the view through a sliding window. With "same" and a stride, its offset depends on the picture's size."""
    centre = Fraction(stride - 1, 2)
    lefts = {max(kernel - stride, 0) // 2, (kernel - 1) // 2}
    reach = max(max(left + centre, kernel - 1 - left - centre) for left in lefts)
    return view.wider(kernel - 1, Fraction(kernel - 1, 2) if padding == "valid" else reach, stride)


def _enlarged(view, interpolation, factor):
    """Return the view through an interpolation: a sub-pixel is made from pixels up to 0, 1 or 2 away on either side."""
    count = {"nearest": 0, "bilinear": 1, "bicubic": 2}[interpolation]
    if count == 0:
        reach = Fraction(factor - 1, 2 * factor)
    else:  # with an odd factor the farthest pixel gets no weight where a sub-pixel lies on a pixel
        reach = count - (Fraction(1, factor) if factor % 2 else Fraction(1, 2 * factor))
    return view.wider(max(0, 2 * count - 1), reach, Fraction(1, factor))


def _multiply_adds(layer, before, after, source):
    """Return multiply-adds: of a convolution per input pixel of the network, of a dense layer per picture."""
    layer = bare(layer)
    if isinstance(layer, keras.layers.Dense):
        return 0, source.shape[-1] * layer.units
    if not isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
        return 0, 0
    places = before if isinstance(layer, keras.layers.Conv2DTranspose) else after
    each = math.prod(layer.kernel_size) * source.shape[-1] * layer.filters
    return (each / places.step**2, 0) if places.step else (0, 0)


def bare(layer):
    """Return the layer within a spectral normalisation, or the layer itself."""
    return layer.layer if isinstance(layer, layers.SpectralNormalization) else layer


def _word(layer):
    """Return a layer in the notation of specs."""
    wrapped, layer = layer, bare(layer)
    if isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
        inverse = "1/" if isinstance(layer, keras.layers.Conv2DTranspose) else ""
        word = f"k{layer.kernel_size[0]}n{layer.filters}s{inverse}{layer.strides[0]}"
        return word if wrapped is layer else f"{word} spectral"
    if isinstance(layer, keras.layers.Dense):
        return f"dense{layer.units}"
    return re.sub(r"(_(turn)?\d+)*$", "", layer.name.rpartition(".")[2])


def _maps(view, tensor):
    channels = tensor.shape[-1]
    if view.step is None:
        return " × ".join("?" if side is None else str(side) for side in tensor.shape[1:])
    height, width = (
        side if view.step == 1 else f"{side}/{view.step}" if view.step > 1 else f"{1 / view.step}{side}"
        for side in "HW"
    )
    return f"{height} × {width} × {channels}"
