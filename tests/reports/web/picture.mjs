// Calls a function of the page's scripts: `node picture.mjs FOLDER-OF-SCRIPTS EXPRESSION`, its value as JSON
import fs from "node:fs";
import vm from "node:vm";

const [web, expression] = process.argv.slice(2);
const source = ["engine.js", "png.js", "picture.js"].map((name) => fs.readFileSync(`${web}/${name}`, "utf8")).join("\n");
const value = await vm.runInThisContext(`${source};${expression}`);
console.log(JSON.stringify(value, (_, part) => (ArrayBuffer.isView(part) ? [...part] : part)));
