"""Scores of a trained classifier: accuracy, calibration and robustness."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from deconvviz.analysis.clarity import ClarityOptions, clarity
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError
from deconvviz.io.data import Dataset
from deconvviz.io.zoo import load
from deconvviz.progress import Progress, track
from deconvviz.study.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from deconvviz.training.evaluate import evaluate, predict

_CLARITY_PICTURES = 250

BINS = 15
"""Bins of confidence, as in Guo et al. (2017)."""


@dataclass(frozen=True)
class Scores:
    """Scores of a classifier on a data set.

    Attributes:
        accuracy: Share of pictures that got their class, in [0, 1].
        nll: Mean cross-entropy, in nats.
        ece: `calibration_error` of its decisions.
    """

    accuracy: float
    nll: float
    ece: float


def score(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    batch_size: int = 500,
) -> Scores:
    """Classify every picture once, as it is, in float32; arguments as for `predict`.

    Raises:
        DataError: There are no pictures, or they do not fit the model.
    """
    _refuse_empty(dataset)
    confidence, correct, entropy = [], [], []
    for logits, labels in predict(model, dataset, mean, std, batch_size=batch_size):
        surprise = -logits.cpu().double().log_softmax(1)
        least, decided = surprise.min(1)
        confidence.append((-least).exp())
        correct.append(decided == labels.cpu())
        entropy.append(surprise.gather(1, labels.cpu()[:, None])[:, 0])
    right = torch.cat(correct)
    return Scores(
        accuracy=right.double().mean().item(),
        nll=torch.cat(entropy).mean().item(),
        ece=calibration_error(torch.cat(confidence), right),
    )


def calibration_error(confidence: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """The expected calibration error: how far confidence is from accuracy (arXiv:1706.04599).

    Decisions are put into bins of equal width by their confidence, each bin with its upper edge. In
    each, the share of right decisions is compared with the mean confidence; the error is the mean
    size of these differences, weighted by the number of decisions.

    Args:
        confidence: (N,) probability that a classifier gives to the class that it decides for.
        correct: (N,) bool, whether that is the true class.
        bins: Number of bins.

    Returns:
        In [0, 1]; 0 where each bin is as often right as it is confident.

    Raises:
        DataError: There are no decisions.
    """
    if not len(confidence):
        raise DataError("no decisions, so no calibration error; give at least one picture")
    confidence = confidence.double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add(0, place, correct.double() - confidence)
    return gap.abs().sum().item() / len(confidence)


def robustness(
    model: nn.Module,
    dataset: Dataset,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, tuple[float, ...]]:
    """Accuracy on corrupted pictures, the same ones for every network.

    Arguments are as for `score`; `seed` is that of what is random in the corruptions.

    Returns:
        Name of the corruption -> accuracy at each of `SEVERITIES`.

    Raises:
        DataError: There are no pictures, they do not fit the model, or JPEG cannot hold them.
    """
    _refuse_empty(dataset)
    steps = [(name, severity) for name in CORRUPTIONS for severity in SEVERITIES]
    found: dict[str, tuple[float, ...]] = dict.fromkeys(CORRUPTIONS, ())
    for name, severity in track(steps, "robustness", progress):
        images = corrupted(dataset.images, name, severity, seed)
        worse = replace(dataset, images=images, labels=dataset.labels.cpu())
        found[name] = (*found[name], evaluate(model, worse, mean, std).accuracy)
    return found


def _refuse_empty(dataset: Dataset) -> None:
    if not len(dataset):
        raise DataError(f"`{dataset.title}` has no pictures to measure; give at least one")


def clarity_of(checkpoint: Path, test: Dataset) -> dict[str, dict[str, float]]:
    """Layer -> means of the analysis `clarity` over its units, of the last two default layers."""
    bundle = load(checkpoint)
    net = Deconvnet(bundle.model, bundle.input_size)
    some = test.subset(range(0, len(test), max(1, len(test) // _CLARITY_PICTURES)))
    options = ClarityOptions(layers=net.default_layers[-2:], random_weights=False)
    (found,) = clarity(bundle, some, options, net=net).networks
    return {one.layer: one.mean for one in found.layers}
