"""Training: the recipe, the loop, the deconvolution decoder beside it, and the measurement."""

from deconvviz.training.decoder import Decoder
from deconvviz.training.evaluate import Evaluation, evaluate
from deconvviz.training.trainer import Recipe, Run, read_metrics, train

__all__ = ["Decoder", "Evaluation", "Recipe", "Run", "evaluate", "read_metrics", "train"]
