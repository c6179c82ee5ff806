"""Depth: how well a linear classifier does on the features of each layer (Table 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from deconvviz.analysis.inputs import batches, chosen_layers
from deconvviz.analysis.linear import fit_held_out
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset, train_test_split
from deconvviz.progress import Progress, track
from deconvviz.schema import Positive, validated
from deconvviz.training import evaluate

_HELD_OUT = 0.2


@validated
class DepthOptions:
    """Options of the classification by depth."""

    fit_on: Literal["test", "training"] = "test"
    """Pictures to fit on. test: a half of the test pictures, which the network was not trained on,
    measured on the other half. training: the training pictures, measured on the test pictures; the
    upper layers separate those better than new ones."""
    layers: tuple[str, ...] = ()
    """Layers to classify from; by default the rectified map after each convolution."""
    grid: Positive = 2
    """Number of rows and of columns that maps are averaged to."""
    penalties: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (
        1.0,
        0.1,
        0.01,
        0.001,
    )
    """L2 penalties to select from, as weights of half the sum of squares."""


@dataclass(frozen=True)
class LayerAccuracy:
    """A linear classifier on one layer's features.

    Attributes:
        features: Number of features after pooling.
        accuracy: Accuracy on the pictures that are measured, in [0, 1].
        training_accuracy: Accuracy on the pictures of the fit, in [0, 1].
        gradient: Largest magnitude in the gradient of the objective; zero at the optimum.
    """

    layer: str
    features: int
    accuracy: float
    training_accuracy: float
    penalty: float
    gradient: float


@dataclass(frozen=True)
class Depth(Result):
    """Linear classifiers on the features of rising depth.

    Attributes:
        rows: One row for each layer, lowest first.
        grid: Largest number of rows and columns of the averaged maps.
        fit_on: "test" if the pictures of the fit are test pictures, which the network was not
            trained on; "training" if it may have been trained on them.
        training: Number of pictures of the fit.
        test: Number of pictures that accuracy was measured on; none of them is in the fit.
        data: Title of the test pictures.
        chance: Accuracy of always naming the most frequent class of the fit.
        own: The network's own accuracy on the measured pictures; None if it has other classes.
    """

    network: str
    rows: tuple[LayerAccuracy, ...]
    grid: int
    fit_on: str
    training: int
    test: int
    data: str
    chance: float
    own: float | None
    name = "depth"
    derived = ("standard_errors",)

    def standard_error(self, accuracy: float) -> float:
        """Binomial standard error of an accuracy on this number of test pictures."""
        return math.sqrt(accuracy * (1 - accuracy) / self.test)

    @property
    def standard_errors(self) -> list[float]:
        """Standard error of each layer's accuracy."""
        return [self.standard_error(row.accuracy) for row in self.rows]


def depth(
    bundle: Bundle,
    training: Dataset,
    test: Dataset,
    options: DepthOptions | None = None,
    *,
    seed: int = 0,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Depth:
    """Fit a linear classifier on the features of each layer.

    Features are a layer's maps averaged to `grid` x `grid` (adaptive pooling; smaller maps stay as
    they are), each standardised by the pictures of the fit. The classifier is a multinomial
    logistic regression with an L2 penalty, which is chosen on a fifth of the pictures of the fit
    and fitted again on all of these; others are only measured. Zeiler & Fergus (2014), section 5.3
    and Table 7, arXiv:1311.2901, who take linear support vector machines and softmax, and other
    data sets than the network was trained on.

    For the same reason it is by default fitted on a half of the test pictures: a network's upper
    layers separate the pictures that it was trained on better than new ones, and the penalty that
    is chosen on them is too small. `training` is then not looked at.

    All features are held in memory: layers x pictures x features x 4 bytes.

    `training` and `test` are different pictures of the same classes; `seed` chooses the half, and
    other arguments are as in `Inputs`.

    Raises:
        DataError: The two sets have different classes, fewer than two, or too few pictures.
        UnknownLayerError: The network has no such layer.
    """
    chosen = options or DepthOptions()
    if training.classes != test.classes or len(training.classes) < 2:
        raise DataError(
            f"training and test pictures have {len(training.classes)} and {len(test.classes)} "
            "classes; give two parts of one data set with two classes or more"
        )
    if not len(test) or not len(training):
        raise DataError(f"need training and test pictures, got {len(training)} and {len(test)}")
    if chosen.fit_on == "test":
        training, test = train_test_split(test, 0.5, seed)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = chosen_layers(net, chosen.layers, net.default_layers)
    fitted, measured = (
        _features(net, bundle, data, layers, chosen.grid, progress=progress)
        for data in (training, test)
    )
    labels, classes = training.labels.cpu(), len(training.classes)
    rows = []
    for layer in track(layers, "classifiers", progress):
        found = fit_held_out(fitted[layer], labels, classes, chosen.penalties, _HELD_OUT, seed)
        rows.append(
            LayerAccuracy(
                layer=layer,
                features=fitted[layer].shape[1],
                accuracy=found.accuracy(measured[layer], test.labels.cpu()),
                training_accuracy=found.accuracy(fitted[layer], labels),
                penalty=found.penalty,
                gradient=found.gradient,
            )
        )
    frequent = int(torch.bincount(labels).argmax())
    own = None
    if bundle.classes == test.classes:
        preprocessing = bundle.preprocessing
        own = evaluate(bundle.model, test, preprocessing.mean, preprocessing.std).accuracy
    return Depth(
        network=bundle.name,
        rows=tuple(rows),
        grid=chosen.grid,
        fit_on=chosen.fit_on,
        training=len(training),
        test=len(test),
        data=test.title,
        chance=float((test.labels == frequent).double().mean()),
        own=own,
    )


def _features(
    net: Deconvnet,
    bundle: Bundle,
    data: Dataset,
    layers: Sequence[str],
    grid: int,
    *,
    progress: Progress | None,
) -> dict[str, Tensor]:
    """Layer -> (N, D) float32 on the CPU, its maps averaged to at most `grid` x `grid`."""
    parts: dict[str, list[Tensor]] = {layer: [] for layer in layers}
    for rows in batches(len(data), data.images.shape[2:], "features", progress=progress):
        for layer, maps in net.stream(bundle.preprocessing.normalised(data.images[rows]), layers):
            size = (min(grid, maps.shape[2]), min(grid, maps.shape[3]))
            pooled = functional.adaptive_avg_pool2d(maps, size)
            parts[layer].append(pooled.flatten(1).float().cpu())
    return {layer: torch.cat(part) for layer, part in parts.items()}


ANALYSIS = Analysis(
    title="Depth",
    question="How well does a linear classifier do on the features of each layer? It is fitted on "
    "a half of the test pictures, which the network was not trained on.",
    source="Table 7",
    needs=("network", "training data"),
    function=depth,
    defaults={"test": 0},
)
