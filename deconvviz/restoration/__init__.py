"""Encoder-decoders without labels: what they are trained for, how, and how well they do it.

`train_restoration` trains a network of `deconvviz.networks` for a task of `TASKS`.
"""

from deconvviz.restoration.patches import PatchTask
from deconvviz.restoration.recipe import RestorationRecipe
from deconvviz.restoration.task import Batch, Task
from deconvviz.restoration.tasks import TASKS, load_task
from deconvviz.restoration.train import RestorationRun, train_restoration

__all__ = [
    "TASKS",
    "Batch",
    "PatchTask",
    "RestorationRecipe",
    "RestorationRun",
    "Task",
    "load_task",
    "train_restoration",
]
