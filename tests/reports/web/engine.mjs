// Runs the engine on what a folder holds: network.json, weights-0.bin …, picture.f32, request.json; writes result.f32
import fs from "node:fs";
import vm from "node:vm";

const [folder, web] = process.argv.slice(2);
const read = (name) => new Uint8Array(fs.readFileSync(`${folder}/${name}`));
vm.runInThisContext(fs.readFileSync(`${web}/engine.js`, "utf8") + ";globalThis.engine = { createEngine, readWeights, blendWeights }");
const { createEngine, readWeights, blendWeights } = globalThis.engine;

const { height, width, share, ends } = JSON.parse(fs.readFileSync(`${folder}/request.json`, "utf8"));
const network = JSON.parse(fs.readFileSync(`${folder}/network.json`, "utf8"));
const weights = Array.from({ length: ends }, (_, end) => readWeights(network.tensors, read(`weights-${end}.bin`)));
const modules = Object.fromEntries([["simd", "kernel"], ["relaxed", "kernel-relaxed"]].map(([kind, name]) => [kind, new Uint8Array(fs.readFileSync(`${web}/${name}.wasm`))]));
const engine = createEngine(modules, network, ends === 2 ? blendWeights(...weights, share) : weights[0]);
const picture = new Float32Array(read("picture.f32").buffer);
let steps = [], began = process.cpuUsage();
let result = engine.run(picture, height, width, (done) => steps.push(done));
const { user, system } = process.cpuUsage(began);
fs.writeFileSync(`${folder}/result.f32`, new Uint8Array(result.values.buffer));
const rising = steps.every((step, n) => step > (n ? steps[n - 1] : 0));
console.log(JSON.stringify({ height: result.height, width: result.width, last: steps.at(-1), rising, cpu: (user + system) / 1e6, memory: engine.memory(), relaxed: engine.relaxed }));
