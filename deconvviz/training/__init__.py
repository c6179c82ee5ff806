"""Training: the recipe, the loop, the deconvolution decoder beside it, and the measurement."""

from deconvviz.training.evaluate import Evaluation, evaluate
from deconvviz.training.recipe import Recipe, changed
from deconvviz.training.regulariser import Decoder, DecoderConfig, Regulariser
from deconvviz.training.trainer import Run, read_metrics, train

__all__ = [
    "Decoder",
    "DecoderConfig",
    "Evaluation",
    "Recipe",
    "Regulariser",
    "Run",
    "changed",
    "evaluate",
    "read_metrics",
    "train",
]
