"""Super-resolution workbook: networks, losses, training and metrics behind the numbered notebooks.

Import modules, not objects: `from srnb import losses, models`, `from srnb.data import images, patches`. Each package
says in its first lines what is inside.

data         photographs to batches
models       specs to networks
losses       plain functions of arrays
backend      the only files that import TensorFlow or JAX
training     one trainer for both stages
evaluation   whole photographs up, metrics, fair tables
reports      figures, views to play with, the shareable page
runner       notebooks run headless: presets, one kernel, a chain, a grid
runs         a run's folder
provenance   what a run was made with: versions, commit, machine
shipped      the networks that ship
progress     what a long cell shows
files        where a checkout and the cache keep their files, and how one is written whole
frameworks   how Keras and TensorFlow are imported
cli          the `srnb` command

Imports point down only: cli, runner, reports, training and evaluation, losses, models, data and backend, and at the
bottom runs, provenance, progress, shipped, files and frameworks.
"""

import logging
import os

from srnb import frameworks

# TensorFlow speaks to every process on stderr, and warns of programs compiled anew, which every size of picture needs
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# On a CPU without AVX-512 TensorFlow takes Eigen's convolutions by itself; oneDNN's train SRResNet 1.1 times as fast
# there, and an SRGAN 1.3 times
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
frameworks.prepare()
logging.getLogger("tensorflow").setLevel(logging.ERROR)
