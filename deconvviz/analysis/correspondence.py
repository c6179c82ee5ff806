"""Correspondence: does the network relate the same part of different objects (Table 1)?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor

from deconvviz.analysis.inputs import batches, chosen_layers
from deconvviz.analysis.parts import MarkedPictures, draw_faces, read_parts
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Box, Deconvnet
from deconvviz.errors import PictureError
from deconvviz.io.bundle import Bundle
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import Positive, validated

_ROUNDING = 1e-5  # of a layer's largest feature; a smaller change is rounding
_FACES = 5  # as many pictures as in the paper's Table 1


@validated
class CorrespondenceOptions:
    """Options of the analysis of correspondence."""

    parts: str = "faces"
    """JSON file of marked pictures, see `read_parts`; or "faces" for drawn faces."""
    layers: tuple[str, ...] = ()
    """Layers to compare; by default the last convolution before its rectifier, and the output."""
    random_masks: Positive = 100
    """Number of random masks for each part."""


@dataclass(frozen=True, eq=False)
class Correspondence(Result):
    """Similarity of the features' changes when the same part is hidden in N pictures.

    Attributes:
        pictures: uint8 (N, H, W, 3).
        boxes: Part -> its box in each picture.
        layers: The L layers whose features are compared.
        distance: (P, L, N * (N - 1) / 2) distance of each pair, for each part and layer.
        random: (P, L, random_masks) mean over the pairs for masks of equal sizes at random places.
        moved: (P, L, random_masks) the same for the part's own masks, all moved by one random step.
        unchanged: (P, L) share of features that hiding the part does not change.
        random_unchanged: (P, L) the same for the random masks.
    """

    network: str
    title: str
    pictures: Pixels
    boxes: dict[str, tuple[Box, ...]]
    layers: tuple[str, ...]
    distance: Tensor
    random: Tensor
    moved: Tensor
    unchanged: Tensor
    random_unchanged: Tensor
    name = "correspondence"
    omitted = ("pictures",)
    derived = ("score", "spread", "chance", "moved_chance")

    @property
    def score(self) -> Tensor:
        """(P, L) the mean distance over the pairs, from 0 (alike) to 1."""
        return self.distance.mean(2)

    @property
    def spread(self) -> dict[str, dict[str, Tensor]]:
        """(P, L) means and standard deviations of the distances, over pairs or masks."""
        every = {"distance": self.distance, "random": self.random, "moved": self.moved}
        return {
            name: {
                "mean": one.mean(2),
                "deviation": one.std(2, correction=min(1, one.shape[2] - 1)),
            }
            for name, one in every.items()
        }

    @property
    def chance(self) -> Tensor:
        """(P, L) share of random masks with a distance as low, the part counted among them."""
        return _rank(self.score, self.random)

    @property
    def moved_chance(self) -> Tensor:
        """(P, L) the same for masks that are moved together."""
        return _rank(self.score, self.moved)


def correspondence(
    bundle: Bundle,
    marked: MarkedPictures | None = None,
    options: CorrespondenceOptions | None = None,
    *,
    seed: int = 0,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Correspondence:
    """Hide the same part in several pictures, and measure whether the features change alike.

    For picture i, e_i = f(x_i) - f(x_i with the part hidden) at one layer, all positions of all
    maps in one row. The distance of two pictures is the share of features in which sign(e_i) and
    sign(e_j) differ; the score is its mean over all pairs: the paper's sum of Hamming distances,
    independent of the numbers of pictures and features. The sign is -1, 0 or 1; a change below
    1e-5 of the layer's largest feature is rounding, and counts as 0.

    In rectified maps most features are zero with and without the part, so that the distance there
    mostly shows how many features a mask changes at all, and a mask on an empty background scores
    lowest. The default layers are therefore not rectified; `unchanged` and `random_unchanged`
    show how it is at others.

    There are two controls. Random masks have the same sizes at random places, in each picture its
    own, as in the paper (they may touch a part). But parts that lie at the same place in all
    pictures change the same positions of the maps, whatever they show: so in the second control
    all masks of a part are moved together, by one random step that keeps them inside. A part is
    related where its score is below both. Zeiler & Fergus (2014), section 4.3 and Table 1,
    arXiv:1311.2901; there layers 5 and 7, and 10 random masks.

    Without `marked`, the pictures are those that `options.parts` names. A hidden part shows the
    mean of the training pictures, zero in normalised units. Other arguments are as in `Inputs`.

    Raises:
        UnknownLayerError: The network has no such layer.
        PictureError: The pictures have another number of channels than the network's.
    """
    chosen = options or CorrespondenceOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = chosen_layers(net, chosen.layers, _signed_layers(net))
    if marked is None and chosen.parts == "faces":
        marked = draw_faces(_FACES, bundle.preprocessing, seed)
    elif marked is None:
        marked = read_parts(Path(chosen.parts), bundle.preprocessing)
    if marked.images.shape[1] != bundle.preprocessing.channels:
        raise PictureError(
            f"`{bundle.name}` takes {bundle.preprocessing.channels} channels, the pictures have "
            f"{marked.images.shape[1]}; read them with the network's own preprocessing"
        )
    comparison = _Comparison(net, marked.images, layers)
    generator = torch.Generator().manual_seed(seed)
    distance, random, moved, unchanged = [], [], [], list[Tensor]()
    size, count = marked.images.shape[2:], chosen.random_masks
    for part, boxes in marked.parts.items():
        true = torch.tensor([list(box) for box in boxes])
        elsewhere = _elsewhere(true, size, count, generator)
        together = _together(true, size, count, generator)
        masks = torch.cat([true[None], elsewhere, together])
        found, same = comparison.distances(masks, part, progress)
        distance.append(found[:, 0])
        random.append(found[:, 1 : count + 1].mean(2))
        moved.append(found[:, count + 1 :].mean(2))
        unchanged.append(torch.stack([same[:, 0], same[:, 1 : count + 1].mean(1)]))
    return Correspondence(
        network=bundle.name,
        title=marked.title,
        pictures=bundle.preprocessing.pixels(marked.images),
        boxes={part: tuple(boxes) for part, boxes in marked.parts.items()},
        layers=layers,
        distance=torch.stack(distance),
        random=torch.stack(random),
        moved=torch.stack(moved),
        unchanged=torch.stack(unchanged)[:, 0],
        random_unchanged=torch.stack(unchanged)[:, 1],
    )


def _signed_layers(net: Deconvnet) -> tuple[str, ...]:
    """The input of the last default layer's rectifier, where it has a name, and the output."""
    output = list(net.layers)[-1]
    for below in list(net.convolutions.values())[-1:]:
        name = below.norm or below.convolution
        if name in net.layers:
            return name, output
    return (output,)


class _Comparison:
    """N pictures with their features, compared with the same pictures masked."""

    def __init__(self, net: Deconvnet, images: Tensor, layers: tuple[str, ...]) -> None:
        self.net, self.images, self.layers = net, images, layers
        self.whole = self._features(images)
        self.rounding = {n: _ROUNDING * float(f.abs().max()) for n, f in self.whole.items()}
        self.pairs = torch.tensor(list(combinations(range(len(images)), 2)))

    def _features(self, images: Tensor) -> dict[str, Tensor]:
        streamed = self.net.stream(images, list(dict.fromkeys(self.layers)))
        return {name: maps.flatten(1) for name, maps in streamed}

    def distances(
        self, boxes: Tensor, title: str, progress: Progress | None
    ) -> tuple[Tensor, Tensor]:
        """(L, K, pairs) distances, (L, K) unchanged shares under K sets of masks (K, N, 4)."""
        count, (height, width) = len(self.images), self.images.shape[2:]
        found, same = [], []
        together = (count * height, width)  # one pass takes whole sets
        for rows in batches(len(boxes), together, title, progress=progress):
            hidden = _inside(boxes[rows], (height, width)).to(self.images.device)
            masked = self.images.masked_fill(hidden[:, :, None], 0).flatten(0, 1)
            features = self._features(masked)
            signs = [self._signs(name, features[name]) for name in self.layers]
            found.append(torch.stack([self._differing(sign) for sign in signs]))
            same.append(torch.stack([(sign == 0).float().mean((1, 2)) for sign in signs]))
        return torch.cat(found, 1).cpu(), torch.cat(same, 1).cpu()

    def _signs(self, layer: str, masked: Tensor) -> Tensor:
        """(K, N, D) int8 sign of each feature's change under the mask."""
        change = self.whole[layer] - masked.view(-1, *self.whole[layer].shape)
        change = change.masked_fill(change.abs() <= self.rounding[layer], 0)
        return change.sign().to(torch.int8)

    def _differing(self, signs: Tensor) -> Tensor:
        """(K, pairs) share of features whose signs differ."""
        return torch.stack(
            [(signs[:, i] != signs[:, j]).float().mean(1) for i, j in self.pairs.tolist()], 1
        )


def _inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 4) boxes -> (..., H, W) bool: pixels inside."""
    top, left, bottom, right = boxes[..., None].unbind(-2)
    y, x = (torch.arange(length) for length in size)
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    return rows[..., :, None] & columns[..., None, :]


def _elsewhere(
    boxes: Tensor, size: Sequence[int], count: int, generator: torch.Generator
) -> Tensor:
    """(count, N, 4) boxes of the same sizes at uniformly random places in the pictures."""
    sides = boxes[:, 2:] - boxes[:, :2]
    free = torch.tensor(list(size)) - sides + 1
    corner = (torch.rand(count, len(boxes), 2, generator=generator) * free).long()
    corner = torch.minimum(corner, free - 1)  # rand() * n may round up to n
    return torch.cat([corner, corner + sides], dim=2)


def _together(boxes: Tensor, size: Sequence[int], count: int, generator: torch.Generator) -> Tensor:
    """(count, N, 4) all boxes moved by one random step that keeps all inside."""
    least = -boxes[:, :2].amin(0)
    free = torch.tensor(list(size)) - boxes[:, 2:].amax(0) - least + 1
    step = torch.minimum((torch.rand(count, 2, generator=generator) * free).long(), free - 1)
    return boxes + (step + least).repeat(1, 2)[:, None]


def _rank(score: Tensor, chance: Tensor) -> Tensor:
    """Share of chance values that are as low as the score, itself counted among them."""
    return ((chance <= score[:, :, None]).sum(2) + 1) / (chance.shape[2] + 1)


ANALYSIS = Analysis(
    title="Correspondence",
    question="The same part, an eye or the mouth, is hidden in several pictures. Do the features "
    "change alike, more than when random places are hidden? Parts are marked in a JSON file; drawn "
    "faces are an example.",
    source="Table 1",
    needs=("network",),
    function=correspondence,
    quick={"random_masks": 30},
)
