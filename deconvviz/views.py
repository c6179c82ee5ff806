"""How a result finds what draws it: by name, when it is asked. The only way upwards."""

from importlib import import_module
from typing import Any

__all__ = ["view"]


def view(name: str) -> Any:
    """The function `deconvviz.plots.<module>.<function>`, named "module.function"."""
    module, _, function = name.rpartition(".")
    return getattr(import_module(f"deconvviz.plots.{module}"), function)
