"""The pictures in which a unit of the atlas adds most to a class, kept for all sessions."""

from dataclasses import dataclass, replace

import torch

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.useful import Order, uses
from deconvviz.atlas import TopActivation
from deconvviz.deconv.rules import Rule
from deconvviz.plots.atlas import UnitTiles, render_places
from deconvviz.progress import Progress
from deconvviz.ui.atlas import AtlasView
from deconvviz.ui.memory import kept
from deconvviz.ui.networks import Network
from deconvviz.ui.work import long_result

MOST = 2000
"""Pictures that are looked through; of more, so many, evenly spaced."""


@dataclass(frozen=True, eq=False)
class UsefulPictures:
    """Where one unit adds most to the score of a class.

    Attributes:
        order: Numbers of the pictures in the data, what it adds there, and places.
        mean: What it adds on average over those that were looked through.
        shared: How many of them are among as many in which it is strongest.
    """

    order: Order
    mean: float
    shared: int


def looked_through(view: AtlasView) -> torch.Tensor:
    """(N,) int64 numbers of the pictures of an atlas that are looked through."""
    count = len(view.dataset)
    return torch.linspace(0, count - 1, min(count, MOST), dtype=torch.float64).round().long()


def useful_pictures(
    network: Network, view: AtlasView, layer: str, channel: int, label: int
) -> UsefulPictures:
    """Where a unit is most useful for a class, given by number; found for the layer at once.

    Raises:
        SelectionError: No layer gives the class scores, or they do not depend on this one.
    """
    every = long_result(
        ("useful", network.key, view.key, layer, label),
        "Following the score back …",
        lambda progress: _every_unit(network, view, layer, label, progress),
    )
    return every[channel]


def _every_unit(
    network: Network, view: AtlasView, layer: str, label: int, progress: Progress
) -> tuple[UsefulPictures, ...]:
    numbers, k = looked_through(view), view.atlas.header.k
    dataset = view.dataset.subset(numbers)
    model = ClassScores(network.net, network.bundle.preprocessing.normalised(dataset.images[:1]))
    units = range(len(view.atlas[layer]))
    found = uses(model, network.bundle, dataset, layer, units, [label], progress)
    means = found.contribution[:, 0].mean(0).tolist()
    result = []
    for unit in units:
        order, strongest = found.most_useful(unit, 0, k), found.strongest(unit, k)
        shared = len({*order.pictures.tolist()} & {*strongest.pictures.tolist()})
        order = replace(order, pictures=numbers[order.pictures])
        result.append(UsefulPictures(order, means[unit], shared))
    return tuple(result)


@kept("Projecting …")
def useful_tiles(
    network: Network, view: AtlasView, layer: str, channel: int, label: int, rule: Rule
) -> UnitTiles:
    """The unit at the places where it adds most to the class, one in each picture, drawn."""
    order = useful_pictures(network, view, layer, channel, label).order
    top = [
        TopActivation(value, picture, y, x)
        for value, picture, (y, x) in zip(
            order.value.tolist(), order.pictures.tolist(), order.place.tolist(), strict=True
        )
    ]
    return render_places(
        network.bundle, view.dataset, layer, channel, top, net=network.net, rule=rule
    )
