"""Super-resolution workbook: networks, losses, training and metrics behind the numbered notebooks.

Import rooms, not objects: `from srnb import images, losses, models`.

images, resize, degrade   any photograph in, exact low-resolution pictures out
datasets, patches         named sets of photographs; batches of (lr, hr) patches as a function of (seed, step)
models                    networks as specs that read like the papers' figures
losses, metrics           plain functions on arrays
training, backend         one trainer for both stages, on TensorFlow or JAX
inference, evaluation     whole photographs up; a model times a benchmark as a tidy table
runs, batch, report, cli  run folders, headless notebooks, the shareable page, the `srnb` command
figures, widgets          what to look at
"""
