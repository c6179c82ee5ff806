"""Depth: how well a linear classifier does on the features of each layer (Table 7)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from torch import Tensor
from torch.nn import functional

from deconvviz.analysis.batches import batches
from deconvviz.analysis.linear import fit_held_out
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, plot
from deconvviz.progress import Progress, track
from deconvviz.training import evaluate

__all__ = ["Depth", "LayerAccuracy", "depth"]

_PENALTIES = (1.0, 0.1, 0.01, 0.001)
_HELD_OUT = 0.2


@dataclass(frozen=True)
class LayerAccuracy:
    """A linear classifier on one layer's features.

    Attributes:
        layer: The layer's name.
        features: How many features it has after pooling.
        accuracy: On the test pictures, in [0, 1].
        training_accuracy: On the pictures that it was fitted on.
        penalty: The one that was chosen.
        gradient: The largest magnitude in the gradient of its objective; zero at the optimum.
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
        network: Its name.
        rows: One a layer, from the pixels up.
        grid: Maps were averaged to at most this many rows and columns.
        training: How many pictures the classifiers were fitted on.
        test: How many they were measured on.
        data: What the pictures are.
        chance: The accuracy of always naming the most frequent class of the training pictures.
        own: The network's own accuracy on the test pictures, where it knows their classes.
    """

    network: str
    rows: tuple[LayerAccuracy, ...]
    grid: int
    training: int
    test: int
    data: str
    chance: float
    own: float | None
    name = "depth"

    def standard_error(self, accuracy: float) -> float:
        """Of an accuracy on this many test pictures (binomial)."""
        return math.sqrt(accuracy * (1 - accuracy) / self.test)

    def to_dict(self) -> dict[str, Any]:
        """Every number, a row a layer."""
        return {
            "network": self.network,
            "data": self.data,
            "training pictures": self.training,
            "test pictures": self.test,
            "pooled to": [self.grid, self.grid],
            "chance": self.chance,
            "network's own accuracy": self.own,
            "layers": [
                {**vars(row), "standard_error": self.standard_error(row.accuracy)}
                for row in self.rows
            ],
        }

    def summary(self) -> str:
        """Accuracy by depth, and chance."""
        told = ", ".join(
            f"{row.layer} {row.accuracy:.1%} ({row.features} features)" for row in self.rows
        )
        error = max(self.standard_error(row.accuracy) for row in self.rows)
        own = f"; the network itself {self.own:.1%}" if self.own is not None else ""
        return (
            f"A linear classifier on each depth, fitted on {self.training} pictures and measured "
            f"on {self.test} ({self.data}), standard error at most {error:.1%}: {told}; chance "
            f"{self.chance:.1%}{own}."
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """Accuracy by depth, with 95 % intervals, chance and the network's own accuracy."""
        figure, axes = plot(1.8 + 0.7 * len(self.rows), 3.4, ink)
        places = range(len(self.rows))
        accuracy = [row.accuracy for row in self.rows]
        errors = [1.96 * self.standard_error(value) for value in accuracy]
        axes.errorbar(
            places, accuracy, errors, color=ACCENTS[0], marker="o", markersize=5, label="test"
        )
        fitted = [row.training_accuracy for row in self.rows]
        axes.plot(places, fitted, ":", color=ACCENTS[0], label="as fitted")
        if self.own is not None:
            axes.axhline(self.own, color=ACCENTS[1], linewidth=1, label="the network itself, test")
        axes.axhline(self.chance, color=ink, linewidth=1, linestyle="--", label="chance")
        labels = [f"{row.layer}\n{row.features}" for row in self.rows]
        axes.set_xticks(places, labels, rotation=30, ha="right", rotation_mode="anchor")
        axes.set_xlabel("layer, and its number of features")
        axes.set_ylabel("accuracy of a linear classifier")
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.legend(frameon=False, labelcolor=ink, fontsize=8, loc="lower right")
        return figure


def depth(
    bundle: Bundle,
    training: Dataset,
    test: Dataset,
    layers: Sequence[str] | None = None,
    *,
    grid: int = 2,
    penalties: Sequence[float] = _PENALTIES,
    seed: int = 0,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Depth:
    """Fit a linear classifier on the features of each layer.

    Features are a layer's maps averaged to `grid` x `grid` (adaptive pooling; smaller maps stay as
    they are), each standardised by the training pictures. The classifier is a multinomial logistic
    regression with an L2 penalty, which is chosen on a fifth of the training pictures and fitted
    again on all; the test pictures are only measured. Zeiler & Fergus (2014), section 5.3 and
    Table 7, arXiv:1311.2901, who take linear support vector machines and softmax.

    Where the network was trained on these same training pictures, its upper layers separate them
    better than new pictures, and the penalty is chosen too small: then fit on others.

    All features are held in memory: layers x pictures x features x 4 bytes.

    Args:
        bundle: The network; its preprocessing takes the pictures.
        training: To fit on.
        test: To measure on; other pictures of the same classes.
        layers: By default all `Deconvnet.default_layers`.
        grid: Rows and columns that maps are averaged to.
        penalties: On half the sum of squared weights, those that are tried.
        seed: Of the pictures that the penalty is chosen on.
        net: The bundle's `Deconvnet`, where there is one already.
        progress: Told how far it is.

    Raises:
        DataError: The two sets have different classes, fewer than two, or too few pictures.
        SettingError: No such grid, penalty or choice of layers can be.
        UnknownLayerError: The network has no such layer.
    """
    _check(training, test, grid, penalties)
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = net.default_layers if layers is None else tuple(layers)
    if not layers:
        raise SettingError("no layers to classify from; name some that `deconvviz layers` lists")
    fitted, measured = (
        _features(net, bundle, data, layers, grid, progress=progress) for data in (training, test)
    )
    labels, classes = training.labels.cpu(), len(training.classes)
    rows = []
    for layer in track(layers, "classifiers", progress):
        found = fit_held_out(fitted[layer], labels, classes, penalties, _HELD_OUT, seed)
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
        own = evaluate(
            bundle.model, test, bundle.preprocessing.mean, bundle.preprocessing.std
        ).accuracy
    return Depth(
        network=bundle.name,
        rows=tuple(rows),
        grid=grid,
        training=len(training),
        test=len(test),
        data=test.title,
        chance=float((test.labels == frequent).double().mean()),
        own=own,
    )


def _check(training: Dataset, test: Dataset, grid: int, penalties: Sequence[float]) -> None:
    if training.classes != test.classes or len(training.classes) < 2:
        raise DataError(
            f"cannot classify: training and test pictures have {len(training.classes)} and "
            f"{len(test.classes)} classes; give two parts of one data set, with two or more"
        )
    if not len(test) or not len(training):
        raise DataError(
            f"{len(training)} pictures to fit on and {len(test)} to measure on show nothing; give "
            "some of both"
        )
    if grid < 1 or not penalties or min(penalties) <= 0:
        raise SettingError(
            f"grid {grid} and penalties {list(penalties)} cannot be; the grid is 1 or more, and "
            "penalties are above zero"
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
    height, width = data.images.shape[2:]
    for rows in batches(len(data), (height, width), "features", progress=progress):
        for layer, maps in net.stream(bundle.preprocessing.normalised(data.images[rows]), layers):
            size = (min(grid, maps.shape[2]), min(grid, maps.shape[3]))
            pooled = functional.adaptive_avg_pool2d(maps, size)
            parts[layer].append(pooled.flatten(1).float().cpu())
    return {layer: torch.cat(part) for layer, part in parts.items()}
