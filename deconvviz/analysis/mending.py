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
    """One layer's units, for W wrong answers.

    Attributes:
        mended: Choice of units -> (W, most) bool, whether the answer is right without the first
            1, 2, ... units.
    """

    layer: str
    mended: dict[str, Tensor]
    derived = ("share",)

    @property
    def share(self) -> dict[str, list[float]]:
        """Choice of units -> the share of answers mended by at most 1, 2, ... units."""
        return {
            name: one.long().cummax(1).values.float().mean(0).tolist()
            for name, one in self.mended.items()
        }


@dataclass(frozen=True, eq=False)
class Mending(Result):
    """Wrong answers without some units.

    Attributes:
        pictures: (W,) int64 numbers of the pictures in the data.
        truth: (W,) int64 their classes.
        answer: (W,) int64 the network's answers.
        tried: Pictures that were classified to find them.
        data: Number of pictures and title of the data.
    """

    network: str
    data: str
    tried: int
    pictures: Tensor
    truth: Tensor
    answer: Tensor
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
    it says whether the units that are named do cause the mistake.

    Arguments are as in `Inputs`.

    Raises:
        DataError: The classes are not the network's, or it makes no mistake.
        UnknownLayerError: The network has no such layer.
        SelectionError: No layer gives the class scores.
    """
    chosen = options or MendingOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = chosen_layers(net, chosen.layers, net.default_layers[-1:])
    check_dataset(bundle, dataset)
    if bundle.classes != dataset.classes:
        raise DataError(
            f"the classes of {dataset.title} are not those of `{bundle.name}`, so that no answer "
            "is right or wrong; name the data that it was trained on"
        )
    model = ClassScores(net, bundle.preprocessing.normalised(dataset.images[:1]))
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(dataset), generator=generator)
    pictures, answers, tried = _mistakes(bundle, model, dataset, order, chosen.wrong, progress)
    truth = dataset.labels[pictures]
    found: dict[str, dict[str, list[Tensor]]] = {
        layer: {choice: [] for choice in CHOICES} for layer in layers
    }
    for layer in layers:
        size = dataset.images.shape[2:]
        for rows in batches(len(pictures), size, f"without {layer}", progress=progress):
            images = bundle.preprocessing.normalised(dataset.images[pictures[rows]])
            for choice, order in _orders(
                model, images, layer, answers[rows], truth[rows], generator
            ).items():
                off = torch.zeros_like(order, dtype=torch.bool)
                mended = []
                for units in order[:, : chosen.most].T:
                    # where no unit is left to be switched off, the answer stays as it is
                    unit = one_hot(units.clamp(min=0), order.shape[1]).bool()
                    off = off | unit & (units >= 0)[:, None]
                    mended.append(model.without(images, {layer: off}).argmax(1) == truth[rows])
                found[layer][choice].append(torch.stack(mended, dim=1))
    return Mending(
        network=bundle.name,
        data=title_of(dataset),
        tried=tried,
        pictures=pictures,
        truth=truth,
        answer=answers,
        layers=tuple(
            LayerMending(layer, {name: torch.cat(parts) for name, parts in each.items()})
            for layer, each in found.items()
        ),
    )


def _mistakes(
    bundle: Bundle,
    model: ClassScores,
    dataset: Dataset,
    order: Tensor,
    most: int,
    progress: Progress | None,
) -> tuple[Tensor, Tensor, int]:
    """Numbers of the first pictures with a wrong answer, the answers, and how many were tried."""
    pictures, answers, tried, count = [], [], 0, 0
    for rows in batches(len(order), dataset.images.shape[2:], "answers", progress=progress):
        some = order[rows]
        answer = model.without(bundle.preprocessing.normalised(dataset.images[some]), {}).argmax(1)
        wrong = torch.nonzero(answer != dataset.labels[some]).flatten()[: most - count]
        pictures.append(some[wrong])
        answers.append(answer[wrong])
        count += len(wrong)
        tried = rows.start + int(wrong[-1]) + 1 if count == most else rows.stop
        if count == most:
            break
    if not count:
        raise DataError(f"`{bundle.name}` makes no mistake in {title_of(dataset)}; use more")
    return torch.cat(pictures), torch.cat(answers), tried


def _orders(
    model: ClassScores,
    images: Tensor,
    layer: str,
    answer: Tensor,
    truth: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Choice -> (N, channels) units in the order in which they are switched off; -1: none."""
    recording = model.net.record(images, [layer])
    activation = recording[layer].amax((2, 3))
    contribution = model.contributions(images, layer, answer, truth).sum((2, 3))
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
