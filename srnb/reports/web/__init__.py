"""A network that enlarges its reader's own pictures in a browser: no server, no request, no second file.

network   from a Keras network to the engine's list of operations and its weights
kernel    writes kernel.wasm and kernel-relaxed.wasm, the convolutions

engine.js runs the operations.
"""
