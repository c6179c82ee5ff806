"""Evolution: the change of units' strongest activations while the network learns (Fig. 4)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.inputs import chosen_layers, peaks, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.atlas.accumulator import Accumulator
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import Positive, validated


@validated
class EvolutionOptions:
    """Options of the analysis of evolution."""

    layers: tuple[str, ...] = ()
    """Layers to follow; by default the rectified map after each convolution."""
    units: Positive = 5
    """Number of units projected in each layer, drawn at random as in the paper."""
    rule: Rule = "deconvnet"
    """Rule of the projections."""


@dataclass(frozen=True, eq=False)
class History:
    """One layer over E epochs: numbers of all of its C units, projections of U of them.

    Attributes:
        activation: (C, E) strongest activation of each unit over the data; 0 if never above zero.
        picture: (C, E) int64 index of its picture in the data; -1 if there is none.
        units: (U,) int64 projected units.
        projections: (U, E, channels, h, w) projections of the strongest activations, in normalised
            input units; zero if there is none.
        boxes: (U, E, 4) int64 top, left, bottom, right of these windows, in pixels.
    """

    layer: str
    activation: Tensor
    picture: Tensor
    units: Tensor
    projections: Tensor
    boxes: Tensor
    derived = ("share_changed", "share_stable")

    @property
    def changed(self) -> Tensor:
        """(C, E - 1) bool: whether another picture is strongest than at the epoch before."""
        return self.picture[:, 1:] != self.picture[:, :-1]

    @property
    def stable_since(self) -> Tensor:
        """(C,) int64 column of the first epoch from which the strongest picture stays the same."""
        columns = torch.arange(1, self.picture.shape[1])
        return (self.changed * columns).amax(dim=1)

    @property
    def share_changed(self) -> Tensor:
        """(E - 1,) the share of units that changed."""
        return self.changed.double().mean(0)

    @property
    def share_stable(self) -> list[float]:
        """The share of units whose strongest picture is the final one, from each column on."""
        columns = range(self.picture.shape[1])
        return [float((self.stable_since <= column).double().mean()) for column in columns]


@dataclass(frozen=True, eq=False)
class Evolution(Result):
    """The strongest activations of units after each stored epoch.

    Attributes:
        epochs: Epochs of the E columns; the last is the trained network.
        histories: One history for each layer, lowest first.
        data: Number of pictures and title of the data.
    """

    network: str
    epochs: tuple[int, ...]
    histories: tuple[History, ...]
    rule: Rule
    data: str
    name = "evolution"
    omitted = ("projections", "boxes")


def evolution(
    bundle: Bundle,
    dataset: Dataset,
    options: EvolutionOptions | None = None,
    *,
    units: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Evolution:
    """Follow units' strongest activations through the snapshots of a run, to the trained network.

    After each kept epoch every unit's strongest activation over the data is found, and for some
    units projected back to pixels. Zeiler & Fergus (2014, arXiv:1311.2901, section 4.1 and Fig. 4)
    saw the lower layers settle within a few epochs and the upper ones late, and sudden jumps where
    another picture becomes the strongest.

    The network has snapshots, made by `deconvviz train --snapshots`. `units` maps layers to the
    units to project, in place of random ones; other arguments are as in `Inputs`.

    Raises:
        DataError: The data set has no pictures or other channels than the network.
        SelectionError: A layer has no such unit, or no unit of it is chosen.
        SettingError: The run kept no snapshots.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or EvolutionOptions()
    check_dataset(bundle, dataset)
    networks = _networks(bundle)
    stages = next(iter(networks.values()))
    owner = "this model's convolutional stages"
    layers = chosen_layers(stages, chosen.layers, tuple(units or stages.default_layers), owner)
    projected = _projected_units(stages, layers, chosen.units, units, seed)
    epochs: dict[str, list[tuple[Tensor, ...]]] = {layer: [] for layer in layers}
    for epoch, net in networks.items():
        title = f"epoch {epoch}"
        found = peaks(net, bundle, dataset, layers, title=title, progress=progress)
        shown = _project(net, bundle, dataset, found, projected, chosen.rule)
        for layer, pixels, boxes in shown:
            strongest = found[layer].value[:, 0], found[layer].picture[:, 0]
            epochs[layer].append((*strongest, pixels, boxes))
    histories = []
    for layer, columns in epochs.items():
        activation, picture, pixels, boxes = (
            torch.stack(column, dim=1) for column in zip(*columns, strict=True)
        )
        histories.append(History(layer, activation, picture, projected[layer], pixels, boxes))
    return Evolution(bundle.name, tuple(networks), tuple(histories), chosen.rule, title_of(dataset))


def _networks(bundle: Bundle) -> dict[int, Deconvnet]:
    """Epoch -> the network's convolutional stages then, traced once; the last are as trained."""
    last = int(bundle.training.get("epochs", max(bundle.snapshots, default=0)))
    kept = sorted(epoch for epoch in bundle.snapshots if epoch < last)
    if not kept:
        raise SettingError(
            f"`{bundle.name}` has no snapshots of earlier epochs; take a run's model.safetensors "
            "beside its folder `snapshots` (deconvviz train --snapshots 1,2,5,10), or demo-photos"
        )
    first, *others = (bundle.at_epoch(epoch).model for epoch in kept)
    net = Deconvnet(first, bundle.input_size)
    later = [net.with_model(model) for model in (*others, bundle.model)]
    return dict(zip((*kept, last), (net, *later), strict=True))


def _projected_units(
    net: Deconvnet,
    layers: Sequence[str],
    count: int,
    named: Mapping[str, Sequence[int]] | None,
    seed: int,
) -> dict[str, Tensor]:
    """Layer -> its units that are projected, (U,) int64."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Tensor] = {}
    for layer in layers:
        channels = net.layers[layer].channels
        if named is None:
            drawn = torch.randperm(channels, generator=generator)
            found[layer] = drawn[:count].sort().values
            continue
        units = found[layer] = torch.as_tensor(named.get(layer, ()), dtype=torch.int64)
        wrong = units[(units < 0) | (units >= channels)].tolist()
        if wrong or not len(units):
            raise SelectionError(
                f"no unit {wrong[0] if wrong else 'chosen'} in `{layer}`; it has {channels}, "
                "counted from 0"
            )
    return found


def _project(
    net: Deconvnet,
    bundle: Bundle,
    dataset: Dataset,
    found: Mapping[str, Accumulator],
    projected: Mapping[str, Tensor],
    rule: Rule,
) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Layer, (U, channels, h, w) projections of the strongest activations, (U, 4) boxes."""
    winners = torch.cat([found[layer].picture[units, 0] for layer, units in projected.items()])
    pictures = torch.unique(winners.clamp_min(0))  # a unit without one gets any
    images = bundle.preprocessing.normalised(dataset.images[pictures])
    recording = net.record(images, list(projected))
    for layer, units in projected.items():
        one = found[layer]
        rows = (one.picture[units, 0] >= 0).nonzero()[:, 0]
        active = units[rows]
        image = torch.searchsorted(pictures, one.picture[active, 0])
        selection = Selection(layer, image, active, one.y[active, 0], one.x[active, 0])
        projection = net.project(recording, selection, rule)
        pixels = projection.pixels.new_zeros(len(units), *projection.pixels.shape[1:])
        boxes = projection.boxes.new_zeros(len(units), 4)
        pixels[rows], boxes[rows] = projection.pixels, projection.boxes
        yield layer, pixels, boxes


ANALYSIS = Analysis(
    title="Evolution",
    question="When do units settle? Over a run's snapshots, each unit's strongest activation and "
    "its projection; changes of the strongest picture are counted.",
    source="Fig. 4",
    needs=("network", "snapshots", "dataset"),
    function=evolution,
    defaults={"count": 500},
    is_slow=True,
)
