"""Useful: the pictures in which a unit raises a class most, beside those where it is strongest."""

from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.inputs import (
    batches,
    chosen_layers,
    class_names,
    class_number,
    title_of,
)
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import Count, Positive, validated

_CLASSES = 100  # to look for the one that a unit raises most; each is a pass


@validated
class UsefulOptions:
    """Options of the analysis of useful pictures."""

    layer: str = ""
    """Layer; by default the last rectified one."""
    unit: Count = 0
    """Number of the unit."""
    label: str | int | None = None
    """Class, by name or number; by default the one that the unit raises most over the data, if
    there are at most 100."""
    pictures: Positive = 9
    """How many pictures are kept of each kind."""


@dataclass(frozen=True, eq=False)
class Ranked:
    """The first K pictures in some order.

    Attributes:
        pictures: (K,) int64 numbers in the data.
        value: (K,) what they are ranked by.
        place: (K, 2) row and column in the feature map.
        images: uint8 (K, H, W, 3).
        projections: (K, C, H, W) of the unit at its place, deconvnet rule.
    """

    pictures: Tensor
    value: Tensor
    place: Tensor
    images: Pixels
    projections: Tensor


@dataclass(frozen=True, eq=False)
class Useful(Result):
    """A unit's most useful pictures for a class beside its strongest ones.

    Attributes:
        total: (classes,) mean contribution of the unit to each class over the data.
        useful: Pictures where the unit adds most to the class's score.
        strongest: Pictures where it is most active.
    """

    network: str
    data: str
    classes: tuple[str, ...]
    layer: str
    unit: int
    label: int
    total: Tensor
    useful: Ranked
    strongest: Ranked
    name = "useful"
    omitted = ("images", "projections")
    derived = ("shared",)

    @property
    def shared(self) -> int:
        """How many pictures are among both."""
        return len(set(self.useful.pictures.tolist()) & set(self.strongest.pictures.tolist()))


def useful(
    bundle: Bundle,
    dataset: Dataset,
    options: UsefulOptions | None = None,
    *,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Useful:
    """Rank pictures by what a unit adds to a class's score, and by the unit's activation.

    A unit may be strongest where it does not matter for the answer; ranked by activation times
    gradient, summed over its feature map, come the pictures in which it counts. Achtibat et al.
    (2023, arXiv:2206.03208) call this relevance maximisation, with another rule for relevance.

    Arguments are as in `Inputs`.

    Raises:
        DataError: There are no pictures, or they have other channels.
        SelectionError: There is no such unit or number of a class, or no layer gives the scores.
        SettingError: There is no such class, or the network is not a classifier.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or UsefulOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    (layer,) = chosen_layers(net, (chosen.layer,) if chosen.layer else (), net.default_layers[-1:])
    check_dataset(bundle, dataset)
    count = net.layers[layer].channels
    if chosen.unit >= count:
        raise SelectionError(f"`{layer}` has no unit {chosen.unit}; it has 0 to {count - 1}")
    model = ClassScores(net, bundle.preprocessing.normalised(dataset.images[:1]))
    scores = model.without(bundle.preprocessing.normalised(dataset.images[:1]), {})
    classes = class_names(bundle, scores)
    if chosen.label is not None:
        every = [class_number(classes, chosen.label)]
    elif len(classes) <= _CLASSES:
        every = list(range(len(classes)))
    else:
        raise SettingError(
            f"`{bundle.name}` has {len(classes)} classes; name the one that is asked about"
        )

    added: list[Tensor] = []
    peaks, places, useful_places = [], [], []
    for rows in batches(len(dataset), dataset.images.shape[2:], "pictures", progress=progress):
        images = bundle.preprocessing.normalised(dataset.images[rows])
        activation = net.record(images, [layer])[layer][:, chosen.unit]
        peaks.append(activation.amax((1, 2)))
        places.append(activation.flatten(1).argmax(1))
        maps = [model.contributions(images, layer, label)[:, chosen.unit] for label in every]
        stacked = torch.stack(maps, dim=1)
        added.append(stacked.sum((2, 3)))
        useful_places.append(stacked.flatten(2).argmax(2))
    contribution = torch.cat(added)
    row = int(contribution.mean(0).argmax())
    total = torch.full((len(classes),), float("nan"))
    total[every] = contribution.mean(0)
    width = activation.shape[2]

    def ranked(value: Tensor, place: Tensor) -> Ranked:
        order = value.argsort(descending=True, stable=True)[: chosen.pictures]
        order = order[value[order] > 0]
        at = torch.stack([place[order] // width, place[order] % width], dim=1)
        images = bundle.preprocessing.normalised(dataset.images[order])
        projections = images[:0]
        if len(order):
            units = Selection(layer, range(len(order)), chosen.unit, *at.T.tolist())
            projections = net.project(net.record(images, [layer]), units).full()
        pixels = bundle.preprocessing.pixels(images)
        return Ranked(order, value[order], at, pixels, projections)

    return Useful(
        network=bundle.name,
        data=title_of(dataset),
        classes=classes,
        layer=layer,
        unit=chosen.unit,
        label=every[row],
        total=total,
        useful=ranked(contribution[:, row], torch.cat(useful_places)[:, row]),
        strongest=ranked(torch.cat(peaks), torch.cat(places)),
    )


ANALYSIS = Analysis(
    title="Useful pictures",
    question="In which pictures does a unit add most to the score of a class, and are those the "
    "ones in which it is strongest?",
    source="Achtibat et al. 2023, activation × gradient",
    needs=("network", "dataset"),
    function=useful,
    on_page=False,
)
