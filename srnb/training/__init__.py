"""One way to train, for both stages.

trainer       one step, one loop, one resume
rehearsal     a few steps without a run
objectives    loss terms, opponent and optimizer from the parameters of a notebook
optimizers    Adam, its schedules and precision, by name
log           a line for several steps, with symptoms of failing training
validation    the numbers, best weights and pictures that a validation leaves
checkpoints   every variable of a training in one file
signals       a scheduler's warning that time is short, and Ctrl-C
symptoms      signs of failing adversarial training, read from the log
"""

from srnb.training.rehearsal import rehearse
from srnb.training.trainer import Trainer
from srnb.training.validation import pictures

__all__ = ["Trainer", "pictures", "rehearse"]
