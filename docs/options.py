"""Print a Markdown table of all options of `deconvviz train`, from their declarations."""

from deconvviz.cli.options import option_table
from deconvviz.training import Recipe

print(option_table(Recipe()))  # noqa: T201
