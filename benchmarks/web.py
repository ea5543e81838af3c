"""Print the CPU time of the browser's engine and of onnxruntime-web's WebAssembly on the same picture, in node.

    npm install --prefix /tmp/npm onnxruntime-web
    python benchmarks/web.py --packages /tmp/npm/node_modules

Without --packages it measures the engine alone. Both use one thread; every round is a process of its own, in turns, and
the median of each counts. The comparison needs the extra `export` (tf2onnx).
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SCRIPTS = Path(__file__).parent / "reference"
RELAXED = "--experimental-wasm-relaxed-simd"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="compact", help="name in the zoo")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--packages", type=Path, help="node_modules that has onnxruntime-web")
    options = parser.parse_args()
    if not shutil.which("node"):
        print("skipped: needs node")
        return

    os.environ["KERAS_BACKEND"] = "tensorflow"  # which can write ONNX
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from srnb import models
    from srnb.models import export
    from srnb.reports.web import kernel, network

    model = models.build(options.network)
    picture = np.random.default_rng(0).random((options.size, options.size, 3), dtype=np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        description, (weights,) = network.encode([model])
        (folder / "network.json").write_text(json.dumps(description))
        (folder / "weights.bin").write_bytes(weights)
        (folder / "picture.f32").write_bytes(picture.tobytes())
        engine = [SCRIPTS / "engine.mjs", folder, options.size, kernel.FOLDER]
        commands = {"engine": engine, "engine, relaxed SIMD": [RELAXED, *engine]}
        if options.packages:
            model(picture[None, :16, :16])  # tf2onnx asks for a called model
            export.write(model, folder / "network.onnx", format="onnx")
            commands["onnxruntime-web"] = [
                SCRIPTS / "onnxruntime_web.mjs",
                folder,
                options.size,
                options.packages.resolve(),
            ]
        else:
            print("onnxruntime-web is skipped: --packages must name its node_modules")
        seconds, results = {}, {}
        for _ in range(options.rounds):
            for name, command in commands.items():
                done = subprocess.run(
                    ["node", *map(str, command)], capture_output=True, text=True, check=True, cwd=folder
                )
                seconds.setdefault(name, []).append(json.loads(done.stdout.splitlines()[-1])["cpu"])
                results[name] = np.frombuffer((folder / "result.f32").read_bytes(), "<f4")
    for name, values in seconds.items():
        difference = abs(results[name] - results["engine"]).max()
        cpu, size = np.median(values), f"{options.size}x{options.size}"
        print(f"{name}: {cpu:.2f} s of CPU, {size}; largest difference {difference:.1e}")


if __name__ == "__main__":
    main()
