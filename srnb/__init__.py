"""Super-resolution workbook: networks, losses, training and metrics behind the numbered notebooks.

Import rooms, not objects: `from srnb import images, losses, models`.

images, resize, degrade     any photograph in, exact low-resolution pictures out (decoding, png: bytes of files)
datasets, patches           sets of photographs; batches of (lr, hr) as a function of (seed, step) (sets, archives)
models                      networks as specs that read like the papers' figures
losses, metrics             plain functions on arrays
training, backend           one trainer for both stages, on TensorFlow or JAX
inference, evaluation       whole photographs up; a model times a benchmark as a tidy table
runs, presets, batch, grid  run folders, checked parameters, headless notebooks, many of them (kernels: one of them)
figures, slider, widgets    what to look at
report, progress, cli       the shareable page, what a long cell shows, the `srnb` command
"""
