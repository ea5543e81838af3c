"""Networks that upscale a reader's own pictures in the browser: no server, no request, no second file.

page      networks, engine and interface as one piece of HTML, for a report or by itself
choices   the networks that a page offers: those of a run, those that ship
network   from a Keras network to the engine's list of operations and its weights
kernel    writes kernel.wasm and kernel-relaxed.wasm, the convolutions

engine.js runs the operations, picture.js upscales a picture in tiles in a worker, png.js writes the file, and page.js
is the user interface.
"""
