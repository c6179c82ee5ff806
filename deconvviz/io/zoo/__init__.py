"""Networks by name: the demos, checkpoints, torchvision's, timm's, and your own."""

from deconvviz.io.zoo.names import DEMOS, TWINS, is_function, load

__all__ = ["DEMOS", "TWINS", "is_function", "load"]
