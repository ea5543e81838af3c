"""Notebooks, headless.

presets    parameters cells, preset and grid files; names and types checked before a kernel starts
kernel     one notebook in one kernel, and how it ended
preflight  what a run needs beside its data, tried before a kernel starts: networks that can be built
chain      one run: its notebooks in order, recorded, resumable
lock       one writer per run folder, on any host
slurm      the script of an array job, and Slurm's commands
screen     runs side by side on one screen
grid       a run and its variations, one after the other or side by side on Dask workers
copies     copies of the notebooks to work in
session    a run made by hand: recorded by the kernel in which someone runs a notebook's cells
jobs       runs as jobs of a cluster: submitted, warned before their time limit, requeued
states     where runs stand: queued, running, done
"""
