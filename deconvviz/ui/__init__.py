"""What the pages are made of: cached loaders, pickers bound to the URL, the grid, the refusals."""

from deconvviz.ui.grid import Tile, unit_grid
from deconvviz.ui.loaders import (
    bundle,
    classification,
    kernel_sheet,
    network,
    sight,
    statistics,
    tiles,
    units,
    whole,
)
from deconvviz.ui.navigation import link, pages, pages_folder
from deconvviz.ui.pickers import (
    chosen_network,
    pick_layer,
    pick_model,
    pick_rule,
    pick_share,
    pick_size,
    pick_start,
    pick_unit,
)
from deconvviz.ui.pictures import pick_pictures
from deconvviz.ui.refusals import refusals, sentence
from deconvviz.ui.show import (
    WHOLE_PERCENTILE,
    describe_coverage,
    describe_layer,
    describe_network,
    downloads,
    ink,
    show,
    show_figure,
    title,
)

__all__ = [
    "WHOLE_PERCENTILE",
    "Tile",
    "bundle",
    "chosen_network",
    "classification",
    "describe_coverage",
    "describe_layer",
    "describe_network",
    "downloads",
    "ink",
    "kernel_sheet",
    "link",
    "network",
    "pages",
    "pages_folder",
    "pick_layer",
    "pick_model",
    "pick_pictures",
    "pick_rule",
    "pick_share",
    "pick_size",
    "pick_start",
    "pick_unit",
    "refusals",
    "sentence",
    "show",
    "show_figure",
    "sight",
    "statistics",
    "tiles",
    "title",
    "unit_grid",
    "units",
    "whole",
]
