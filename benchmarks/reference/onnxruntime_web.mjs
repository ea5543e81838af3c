// onnxruntime-web on the picture of a folder, once more after a first run: node onnxruntime_web.mjs FOLDER SIZE PACKAGES
import fs from "node:fs";

const [folder, size, packages] = process.argv.slice(2);
const ort = await import(`${packages}/onnxruntime-web/dist/ort.wasm.min.mjs`);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(new Uint8Array(fs.readFileSync(`${folder}/network.onnx`)), { executionProviders: ["wasm"] });
const values = new Float32Array(new Uint8Array(fs.readFileSync(`${folder}/picture.f32`)).buffer);
const feeds = { [session.inputNames[0]]: new ort.Tensor("float32", values, [1, +size, +size, 3]) };
await session.run(feeds);
const began = process.cpuUsage(), result = await session.run(feeds), { user, system } = process.cpuUsage(began);
const { data } = result[session.outputNames[0]];
fs.writeFileSync(`${folder}/result.f32`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
console.log(JSON.stringify({ cpu: (user + system) / 1e6 }));
