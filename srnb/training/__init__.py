"""One way to train, for both stages.

trainer       one step, one loop, one resume; `Trainer`, `rehearse` and the `pictures` that it kept
objectives    loss terms, opponent and optimizer from the parameters of a notebook
optimizers    Adam, its schedules and precision, by name
checkpoints   every variable of a training in one file
symptoms      what goes wrong in adversarial training, read from the log
"""

from srnb.training.trainer import Trainer, pictures, rehearse

__all__ = ["Trainer", "pictures", "rehearse"]
