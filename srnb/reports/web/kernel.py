"""Writes the convolution kernels of the browser's engine: two functions of WebAssembly with SIMD, in 1.5 kB.

    python -m srnb.reports.web.kernel        writes kernel.wasm and kernel-relaxed.wasm beside this file

A convolution of a picture (height, width, inputs) that has its border around it already. Maps lie innermost, so that
kernel columns and inputs are one contiguous loop; each turn of it multiplies a value, spread over four lanes, by the
weights of four maps. `conv8` makes 4 pixels x 8 maps at a time, `conv4` 8 pixels x 4 maps, where the maps are no
multiple of 8: all of their sums stay in the registers of an x86 or ARM processor. So does what `conv8` loads, since it
takes one input at a time: V8 up to version 11 loads all of a turn first, and four inputs at a time took 1.6 times as
long there. The relaxed form multiplies and adds
in one instruction where the processor can; WebAssembly.validate tells whether the browser knows it.

Parameters, all int32, addresses in bytes:
    source   float32 (height + side - 1, width + side - 1, inputs)
    kernel   float32 (maps / lanes, side, side, inputs, lanes), lanes 8 or 4
    bias     float32 (maps)
    slope    float32 (maps): what a sum below zero is multiplied by: 0 is ReLU, 1 nothing, else (P)ReLU
    target   float32 (height, width, maps)
    height, width (at least the pixels that it makes at a time), inputs (a multiple of those it takes at a time), side,
    maps (a multiple of lanes)
"""

from itertools import chain, pairwise
from pathlib import Path

PARAMETERS = ("source", "kernel", "bias", "slope", "target", "height", "width", "inputs", "side", "maps")
COUNTERS = ("y", "x", "block", "row", "left", "pixel", "line", "weights", "run", "size", "at", "maps_at")
FUNCTIONS = {"conv8": (4, 2, 1), "conv4": (8, 1, 4)}  # name -> pixels, vectors of four maps, inputs: of a turn
FOLDER = Path(__file__).parent
FILES = {"kernel.wasm": False, "kernel-relaxed.wasm": True}

I32, V128, NO_VALUE = b"\x7f", b"\x7b", b"\x40"


def module(*, relaxed):
    """Return the bytes of a WebAssembly module with both functions; its memory is imported as engine.memory."""
    names = list(FUNCTIONS)
    signature = b"\x60" + _vector([I32] * len(PARAMETERS)) + _vector([])
    memory = _name("engine") + _name("memory") + b"\x02\x00\x01"  # at least one page
    exports = [_name(name) + b"\x00" + _unsigned(number) for number, name in enumerate(names)]
    bodies = [_sized(_function(*FUNCTIONS[name], relaxed)) for name in names]
    sections = {1: [signature], 2: [memory], 3: [b"\x00"] * len(names), 7: exports, 10: bodies}
    return b"\0asm\1\0\0\0" + b"".join(bytes([kind]) + _sized(_vector(rows)) for kind, rows in sections.items())


def write():
    """Write both files."""
    for name, relaxed in FILES.items():
        (FOLDER / name).write_bytes(module(relaxed=relaxed))


def _function(pixels, vectors, taken, relaxed):
    """Return the body of one function: its locals and its code."""
    sums = [[f"sum{pixel}.{vector}" for vector in range(vectors)] for pixel in range(pixels)]
    columns = [f"column{pixel}" for pixel in range(pixels)]
    factors = [f"factor{vector}" for vector in range(vectors)]
    integers, floats = [*COUNTERS, *columns], [*chain.from_iterable(sums), *factors, "value", "zero"]
    number = {name: _unsigned(index) for index, name in enumerate((*PARAMETERS, *integers, *floats))}
    lanes = 4 * vectors

    def get(name):
        return b"\x20" + number[name]

    def put(name, value):
        return value + b"\x21" + number[name]

    def tee(name, value):
        return value + b"\x22" + number[name]

    def grown(name, by):
        return put(name, _add(get(name), by))

    def loop(counter, step, end, body):
        """Count from 0 by `step` while below `end`; the body runs once at least."""
        return put(counter, _const(0)) + _loop(body + grown(counter, _const(step)), _less(get(counter), end))

    def multiply_add(total, factor):
        if relaxed:
            return put(total, get("value") + get(factor) + get(total) + _simd(0x105))
        return put(total, get(total) + get("value") + get(factor) + _simd(0xE6) + _simd(0xE4))

    products = b""
    for step in range(taken):
        for vector, factor in enumerate(factors):
            products += put(factor, _load(get("weights"), 16 * (step * vectors + vector)))
        for column, totals in zip(columns, sums, strict=True):
            products += put("value", get(column) + _simd(0x09) + b"\x02" + _unsigned(4 * step))  # to all four lanes
            products += b"".join(multiply_add(total, factor) for total, factor in zip(totals, factors, strict=True))
    products += b"".join(grown(column, _const(4 * taken)) for column in columns)
    products += grown("weights", _const(16 * taken * vectors))
    inner = put("left", get("run")) + _loop(products, tee("left", _sub(get("left"), _const(taken))))

    starts = put(columns[0], get("at"))
    for before, column in pairwise(columns):
        starts += put(column, _add(get(before), get("pixel")))
    window = loop("line", 1, get("side"), starts + inner + grown("at", get("row")))

    begin = put("maps_at", _shift(_mul(get("block"), _const(lanes)), 2))
    begin += put("weights", _add(get("kernel"), _mul(get("block"), get("size"))))
    begin += put("at", _add(get("source"), _add(_mul(get("y"), get("row")), _mul(get("x"), get("pixel")))))
    for vector in range(vectors):
        begin += put(sums[0][vector], _load(_add(get("bias"), get("maps_at")), 16 * vector))
        begin += b"".join(put(totals[vector], get(sums[0][vector])) for totals in sums[1:])

    place = _add(_mul(get("y"), get("width")), get("x"))
    end = put("at", _add(_add(get("target"), _shift(_mul(place, get("maps")), 2)), get("maps_at")))
    for vector, factor in enumerate(factors):
        end += put(factor, _load(_add(get("slope"), get("maps_at")), 16 * vector))
    for totals in sums:
        for vector, (total, factor) in enumerate(zip(totals, factors, strict=True)):
            above = get(total) + get("zero") + _simd(0xEB)
            below = get(total) + get("zero") + _simd(0xEA) + get(factor) + _simd(0xE6)
            end += get("at") + above + below + _simd(0xE4) + _simd(0x0B) + b"\x04" + _unsigned(16 * vector)
        end += grown("at", _shift(get("maps"), 2))

    last = _sub(get("width"), _const(pixels))  # where the last group starts: it may overlap the one before
    group = _greater(get("x"), last) + b"\x04" + NO_VALUE + put("x", last) + b"\x0b"
    code = put("pixel", _shift(get("inputs"), 2))
    code += put("run", _mul(get("side"), get("inputs")))
    code += put("row", _mul(get("pixel"), _add(get("width"), _sub(get("side"), _const(1)))))
    code += put("size", _mul(_mul(get("run"), get("side")), _const(4 * lanes)))
    blocks = loop("x", pixels, get("width"), group + begin + window + end)
    # blocks of maps outside of columns: the weights of one block stay in the nearest cache
    rows = put("block", _const(0)) + _loop(
        blocks + grown("block", _const(1)), _less(_mul(get("block"), _const(lanes)), get("maps"))
    )
    code += loop("y", 1, get("height"), rows)
    declared = _vector([_unsigned(len(integers)) + I32, _unsigned(len(floats)) + V128])
    return declared + code + b"\x0b"


def _unsigned(value):
    """LEB128: seven bits in each byte, the lowest first."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + _unsigned(rest) if rest else bytes([low])


def _const(value):
    """i32.const of a number from 0: signed LEB128, so that bit 6 of the last byte must be clear."""
    encoded = _unsigned(value)
    return b"\x41" + (encoded[:-1] + bytes([encoded[-1] | 0x80, 0]) if encoded[-1] & 0x40 else encoded)


def _vector(rows):
    return _unsigned(len(rows)) + b"".join(rows)


def _sized(content):
    return _unsigned(len(content)) + content


def _name(text):
    return _sized(text.encode())


def _simd(code):
    return b"\xfd" + _unsigned(code)


def _load(address, offset):
    return address + _simd(0x00) + b"\x04" + _unsigned(offset)


def _loop(body, condition):
    return b"\x03" + NO_VALUE + body + condition + b"\x0d\x00\x0b"


def _shift(a, bits):
    return a + _const(bits) + b"\x74"


def _add(a, b):
    return a + b + b"\x6a"


def _sub(a, b):
    return a + b + b"\x6b"


def _mul(a, b):
    return a + b + b"\x6c"


def _less(a, b):
    return a + b + b"\x48"


def _greater(a, b):
    return a + b + b"\x4a"


if __name__ == "__main__":
    write()
