"""Useful: the pictures in which a unit raises a class most, beside those where it is strongest."""

from collections.abc import Sequence
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
class Order:
    """The first K pictures in some order.

    Attributes:
        pictures: (K,) int64 numbers in the data.
        value: (K,) what they are ranked by, above zero.
        place: (K, 2) row and column in the feature map.
    """

    pictures: Tensor
    value: Tensor
    place: Tensor


@dataclass(frozen=True, eq=False)
class Ranked(Order):
    """The same, as pictures.

    Attributes:
        images: uint8 (K, H, W, 3).
        projections: (K, C, H, W) of the unit at its place, deconvnet rule.
    """

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


@dataclass(frozen=True, eq=False)
class Uses:
    """What each of U units of a layer does in each of N pictures, for L classes.

    Attributes:
        activation: (N, U) largest activation.
        peak: (N, U) int64 where it is, in the flattened feature map.
        contribution: (N, L, U) activation times gradient of the class's score, over all places.
        place: (N, L, U) int64 where that is largest.
        width: Columns of the feature map.
    """

    activation: Tensor
    peak: Tensor
    contribution: Tensor
    place: Tensor
    width: int

    def strongest(self, row: int, most: int) -> Order:
        """The pictures in which a unit is most active; `row` counts the units."""
        return self._first(self.activation[:, row], self.peak[:, row], most)

    def most_useful(self, row: int, label: int, most: int) -> Order:
        """The pictures in which it adds most to a class's score; `label` counts the classes."""
        return self._first(self.contribution[:, label, row], self.place[:, label, row], most)

    def _first(self, value: Tensor, place: Tensor, most: int) -> Order:
        order = value.argsort(descending=True, stable=True)[:most]
        order = order[value[order] > 0]
        flat = place[order]
        at = torch.stack([flat // self.width, flat % self.width], dim=1)
        return Order(order, value[order], at)


def uses(
    model: ClassScores,
    bundle: Bundle,
    dataset: Dataset,
    layer: str,
    units: Sequence[int],
    labels: Sequence[int],
    progress: Progress | None = None,
) -> Uses:
    """Run pictures through a network once, and one pass back to the layer for each class.

    Args:
        model: The network's scores.
        bundle: The network, with its preprocessing.
        dataset: One picture or more.
        layer: The layer.
        units: Numbers of its units.
        labels: Numbers of classes.
        progress: Called after each batch of pictures.

    Raises:
        UnknownLayerError: There is no such layer.
        SelectionError: The scores do not depend on the layer.
    """
    found: list[tuple[Tensor, ...]] = []
    for rows in batches(len(dataset), dataset.images.shape[2:], "pictures", progress=progress):
        images = bundle.preprocessing.normalised(dataset.images[rows])
        maps, added = model.of_classes(images, layer, units, labels)
        width = maps.shape[3]
        peaks, places = (one.flatten(-2).max(-1) for one in (maps, added))
        found.append((peaks.values, peaks.indices, added.sum((-2, -1)), places.indices))
    activation, peak, contribution, place = (torch.cat(one) for one in zip(*found, strict=True))
    return Uses(activation, peak, contribution, place, width)


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
    first = bundle.preprocessing.normalised(dataset.images[:1])
    model = ClassScores(net, first)
    classes = class_names(bundle, model.without(first, {}))
    labels = _labels(bundle.name, classes, chosen.label)
    found = uses(model, bundle, dataset, layer, [chosen.unit], labels, progress)
    means = found.contribution[:, :, 0].mean(0)
    row = int(means.argmax())
    total = torch.full((len(classes),), float("nan"))
    total[labels] = means
    unit = _Projected(bundle, net, dataset, layer, chosen.unit)
    return Useful(
        network=bundle.name,
        data=title_of(dataset),
        classes=classes,
        layer=layer,
        unit=chosen.unit,
        label=labels[row],
        total=total,
        useful=unit.ranked(found.most_useful(0, row, chosen.pictures)),
        strongest=unit.ranked(found.strongest(0, chosen.pictures)),
    )


def _labels(network: str, classes: Sequence[str], label: str | int | None) -> list[int]:
    """Numbers of the class that is asked about, or of all of them."""
    if label is not None:
        return [class_number(classes, label)]
    if len(classes) > _CLASSES:
        raise SettingError(f"`{network}` has {len(classes)} classes; name the one to look at")
    return list(range(len(classes)))


@dataclass(frozen=True, eq=False)
class _Projected:
    """One unit, projected in some pictures."""

    bundle: Bundle
    net: Deconvnet
    dataset: Dataset
    layer: str
    unit: int

    def ranked(self, order: Order) -> Ranked:
        images = self.bundle.preprocessing.normalised(self.dataset.images[order.pictures])
        projections = images[:0]
        if count := len(images):
            units = Selection(self.layer, range(count), self.unit, *order.place.T.tolist())
            recording = self.net.record(images, [self.layer])
            projections = self.net.project(recording, units).full()
        pixels = self.bundle.preprocessing.pixels(images)
        return Ranked(order.pictures, order.value, order.place, pixels, projections)


ANALYSIS = Analysis(
    title="Useful pictures",
    question="In which pictures does a unit add most to the score of a class, and are those the "
    "ones in which it is strongest?",
    source="Achtibat et al. 2023, activation × gradient",
    needs=("network", "dataset"),
    function=useful,
    on_page=False,
)
