"""Invariance: how far features go as a picture is moved, scaled or turned (Fig. 5)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from torch import Tensor

from deconvviz.analysis.batches import batches
from deconvviz.analysis.peaks import check_fits
from deconvviz.analysis.result import Result
from deconvviz.analysis.warp import BORDERS, Border, rotated, scaled, shifted
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.layers import unknown_layer
from deconvviz.errors import DataError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, Pixels, mosaic, picture_on, quiet
from deconvviz.progress import Progress

__all__ = ["Curves", "Invariance", "invariance"]

_STEPS = 17  # of the shifts
_SHARE = 0.25  # of the side, by which pictures move at most; the paper's 60 of 224 pixels
_EXAMPLES = 7  # of each transformation, shown above its curves
_ALIKE = 1e-6  # of their length: features nearer to each other differ by rounding alone
_DRAWN = 40  # curves of single pictures in a plot, at most

_FILLED = {
    "reflect": "the picture's mirror image",
    "edge": "its outermost pixels",
    "mean": "the mean colour of the training pictures",
}

_Warp = Callable[[Tensor, float, Border], Tensor]
_WARPS: dict[str, tuple[_Warp, str]] = {
    "translation": (shifted, "pixels down"),
    "scale": (scaled, "scale"),
    "rotation": (rotated, "degrees"),
}


@dataclass(frozen=True, eq=False)
class Curves:
    """One kind of transformation at S strengths, of N pictures, seen by L layers.

    Attributes:
        kind: "translation", "scale" or "rotation".
        strengths: (S,) pixels down, factor, or degrees counter-clockwise.
        distance: (L, N, S) of a picture's features from those of the picture as it is; see
            `Invariance` for its unit.
        probability: (N, S) of the true class; None where the network has no classes.
        examples: uint8 (K, H, W, 3), the first picture at some of the strengths.
    """

    kind: str
    strengths: Tensor
    distance: Tensor
    probability: Tensor | None
    examples: Pixels

    @property
    def worst(self) -> int:
        """The strength at which the true class is least probable on average."""
        assert self.probability is not None
        return int(self.probability.mean(0).argmin())


@dataclass(frozen=True, eq=False)
class Invariance(Result):
    """How a network's layers and its decision bear what leaves a picture's content alone.

    Distances are Euclidean, over all units of a layer, and divided by the root mean square distance
    between the features of two different pictures of the data as they are: 0 is "the same", and 1
    as far as another picture, whatever the layer or network.

    Attributes:
        network: Its name.
        layers: The L layers that are watched, from the lowest up.
        curves: One a kind of transformation.
        unit: (L,) the distance that counts as 1, in the layer's own units.
        classes: Of the network; empty where it has none.
        truth: (N,) int64, each picture's true class; None without classes.
        untouched: (N,) its probability for the picture as it is; None likewise.
        labelled: Whether that is the picture's label; else it is what the network decides for the
            picture as it is.
        border: What fills the places that a picture leaves.
        data: What the pictures are, and how many.
    """

    network: str
    layers: tuple[str, ...]
    curves: tuple[Curves, ...]
    unit: Tensor
    classes: tuple[str, ...]
    truth: Tensor | None
    untouched: Tensor | None
    labelled: bool
    border: Border
    data: str
    name = "invariance"

    @property
    def class_told(self) -> str:
        """Which class `probability` is of."""
        return "true class" if self.labelled else "class decided on the picture as it is"

    def to_dict(self) -> dict[str, Any]:
        """Every number: means over the pictures, and each picture's."""
        return {
            "network": self.network,
            "data": self.data,
            "border": self.border,
            "probability is of": self.class_told if self.classes else None,
            "distance that counts as 1": dict(zip(self.layers, self.unit.tolist(), strict=True)),
            "classes": [] if self.truth is None else [self.classes[i] for i in self.truth.tolist()],
            **{curves.kind: self._facts_of(curves) for curves in self.curves},
        }

    def _facts_of(self, curves: Curves) -> dict[str, Any]:
        found: dict[str, Any] = {"strengths": curves.strengths.tolist()}
        for nth, layer in enumerate(self.layers):
            distance = curves.distance[nth]
            found[f"distance at {layer}"] = {
                "mean": distance.mean(0).tolist(),
                "pictures": distance.tolist(),
            }
        if curves.probability is not None:
            p = curves.probability
            found["probability"] = {"mean": p.mean(0).tolist(), "pictures": p.tolist()}
        return found

    def summary(self) -> str:
        """For each transformation the mean distances over its strengths, and the lowest p."""
        told = "; ".join(self._sentence_of(curves) for curves in self.curves)
        return (
            f"Over {self.data}, a transformed picture's features differ from the picture's own, "
            f"averaged over strengths, by so much of the distance between two pictures: {told}."
        )

    def _sentence_of(self, curves: Curves) -> str:
        changes = curves.distance.mean((1, 2)).tolist()
        layers = ", ".join(
            f"{layer} {change:.2f}" for layer, change in zip(self.layers, changes, strict=True)
        )
        low, high = float(curves.strengths.min()), float(curves.strengths.max())
        told = f"{curves.kind} ({low:g} to {high:g}) {layers}"
        if curves.probability is None or self.untouched is None:
            return told
        worst, p = curves.worst, curves.probability.mean(0)
        return (
            f"{told}, and p({self.class_told}) falls from {self.untouched.mean():.2f} to "
            f"{p[worst]:.2f} at {float(curves.strengths[worst]):g}"
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Three columns as in the paper: the pictures, the distances at each layer, and p."""
        plots = len(self.layers) + (self.untouched is not None)
        figure = Figure(figsize=(9.2, 1.2 + 1.35 * plots), facecolor="none", layout="constrained")
        grid = figure.add_gridspec(1 + plots, 3, height_ratios=(0.4, *[1] * plots))
        for column, curves in enumerate(self.curves):
            top = figure.add_subplot(grid[0, column])
            top.set_facecolor("none")
            picture_on(top, mosaic(curves.examples, _EXAMPLES, gap=6, side=96), "", ink)
            top.set_title(curves.kind, loc="left", fontsize=9, color=ink, pad=3)
            for row in range(plots):
                axes = figure.add_subplot(grid[1 + row, column])
                self._plot(axes, curves, row, first=column == 0, ink=ink)
                if row == plots - 1:
                    axes.set_xlabel(_WARPS[curves.kind][1], fontsize=8)
        count = self.curves[0].distance.shape[1]
        figure.supxlabel(
            f"Thin: {min(count, _DRAWN)} of {self.data}; bold: the mean of all. Distance of "
            "features: 1 (dashed) is the root mean square distance between two of the pictures.\n"
            f"Places that a picture leaves: {_FILLED[self.border]}."
            + (f" p: of the {self.class_told}; dashed: by chance." if self.classes else ""),
            fontsize=7,
            color=ink,
            x=0.01,
            ha="left",
        )
        return figure

    def _plot(self, axes: Axes, curves: Curves, row: int, *, first: bool, ink: str) -> None:
        """One row's curves; the last row is p."""
        quiet(axes, ink)
        is_distance = row < len(self.layers)
        values = curves.distance[row] if is_distance else curves.probability
        assert values is not None
        x = curves.strengths.tolist()
        axes.plot(x, values[:_DRAWN].mT.tolist(), color=ink, alpha=0.25, linewidth=0.5)
        axes.plot(x, values.mean(0).tolist(), color=ACCENTS[not is_distance], linewidth=2)
        line = 1.0 if is_distance else 1 / len(self.classes)
        axes.axhline(line, color=ink, linewidth=0.8, linestyle="--")
        highest = [float(other.distance[row].max()) for other in self.curves if is_distance]
        axes.set_ylim(0, 1.05 * max([1.0, *highest]))
        if curves.kind == "rotation" and max(x) > 90:
            axes.xaxis.set_major_locator(MultipleLocator(90))
        if first:
            axes.set_ylabel(self.layers[row] if is_distance else "p", fontsize=8)


def invariance(
    bundle: Bundle,
    dataset: Dataset,
    layers: Sequence[str] | None = None,
    *,
    shifts: Sequence[float] | None = None,
    scales: Sequence[float] | None = None,
    angles: Sequence[float] | None = None,
    border: Border = "reflect",
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Invariance:
    """Move, scale and turn pictures, and see how far their features and the decision go.

    Zeiler & Fergus (2014, arXiv:1311.2901, section 4.1 and Fig. 5) did so with five pictures at the
    first layer and the last: small changes move the first much and the last little, and what a
    network does not bear at all is rotation, but for things that look alike when turned.

    Args:
        bundle: The network.
        dataset: Two pictures or more, of the size that it takes.
        layers: The layers watched; by default the first and the last rectified map after a
            convolution, and the logits where there are.
        shifts: Pixels down; by default from minus to plus a quarter of the side.
        scales: About the centre; by default 1 to 1.8. Below 1 a picture shrinks, antialiased.
        angles: Degrees counter-clockwise about the centre; by default 0 to 360 by 15.
        border: What fills the places that a picture leaves: its mirror image ("reflect"), its
            outermost pixels ("edge"), or the "mean" colour of the training pictures.
        net: The network's deconvnet, where there is one already.
        progress: Told how many pictures are done.

    Raises:
        DataError: Fewer than two pictures, other channels than the network's, or all alike to a
            layer.
        PictureError: They have a size that the network does not take.
        SettingError: A strength, the border or the layers cannot be.
        UnknownLayerError: There is no such layer.
    """
    check_fits(bundle, dataset, least=2)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    strengths = _strengths(dataset.images.shape[2], shifts, scales, angles)
    if border not in BORDERS:
        raise SettingError(f"no border `{border}`; there are {', '.join(BORDERS)}")
    logits = _logits(net, bundle.classes)
    watched = _watched(net, layers, logits)
    labelled = logits is not None and dataset.classes == bundle.classes
    study = _Study(net, watched, logits, border)
    size = (dataset.images.shape[2], dataset.images.shape[3])
    for rows in batches(len(dataset), size, "transforming", progress=progress):
        images = bundle.preprocessing.normalised(dataset.images[rows])
        study.add(images, strengths, dataset.labels[rows] if labelled else None)
    unit = study.unit()
    first = bundle.preprocessing.normalised(dataset.images[:1])
    curves = tuple(
        Curves(
            kind=kind,
            strengths=values,
            distance=torch.cat(study.distance[kind], dim=1) / unit[:, None, None],
            probability=torch.cat(study.probability[kind]) if logits else None,
            examples=_examples(bundle, first, kind, values, border),
        )
        for kind, values in strengths.items()
    )
    return Invariance(
        network=bundle.name,
        layers=watched,
        curves=curves,
        unit=unit,
        classes=bundle.classes if logits else (),
        truth=torch.cat(study.truth) if logits else None,
        untouched=torch.cat(study.untouched) if logits else None,
        labelled=labelled,
        border=border,
        data=f"{len(dataset)} pictures ({dataset.title})",
    )


class _Study:
    """What is gathered while batches of pictures go by."""

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
        self._spread(own)
        if self.logits:
            scores = own[self.logits]
            truth = scores.argmax(1) if labels is None else labels
            self.truth.append(truth)
            self.untouched.append(_of_class(scores, truth))
        for kind, values in strengths.items():
            distances, probabilities = [], []
            for value in values.tolist():
                seen = self._features(_WARPS[kind][0](images, value, self.border))
                apart = [(seen[name] - own[name]).norm(dim=1).double() for name in self.layers]
                distances.append(torch.stack(apart))
                if self.logits:
                    probabilities.append(_of_class(seen[self.logits], truth))
            self.distance[kind].append(torch.stack(distances, dim=2))
            if self.logits:
                self.probability[kind].append(torch.stack(probabilities, dim=1))

    def _features(self, images: Tensor) -> dict[str, Tensor]:
        return {name: maps.flatten(1) for name, maps in self.net.stream(images, self.read)}

    def _spread(self, own: dict[str, Tensor]) -> None:
        for name in self.layers:
            features = own[name].double()
            self.sums[name] = self.sums.get(name, 0) + features.sum(0)
            self.squares[name] += float(features.square().sum())
        self.count += len(own[self.layers[0]])

    def unit(self) -> Tensor:
        """(L,) the root mean square distance between two different pictures' features.

        The mean squared distance over all pairs is twice the variance, summed over the units.
        """
        n = self.count
        squared = [
            2 * (self.squares[name] - float(self.sums[name].square().sum()) / n) / (n - 1)
            for name in self.layers
        ]
        unit = torch.tensor(squared, dtype=torch.float64).clamp_min(0).sqrt()
        for name, value in zip(self.layers, unit.tolist(), strict=True):
            if value <= _ALIKE * (self.squares[name] / n) ** 0.5:
                raise DataError(
                    f"all {n} pictures are alike to `{name}`, so distances there have no measure; "
                    "give other pictures or leave the layer"
                )
        return unit


def _of_class(scores: Tensor, truth: Tensor) -> Tensor:
    """(B,) the probability of each picture's class."""
    return scores.double().softmax(1).gather(1, truth[:, None])[:, 0]


def _strengths(
    side: int,
    shifts: Sequence[float] | None,
    scales: Sequence[float] | None,
    angles: Sequence[float] | None,
) -> dict[str, Tensor]:
    """Kind -> (S,) rising strengths, those asked for or the usual ones for this height."""
    most = round(_SHARE * side)
    usual = {
        "translation": _distinct(torch.linspace(-most, most, _STEPS, dtype=torch.float64)),
        "scale": torch.linspace(1, 1.8, 9, dtype=torch.float64),
        "rotation": torch.arange(0, 361, 15, dtype=torch.float64),
    }
    for kind, asked in zip(usual, (shifts, scales, angles), strict=True):
        if asked is not None:
            usual[kind] = torch.tensor(sorted(asked), dtype=torch.float64)
        if not len(usual[kind]) or not usual[kind].isfinite().all():
            raise SettingError(f"the strengths of the {kind} must be one or more finite numbers")
    return usual


def _distinct(values: Tensor) -> Tensor:
    """The whole numbers nearest to some, each once, rising."""
    return torch.tensor(sorted(set(values.round().tolist())), dtype=values.dtype)


def _logits(net: Deconvnet, classes: Sequence[str]) -> str | None:
    """The network's last layer, if it is a score for each class."""
    name, layer = list(net.layers.items())[-1]
    is_flat = layer.size == (1, 1) and layer.stride == (0, 0)
    return name if is_flat and classes and layer.channels == len(classes) else None


def _watched(net: Deconvnet, layers: Sequence[str] | None, logits: str | None) -> tuple[str, ...]:
    if layers is None:
        ends = (*net.default_layers[:1], *net.default_layers[-1:], *((logits,) if logits else ()))
        layers = tuple(dict.fromkeys(ends))
    if not layers:
        raise SettingError("no layer is watched; name one or more")
    for name in layers:
        if name not in net.layers:
            raise unknown_layer(name, net.layers, "this model")
    return tuple(dict.fromkeys(layers))


def _examples(
    bundle: Bundle, image: Tensor, kind: str, strengths: Tensor, border: Border
) -> Pixels:
    """One picture at some of the strengths, from the first to the last."""
    chosen = _distinct(torch.linspace(0, len(strengths) - 1, _EXAMPLES)).long()
    warp = _WARPS[kind][0]
    some = [warp(image, value, border) for value in strengths[chosen].tolist()]
    return bundle.preprocessing.pixels(torch.cat(some))
