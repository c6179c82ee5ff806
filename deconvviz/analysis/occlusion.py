"""What happens as a grey square covers one part of a picture after the other (Fig. 7)."""

import textwrap
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from torch import Tensor

from deconvviz.analysis.batches import batches
from deconvviz.analysis.occluder import Occluder, hides
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.errors import PictureError, SelectionError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import ACCENTS, NEUTRAL_INK, Pixels, mosaic, picture_on, quiet
from deconvviz.progress import Progress

__all__ = ["Occlusion", "occlusion"]

_OTHERS = 8  # pictures of the data set that the projection is compared with
_SHOWN = 3  # of these in the figure
# Of the true class, then of others by falling frequency, then of all that remain: after Okabe & Ito
# (2008), told apart also by those who see fewer colours.
_COLOURS = (ACCENTS[1], ACCENTS[0], "#009e73", "#cc79a7", "#e8d444", "#7a5fb5")
_REST = "#9a9a9a"


@dataclass(frozen=True, eq=False)
class Occlusion(Result):
    """A picture under an occluder at R x C places.

    Attributes:
        network: Its name.
        classes: The name of each class.
        truth: The true class of the picture.
        layer: The layer that is watched.
        channel: Its feature map that is strongest in the picture as it is.
        picture: uint8 (H, W, 3), the picture as it is.
        covered: uint8 (H, W, 3), under the occluder where `probability` is lowest (panel a).
        side: Of the occluder, in pixels.
        stride: Pixels from one place to the next.
        tops: (R,) the occluder's first rows, in pixels; negative where it leaves the picture.
        lefts: (C,) its first columns.
        activation: (R, C) the sum of the map, by place of the occluder (b).
        probability: (R, C) of the true class (d).
        decision: (R, C) int64, the most probable class (e).
        whole_activation: The sum of the map without an occluder.
        whole_probability: Of the true class without one.
        whole_decision: The most probable class without one.
        projection: (C, H, W) the whole map projected into the picture (c).
        other_pictures: uint8 (M, H, W, 3), those of the data set with the map's highest maxima.
        other_projections: (M, C, H, W), the map projected into each.
        data: What the other pictures are; empty without any.
    """

    network: str
    classes: tuple[str, ...]
    truth: int
    layer: str
    channel: int
    picture: Pixels
    covered: Pixels
    side: int
    stride: int
    tops: Tensor
    lefts: Tensor
    activation: Tensor
    probability: Tensor
    decision: Tensor
    whole_activation: float
    whole_probability: float
    whole_decision: int
    projection: Tensor
    other_pictures: Pixels
    other_projections: Tensor
    data: str
    name = "occlusion"

    @property
    def decisions(self) -> dict[str, float]:
        """Class -> the share of places at which it is the most probable; most frequent first."""
        counted = Counter(self.decision.flatten().tolist()).most_common()
        return {self.classes[label]: count / self.decision.numel() for label, count in counted}

    @property
    def agreement(self) -> float | None:
        """Whether the map falls where its projection lies, the claim of the paper's Fig. 7.

        Pearson correlation, over all places, of the loss of activation with the energy (sum of
        squares) of the projection under the occluder. None where one of them is constant.
        """
        return self._agreement(self.projection)

    @property
    def chance_agreement(self) -> tuple[float, float] | None:
        """The same with the map's projections into the other pictures: mean and deviation.

        These share the network, the map and the shape of the occluder, but not the picture. None
        with fewer than two of them.
        """
        found = [self._agreement(other) for other in self.other_projections]
        numbers = torch.tensor([one for one in found if one is not None])
        return None if len(numbers) < 2 else (float(numbers.mean()), float(numbers.std()))

    def _agreement(self, projection: Tensor) -> float | None:
        rows, columns = (
            hides(starts, self.side, length).double()
            for starts, length in zip((self.tops, self.lefts), projection.shape[1:], strict=True)
        )
        energy = (rows @ projection.double().square().sum(0) @ columns.T).flatten()
        loss = self.whole_activation - self.activation.double().flatten()
        if float(energy.std()) == 0 or float(loss.std()) == 0:
            return None
        return float(torch.corrcoef(torch.stack([energy, loss]))[0, 1])

    def to_dict(self) -> dict[str, Any]:
        """Every number; maps as rows of the occluder's places."""
        chance = self.chance_agreement
        return {
            "network": self.network,
            "true class": self.classes[self.truth],
            "layer": self.layer,
            "map": self.channel,
            "side": self.side,
            "stride": self.stride,
            "tops": self.tops.tolist(),
            "lefts": self.lefts.tolist(),
            "without occluder": {
                "activation": self.whole_activation,
                "probability": self.whole_probability,
                "decision": self.classes[self.whole_decision],
            },
            "decisions": self.decisions,
            "agreement with projection": self.agreement,
            "agreement with projections into other pictures": chance
            and {"mean": chance[0], "deviation": chance[1], "pictures": len(self.other_pictures)},
            "data": self.data,
            "activation": self.activation.tolist(),
            "probability": self.probability.tolist(),
            "decision": self.decision.tolist(),
        }

    def summary(self) -> str:
        """What the occluder does to the class, to the map, and where."""
        name, places = self.classes[self.truth], self.decision.numel()
        kept = self.decisions.get(name, 0.0)
        lowest = float(self.activation.min()) / max(self.whole_activation, 1e-12)
        told = (
            f"A square of {self.side} pixels at {places} places: p({name}) is "
            f"{self.whole_probability:.2f} without it, {self.probability.min():.2f} at the worst "
            f"place, and {name} stays the most probable class at {kept:.0%} of the places. Map "
            f"{self.channel} of {self.layer}, the strongest, falls to {lowest:.0%} of its sum."
        )
        if self.agreement is None:
            return told + " One of it and its projection is the same everywhere."
        told += (
            " Its loss by place correlates with the energy of its projection under the square: "
            f"{self.agreement:.2f}"
        )
        if self.chance_agreement is None:
            return told + " (no other pictures to compare with)."
        mean, deviation = self.chance_agreement
        return told + (
            f"; with its projections into {len(self.other_pictures)} other pictures, "
            f"{mean:.2f} ± {deviation:.2f}."
        )

    def figure(self, ink: str = NEUTRAL_INK) -> Figure:
        """The five panels of the paper's Fig. 7, in two rows: a page need not shrink them."""
        figure = Figure(figsize=(8.6, 4.9), facecolor="none", layout="constrained")
        cells = figure.add_gridspec(2, 4)
        first = figure.add_subplot(cells[0, 0])
        _titled(first, "a  covered where d is lowest", ink)
        height, width = self.picture.shape[:2]
        first.imshow(self.covered, extent=(0, width, height, 0))
        self._frame(first, ink)
        title = f"b  sum of map {self.channel}, {self.layer}"
        place = figure.add_subplot(cells[0, 1])
        self._heat(place, self.activation, title, self.whole_activation, ink)
        self._projections(figure.add_subplot(cells[0, 2:]), ink)
        title = f"d  p({self.classes[self.truth]})"
        self._heat(figure.add_subplot(cells[1, 0]), self.probability, title, 1.0, ink)
        self._classes(figure.add_subplot(cells[1, 1]), ink)
        others = f"others from {self.data}. " if self.data else ""
        text = (
            f"A square of {self.side} pixels moved by {self.stride}. b, d, e: by the place of its "
            f"centre; frame: the picture. c: {others}{display_caption()}"
        )
        figure.supxlabel(textwrap.fill(text, 140), fontsize=7, color=ink, x=0.01, ha="left")
        return figure

    def _heat(self, axes: Axes, values: Tensor, title: str, most: float, ink: str) -> None:
        """A number by the occluder's place, from zero to at least `most`, which is without it."""
        _titled(axes, title, ink)
        low, high = min(0.0, float(values.min())), max(most, float(values.max())) or 1.0
        image = axes.imshow(values.numpy(), extent=self._extent(), vmin=low, vmax=high)
        self._frame(axes, ink)
        beside = axes.inset_axes((1.03, 0, 0.05, 1))
        axes.figure.colorbar(image, cax=beside).outline.set_visible(False)
        beside.tick_params(colors=ink, labelsize=7, length=2)

    def _classes(self, axes: Axes, ink: str) -> None:
        """The most probable class by the occluder's place."""
        _titled(axes, "e  most probable class", ink)
        others = [name for name in self.decisions if name != self.classes[self.truth]]
        named = [self.classes[self.truth], *others[: len(_COLOURS) - 1]]
        colours = dict(zip(named, _COLOURS, strict=False))
        shades: NDArray[np.floating[Any]] = np.array(
            [to_rgb(colours.get(name, _REST)) for name in self.classes]
        )
        axes.imshow(shades[self.decision.numpy()], extent=self._extent())
        self._frame(axes, ink)
        patches = [
            Patch(color=colours[name], label=f"{name} {self.decisions.get(name, 0):.0%}")
            for name in named
        ]
        if rest := sum(self.decisions[name] for name in others[len(_COLOURS) - 1 :]):
            patches.append(Patch(color=_REST, label=f"others {rest:.0%}"))
        axes.legend(
            handles=patches,
            frameon=False,
            labelcolor=ink,
            fontsize=7,
            loc="upper left",
            bbox_to_anchor=(1, 1.03),
            handlelength=1,
        )

    def _projections(self, axes: Axes, ink: str) -> None:
        """The map projected into this picture and into others, each below its picture."""
        others = len(self.other_pictures[:_SHOWN])
        where = ": here, and where it is strongest" if others else ""
        _titled(axes, f"c  the map projected{where}", ink)
        signed = torch.cat([self.projection[None], self.other_projections[:_SHOWN]])
        tiles = [self.picture, *self.other_pictures[:_SHOWN], *display(signed)]
        picture_on(axes, mosaic(tiles, 1 + others, gap=8, side=128), "", ink)

    def _extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top of the maps, in pixels: a cell around each centre."""
        edges = self.side / 2 - self.stride / 2, self.side / 2 + self.stride / 2
        left, right = float(self.lefts[0]) + edges[0], float(self.lefts[-1]) + edges[1]
        top, bottom = float(self.tops[0]) + edges[0], float(self.tops[-1]) + edges[1]
        return left, right, bottom, top

    def _frame(self, axes: Axes, ink: str) -> None:
        """Where the picture lies in a map, which goes half an occluder further at most."""
        height, width = self.picture.shape[:2]
        axes.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor=ink, linewidth=0.8))
        left, right, bottom, top = self._extent()
        axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        for spine in axes.spines.values():
            spine.set_visible(False)


def _titled(axes: Axes, title: str, ink: str) -> None:
    quiet(axes, ink)
    axes.set_title(title, loc="left", fontsize=8, color=ink, parse_math=False)


def occlusion(
    bundle: Bundle,
    image: Tensor,
    truth: int | None = None,
    *,
    layer: str | None = None,
    side: int | None = None,
    stride: int | None = None,
    fill: float | None = None,
    dataset: Dataset | None = None,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Occlusion:
    """Cover one part of a picture after the other, and watch a feature map and the decision.

    The occluder is a square. Its places are `stride` pixels apart, from where it just touches the
    picture's top left to where it just leaves it at the bottom right, so that each pixel is covered
    equally often, (side / stride) squared times. Zeiler & Fergus (2014), section 4.2 and Fig. 7,
    arXiv:1311.2901.

    Args:
        bundle: The classifier.
        image: (C, H, W), normalised, as `bundle.preprocess` makes it.
        truth: Its true class; by default what the network takes it for.
        layer: Whose strongest feature map is watched: the one with the highest maximum. By default
            the last of the `Deconvnet`'s default layers.
        side: Of the occluder in pixels; about a quarter of the picture's shorter side by default.
        stride: Pixels from place to place, a divisor of `side`; a quarter of that by default.
        fill: What the occluder shows, from 0 (black) to 1, in every channel; by default the mean
            of the training pictures, which is zero in normalised units: a grey.
        dataset: Other pictures, of the same size: the map is projected also into those that excite
            it most. The same picture among them is left out.
        net: The bundle's `Deconvnet`, where there is one already.
        progress: Told how far it is.

    Raises:
        SettingError: No such occluder can be, or the network is no classifier.
        SelectionError: There is no class `truth`.
        UnknownLayerError: The network has no such layer.
        PictureError: The image, or the pictures of the data set, have another form.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    layer = layer or _last_rectified(net)
    _check_form(bundle, image, dataset)
    occluder = Occluder.on(image, _shade(bundle, fill), side, stride)
    output = list(net.layers)[-1]

    whole = net.record(image[None], [layer, output])
    classes = _classes(bundle, whole[output])
    decided = int(whole[output].argmax())
    truth = decided if truth is None else truth
    if not 0 <= truth < len(classes):
        raise SelectionError(f"no class {truth}; the network has {len(classes)}, counted from 0")
    channel = int(whole.peaks(layer).value[0].argmax())

    sums, logits = [], []
    for rows in batches(len(occluder), occluder.size, "occluder", progress=progress):
        found = dict(net.stream(occluder.cover(image, rows), [layer, output]))
        sums.append(found[layer][:, channel].sum((1, 2)).cpu())
        logits.append(found[output][:, :, 0, 0].cpu())
    grid = (len(occluder.tops), len(occluder.lefts))
    probability = torch.cat(logits).softmax(1)[:, truth]
    lowest = int(probability.argmin())
    worst = occluder.cover(image, slice(lowest, lowest + 1))
    pixels = bundle.preprocessing.pixels(torch.cat([image[None], worst]))
    pictures, projections = _others(bundle, net, layer, channel, image, dataset, progress=progress)
    return Occlusion(
        network=bundle.name,
        classes=classes,
        truth=truth,
        layer=layer,
        channel=channel,
        picture=pixels[0],
        covered=pixels[1],
        side=occluder.side,
        stride=occluder.stride,
        tops=occluder.tops,
        lefts=occluder.lefts,
        activation=torch.cat(sums).view(grid),
        probability=probability.view(grid),
        decision=torch.cat(logits).argmax(1).view(grid),
        whole_activation=float(whole[layer][0, channel].sum()),
        whole_probability=float(whole[output].flatten().softmax(0)[truth]),
        whole_decision=decided,
        projection=_whole_map(net, whole, layer, channel)[0],
        other_pictures=pictures,
        other_projections=projections,
        data="" if dataset is None else dataset.title,
    )


def _last_rectified(net: Deconvnet) -> str:
    if not net.default_layers:
        raise SettingError(
            "this network rectifies no convolution; name a layer that `deconvviz layers` lists"
        )
    return net.default_layers[-1]


def _shade(bundle: Bundle, fill: float | None) -> Tensor:
    """What the occluder shows, (C, 1, 1), in normalised units."""
    if fill is None:
        return torch.zeros(bundle.preprocessing.channels, 1, 1)
    if not 0 <= fill <= 1:
        raise SettingError(f"fill {fill} is no shade; give a number from 0 (black) to 1")
    return bundle.preprocessing.normalised(
        torch.full((1, bundle.preprocessing.channels, 1, 1), fill)
    )[0]


def _check_form(bundle: Bundle, image: Tensor, dataset: Dataset | None) -> None:
    channels = bundle.preprocessing.channels
    if image.dim() != 3 or image.shape[0] != channels:
        raise PictureError(
            f"the image must be ({channels}, H, W), as `preprocess` makes it, but it is "
            f"{tuple(image.shape)}"
        )
    if dataset is not None and dataset.images.shape[1:] != image.shape:
        raise PictureError(
            f"pictures of {tuple(dataset.images.shape[1:])} cannot be compared with one of "
            f"{tuple(image.shape)}; load the data in its size"
        )


def _classes(bundle: Bundle, output: Tensor) -> tuple[str, ...]:
    """The names of the classes; numbers where they are not known."""
    count = output.shape[1]
    known = bundle.classes or tuple(map(str, range(count)))
    if output.shape[2:] != (1, 1) or len(known) != count or count < 2:
        raise SettingError(
            f"`{bundle.name}` gives {tuple(output.shape[1:])} numbers for a picture, no logit for "
            "each class; take a classifier, at the size of picture that it was trained on"
        )
    return known


def _whole_map(net: Deconvnet, recording: Recording, layer: str, channel: int) -> Tensor:
    """All active positions of a map projected together, for each image: (N, C, H, W)."""
    # Negative activations are no part of what excites it; those of a rectified map are zero.
    image, y, x = torch.nonzero(recording[layer][:, channel] > 0, as_tuple=True)
    units = Selection(layer, image, [channel] * len(image), y, x, group=image)
    projection = net.project(recording, units)
    pixels = torch.zeros(len(recording), projection.pixels.shape[1], *recording.size)
    pixels[projection.image.cpu()] = projection.full().float().cpu()
    return pixels


def _others(
    bundle: Bundle,
    net: Deconvnet,
    layer: str,
    channel: int,
    image: Tensor,
    dataset: Dataset | None,
    *,
    progress: Progress | None,
) -> tuple[Pixels, Tensor]:
    """The pictures of the data set that excite a map most, and the map projected into each."""
    size = (image.shape[1], image.shape[2])
    chosen = torch.zeros(0, dtype=torch.int64)
    if dataset is not None and len(dataset):
        peaks = []
        for rows in batches(len(dataset), size, "other pictures", progress=progress):
            inputs = bundle.preprocessing.normalised(dataset.images[rows]).to(image)
            ((_, maps),) = net.stream(inputs, [layer])
            maxima = maps[:, channel].amax((1, 2)).cpu()
            same = torch.isclose(inputs, image, atol=1e-4).flatten(1).all(1).cpu()
            peaks.append(maxima.masked_fill(same, 0))
        value, chosen = torch.cat(peaks).sort(descending=True, stable=True)
        chosen = chosen[value > 0][:_OTHERS]
    if dataset is None or not len(chosen):
        return bundle.preprocessing.pixels(image[None])[:0], image.new_zeros(0, *image.shape).cpu()
    inputs = bundle.preprocessing.normalised(dataset.images[chosen]).to(image)
    projections = _whole_map(net, net.record(inputs, [layer]), layer, channel)
    return bundle.preprocessing.pixels(inputs), projections
