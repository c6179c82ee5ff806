"""Invariance: the change of features as a picture is translated, scaled or rotated (Fig. 5)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.inputs import batches, chosen_layers, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.scores import probabilities
from deconvviz.analysis.warp import Border, rotated, scaled, shifted
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import validated

_SHIFTS = 17  # at most
_SHARE = 0.25  # largest shift as a share of the side; in the paper 60 of 224 pixels
_EXAMPLES = 7  # of each transformation
_ROUNDING = 1e-6  # relative to the length of features: a smaller distance is rounding

_WARPS: Mapping[str, Callable[[Tensor, float, Border], Tensor]] = {
    "translation": shifted,
    "scale": scaled,
    "rotation": rotated,
}


@validated
class InvarianceOptions:
    """Options of the analysis of invariance."""

    layers: tuple[str, ...] = ()
    """Layers to measure; by default the first and last rectified map, and the logits."""
    shifts: tuple[float, ...] = ()
    """Translations in pixels, down; by default from minus to plus a quarter of the side."""
    scales: tuple[Annotated[float, Field(gt=0)], ...] = ()
    """Scale factors about the centre; by default 1 to 1.8. Below 1 a picture is shrunk."""
    angles: tuple[float, ...] = ()
    """Rotations in degrees counter-clockwise; by default 0 to 360 in steps of 15."""
    border: Border = "reflect"
    """Fill beyond the border: mirror image, outermost pixels or the training mean."""


@dataclass(frozen=True, eq=False)
class Transformation:
    """One kind of transformation at S strengths, for N pictures and L layers.

    Attributes:
        kind: "translation", "scale" or "rotation".
        strengths: (S,) pixels down, factor, or degrees counter-clockwise.
        distance: (L, N, S) distance from the features of the untransformed picture; see
            `Invariance` for the unit.
        probability: (N, S) probability of the true class; None where the network has no classes.
        examples: uint8 (K, H, W, 3), the first picture at some of the strengths.
    """

    kind: str
    strengths: Tensor
    distance: Tensor
    probability: Tensor | None
    examples: Pixels
    derived = ("mean_distance", "mean_probability")

    @property
    def mean_distance(self) -> Tensor:
        """(L, S) mean over the pictures."""
        return self.distance.mean(1)

    @property
    def mean_probability(self) -> Tensor | None:
        """(S,) mean over the pictures; None where the network has no classes."""
        return None if self.probability is None else self.probability.mean(0)


@dataclass(frozen=True, eq=False)
class Invariance(Result):
    """Invariance of a network's layers and of its decision to transformations.

    Distances are Euclidean, over all units of a layer, divided by the root mean square distance
    between the features of two different pictures of the data: 0 is the same, 1 as far as another
    picture, whatever the layer or network.

    Attributes:
        layers: The L watched layers, lowest first.
        transformations: One for each kind.
        unit: (L,) distance that counts as 1, in the layer's own units.
        classes: Classes of the network; empty where it has none.
        truth: (N,) int64 true class of each picture; None without classes.
        untouched: (N,) probability of the class in the untransformed picture; None without classes.
        labelled: Whether the true class is the label; else it is the network's decision on the
            untransformed picture.
        data: Number of pictures and title of the data.
    """

    network: str
    layers: tuple[str, ...]
    transformations: tuple[Transformation, ...]
    unit: Tensor
    classes: tuple[str, ...]
    truth: Tensor | None
    untouched: Tensor | None
    labelled: bool
    border: Border
    data: str
    name = "invariance"
    omitted = ("examples",)


def invariance(
    bundle: Bundle,
    dataset: Dataset,
    options: InvarianceOptions | None = None,
    *,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Invariance:
    """Transform pictures, and measure how much their features and the decision change.

    Zeiler & Fergus (2014, arXiv:1311.2901, section 4.1 and Fig. 5) did so with five pictures at the
    first and the last layer: small transformations change the first much and the last little, and
    a network is not invariant to rotation, but for things that look the same when rotated.

    The data set has at least two pictures, of the network's input size; arguments are as in
    `Inputs`.

    Raises:
        DataError: Fewer than two pictures, other channels than the network's, or a layer has equal
            features for all.
        PictureError: The pictures have a size that the network does not take.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or InvarianceOptions()
    check_dataset(bundle, dataset, least=2)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    strengths = _strengths(dataset.images.shape[2], chosen)
    logits = _logits(net, bundle.classes)
    ends = (*net.default_layers[:1], *net.default_layers[-1:], *((logits,) if logits else ()))
    layers = chosen_layers(net, chosen.layers, ends)
    labelled = logits is not None and dataset.classes == bundle.classes
    measured = _Measured(net, layers, logits, chosen.border)
    size = dataset.images.shape[2:]
    for rows in batches(len(dataset), size, "transforming", progress=progress):
        images = bundle.preprocessing.normalised(dataset.images[rows])
        measured.add(images, strengths, dataset.labels[rows] if labelled else None)
    unit = measured.unit()
    first = bundle.preprocessing.normalised(dataset.images[:1])
    transformations = tuple(
        Transformation(
            kind=kind,
            strengths=values,
            distance=torch.cat(measured.distance[kind], dim=1) / unit[:, None, None],
            probability=torch.cat(measured.probability[kind]) if logits else None,
            examples=_examples(bundle, first, kind, values, chosen.border),
        )
        for kind, values in strengths.items()
    )
    return Invariance(
        network=bundle.name,
        layers=layers,
        transformations=transformations,
        unit=unit,
        classes=bundle.classes if logits else (),
        truth=torch.cat(measured.truth) if logits else None,
        untouched=torch.cat(measured.untouched) if logits else None,
        labelled=labelled,
        border=chosen.border,
        data=title_of(dataset),
    )


class _Measured:
    """Distances and probabilities, gathered batch by batch."""

    def __init__(
        self, net: Deconvnet, layers: tuple[str, ...], logits: str | None, border: Border
    ) -> None:
        self.net, self.layers, self.logits, self.border = net, layers, logits, border
        self.read = tuple(dict.fromkeys((*layers, logits) if logits else layers))
        self.distance: dict[str, list[Tensor]] = {kind: [] for kind in _WARPS}  # (L, B, S) each
        self.probability: dict[str, list[Tensor]] = {kind: [] for kind in _WARPS}  # (B, S)
        self.truth: list[Tensor] = []
        self.untouched: list[Tensor] = []
        self.count = 0
        self.sums: dict[str, Tensor] = {}  # of the features, and of their squared lengths
        self.squares = dict.fromkeys(layers, 0.0)

    def add(self, images: Tensor, strengths: dict[str, Tensor], labels: Tensor | None) -> None:
        """Transform a batch at every strength."""
        own = self._features(images)
        self.count += len(images)
        for name in self.layers:
            features = own[name].double()
            self.sums[name] = self.sums.get(name, 0) + features.sum(0)
            self.squares[name] += float(features.square().sum())
        if self.logits:
            scores = own[self.logits]
            truth = scores.argmax(1) if labels is None else labels
            self.truth.append(truth)
            self.untouched.append(_probability(scores, truth))
        for kind, values in strengths.items():
            distances, probabilities = [], []
            for value in values.tolist():
                seen = self._features(_WARPS[kind](images, value, self.border))
                apart = [(seen[name] - own[name]).norm(dim=1).double() for name in self.layers]
                distances.append(torch.stack(apart))
                if self.logits:
                    probabilities.append(_probability(seen[self.logits], truth))
            self.distance[kind].append(torch.stack(distances, dim=2))
            if self.logits:
                self.probability[kind].append(torch.stack(probabilities, dim=1))

    def _features(self, images: Tensor) -> dict[str, Tensor]:
        return {name: maps.flatten(1) for name, maps in self.net.stream(images, self.read)}

    def unit(self) -> Tensor:
        """(L,) root mean square distance between the features of two different pictures.

        The mean squared distance over all pairs is twice the variance, summed over the units.
        """
        n = self.count
        squared = [
            2 * (self.squares[name] - float(self.sums[name].square().sum()) / n) / (n - 1)
            for name in self.layers
        ]
        unit = torch.tensor(squared, dtype=torch.float64).clamp_min(0).sqrt()
        for name, value in zip(self.layers, unit.tolist(), strict=True):
            if value <= _ROUNDING * (self.squares[name] / n) ** 0.5:
                raise DataError(
                    f"all {n} pictures have equal features in `{name}`, so distances have no unit; "
                    "give other pictures or other layers"
                )
        return unit


def _probability(scores: Tensor, truth: Tensor) -> Tensor:
    """(B,) the probability of each picture's class."""
    return probabilities(scores.double()).gather(1, truth[:, None])[:, 0]


def _strengths(side: int, options: InvarianceOptions) -> dict[str, Tensor]:
    """Kind -> (S,) rising strengths: the chosen ones or the defaults for this height."""
    most = round(_SHARE * side)
    defaults: dict[str, tuple[Sequence[float], Tensor]] = {
        "translation": (
            options.shifts,
            _whole(torch.linspace(-most, most, _SHIFTS, dtype=torch.float64)),
        ),
        "scale": (options.scales, torch.linspace(1, 1.8, 9, dtype=torch.float64)),
        "rotation": (options.angles, torch.arange(0, 361, 15, dtype=torch.float64)),
    }
    return {
        kind: torch.tensor(sorted(asked), dtype=torch.float64) if asked else default
        for kind, (asked, default) in defaults.items()
    }


def _whole(values: Tensor) -> Tensor:
    """The whole numbers nearest to some, each once, rising, float64."""
    return torch.tensor(sorted(set(values.double().round().tolist())), dtype=torch.float64)


def _logits(net: Deconvnet, classes: Sequence[str]) -> str | None:
    """The network's last layer, if it has a score for each class."""
    name, layer = list(net.layers.items())[-1]
    is_flat = layer.size == (1, 1) and layer.stride == (0, 0)
    return name if is_flat and classes and layer.channels == len(classes) else None


def _examples(
    bundle: Bundle, image: Tensor, kind: str, strengths: Tensor, border: Border
) -> Pixels:
    """One picture at some of the strengths, from the first to the last."""
    chosen = _whole(torch.linspace(0, len(strengths) - 1, _EXAMPLES)).long()
    some = [_WARPS[kind](image, value, border) for value in strengths[chosen].tolist()]
    return bundle.preprocessing.pixels(torch.cat(some))


ANALYSIS = Analysis(
    title="Invariance",
    question="How much do features and the decision change as pictures are moved, enlarged and "
    "turned? Distances are relative to the distance between two pictures at the same layer.",
    source="Fig. 5",
    needs=("network", "dataset"),
    function=invariance,
    defaults={"count": 20},
    is_slow=True,
)
