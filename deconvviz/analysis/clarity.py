"""Clarity: how much of a projection is fine noise, colour noise, and the picture itself."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.inputs import chosen_layers, compared, peaks, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.traits import at_peaks, colour_share, high_frequency_share
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.rules import Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import Positive, validated


@validated
class ClarityOptions:
    """Options of the analysis of clarity."""

    layers: tuple[str, ...] = ()
    """Layers to measure; by default the rectified map after each convolution."""
    units: Positive = 64
    """Maximum number of units per layer, evenly spaced."""
    rule: Rule = "deconvnet"
    """Rule at activations."""
    others: tuple[str, ...] = ()
    """Other networks of the same input size to measure beside it: names or checkpoints."""
    random_weights: bool = True
    """Measure the same network with random weights as well."""


@dataclass(frozen=True, eq=False)
class LayerClarity:
    """Clarity of U units of a layer, each at its strongest activation over the data.

    Attributes:
        channels: (U,) int64.
        high_frequency: (U,) fraction of the projection's power above 0.25 cycles per pixel.
        colour: (U,) fraction of its power that is not common to all channels.
        correlation: (U,) Pearson correlation with the grey picture inside the window; NaN where
            one of them is constant.
        silent: Number of units that are never above zero, or whose projection is zero; left out.
    """

    layer: str
    channels: Tensor
    high_frequency: Tensor
    colour: Tensor
    correlation: Tensor
    silent: int
    derived = ("mean", "spread")

    def _each(self) -> dict[str, Tensor]:
        names = ("high_frequency", "colour", "correlation")
        return {name: getattr(self, name)[getattr(self, name).isfinite()] for name in names}

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the units of each measure."""
        return {name: float(values.mean()) for name, values in self._each().items()}

    @property
    def spread(self) -> dict[str, float]:
        """Standard deviation over the units of each measure."""
        return {name: float(values.std()) for name, values in self._each().items()}


@dataclass(frozen=True)
class NetworkClarity:
    """Clarity of one network, layer by layer."""

    network: str
    layers: tuple[LayerClarity, ...]


@dataclass(frozen=True)
class Clarity(Result):
    """Clarity of one or several networks over the same pictures.

    Attributes:
        networks: The network itself, then others, then the one with random weights.
        rule: Rule at activations.
        data: Number of pictures and title of the data.
    """

    networks: tuple[NetworkClarity, ...]
    rule: Rule
    data: str
    name = "clarity"


def clarity(
    bundle: Bundle,
    dataset: Dataset,
    options: ClarityOptions | None = None,
    *,
    net: Deconvnet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Clarity:
    """Measure how clear projections are: fine noise, colour noise, likeness to the picture.

    Each unit is projected from its strongest activation over the data, to the whole picture, in
    normalised units. A clear projection need not be true to its unit: see the analysis `trust`.

    Arguments are as in `Inputs`.

    Raises:
        DataError: There are no pictures, or they have other channels.
        SettingError: Another network takes pictures of another size.
        UnknownLayerError: A network has no such layer.
    """
    chosen = options or ClarityOptions()
    networks = compared(bundle, net, chosen.others, random_weights=chosen.random_weights, seed=seed)
    measured = []
    for one, its_net in networks:
        layers = chosen_layers(its_net, chosen.layers, its_net.default_layers, f"`{one.name}`")
        found = _measure(one, its_net, dataset, layers, chosen, progress)
        measured.append(NetworkClarity(one.name, found))
    return Clarity(tuple(measured), chosen.rule, title_of(dataset))


def _measure(
    bundle: Bundle,
    net: Deconvnet,
    dataset: Dataset,
    layers: Sequence[str],
    options: ClarityOptions,
    progress: Progress | None,
) -> tuple[LayerClarity, ...]:
    strongest = peaks(net, bundle, dataset, layers, title=bundle.name, progress=progress)
    found = []
    for layer in layers:
        top, channels = strongest[layer], net.layers[layer].channels
        units = torch.linspace(0, channels - 1, min(options.units, channels)).round().long()
        active = units[top.picture[units, 0].cpu() >= 0]
        rows = []
        for _, images, projection in at_peaks(
            net, bundle, dataset, layer, top, active, options.rule
        ):
            full = projection.full().double().cpu()
            both = zip(full, images.double().cpu(), projection.boxes.tolist(), strict=True)
            correlations = [correlation_inside(one, image, box) for one, image, box in both]
            share = torch.tensor(correlations, dtype=torch.float64)
            rows.append(torch.stack([high_frequency_share(full), colour_share(full), share]))
        values = torch.cat(rows, dim=1) if rows else torch.empty(3, 0, dtype=torch.float64)
        shown = values[0].isfinite()
        high, colour, correlation = values[:, shown]
        silent = len(units) - int(shown.sum())
        found.append(LayerClarity(layer, active[shown], high, colour, correlation, silent))
    return tuple(found)


def correlation_inside(projection: Tensor, image: Tensor, box: Sequence[int]) -> float:
    """Pearson correlation of the channel means of two pictures (C, H, W) inside a box.

    The box is clipped to them; NaN if one is constant there.
    """
    top, left = (max(0, edge) for edge in box[:2])
    ours, theirs = (one.mean(0)[top : box[2], left : box[3]] for one in (projection, image))
    ours, theirs = ours - ours.mean(), theirs - theirs.mean()
    return float((ours * theirs).sum() / (ours.norm() * theirs.norm()))


ANALYSIS = Analysis(
    title="Clarity",
    question="How much of the projections is fine noise, how much is colour noise, and how alike "
    "are they to the picture? Means over each layer's units, beside other networks and random "
    "weights.",
    source="this project",
    needs=("network", "dataset"),
    function=clarity,
    defaults={"count": 250},
    quick={"units": 16},
)
