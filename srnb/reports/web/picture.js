// What works beside the page: one worker for a picture, and under it a pool of workers that enlarge its tiles.
// Only the picture itself, a row of enlarged tiles and a compressed file are in memory.
"use strict";

const GRID = 8; // tiles start at multiples of it, so that their smaller forms in the preview meet at whole pixels
const LONGEST = 512; // pixels of a tile's side
const MEMORY = 2 ** 29; // bytes for the maps of all workers together
const STRIP = 2 ** 26; // bytes of a row of enlarged tiles
const MOST_WORKERS = 8;

// ---- tiles

// Floats that a network keeps at most for each pixel of the picture
function floatsPerPixel({ nodes, output }) {
  const maps = [3, ...nodes.map((node) => node.maps * node.places)];
  const lastReader = maps.map((_, number) => nodes.findLastIndex((node) => node.inputs.includes(number)));
  lastReader[output] = Infinity;
  return Math.max(...nodes.map((_, step) => maps.reduce((sum, size, number) => sum + (number <= step + 1 && lastReader[number] >= step ? size : 0), 0)));
}

// Tiles {left, top, width, height} from the top down, with the window that a network has to see. `margin` pixels around a
// tile are all that it depends on, so no seam can show. Of all divisions that fit into memory the quickest is taken.
function planTiles(width, height, margin, workers, mostPixels, tallest = LONGEST) {
  const windowSide = (side, length) => Math.min(side + 2 * margin, length);
  const sides = (length, longest) => [...new Set(Array.from({ length: Math.ceil(length / 16) }, (_, count) => Math.ceil(length / (count + 1) / GRID) * GRID))].filter((side) => side <= longest);
  let best = null;
  for (const tileHeight of sides(height, tallest))
    for (const tileWidth of sides(width, LONGEST)) {
      const pixels = windowSide(tileWidth, width) * windowSide(tileHeight, height);
      const count = Math.ceil(width / tileWidth) * Math.ceil(height / tileHeight);
      const cost = Math.ceil(count / workers) * pixels + (pixels > mostPixels ? 1e12 * pixels : 0);
      if (!best || cost < best.cost) best = { cost, tileWidth, tileHeight };
    }
  const tiles = [];
  for (let top = 0; top < height; top += best.tileHeight)
    for (let left = 0; left < width; left += best.tileWidth) {
      const right = Math.min(left + best.tileWidth, width), bottom = Math.min(top + best.tileHeight, height);
      const window = { left: Math.max(left - margin, 0), top: Math.max(top - margin, 0), right: Math.min(right + margin, width), bottom: Math.min(bottom + margin, height) };
      tiles.push({ left, top, width: right - left, height: bottom - top, window });
    }
  return tiles;
}

// ---- one tile, in a worker of the pool

// The RGBA of a tile, enlarged. Colours of invisible pixels are those of the nearest visible ones, alpha is bicubic.
function enlargeTile(engine, scale, tile, pixels, transparent, progress) {
  const { left, top, right, bottom } = tile.window, width = right - left, height = bottom - top;
  if (transparent) fillInvisible(pixels, width, height);
  const picture = new Float32Array(width * height * 3), alpha = new Float32Array(transparent ? width * height : 0);
  for (let pixel = 0; pixel < width * height; pixel++) {
    for (let channel = 0; channel < 3; channel++) picture[3 * pixel + channel] = pixels[4 * pixel + channel] / 255;
    if (transparent) alpha[pixel] = pixels[4 * pixel + 3] / 255;
  }
  const colours = engine.run(picture, height, width, progress).values;
  const opacity = new Float32Array(alpha.length * scale ** 2);
  if (transparent) enlarge(alpha, height, width, 1, scale, "bicubic", opacity);
  const rgba = new Uint8ClampedArray(tile.width * tile.height * scale ** 2 * 4);
  let to = 0, sum = 0;
  for (let y = (tile.top - top) * scale; y < (tile.top - top + tile.height) * scale; y++)
    for (let x = (tile.left - left) * scale; x < (tile.left - left + tile.width) * scale; x++) {
      const from = y * width * scale + x;
      for (let channel = 0; channel < 3; channel++) {
        sum += colours[3 * from + channel];
        rgba[to++] = Math.floor(colours[3 * from + channel] * 255 + 0.5); // the array clips
      }
      rgba[to++] = transparent ? Math.floor(opacity[from] * 255 + 0.5) : 255;
    }
  if (!Number.isFinite(sum)) throw new Error("the network gives no finite values; it is not usable");
  return rgba;
}

// Give every invisible pixel the colour of a visible one near it: in two sweeps each takes over the nearest that one of
// its neighbours knows (Danielsson 1980). Otherwise what lies behind them would bleed into what is seen.
function fillInvisible(pixels, width, height) {
  const nearest = new Int32Array(width * height);
  for (let pixel = 0; pixel < nearest.length; pixel++) nearest[pixel] = pixels[4 * pixel + 3] ? pixel : -1;
  const distance = (from, x, y) => (from < 0 ? Infinity : ((from % width) - x) ** 2 + (Math.floor(from / width) - y) ** 2);
  const consider = (x, y, neighbours) => {
    const here = y * width + x;
    for (const [dx, dy] of neighbours) {
      if (x + dx < 0 || x + dx >= width || y + dy < 0 || y + dy >= height) continue;
      const known = nearest[here + dy * width + dx];
      if (distance(known, x, y) < distance(nearest[here], x, y)) nearest[here] = known;
    }
  };
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) consider(x, y, [[-1, 0], [-1, -1], [0, -1], [1, -1]]);
    for (let x = width - 1; x >= 0; x--) consider(x, y, [[1, 0]]);
  }
  for (let y = height - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--) consider(x, y, [[1, 0], [1, 1], [0, 1], [-1, 1]]);
    for (let x = 0; x < width; x++) consider(x, y, [[-1, 0]]);
  }
  nearest.forEach((from, pixel) => {
    if (from >= 0) for (let channel = 0; channel < 3; channel++) pixels[4 * pixel + channel] = pixels[4 * from + channel];
  });
}

// A worker of the pool: first {modules, network, weights, share}, then tiles.
function serveTiles() {
  let engine, network;
  self.onmessage = ({ data }) => {
    try {
      if (data.network) {
        network = data.network;
        const ends = data.weights.map((bytes) => readWeights(network.tensors, bytes));
        engine = createEngine(data.modules, network, ends.length > 1 ? blendWeights(...ends, data.share) : ends[0]);
        return;
      }
      const rgba = enlargeTile(engine, network.scale, data.tile, data.pixels, data.transparent, (done) => self.postMessage({ progress: done }));
      self.postMessage({ rgba }, [rgba.buffer]);
    } catch (error) {
      self.postMessage({ error: error instanceof RangeError ? "this device has too little memory for this network" : error.message });
    }
  };
}

// ---- one picture, in a worker of the page

// The bytes of a text in base64 that was compressed by gzip
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

// Reads parts of a picture through a small canvas; the picture itself stays as the browser decoded it.
function createReader(bitmap) {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  return (left, top, width, height) => {
    context.canvas.width = width; // this clears it, too
    context.canvas.height = height;
    context.drawImage(bitmap, left, top, width, height, 0, 0, width, height);
    return context.getImageData(0, 0, width, height).data;
  };
}

function isTransparent(read, width, height) {
  for (let top = 0; top < height; top += 64) {
    const pixels = read(0, top, width, Math.min(64, height - top));
    for (let i = 3; i < pixels.length; i += 4) if (pixels[i] < 255) return true;
  }
  return false;
}

// `weights` and `modules` are packed, `source` is the text of this worker. Tells the page what it may show.
async function enlargePicture({ file, network, weights, modules, share, source, previewPixels }) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image", premultiplyAlpha: "none" });
  } catch {
    throw new Error("this browser cannot read it as a picture");
  }
  const { width, height } = bitmap, { scale } = network, read = createReader(bitmap);
  const reduction = 2 ** Math.max(0, Math.ceil(Math.log2((width * height * scale ** 2) / previewPixels) / 2));
  const small = (value) => Math.round((value * scale) / reduction); // a place in the preview
  const shown = (source, width, height) => createImageBitmap(source, { resizeWidth: Math.max(1, width), resizeHeight: Math.max(1, height), resizeQuality: "high" });
  const before = await shown(bitmap, small(width), small(height));
  self.postMessage({ opened: { before, width, height, reduction } }, [before]);

  const transparent = isTransparent(read, width, height);
  const most = Math.min(self.navigator.hardwareConcurrency || 2, MOST_WORKERS);
  const tallest = Math.min(Math.max(STRIP / (width * scale ** 2 * 4), 64), LONGEST);
  const tiles = planTiles(width, height, Math.max(network.reach, 2), most, MEMORY / most / 4 / floatsPerPixel(network), tallest);
  const setup = { network, share, weights: await Promise.all(weights.map(unpack)), modules: { simd: await unpack(modules.simd), relaxed: await unpack(modules.relaxed) } };
  const png = createPng(width * scale, height * scale, transparent);
  const area = (tile) => (tile.window.right - tile.window.left) * (tile.window.bottom - tile.window.top);
  const total = tiles.reduce((sum, tile) => sum + area(tile), 0), started = performance.now();
  const shares = new Map(); // tile -> the share of it that is done
  let told = 0;

  function tell(tile, done) {
    shares.set(tile, done);
    const now = performance.now();
    if (now - told < 100) return;
    told = now;
    const ready = [...shares].reduce((sum, [each, share]) => sum + area(each) * share, 0) / total;
    self.postMessage({ progress: { done: ready, seconds: (now - started) / 1000 } });
  }

  // Rows of tiles in order: a row goes into the file as soon as it is complete and those above it have gone.
  let next = 0, written = 0, writing = Promise.resolve();
  const strips = [...new Set(tiles.map((tile) => tile.top))].map((top) => ({ top, missing: tiles.filter((tile) => tile.top === top).length, rgba: null }));

  async function keep(tile, rgba) {
    const strip = strips.find(({ top }) => top === tile.top), length = tile.width * scale * 4, stride = width * scale * 4;
    strip.rgba ??= new Uint8Array(tile.height * scale * stride);
    for (let y = 0; y < tile.height * scale; y++) strip.rgba.set(rgba.subarray(y * length, (y + 1) * length), y * stride + tile.left * scale * 4);
    strip.missing--;
    while (written < strips.length && strips[written].missing === 0) {
      const ready = strips[written++], rgba = ready.rgba;
      ready.rgba = null;
      writing = writing.then(() => png.write(rgba));
    }
    const [left, top, right, bottom] = [tile.left, tile.top, tile.left + tile.width, tile.top + tile.height].map(small);
    const image = await shown(new ImageData(rgba, tile.width * scale, tile.height * scale), right - left, bottom - top);
    self.postMessage({ piece: { image, left, top } }, [image]);
    await writing; // no faster than the file can be written
  }

  // An address of its own: on file:// a worker may start none from its page's.
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));

  async function work() {
    const worker = new Worker(address, { name: "tiles" });
    worker.postMessage(setup);
    while (next < tiles.length) {
      const tile = tiles[next++], { left, top, right, bottom } = tile.window;
      const pixels = read(left, top, right - left, bottom - top);
      const rgba = await new Promise((resolve, reject) => {
        worker.onerror = (event) => reject(new Error(event.message));
        worker.onmessage = ({ data }) => {
          if (data.error) reject(new Error(data.error));
          else if (data.rgba) resolve(data.rgba);
          else tell(tile, data.progress);
        };
        worker.postMessage({ tile, pixels, transparent }, [pixels.buffer]);
      });
      tell(tile, 1);
      await keep(tile, rgba);
    }
    worker.terminate();
  }

  await Promise.all(Array.from({ length: Math.min(most, tiles.length) }, work));
  const blob = await png.finish();
  self.postMessage({ done: { blob, width: width * scale, height: height * scale, seconds: (performance.now() - started) / 1000 } });
}

if (typeof self !== "undefined" && self.name === "tiles") serveTiles();
if (typeof self !== "undefined" && self.name === "picture") self.onmessage = ({ data }) => enlargePicture(data).catch((error) => self.postMessage({ failed: error.message }));
