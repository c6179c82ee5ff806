"""Mending: does a wrong answer become right when the units that are said to cause it are off?"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from deconvviz.analysis.contributions import ClassScores
from deconvviz.analysis.inputs import batches, chosen_layers, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import Positive, validated

CHOICES = ("contribution", "activation", "random")
"""How units are chosen: by what they contribute to the mistake, by activation, at random."""


@validated
class MendingOptions:
    """Options of the analysis of wrong answers."""

    layers: tuple[str, ...] = ()
    """Layers whose units are switched off; by default the last rectified one."""
    wrong: Positive = 200
    """Maximum number of wrong answers."""
    most: Positive = 3
    """At most so many units are switched off."""


@dataclass(frozen=True, eq=False)
class LayerMending:
    """One layer's units, for W wrong answers and R right ones.

    Attributes:
        mended: Choice of units -> (W, most) bool, whether the answer is right without the first
            1, 2, ... units.
        broken: Choice of units -> (R, most) bool, whether a right answer is wrong without them.
    """

    layer: str
    mended: dict[str, Tensor]
    broken: dict[str, Tensor]
    derived = ("share", "broken_share")

    @property
    def share(self) -> dict[str, list[float]]:
        """Choice of units -> the share of wrong answers that are right by step 1, 2, ..."""
        return {name: _at_some_step(one) for name, one in self.mended.items()}

    @property
    def broken_share(self) -> dict[str, list[float]]:
        """Choice of units -> the share of right answers that are wrong by then."""
        return {name: _at_some_step(one) for name, one in self.broken.items()}


def _at_some_step(happened: Tensor) -> list[float]:
    shares: list[float] = happened.long().cummax(1).values.float().mean(0).tolist()
    return shares


@dataclass(frozen=True, eq=False)
class Mending(Result):
    """Wrong answers, and as many right ones, without some units.

    Attributes:
        pictures: (W,) int64 numbers of the pictures in the data.
        truth: (W,) int64 their classes.
        answer: (W,) int64 the network's answers.
        right: (R,) int64 numbers of the pictures with a right answer.
        tried: Pictures that were classified to find them.
        data: Number of pictures and title of the data.
    """

    network: str
    data: str
    tried: int
    pictures: Tensor
    truth: Tensor
    answer: Tensor
    right: Tensor
    layers: tuple[LayerMending, ...]
    name = "mending"


def mending(
    bundle: Bundle,
    dataset: Dataset,
    options: MendingOptions | None = None,
    *,
    net: Deconvnet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Mending:
    """Switch units off in pictures that a network gets wrong, and count the answers that mend.

    Pictures are tried in a random order until enough answers are wrong. For each, up to `most`
    units of a layer are set to zero: those with the highest contribution to the wrong class's score
    less the right one's (see `why`), those with the highest activation, and as many at random among
    the active ones. Contributions are those of the whole network; they are not computed anew after
    each unit. The right class is used to choose the units, so this is no way to a better network:
    it says whether the units that are named do decide the answer. For comparison, the same is done
    to as many of the right answers, against the second most probable class.

    Arguments are as in `Inputs`.

    Raises:
        DataError: The classes are not the network's, or it makes no mistake.
        UnknownLayerError: The network has no such layer.
        SelectionError: No layer gives the class scores.
    """
    chosen = options or MendingOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = chosen_layers(net, chosen.layers, net.default_layers[-1:])
    _check_classes(bundle, dataset)
    model = ClassScores(net, bundle.preprocessing.normalised(dataset.images[:1]))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset), generator=generator)
    wrong, right, tried = _answers(bundle, model, dataset, order, chosen.wrong, progress)
    found = []
    for layer in layers:
        switch = _Switch(bundle, model, dataset, layer, chosen.most, generator)
        mended, kept = (switch.right(some, progress) for some in (wrong, right))
        broken = {name: ~one for name, one in kept.items()}
        found.append(LayerMending(layer, mended, broken))
    return Mending(
        network=bundle.name,
        data=title_of(dataset),
        tried=tried,
        pictures=wrong.numbers,
        truth=wrong.truth,
        answer=wrong.answer,
        right=right.numbers,
        layers=tuple(found),
    )


def _check_classes(bundle: Bundle, dataset: Dataset) -> None:
    check_dataset(bundle, dataset)
    if bundle.classes != dataset.classes:
        raise DataError(
            f"the classes of {dataset.title} are not those of `{bundle.name}`, so that no answer "
            "is right or wrong; name the data that it was trained on"
        )


@dataclass(frozen=True, eq=False)
class _Pictures:
    """Some pictures: numbers in the data, classes, answers, and the classes to compare with."""

    numbers: Tensor
    truth: Tensor
    answer: Tensor
    against: Tensor


def _answers(
    bundle: Bundle,
    model: ClassScores,
    dataset: Dataset,
    order: Tensor,
    most: int,
    progress: Progress | None,
) -> tuple[_Pictures, _Pictures, int]:
    """The first pictures with a wrong answer, as many with a right one, and how many were tried."""
    likely, tried = [], 0
    for rows in batches(len(order), dataset.images.shape[2:], "answers", progress=progress):
        scores = model.without(bundle.preprocessing.normalised(dataset.images[order[rows]]), {})
        likely.append(scores.topk(2).indices)
        tried = rows.stop
        if int((torch.cat(likely)[:, 0] != dataset.labels[order[:tried]]).sum()) >= most:
            break
    both, numbers = torch.cat(likely), order[:tried]
    truth = dataset.labels[numbers]
    is_right = both[:, 0] == truth
    if is_right.all():
        raise DataError(f"`{bundle.name}` makes no mistake in {title_of(dataset)}; use more")
    wrong = torch.nonzero(~is_right).flatten()[:most]
    right = torch.nonzero(is_right).flatten()[: len(wrong)]
    last = int(wrong[-1]) + 1 if len(wrong) == most else tried
    return (
        _Pictures(numbers[wrong], truth[wrong], both[wrong, 0], truth[wrong]),
        _Pictures(numbers[right], truth[right], both[right, 0], both[right, 1]),
        last,
    )


@dataclass(frozen=True, eq=False)
class _Switch:
    """Switches units of a layer off, one more at a time."""

    bundle: Bundle
    model: ClassScores
    dataset: Dataset
    layer: str
    most: int
    generator: torch.Generator

    def right(self, some: _Pictures, progress: Progress | None) -> dict[str, Tensor]:
        """Choice of units -> (N, most) bool, whether it is right without 1, 2, ... units."""
        found: dict[str, list[Tensor]] = {choice: [] for choice in CHOICES}
        size, title = self.dataset.images.shape[2:], f"without {self.layer}"
        for rows in batches(len(some.numbers), size, title, progress=progress):
            pixels = self.dataset.images[some.numbers[rows]]
            images = self.bundle.preprocessing.normalised(pixels)
            classes = some.answer[rows], some.against[rows]
            orders = _orders(self.model, images, self.layer, *classes, self.generator)
            for choice, order in orders.items():
                steps = [self._scores(images, order[:, :n]) for n in range(1, self.most + 1)]
                answers = torch.stack([one.argmax(1) for one in steps], dim=1)
                found[choice].append(answers == some.truth[rows, None])
        return {name: torch.cat(parts) for name, parts in found.items()}

    def _scores(self, images: Tensor, units: Tensor) -> Tensor:
        """The scores without some units, (N, units) their numbers; -1: no unit is left."""
        count = self.model.net.layers[self.layer].channels
        each = one_hot(units.clamp(min=0), count).bool() & (units >= 0)[:, :, None]
        return self.model.without(images, {self.layer: each.any(1)})


def _orders(
    model: ClassScores,
    images: Tensor,
    layer: str,
    answer: Tensor,
    against: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Choice -> (N, channels) units in the order in which they are switched off; -1: none."""
    recording = model.net.record(images, [layer])
    activation = recording[layer].amax((2, 3))
    contribution = model.contributions(images, layer, answer, against).sum((2, 3))
    chance = torch.rand(activation.shape, generator=generator).masked_fill(activation <= 0, -1)
    found = {}
    for choice, value in zip(CHOICES, (contribution, activation, chance), strict=True):
        sorted_values, order = value.sort(dim=1, descending=True, stable=True)
        found[choice] = order.masked_fill(sorted_values <= 0, -1)
    return found


ANALYSIS = Analysis(
    title="Mending wrong answers",
    question="Does a wrong answer become right when the units that contribute most to it are "
    "switched off, more often than without random or the strongest ones?",
    source="activation × gradient; units set to zero",
    needs=("network", "dataset"),
    function=mending,
    on_page=False,
    defaults={"data": "cifar10", "count": 5000},
)
