// The browser's engine on the picture of a folder, once more after a first run: node engine.mjs FOLDER SIZE SCRIPTS
import fs from "node:fs";
import vm from "node:vm";

const [folder, size, web] = process.argv.slice(2);
const read = (path) => new Uint8Array(fs.readFileSync(path));
const { createEngine, readWeights } = vm.runInThisContext(`${fs.readFileSync(`${web}/engine.js`, "utf8")};({ createEngine, readWeights })`);
const network = JSON.parse(fs.readFileSync(`${folder}/network.json`, "utf8"));
const modules = { simd: read(`${web}/kernel.wasm`), relaxed: read(`${web}/kernel-relaxed.wasm`) };
const engine = createEngine(modules, network, readWeights(network.tensors, read(`${folder}/weights.bin`)));
const picture = new Float32Array(read(`${folder}/picture.f32`).buffer);
engine.run(picture, +size, +size);
const began = process.cpuUsage(), { values } = engine.run(picture, +size, +size), { user, system } = process.cpuUsage(began);
fs.writeFileSync(`${folder}/result.f32`, new Uint8Array(values.buffer));
console.log(JSON.stringify({ cpu: (user + system) / 1e6 }));
