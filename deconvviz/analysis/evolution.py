"""Evolution: how what excites a unit most changes while the network learns (Fig. 4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from deconvviz.analysis.peaks import check_fits, peaks
from deconvviz.analysis.result import Result
from deconvviz.atlas.accumulator import Accumulator
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.layers import unknown_layer
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, mosaic, picture_on
from deconvviz.progress import Progress

__all__ = ["Evolution", "History", "evolution"]

_BLOCKS = 3  # side by side
_LARGEST, _NARROWEST = 0.9, 7.4  # inches of a projection, and of the figure, for its caption
_TILE, _GAP = 64, 6  # pixels of a projection on the sheet, and between two


@dataclass(frozen=True, eq=False)
class History:
    """One layer over E epochs: all of its C units in numbers, U of them in pictures.

    Attributes:
        layer: Its name.
        activation: (C, E) each unit's strongest activation over the data; 0 if never above zero.
        picture: (C, E) int64, the picture of the data that it is in; -1 without one.
        units: (U,) int64, the units that are projected.
        projections: (U, E, channels, h, w), each of them from its strongest activation, in
            normalised input units; zero without one.
        boxes: (U, E, 4) int64: top, left, bottom, right of these windows, in pixels.
    """

    layer: str
    activation: Tensor
    picture: Tensor
    units: Tensor
    projections: Tensor
    boxes: Tensor

    @property
    def jumped(self) -> Tensor:
        """(C, E - 1) bool: whether another picture is strongest than at the epoch before."""
        return self.picture[:, 1:] != self.picture[:, :-1]

    @property
    def settled(self) -> Tensor:
        """(C,) int64, the column of the first epoch from which the strongest picture stays."""
        columns = torch.arange(1, self.picture.shape[1])
        return (self.jumped * columns).amax(dim=1)


@dataclass(frozen=True, eq=False)
class Evolution(Result):
    """What excites units most, after each epoch that was kept.

    Attributes:
        network: Its name.
        epochs: Of the E columns; the last is the trained network.
        histories: One a layer, from the lowest up.
        rule: By which activations were projected.
        data: What the pictures are, and how many.
    """

    network: str
    epochs: tuple[int, ...]
    histories: tuple[History, ...]
    rule: Rule
    data: str
    name = "evolution"

    def to_dict(self) -> dict[str, Any]:
        """Every number: all units' activations and pictures, and the jumps by layer."""
        return {
            "network": self.network,
            "epochs": self.epochs,
            "rule": self.rule,
            "data": self.data,
            "layers": {
                history.layer: {
                    "share of units that jumped": history.jumped.double().mean(0).tolist(),
                    "units settled by epoch": self._settled_by(history),
                    "strongest activation": history.activation.tolist(),
                    "strongest picture": history.picture.tolist(),
                    "shown": history.units.tolist(),
                }
                for history in self.histories
            },
        }

    def _settled_by(self, history: History) -> dict[int, float]:
        """Epoch -> the share of units whose strongest picture is the final one from then on."""
        return {
            epoch: float((history.settled <= column).double().mean())
            for column, epoch in enumerate(self.epochs)
        }

    def summary(self) -> str:
        """How many units jumped, when, and how that differs between the lowest and the highest."""
        jumped = torch.cat([history.jumped for history in self.histories])
        steps = [
            f"{share:.0%} from {before} to {after}"
            for (before, after), share in zip(
                pairwise(self.epochs), jumped.double().mean(0).tolist(), strict=True
            )
        ]
        first, last = self.histories[0], self.histories[-1]
        low, high = (float(layer.jumped[:, -1].double().mean()) for layer in (first, last))
        return (
            f"Over {self.data}, the picture that excites a unit most changed in "
            f"{jumped.double().mean():.0%} of the steps between kept epochs ({len(jumped)} units: "
            f"{', '.join(steps)}); in the last step for {low:.0%} of {first.layer} and {high:.0%} "
            f"of {last.layer}."
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """A block a layer, a row a unit, a column an epoch; jumps are orange bars between two."""
        across = min(_BLOCKS, len(self.histories))
        down = -(-len(self.histories) // across)
        rows = max(len(history.units) for history in self.histories)
        wide = across * (len(self.epochs) + 0.8)  # in projections, with room for numbers
        side = min(_LARGEST, 8.4 / wide)
        size = (max(_NARROWEST, 0.8 + side * wide), 0.6 + down * (0.45 + rows * side))
        figure = Figure(figsize=size, facecolor="none", layout="constrained")
        grid = figure.add_gridspec(down, across)
        for place, history in enumerate(self.histories):
            self._block(figure.add_subplot(grid[place // across, place % across]), history, ink)
        figure.supxlabel(
            f"Rows: units. Columns: epochs. Each is the projection ({self.rule}) of "
            f"the unit's strongest activation over\n{self.data}; orange: it is in another picture "
            f"than before.\n{display_caption()}",
            fontsize=7,
            color=ink,
            x=0.01,
            ha="left",
        )
        return figure

    def _block(self, axes: Axes, history: History, ink: str) -> None:
        units, epochs = history.projections.shape[:2]
        tiles = display(history.projections.flatten(0, 1))
        sheet = mosaic(tiles, epochs, gap=_GAP, side=_TILE)
        axes.set_facecolor("none")
        picture_on(axes, sheet, "", ink)
        axes.set_title(history.layer, loc="left", fontsize=8, color=ink, pad=3)
        wide, high = (sheet.shape[1] + _GAP) / epochs, (sheet.shape[0] + _GAP) / units
        middles = [(at + 0.5) * wide - _GAP / 2 for at in range(epochs)]
        axes.set_xticks(middles, [str(epoch) for epoch in self.epochs])
        rows = [(at + 0.5) * high - _GAP / 2 for at in range(units)]
        axes.set_yticks(rows, [str(unit) for unit in history.units.tolist()])
        axes.tick_params(length=0, labelsize=6, colors=ink, pad=2)
        for row, column in history.jumped[history.units].nonzero().tolist():
            x, y = (column + 1) * wide - (_GAP + 1) / 2, row * high - 0.5
            axes.plot([x, x], [y, y + high - _GAP], color=ACCENTS[0], linewidth=1.2)


def evolution(
    bundle: Bundle,
    dataset: Dataset,
    layers: Sequence[str] | None = None,
    units: int | Mapping[str, Sequence[int]] = 5,
    *,
    seed: int = 0,
    rule: Rule = "deconvnet",
    progress: Progress | None = None,
) -> Evolution:
    """Follow what excites units most through the snapshots of a run, to the trained network.

    After each kept epoch every unit's strongest activation over the data is found, and for some
    units projected back to pixels. Zeiler & Fergus (2014, arXiv:1311.2901, section 4.1 and Fig. 4)
    saw the lower layers settle within a few epochs and the upper ones late, and sudden jumps where
    another picture becomes the strongest.

    Args:
        bundle: A network with snapshots, made by `deconvviz train --snapshots`.
        dataset: The pictures among which the strongest is looked for.
        layers: By default the rectified map after each convolution.
        units: So many units of each layer are projected, drawn at random as in the paper, or all
            where there are fewer; or those named for each layer.
        seed: Of that choice.
        rule: As in `Deconvnet.project`.
        progress: Told how many pictures are done.

    Raises:
        DataError: The data set has no pictures or other channels than the network.
        SelectionError: A unit is not in its layer.
        SettingError: The run kept no snapshots, or no unit is to be shown.
        UnknownLayerError: There is no such layer.
    """
    check_fits(bundle, dataset)
    networks = _networks(bundle)
    stages = next(iter(networks.values()))
    shown = _shown(stages, stages.default_layers if layers is None else layers, units, seed)
    moments: dict[str, list[_Moment]] = {layer: [] for layer in shown}
    for epoch, net in networks.items():
        tallies = peaks(
            net, bundle, dataset, list(shown), title=f"epoch {epoch}", progress=progress
        )
        for moment in _moments(net, bundle, dataset, tallies, shown, rule):
            moments[moment.layer].append(moment)
    histories = tuple(_history(shown[layer], moments[layer]) for layer in shown)
    data = f"{len(dataset)} pictures ({dataset.title})"
    return Evolution(bundle.name, tuple(networks), histories, rule, data)


@dataclass(frozen=True, eq=False)
class _Moment:
    """One layer after one epoch: its tally, and U projections (U, channels, h, w) with boxes."""

    layer: str
    tally: Accumulator
    pixels: Tensor
    boxes: Tensor


def _networks(bundle: Bundle) -> dict[int, Deconvnet]:
    """Epoch -> the network's convolutional stages then, traced once; the last are as trained."""
    last = int(bundle.training.get("epochs", max(bundle.snapshots, default=0)))
    kept = sorted(epoch for epoch in bundle.snapshots if epoch < last)
    if not kept:
        raise SettingError(
            f"`{bundle.name}` has no snapshots of earlier epochs; take a run's model.safetensors "
            "beside its folder `snapshots` (deconvviz train --snapshots 1,2,5,10), or demo"
        )
    first, *others = (bundle.at_epoch(epoch).model for epoch in kept)
    net = Deconvnet(first, bundle.input_size)
    later = [net.with_model(model) for model in (*others, bundle.model)]
    return dict(zip((*kept, last), (net, *later), strict=True))


def _shown(
    net: Deconvnet, layers: Sequence[str], units: int | Mapping[str, Sequence[int]], seed: int
) -> dict[str, Tensor]:
    """Layer -> the units of it that are projected, (U,) int64."""
    generator = torch.Generator().manual_seed(seed)
    wanted: dict[str, Tensor] = {}
    for layer in layers:
        if isinstance(units, Mapping):
            wanted[layer] = torch.as_tensor(units.get(layer, ()), dtype=torch.int64)
        else:
            drawn = torch.randperm(_channels(net, layer), generator=generator)
            wanted[layer] = drawn[: max(0, units)].sort().values
    for layer, chosen in wanted.items():
        channels = _channels(net, layer)
        wrong = chosen[(chosen < 0) | (chosen >= channels)]
        if len(wrong):
            raise SelectionError(
                f"no unit {int(wrong[0])} in `{layer}`; it has {channels}, counted from 0"
            )
        if not len(chosen):
            raise SettingError(f"no unit of `{layer}` is to be shown; name one, or leave the layer")
    if not wanted:
        raise SettingError("no layer is to be shown; name one or more")
    return wanted


def _channels(net: Deconvnet, layer: str) -> int:
    if layer not in net.layers:
        raise unknown_layer(layer, net.layers, "this model's convolutional stages")
    return net.layers[layer].channels


def _moments(
    net: Deconvnet,
    bundle: Bundle,
    dataset: Dataset,
    tallies: Mapping[str, Accumulator],
    shown: Mapping[str, Tensor],
    rule: Rule,
) -> Iterator[_Moment]:
    """Project the strongest activations of the shown units."""
    winners = torch.cat([tallies[layer].picture[units, 0] for layer, units in shown.items()])
    pictures = torch.unique(winners.clamp_min(0))  # of a unit without one, any
    recording = net.record(bundle.preprocessing.normalised(dataset.images[pictures]), list(shown))
    for layer, units in shown.items():
        tally = tallies[layer]
        rows = (tally.picture[units, 0] >= 0).nonzero()[:, 0]
        active = units[rows]
        image = torch.searchsorted(pictures, tally.picture[active, 0])
        selection = Selection(layer, image, active, tally.y[active, 0], tally.x[active, 0])
        projection = net.project(recording, selection, rule)
        pixels = projection.pixels.new_zeros(len(units), *projection.pixels.shape[1:])
        boxes = projection.boxes.new_zeros(len(units), 4)
        pixels[rows], boxes[rows] = projection.pixels, projection.boxes
        yield _Moment(layer, tally, pixels, boxes)


def _history(units: Tensor, moments: Sequence[_Moment]) -> History:
    """The epochs of one layer side by side."""
    return History(
        layer=moments[0].layer,
        activation=torch.cat([moment.tally.value for moment in moments], dim=1),
        picture=torch.cat([moment.tally.picture for moment in moments], dim=1),
        units=units,
        projections=torch.stack([moment.pixels for moment in moments], dim=1),
        boxes=torch.stack([moment.boxes for moment in moments], dim=1),
    )
