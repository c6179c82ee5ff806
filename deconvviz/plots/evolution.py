"""The evolution of units over the epochs, as a figure and in words."""

from itertools import pairwise

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deconvviz.analysis.evolution import Evolution, History
from deconvviz.plots.arrays import mosaic
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, captioned, picture_on

_BLOCKS = 3  # side by side
_LARGEST, _NARROWEST = 0.9, 7.4  # inches of a projection, and of the figure, for its caption
_TILE, _GAP = 64, 6  # pixels of a projection on the sheet, and between two


LEGEND = (
    "A row is a unit, a column a stored *epoch* (one pass through all training pictures). A "
    "picture is the *projection* of the unit's strongest activation: what it then saw. An orange "
    "bar: another picture than before excites it most, so the unit is still changing."
)


def headline(found: Evolution) -> str:
    """Whether the lowest layer settled before the highest one."""
    first, last = found.histories[0], found.histories[-1]
    low, high = (float(layer.changed[:, -1].double().mean()) for layer in (first, last))
    return (
        f"At the end of training {low:.0%} of the units of {first.layer} still changed the picture "
        f"that they respond to most, and {high:.0%} of {last.layer}: the lower layer "
        f"{'settled first' if low < high else 'did not settle first'}."
    )


def summary(found: Evolution) -> str:
    """Number and time of changes, and the difference between the lowest and the highest layer."""
    changed = torch.cat([history.changed for history in found.histories])
    steps = [
        f"{share:.0%} from {before} to {after}"
        for (before, after), share in zip(
            pairwise(found.epochs), changed.double().mean(0).tolist(), strict=True
        )
    ]
    first, last = found.histories[0], found.histories[-1]
    low, high = (float(layer.changed[:, -1].double().mean()) for layer in (first, last))
    return (
        f"Over {found.data}, the picture that excites a unit most changed in "
        f"{changed.double().mean():.0%} of the steps between kept epochs ({len(changed)} units: "
        f"{', '.join(steps)}); in the last step for {low:.0%} of {first.layer} and {high:.0%} "
        f"of {last.layer}."
    )


def figure(found: Evolution, ink: str = NEUTRAL_INK) -> Figure:
    """One block per layer, row per unit, column per epoch; jumps are orange bars between two."""
    across = min(_BLOCKS, len(found.histories))
    down = -(-len(found.histories) // across)
    rows = max(len(history.units) for history in found.histories)
    wide = across * (len(found.epochs) + 0.8)  # in projections, with room for numbers
    side = min(_LARGEST, 8.4 / wide)
    size = (max(_NARROWEST, 0.8 + side * wide), 0.6 + down * (0.45 + rows * side))
    sheet = Figure(figsize=size, facecolor="none", layout="constrained")
    grid = sheet.add_gridspec(down, across)
    for place, history in enumerate(found.histories):
        axes = sheet.add_subplot(grid[place // across, place % across])
        _block(axes, found.epochs, history, ink)
    text = (
        f"Rows: units. Columns: epochs. Each is the projection ({found.rule}) of the unit's "
        f"strongest activation over\n{found.data}; orange: it is in another picture than before.\n"
        f"{display_caption()}"
    )
    return captioned(sheet, text, ink)


def _block(axes: Axes, epochs: tuple[int, ...], history: History, ink: str) -> None:
    units, count = history.projections.shape[:2]
    tiles = display(history.projections.flatten(0, 1))
    sheet = mosaic(tiles, count, gap=_GAP, side=_TILE)
    picture_on(axes, sheet, "", ink)
    axes.set_title(history.layer, loc="left", fontsize=8, color=ink, pad=3)
    wide, high = (sheet.shape[1] + _GAP) / count, (sheet.shape[0] + _GAP) / units
    middles = [(at + 0.5) * wide - _GAP / 2 for at in range(count)]
    axes.set_xticks(middles, [str(epoch) for epoch in epochs])
    rows = [(at + 0.5) * high - _GAP / 2 for at in range(units)]
    axes.set_yticks(rows, [str(unit) for unit in history.units.tolist()])
    axes.tick_params(length=0, labelsize=6, colors=ink, pad=2)
    for row, column in history.changed[history.units].nonzero().tolist():
        x, y = (column + 1) * wide - (_GAP + 1) / 2, row * high - 0.5
        axes.plot([x, x], [y, y + high - _GAP], color=ACCENTS[0], linewidth=1.2)
