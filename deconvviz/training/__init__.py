"""Training: the recipe, the loop, the deconvolution decoder beside it, and the evaluation."""

from deconvviz.training.evaluate import Evaluation, evaluate
from deconvviz.training.recipe import Recipe
from deconvviz.training.regulariser import DecoderConfig
from deconvviz.training.run_folder import read_metrics
from deconvviz.training.trainer import Run, train

__all__ = [
    "DecoderConfig",
    "Evaluation",
    "Recipe",
    "Run",
    "evaluate",
    "read_metrics",
    "train",
]
