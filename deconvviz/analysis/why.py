"""Why: the units that make a network prefer one class to another in a picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.inputs import chosen_layers, class_names, class_number
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.trust.similarity import rank_correlation
from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.preprocess import Pixels
from deconvviz.schema import Count, Positive, validated


@validated
class WhyOptions:
    """Options of the analysis of one answer."""

    label: str | int | None = None
    """Class that is explained, by name or number; by default the network's answer."""
    against: str | int | None = None
    """Class that it is compared with; by default the most probable one of the others."""
    layer: str = ""
    """Layer whose units are weighed; by default the last rectified one."""
    off: tuple[Count, ...] = ()
    """Numbers of the units that are switched off; by default those that contribute most."""
    most: Positive = 3
    """How many units are switched off by default, and shown."""


@dataclass(frozen=True, eq=False)
class Why(Result):
    """What each of K units adds to the difference of two class scores in one picture.

    Attributes:
        scores: (classes,) the network's scores; of one that ends in a softmax, the values before.
        label: Number of the class that is explained.
        against: Number of the class that it is compared with.
        contribution: (K,) activation times the gradient of the difference, over all positions.
        effect: (K,) what the difference loses when the unit alone is set to zero.
        activation: (K,) largest activation.
        place: (K, 2) row and column of the largest contribution in the feature map.
        off: Numbers of the units that are switched off together.
        without: (classes,) the scores without them.
        named: Numbers of the units that contribute most, the first most of all.
        picture: uint8 (H, W, 3).
        projections: (named, C, H, W) projection of each named unit at its place, deconvnet rule.
    """

    network: str
    classes: tuple[str, ...]
    layer: str
    scores: Tensor
    label: int
    against: int
    contribution: Tensor
    effect: Tensor
    activation: Tensor
    place: Tensor
    off: tuple[int, ...]
    without: Tensor
    named: tuple[int, ...]
    picture: Pixels
    projections: Tensor
    name = "why"
    omitted = ("picture", "projections")
    derived = ("probability", "probability_without", "difference", "rest", "rank_correlation")

    @property
    def probability(self) -> Tensor:
        """(classes,) probabilities."""
        return self.scores.softmax(0)

    @property
    def probability_without(self) -> Tensor:
        """(classes,) probabilities without the units that are switched off."""
        return self.without.softmax(0)

    @property
    def difference(self) -> float:
        """Score of the class less that of the other."""
        return float(self.scores[self.label] - self.scores[self.against])

    @property
    def rest(self) -> float:
        """What the contributions leave of the difference: constants, and what is not linear."""
        return self.difference - float(self.contribution.sum())

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's, of contributions and effects, over the active units; 1 if one ranks as both.

        None with fewer than two active units, or where one of the two is constant.
        """
        active = self.activation > 0
        if int(active.sum()) < 2:
            return None
        found = float(rank_correlation(self.contribution[active][None], self.effect[active]))
        return None if math.isnan(found) else found


def why(
    bundle: Bundle,
    image: Tensor,
    options: WhyOptions | None = None,
    *,
    net: Deconvnet | None = None,
) -> Why:
    """Weigh the units of a layer in the difference of two class scores, and switch some off.

    A unit's contribution is its activation times the gradient of the difference, summed over its
    feature map. Above the layer that is exact where all is linear, and a first-order estimate
    elsewhere; so each unit is also switched off alone, and the rank correlation of the two says how
    far the estimate can be followed. A unit switched off is zero at all places; the layers below
    stay as they are.

    The image is (C, H, W), normalised, as `bundle.preprocess` makes it.

    Raises:
        SettingError: There is no such class, both are the same, or it is not a classifier.
        SelectionError: There is no such unit or number of a class, or no layer gives the scores.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or WhyOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    asked = (chosen.layer,) if chosen.layer else ()
    (layer,) = chosen_layers(net, asked, net.default_layers[-1:])
    images = image[None]
    model = ClassScores(net, images)
    scores = model.without(images, {})[0]
    classes = class_names(bundle, scores[None])
    label, against = _classes(classes, scores, chosen)

    maps = model.contributions(images, layer, label, against)[0]
    contribution = maps.sum((1, 2))
    named = _first(contribution, chosen.most)
    off = tuple(dict.fromkeys(chosen.off)) or named
    flat = maps.flatten(1).argmax(1)
    place = torch.stack([flat // maps.shape[2], flat % maps.shape[2]], dim=1)
    recording = net.record(images, [layer])
    return Why(
        network=bundle.name,
        classes=classes,
        layer=layer,
        scores=scores,
        label=label,
        against=against,
        contribution=contribution,
        effect=model.effects(images, layer, label, against),
        activation=recording[layer][0].amax((1, 2)),
        place=place,
        off=off,
        without=model.without(images, {layer: off})[0],
        named=named,
        picture=bundle.preprocessing.pixels(images)[0],
        projections=_projections(net, recording, images, layer, named, place),
    )


def _classes(classes: Sequence[str], scores: Tensor, chosen: WhyOptions) -> tuple[int, int]:
    """Numbers of the class that is explained, and of the one that it is compared with."""
    order = scores.argsort(descending=True).tolist()
    label = order[0] if chosen.label is None else class_number(classes, chosen.label)
    if chosen.against is None:
        return label, next(one for one in order if one != label)
    against = class_number(classes, chosen.against)
    if against == label:
        raise SettingError(f"both classes are `{classes[label]}`; name two")
    return label, against


def _first(contribution: Tensor, most: int) -> tuple[int, ...]:
    """The units that contribute most, of those that contribute to the class at all."""
    top = contribution.argsort(descending=True)[:most].tolist()
    return tuple(unit for unit in top if contribution[unit] > 0)


def _projections(
    net: Deconvnet,
    recording: Recording,
    images: Tensor,
    layer: str,
    named: tuple[int, ...],
    place: Tensor,
) -> Tensor:
    if not named:
        return images[:0]
    units = Selection(layer, 0, list(named), *place[list(named)].T.tolist())
    return net.project(recording, units).full()


ANALYSIS = Analysis(
    title="Why this answer",
    question="Which units make the network prefer one class to another, and what does it answer "
    "without them?",
    source="activation × gradient; units set to zero",
    needs=("network", "picture"),
    function=why,
    on_page=False,
)
