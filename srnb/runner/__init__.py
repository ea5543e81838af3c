"""Notebooks, run headless.

presets    parameters cells, preset and grid files; names and types checked before a kernel starts
kernel     one notebook in one kernel, and how it ended
preflight  checks before a kernel starts: networks that can be built, batches that can be made
names      runs and networks by the names that users give them
chain      one run: its notebooks in order, recorded, resumable
lock       one writer per run folder, on any host
slurm      the script of an array job, and Slurm's commands
screen     several runs on one terminal
crew       several runs at a time on Dask workers, each with its share of cores and GPUs
grid       a run and its variations, one after the other or by a crew
copies     copies of the notebooks to work in
session    a run made by hand: recorded by the kernel in which a user runs a notebook's cells
jobs       runs as jobs of a cluster: submitted, warned before their time limit, requeued
states     the states of runs: queued, running, done
"""
