"""Correspondence: does the network relate the same part of different objects (Table 1)?"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle as Outline
from torch import Tensor

from deconvviz.analysis.batches import batches
from deconvviz.analysis.parts import MarkedPictures
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import PictureError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.preprocess import Box
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, Pixels, picture_on, quiet
from deconvviz.progress import Progress

__all__ = ["Correspondence", "correspondence"]

_ROUNDING = 1e-5  # of a layer's largest feature; below it, a change is no change
_SHOWN = 6  # pictures in the figure
_COLOURS = (*ACCENTS, "#009e73", "#cc79a7", "#e8d444", "#7a5fb5")


@dataclass(frozen=True, eq=False)
class Correspondence(Result):
    """How alike the features change when the same part is hidden in N pictures.

    Attributes:
        network: Its name.
        title: What the pictures are.
        pictures: uint8 (N, H, W, 3).
        boxes: Part -> where it is in each picture.
        layers: The L layers whose features are compared.
        distance: (P, L, N * (N - 1) / 2), for each part and layer the distance of each pair.
        random: (P, L, draws), the mean over the pairs for masks of equal sizes, each elsewhere.
        moved: (P, L, draws), the same for the part's own masks, all moved alike.
        unchanged: (P, L) the share of features that hiding the part leaves as they are.
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

    @property
    def score(self) -> Tensor:
        """(P, L) the mean distance over the pairs, from 0 (alike) to 1."""
        return self.distance.mean(2)

    @property
    def chance(self) -> Tensor:
        """(P, L) how often random masks are at least as alike, the part counted among them."""
        return _rank(self.score, self.random)

    @property
    def moved_chance(self) -> Tensor:
        """(P, L) the same for masks that are moved alike."""
        return _rank(self.score, self.moved)

    def to_dict(self) -> dict[str, Any]:
        """Mean distance, its deviation over pairs, and that of random masks over draws."""
        rows = [
            {
                "part": part,
                "layer": layer,
                "distance": float(self.score[p, nth]),
                "deviation over pairs": _deviation(self.distance[p, nth]),
                "random": float(self.random[p, nth].mean()),
                "deviation over draws": _deviation(self.random[p, nth]),
                "share of draws as low": float(self.chance[p, nth]),
                "moved alike": float(self.moved[p, nth].mean()),
                "deviation over moves": _deviation(self.moved[p, nth]),
                "share of moves as low": float(self.moved_chance[p, nth]),
                "unchanged features": float(self.unchanged[p, nth]),
                "unchanged by random masks": float(self.random_unchanged[p, nth]),
            }
            for p, part in enumerate(self.boxes)
            for nth, layer in enumerate(self.layers)
        ]
        return {
            "network": self.network,
            "pictures": self.title,
            "count": len(self.pictures),
            "draws": self.random.shape[2],
            "rows": rows,
        }

    def summary(self) -> str:
        """Which parts the network relates, by layer."""
        told = []
        for nth, layer in enumerate(self.layers):
            controls = [
                f"{name} {draws[:, nth].mean():.3f} (below 95% of these: "
                f"{self._below(chance[:, nth])})"
                for name, draws, chance in (
                    ("random masks", self.random, self.chance),
                    ("the part's masks moved alike", self.moved, self.moved_chance),
                )
            ]
            told.append(f"{layer}: distance {self.score[:, nth].mean():.3f}, {', '.join(controls)}")
        return (
            f"Parts hidden in {len(self.pictures)} pictures ({self.title}), mean over the parts. "
            f"{'; '.join(told)}. Below both means that the network relates the part."
        )

    def _below(self, chance: Tensor) -> str:
        parts = [p for p, share in zip(self.boxes, chance.tolist(), strict=True) if share <= 0.05]
        return ", ".join(parts) or "none"

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """The marked pictures, and for each layer every part among its random masks."""
        shown = self.pictures[:_SHOWN]
        high = 1.5 + 0.3 * len(self.boxes)
        figure = Figure(figsize=(8.4, 1.6 + high), facecolor="none", layout="constrained")
        cells = figure.add_gridspec(2, 1, height_ratios=(1.6, high))
        above, below = (figure.add_subfigure(cells[row], facecolor="none") for row in (0, 1))
        for nth in range(len(shown)):
            self._marked(above.add_subplot(1, len(shown), nth + 1), nth, ink)
        for nth in range(len(self.layers)):
            self._layer(below.add_subplot(1, len(self.layers), nth + 1), nth, ink)
        below.supxlabel(
            f"distance of sign changes, mean over pairs; dots: {self.random.shape[2]} draws of "
            "random masks; crosses: the part's masks moved alike; bars: mean and deviation",
            fontsize=8,
            color=ink,
        )
        return figure

    def _marked(self, axes: Axes, nth: int, ink: str) -> None:
        picture_on(axes, self.pictures[nth], "", ink)
        for colour, boxes in zip(_cycled(len(self.boxes)), self.boxes.values(), strict=True):
            top, left, bottom, right = boxes[nth]
            corner, wide, high = (left - 0.5, top - 0.5), right - left, bottom - top
            axes.add_patch(Outline(corner, wide, high, fill=False, edgecolor=colour, linewidth=1.3))

    def _layer(self, axes: Axes, nth: int, ink: str) -> None:
        quiet(axes, ink)
        axes.set_title(self.layers[nth], loc="left", fontsize=9, color=ink, parse_math=False)
        spread = np.random.default_rng(0).uniform(-0.14, 0.14, self.random.shape[2])
        for row, colour in enumerate(_cycled(len(self.boxes))):
            for place, marker, every in ((-0.2, ".", self.random), (0.2, "x", self.moved)):
                draws = every[row, nth].numpy()
                axes.scatter(
                    draws, row + place + spread, s=8, marker=marker, color=ink, alpha=0.3, lw=0.5
                )
                bar = {"xerr": draws.std(), "capsize": 3, "linewidth": 1.2}
                axes.errorbar(draws.mean(), row + place, color=ink, **bar)
            score = float(self.score[row, nth])
            axes.scatter([score], [row], s=60, marker="D", color=colour, zorder=3)
        axes.set_yticks(range(len(self.boxes)), list(self.boxes) if nth == 0 else [])
        axes.invert_yaxis()


def correspondence(
    bundle: Bundle,
    marked: MarkedPictures,
    layers: Sequence[str] | None = None,
    *,
    draws: int = 100,
    seed: int = 0,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Correspondence:
    """Hide the same part in several pictures, and see whether the features change alike.

    For picture i, e_i = f(x_i) - f(x_i with the part hidden) at one layer, all positions of all
    maps in one row. The distance of two pictures is the share of features in which sign(e_i) and
    sign(e_j) differ; the score, its mean over all pairs: the paper's sum of Hamming distances, made
    independent of the numbers of pictures and features. The sign is -1, 0 or 1: two features that
    both stay as they are agree, and one that changes differs from one that does not. A change below
    1e-5 of the layer's largest feature is rounding, and counts as none.

    In rectified maps most features are zero with and without the part, so that the distance there
    tells mostly how many features a mask changes at all, and a mask on an empty ground comes out
    lowest. The default layers are therefore ones that have signs; `unchanged` and
    `random_unchanged` say how it is at others.

    The same with masks of the same sizes at random places, each picture its own, wherever they fit
    (so they may touch a part), as in the paper. A part is related where its score lies below
    theirs. But parts that lie alike in all pictures change the same positions of the maps, whatever
    they show: as a second control all masks of a part are moved together, by one random step that
    keeps them inside. Zeiler & Fergus (2014), section 4.3 and Table 1, arXiv:1311.2901; there
    layers 5 and 7, and 10 draws.

    Args:
        bundle: The network.
        marked: The pictures with their parts. What is hidden shows the mean of the training
            pictures, which is zero in normalised units.
        layers: By default the last convolution (after its BatchNorm) before it is rectified, and
            the network's output.
        draws: Random masks for each part.
        seed: Of their places.
        net: The bundle's `Deconvnet`, where there is one already.
        progress: Told how far it is.

    Raises:
        SettingError: No draws or no layers were asked for.
        UnknownLayerError: The network has no such layer.
        PictureError: The pictures have another number of channels than the network's.
    """
    if draws < 1:
        raise SettingError(f"{draws} draws are no comparison; ask for at least 1, better 100")
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layers = _signed_layers(net) if layers is None else tuple(layers)
    if not layers:
        raise SettingError("no layers to compare at; name some that `deconvviz layers` lists")
    if marked.images.shape[1] != bundle.preprocessing.channels:
        raise PictureError(
            f"`{bundle.name}` takes {bundle.preprocessing.channels} channels, the pictures have "
            f"{marked.images.shape[1]}; read them with the network's own preprocessing"
        )
    comparison = _Comparison(net, marked.images, layers)
    generator = torch.Generator().manual_seed(seed)
    distance, random, moved, unchanged = [], [], [], list[Tensor]()
    size = marked.images.shape[2:]
    for part, boxes in marked.parts.items():
        true = torch.tensor([list(box) for box in boxes])
        elsewhere = _elsewhere(true, size, draws, generator)
        together = _together(true, size, draws, generator)
        places = torch.cat([true[None], elsewhere, together])
        found, same = comparison.distances(places, part, progress)
        distance.append(found[:, 0])
        random.append(found[:, 1 : draws + 1].mean(2))
        moved.append(found[:, draws + 1 :].mean(2))
        unchanged.append(torch.stack([same[:, 0], same[:, 1 : draws + 1].mean(1)]))
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
    """What the last default layer rectifies, where that has a name, and the output."""
    output = list(net.layers)[-1]
    for below in list(net.convolutions.values())[-1:]:
        name = below.norm or below.convolution
        if name in net.layers:
            return name, output
    return (output,)


class _Comparison:
    """N pictures with their features, to be compared with the same pictures masked."""

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
        """Distances of all pairs, and unchanged shares, for K sets of one mask a picture.

        Args:
            boxes: (K, N, 4) int64, the masks.
            title: Of the part, for progress.
            progress: Told how far it is.

        Returns:
            (L, K, pairs) distances, and (L, K) the mean share of features without a change.
        """
        count, (height, width) = len(self.images), self.images.shape[2:]
        found, same = [], []
        together = (count * height, width)  # a set is measured in one pass
        for rows in batches(len(boxes), together, title, progress=progress):
            hidden = _inside(boxes[rows], (height, width)).to(self.images.device)
            masked = self.images.masked_fill(hidden[:, :, None], 0).flatten(0, 1)
            features = self._features(masked)
            signs = [self._signs(name, features[name]) for name in self.layers]
            found.append(torch.stack([self._differing(sign) for sign in signs]))
            same.append(torch.stack([(sign == 0).float().mean((1, 2)) for sign in signs]))
        return torch.cat(found, 1).cpu(), torch.cat(same, 1).cpu()

    def _signs(self, layer: str, masked: Tensor) -> Tensor:
        """(K, N, D) int8: which way each feature changes when the mask is laid on."""
        change = self.whole[layer] - masked.view(-1, *self.whole[layer].shape)
        change = change.masked_fill(change.abs() <= self.rounding[layer], 0)
        return change.sign().to(torch.int8)

    def _differing(self, signs: Tensor) -> Tensor:
        """(K, pairs) the share of features whose signs differ."""
        return torch.stack(
            [(signs[:, i] != signs[:, j]).float().mean(1) for i, j in self.pairs.tolist()], 1
        )


def _inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """(..., 4) rectangles -> (..., H, W) bool: which pixels lie in them."""
    top, left, bottom, right = boxes[..., None].unbind(-2)
    y, x = (torch.arange(length) for length in size)
    rows, columns = (y >= top) & (y < bottom), (x >= left) & (x < right)
    return rows[..., :, None] & columns[..., None, :]


def _elsewhere(
    boxes: Tensor, size: Sequence[int], draws: int, generator: torch.Generator
) -> Tensor:
    """(draws, N, 4): rectangles of the same sizes at uniformly random places in the pictures."""
    sides = boxes[:, 2:] - boxes[:, :2]
    free = torch.tensor(list(size)) - sides + 1
    corner = (torch.rand(draws, len(boxes), 2, generator=generator) * free).long()
    corner = torch.minimum(corner, free - 1)  # rand() * n may round up to n
    return torch.cat([corner, corner + sides], dim=2)


def _together(boxes: Tensor, size: Sequence[int], draws: int, generator: torch.Generator) -> Tensor:
    """(draws, N, 4): all rectangles moved by one random step, as far as all stay inside."""
    least = -boxes[:, :2].amin(0)
    free = torch.tensor(list(size)) - boxes[:, 2:].amax(0) - least + 1
    step = torch.minimum((torch.rand(draws, 2, generator=generator) * free).long(), free - 1)
    return boxes + (step + least).repeat(1, 2)[:, None]


def _rank(score: Tensor, draws: Tensor) -> Tensor:
    """The share of draws that are as low as the score, itself counted among them."""
    return ((draws <= score[:, :, None]).sum(2) + 1) / (draws.shape[2] + 1)


def _deviation(values: Tensor) -> float:
    return float(values.std()) if len(values) > 1 else 0.0


def _cycled(count: int) -> list[str]:
    return [_COLOURS[nth % len(_COLOURS)] for nth in range(count)]
