"""The one way from a result up to its drawing.

Results hold numbers, and nothing that they import draws. The methods that a notebook expects of
them (`figure`, `summary`, `save`, `_repr_png_`) find the drawing by its name when called.
"""

from importlib import import_module
from typing import Any


def view(name: str, *default: Any) -> Any:
    """The function `deconvviz.plots.MODULE.FUNCTION`, given as "MODULE.FUNCTION".

    A `default` is returned where the module has no such function.
    """
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"deconvviz.plots.{module}"), function, *default)
