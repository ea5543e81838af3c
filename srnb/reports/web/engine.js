// The engine: runs the operations of a network on one picture. Convolutions in WebAssembly (kernel.py), the rest here.
// Maps are float32, height x width x maps with maps innermost, all in one WebAssembly memory.
"use strict";

const KERNELS = { conv8: { lanes: 8, pixels: 4, inputs: 1 }, conv4: { lanes: 4, pixels: 8, inputs: 4 } }; // of a turn: kernel.py
const BAND = 32; // rows of a convolution at a time: only they get a border, in memory that stays in the cache

const FUNCTIONS = {
  tanh: Math.tanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  silu: (x) => x / (1 + Math.exp(-x)),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  gelu: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
};

// Abramowitz and Stegun 1964, 7.1.26: the error stays below 1.5e-7
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

// ---- weights: as network.py writes them

// Float32Arrays of a weight file. Kernels are 16-bit integers, the low bytes of all before the high ones, with a float32
// scale for each map; all else is float32.
function readWeights(tensors, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const nextFloats = (count) => Float32Array.from({ length: count }, () => view.getFloat32((at += 4) - 4, true));
  return tensors.map(({ shape, packed }) => {
    const count = shape.reduce((product, side) => product * side, 1);
    if (!packed) return nextFloats(count);
    const scale = nextFloats(shape.at(-1)), kernel = new Float32Array(count);
    for (let i = 0; i < count; i++) kernel[i] = scale[i % scale.length] * (view.getUint8(at + i) | (view.getInt8(at + count + i) << 8));
    at += 2 * count;
    return kernel;
  });
}

// (1 - share) of the first weights and `share` of the second: as models.interpolate
function blendWeights(first, second, share) {
  return first.map((values, number) => values.map((value, i) => (1 - share) * value + share * second[number][i]));
}

// ---- memory

// Hands out byte ranges behind `start`: the first that is free and large enough. The memory grows as needed.
function createArena(memory, start) {
  const free = [{ from: start, to: Infinity }]; // ordered by address
  return {
    take(size) {
      const index = free.findIndex((range) => range.to - range.from >= size);
      const from = free[index].from;
      free[index].from += size;
      if (free[index].from === free[index].to) free.splice(index, 1);
      const missing = from + size - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / 65536)); // throws RangeError when the device has no more
      return from;
    },
    give(from, size) {
      let index = free.findIndex((range) => range.from > from);
      free.splice(index, 0, { from, to: from + size });
      if (free[index].to === free[index + 1].from) free[index].to = free.splice(index + 1, 1)[0].to;
      if (index > 0 && free[index - 1].to === from) free[index - 1].to = free.splice(index, 1)[0].to;
    },
  };
}

const aligned = (bytes) => Math.ceil(bytes / 64) * 64;

// ---- the network

// `modules`: the bytes of kernel-relaxed.wasm and kernel.wasm. `network`: nodes, output, tensors. `weights`: of readWeights.
function createEngine(modules, network, weights) {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
  const bytes = WebAssembly.validate(modules.relaxed) ? modules.relaxed : modules.simd;
  const kernels = new WebAssembly.Instance(new WebAssembly.Module(bytes), { engine: { memory } }).exports;
  const weightArena = createArena(memory, 64);
  const floats = (at, count) => new Float32Array(memory.buffer, at, count); // of now: a memory that grows drops its arrays
  const values = (maps) => floats(maps.at, maps.height * maps.width * maps.maps);
  const nodes = network.nodes.map(prepare);
  const arena = createArena(memory, weightArena.take(64)); // behind the weights

  function create(height, width, maps) {
    const size = aligned(height * width * maps * 4);
    return { height, width, maps, size, at: arena.take(size) };
  }

  function store(array) {
    const at = weightArena.take(aligned(array.length * 4));
    floats(at, array.length).set(array);
    return at;
  }

  // Values for each map; where there are fewer of them they repeat, as the maps of a pixel shuffle do.
  function perMap(source, maps, fallback) {
    const array = source === undefined || source === null ? [fallback] : typeof source === "number" ? [source] : Array.isArray(source) ? source : weights[source.tensor];
    return Float32Array.from({ length: maps }, (_, map) => array[map % array.length]);
  }

  // Scale and offset of a batch normalisation
  function normalisation(norm, maps) {
    const gamma = perMap(norm.gamma, maps, 1), beta = perMap(norm.beta, maps, 0);
    const mean = perMap(norm.mean, maps), variance = perMap(norm.variance, maps);
    const scale = gamma.map((value, map) => value / Math.sqrt(variance[map] + norm.epsilon));
    return { scale, offset: beta.map((value, map) => value - mean[map] * scale[map]) };
  }

  function prepare(node) {
    if (node.op === "conv") return prepareConvolution(node);
    if (node.op === "normalise") return { ...node, op: "affine", ...normalisation(node.norm, node.maps) };
    if (node.op === "affine") return { ...node, scale: perMap(node.scale, node.maps), offset: perMap(node.offset, node.maps) };
    if (node.op === "slope") return { ...node, slope: perMap(node.slope, node.maps) };
    return node;
  }

  // Kernel, bias and slopes in the order of the WebAssembly kernels, with what follows the convolution folded in
  function prepareConvolution(node) {
    const [side, , inputs, maps] = network.tensors[node.kernel.tensor].shape, kernel = weights[node.kernel.tensor];
    const name = maps % 8 ? "conv4" : "conv8", { lanes, inputs: turn } = KERNELS[name];
    const allInputs = Math.ceil(inputs / turn) * turn, allMaps = Math.ceil(maps / lanes) * lanes;
    const { scale, offset } = node.norm ? normalisation(node.norm, maps) : { scale: perMap(1, maps), offset: perMap(0, maps) };
    const factor = node.factor ?? 1;
    const bias = new Float32Array(allMaps), slope = new Float32Array(allMaps);
    bias.set(perMap(node.bias, maps, 0).map((value, map) => factor * (value * scale[map] + offset[map])));
    slope.set(perMap(node.slope, maps, 1));
    const packed = new Float32Array(side * side * allInputs * allMaps);
    for (let tap = 0; tap < side * side; tap++)
      for (let input = 0; input < inputs; input++)
        for (let map = 0; map < maps; map++) {
          const block = Math.floor(map / lanes), place = (block * side * side + tap) * allInputs + input;
          packed[place * lanes + (map % lanes)] = factor * scale[map] * kernel[(tap * inputs + input) * maps + map];
        }
    return { ...node, name, side, inputs: node.inputs, channels: inputs, maps, allInputs, allMaps, packed: store(packed), bias: store(bias), slope: store(slope) };
  }

  // ---- operations: (node, inputs, target, progress) -> maps. `reusable` is the first input where nothing else reads it.

  const operations = {
    conv(node, [input], _, progress) {
      const { side, allInputs, allMaps, maps } = node, { height } = input;
      const width = Math.max(input.width, KERNELS[node.name].pixels);
      const wide = create(height, width, allMaps);
      const before = Math.floor((side - 1) / 2), row = (width + side - 1) * allInputs, rows = Math.min(height, BAND);
      const border = create(rows + side - 1, width + side - 1, allInputs);
      for (let top = 0; top < height; top += rows) {
        const count = Math.min(rows, height - top), band = values(border), source = values(input);
        band.fill(0);
        for (let y = Math.max(top - before, 0); y < Math.min(top - before + count + side - 1, height); y++)
          copyRow(source, y * input.width * input.maps, input.maps, band, (y - top + before) * row + before * allInputs, allInputs, input.width);
        kernels[node.name](border.at, node.packed, node.bias, node.slope, wide.at + top * width * allMaps * 4, count, width, allInputs, side, allMaps);
        progress(count / height);
      }
      arena.give(border.at, border.size);
      if (width === input.width && allMaps === maps) return wide;
      const result = create(height, input.width, maps), target = values(result), source = values(wide);
      for (let y = 0; y < height; y++) copyRow(source, y * width * allMaps, allMaps, target, y * input.width * maps, maps, input.width);
      arena.give(wide.at, wide.size);
      return result;
    },

    affine(node, [input], reusable) {
      const result = reusable ?? create(input.height, input.width, input.maps);
      const source = values(input), target = values(result), { scale, offset } = node;
      for (let i = 0; i < target.length; i += input.maps) for (let map = 0; map < input.maps; map++) target[i + map] = source[i + map] * scale[map] + offset[map];
      return result;
    },

    slope(node, [input], reusable) {
      const result = reusable ?? create(input.height, input.width, input.maps);
      const source = values(input), target = values(result), { slope } = node;
      for (let i = 0; i < target.length; i += input.maps)
        for (let map = 0; map < input.maps; map++) {
          const value = source[i + map];
          target[i + map] = value > 0 ? value : value * slope[map];
        }
      return result;
    },

    function(node, [input], reusable) {
      const result = reusable ?? create(input.height, input.width, input.maps);
      const source = values(input), target = values(result), apply = FUNCTIONS[node.name];
      for (let i = 0; i < target.length; i++) target[i] = apply(source[i]);
      return result;
    },

    add(node, inputs, reusable) {
      const result = reusable ?? create(inputs[0].height, inputs[0].width, inputs[0].maps);
      const target = values(result);
      if (!reusable) target.set(values(inputs[0]));
      for (const source of inputs.slice(1).map(values)) for (let i = 0; i < target.length; i++) target[i] += source[i];
      return result;
    },

    // Equal maps, or a gate of one map for all
    multiply(node, [first, second]) {
      const maps = Math.max(first.maps, second.maps), result = create(first.height, first.width, maps);
      const a = values(first), b = values(second), target = values(result);
      for (let pixel = 0; pixel < first.height * first.width; pixel++)
        for (let map = 0; map < maps; map++)
          target[pixel * maps + map] = a[pixel * first.maps + (map % first.maps)] * b[pixel * second.maps + (map % second.maps)];
      return result;
    },

    concat(node, inputs) {
      const { height, width } = inputs[0], maps = inputs.reduce((sum, input) => sum + input.maps, 0);
      const result = create(height, width, maps), target = values(result);
      let first = 0;
      for (const input of inputs) {
        const source = values(input);
        for (let pixel = 0; pixel < height * width; pixel++)
          for (let map = 0; map < input.maps; map++) target[pixel * maps + first + map] = source[pixel * input.maps + map];
        first += input.maps;
      }
      return result;
    },

    shuffle({ factor }, [input]) {
      const maps = input.maps / factor ** 2, run = factor * maps;
      const result = create(input.height * factor, input.width * factor, maps);
      const source = values(input), target = values(result);
      for (let y = 0; y < input.height; y++)
        for (let line = 0; line < factor; line++)
          for (let x = 0; x < input.width; x++) {
            const from = (y * input.width + x) * input.maps + line * run, to = (y * factor + line) * result.width * maps + x * run;
            for (let i = 0; i < run; i++) target[to + i] = source[from + i];
          }
      return result;
    },

    enlarge({ kind, factor }, [input]) {
      const result = create(input.height * factor, input.width * factor, input.maps);
      enlarge(values(input), input.height, input.width, input.maps, factor, kind, values(result));
      return result;
    },
  };

  const costs = nodes.map((node) => (node.op === "conv" ? node.side ** 2 * node.allInputs * node.allMaps * node.places : 0));
  const total = costs.reduce((sum, cost) => sum + cost, 0);

  // `picture`: Float32Array of height x width x 3. Returns {height, width, values}. `progress` gets the share that is done.
  function run(picture, height, width, progress = () => {}) {
    const readers = new Array(nodes.length + 1).fill(0);
    for (const node of nodes) for (const number of node.inputs) readers[number]++;
    readers[network.output]++;
    const results = [create(height, width, 3)];
    values(results[0]).set(picture);
    let done = 0;
    nodes.forEach((node, index) => {
      const inputs = node.inputs.map((number) => results[number]);
      const alone = readers[node.inputs[0]] === 1 && inputs[0];
      const result = operations[node.op](node, inputs, alone || null, (share) => progress((done += share * costs[index]) / total));
      results.push(result);
      for (const number of node.inputs) if (--readers[number] === 0 && results[number] !== result) arena.give(results[number].at, results[number].size);
    });
    const last = results[network.output], answer = values(last).slice();
    arena.give(last.at, last.size);
    return { height: last.height, width: last.width, values: answer };
  }

  return { run, relaxed: bytes === modules.relaxed, memory: () => memory.buffer.byteLength };
}

function copyRow(source, from, sourceMaps, target, to, targetMaps, pixels) {
  if (sourceMaps === targetMaps) return void target.set(source.subarray(from, from + pixels * sourceMaps), to);
  const maps = Math.min(sourceMaps, targetMaps);
  for (let x = 0; x < pixels; x++) for (let map = 0; map < maps; map++) target[to + x * targetMaps + map] = source[from + x * sourceMaps + map];
}

// ---- interpolation: as models.layers.Interpolation

const REACH = { nearest: 0, bilinear: 1, bicubic: 2 };

// Weight of a pixel at a distance, for those up to REACH to either side
const WEIGHT = {
  nearest: () => 1,
  bilinear: (distance) => 1 - distance,
  bicubic: (distance) => (distance <= 1 ? (1.5 * distance - 2.5) * distance ** 2 + 1 : ((-0.5 * distance + 2.5) * distance - 4) * distance + 2), // Keys 1981
};

// Taps of each sub-pixel of a pixel: {offset, weights}
function interpolationTaps(kind, factor) {
  return Array.from({ length: factor }, (_, phase) => {
    const place = (phase + 0.5) / factor - 0.5;
    if (kind === "nearest") return { offset: 0, weights: [1] };
    const offset = Math.floor(place) + 1 - REACH[kind];
    return { offset, weights: Array.from({ length: 2 * REACH[kind] }, (_, tap) => WEIGHT[kind](Math.abs(place - offset - tap))) };
  });
}

function enlarge(source, height, width, maps, factor, kind, target) {
  const taps = interpolationTaps(kind, factor), line = new Float32Array(width * maps);
  const inside = (place, length) => Math.min(Math.max(place, 0), length - 1); // beyond the edge is the pixel at the edge
  for (let y = 0; y < height * factor; y++) {
    const { offset, weights } = taps[y % factor];
    line.fill(0);
    weights.forEach((weight, tap) => {
      const from = inside(Math.floor(y / factor) + offset + tap, height) * width * maps;
      for (let i = 0; i < line.length; i++) line[i] += weight * source[from + i];
    });
    for (let x = 0; x < width * factor; x++) {
      const { offset, weights } = taps[x % factor], to = (y * width * factor + x) * maps;
      for (let map = 0; map < maps; map++) {
        let sum = 0;
        for (let tap = 0; tap < weights.length; tap++) sum += weights[tap] * line[inside(Math.floor(x / factor) + offset + tap, width) * maps + map];
        target[to + map] = sum;
      }
    }
  }
}
