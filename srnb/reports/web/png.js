// Writes a PNG file as its rows come: it never lies in memory uncompressed, and no canvas limits its size.
"use strict";

const ROWS = 64; // filtered and compressed at a time

const CRC = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function crc32(parts) {
  let crc = 0xffffffff;
  for (const part of parts) for (let i = 0; i < part.length; i++) crc = CRC[(crc ^ part[i]) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

const bigEndian = (value) => Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);

function pngChunk(name, data) {
  const type = Uint8Array.from(name, (letter) => letter.charCodeAt(0));
  return new Blob([bigEndian(data.length), type, data, bigEndian(crc32([type, data]))]);
}

// {write(rgba), finish() -> Blob}. `write` takes whole rows of RGBA; without `alpha` it leaves the fourth byte out.
function createPng(width, height, alpha) {
  const channels = alpha ? 4 : 3, length = width * channels;
  const header = [...bigEndian(width), ...bigEndian(height), 8, alpha ? 6 : 2, 0, 0, 0];
  const parts = [Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10), pngChunk("IHDR", Uint8Array.from(header))];
  const deflate = new CompressionStream("deflate"), writer = deflate.writable.getWriter();
  const compressed = deflate.readable.pipeTo(new WritableStream({ write: (data) => void parts.push(pngChunk("IDAT", data)) }));
  let above = new Uint8Array(length), row = new Uint8Array(length);

  function filtered(rgba) {
    const rows = rgba.length / (4 * width), lines = new Uint8Array(rows * (length + 1));
    for (let y = 0; y < rows; y++) {
      const line = y * (length + 1) + 1;
      lines[line - 1] = 4; // Paeth's filter
      for (let x = 0, from = y * width * 4, to = 0; x < width; x++, from += 4) for (let channel = 0; channel < channels; channel++) row[to++] = rgba[from + channel];
      for (let i = 0; i < length; i++) {
        const left = i < channels ? 0 : row[i - channels], corner = i < channels ? 0 : above[i - channels], up = above[i];
        const a = Math.abs(up - corner), b = Math.abs(left - corner), c = Math.abs(left + up - 2 * corner);
        lines[line + i] = row[i] - (a <= b && a <= c ? left : b <= c ? up : corner);
      }
      [above, row] = [row, above];
    }
    return lines;
  }

  return {
    async write(rgba) {
      const step = 4 * width * ROWS;
      for (let from = 0; from < rgba.length; from += step) await writer.write(filtered(rgba.subarray(from, from + step)));
    },
    async finish() {
      await writer.close();
      await compressed;
      return new Blob([...parts, pngChunk("IEND", new Uint8Array(0))], { type: "image/png" });
    },
  };
}
