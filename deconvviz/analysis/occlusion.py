"""Occlusion: a feature map and the decision as a square covers parts of a picture (Fig. 7)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.inputs import (
    batches,
    chosen_layers,
    class_names,
    class_number,
    projected_layers,
)
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.scores import probabilities
from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.errors import PictureError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import validated

_OTHERS = 8  # pictures of the data set that the projection is compared with


@validated
class OcclusionOptions:
    """Options of the analysis by occlusion."""

    label: str | int | None = None
    """True class, by name or number; by default the network's decision."""
    layer: str = ""
    """Layer whose strongest feature map is watched; by default the last rectified one."""
    side: int | None = None
    """Side of the square in pixels; by default about a quarter of the picture's shorter side."""
    stride: int | None = None
    """Stride of the occluder in pixels, a divisor of its side; by default a quarter of the side."""
    fill: Annotated[float, Field(ge=0, le=1)] | None = None
    """Shade of the square, 0 (black) to 1; by default the mean of the training pictures."""


@dataclass(frozen=True, eq=False)
class Occluder:
    """A square at R x C places, from where it just touches a picture to where it just leaves it.

    Attributes:
        side: Side of the square, in pixels.
        stride: Pixels from one place to the next.
        tops: (R,) int64 first rows, in pixels; negative where it leaves the picture.
        lefts: (C,) int64 first columns.
        shade: (C, 1, 1) colour of the square.
    """

    side: int
    stride: int
    tops: Tensor
    lefts: Tensor
    shade: Tensor

    @classmethod
    def on(
        cls, image: Tensor, shade: Tensor, side: int | None = None, stride: int | None = None
    ) -> "Occluder":
        """An occluder for a picture (C, H, W).

        Its side is by default about a quarter of the picture's shorter one, and its stride the
        largest divisor of that up to a quarter of it.

        Raises:
            SettingError: `stride` does not divide `side`, or `side` is larger than the picture.
        """
        size = image.shape[1:]
        side = 4 * max(1, min(size) // 16) if side is None else side
        if stride is None:
            stride = max(part for part in range(1, max(1, side // 4) + 1) if side % part == 0)
        tops, lefts = (places(length, side, stride) for length in size)
        return cls(side, stride, tops, lefts, shade.to(image))

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def cover(self, image: Tensor, rows: slice) -> Tensor:
        """(K, C, H, W): `image` (C, H, W) covered at some of the places, counted row by row."""
        # Made for these alone: the masks of all places could fill the memory.
        top, left = torch.cartesian_prod(self.tops, self.lefts)[rows].T
        down, across = (
            hides(starts, self.side, length)
            for starts, length in zip((top, left), image.shape[1:], strict=True)
        )
        hidden = (down[:, None, :, None] & across[:, None, None, :]).to(image.device)
        return torch.where(hidden, self.shade, image)


def places(length: int, side: int, stride: int) -> Tensor:
    """First pixels of an occluder along one side of a picture, int64, rising.

    Every pixel from 0 to `length` - 1 is covered by exactly `side` / `stride` of the places.

    Raises:
        SettingError: `stride` does not divide `side`, or `side` is not from 1 to `length`.
    """
    if not 1 <= side <= length:
        raise SettingError(f"side must be from 1 to {length}, got {side}")
    if stride < 1 or side % stride:
        raise SettingError(
            f"stride must divide side {side}, so that every pixel is covered equally often, got "
            f"{stride}"
        )
    return torch.arange(stride - side, length, stride)


def hides(starts: Tensor, side: int, length: int) -> Tensor:
    """(K, length) bool: pixels that an occluder covers along one side, starting at each of K."""
    pixel = torch.arange(length)
    return (pixel >= starts[:, None]) & (pixel < starts[:, None] + side)


@dataclass(frozen=True, eq=False)
class Occlusion(Result):
    """A picture under an occluder at R x C places.

    Attributes:
        channel: Feature map of the layer with the highest maximum in the uncovered picture.
        picture: uint8 (H, W, 3), the picture.
        covered: uint8 (H, W, 3), the picture under the occluder where `probability` is lowest
            (panel a).
        side: Side of the occluder in pixels.
        stride: Pixels from one place to the next.
        tops: (R,) first rows of the occluder, in pixels; negative where it leaves the picture.
        lefts: (C,) first columns.
        activation: (R, C) sum of the map, by place of the occluder (b).
        probability: (R, C) probability of the true class (d).
        decision: (R, C) int64 most probable class (e).
        whole_activation: Sum of the map without an occluder.
        whole_probability: Probability of the true class without an occluder.
        whole_decision: Most probable class without an occluder.
        projection: (C, H, W) projection of the whole map into the picture (c).
        other_pictures: uint8 (M, H, W, 3), pictures of the data set with the map's highest maxima.
        other_projections: (M, C, H, W) projections of the map into these.
        data: Title of the other pictures; empty without any.
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
    omitted = ("picture", "covered", "projection", "other_pictures", "other_projections")
    derived = ("decisions", "agreement", "chance_agreement")

    @property
    def changed(self) -> Tensor:
        """(R, C) bool: where another class is the most probable than without an occluder."""
        return self.decision != self.whole_decision

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

        These share the network, the map and the occluder, but not the picture. None with fewer than
        two of them.
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


def occlusion(
    bundle: Bundle,
    image: Tensor,
    options: OcclusionOptions | None = None,
    *,
    dataset: Dataset | None = None,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Occlusion:
    """Cover a picture place by place, and measure a feature map and the decision.

    The occluder is a square. Its places are `stride` pixels apart, from where it just touches the
    picture's top left to where it just leaves it at the bottom right, so that each pixel is covered
    equally often, (side / stride) squared times. Zeiler & Fergus (2014), section 4.2 and Fig. 7,
    arXiv:1311.2901.

    The image is (C, H, W), normalised, as `bundle.preprocess` makes it. The map is also projected
    into those pictures of a data set, of the same size, that excite it most, the image itself left
    out. Other arguments are as in `Inputs`.

    Raises:
        SettingError: There is no such class or occluder, or the network is not a classifier.
        SelectionError: The class's number is too large.
        UnknownLayerError: The network has no such layer.
        PictureError: The image, or the pictures of the data set, have another form.
    """
    chosen = options or OcclusionOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    asked = (chosen.layer,) if chosen.layer else ()
    (layer,) = chosen_layers(net, asked, projected_layers(net)[-1:])
    _check_form(bundle, image, dataset)
    occluder = Occluder.on(image, _shade(bundle, chosen.fill), chosen.side, chosen.stride)
    output = list(net.layers)[-1]

    whole = net.record(image[None], [layer, output])
    classes = class_names(bundle, whole[output])
    decided = int(whole[output].argmax())
    truth = decided if chosen.label is None else class_number(classes, chosen.label)
    channel = int(whole.peaks(layer).value[0].argmax())

    sums, scores = [], []
    for rows in batches(len(occluder), image.shape[1:], "occluder", progress=progress):
        found = dict(net.stream(occluder.cover(image, rows), [layer, output]))
        sums.append(found[layer][:, channel].sum((1, 2)).cpu())
        scores.append(found[output][:, :, 0, 0].cpu())
    grid = (len(occluder.tops), len(occluder.lefts))
    probability = probabilities(torch.cat(scores))[:, truth]
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
        decision=torch.cat(scores).argmax(1).view(grid),
        whole_activation=float(whole[layer][0, channel].sum()),
        whole_probability=float(probabilities(whole[output].flatten(1))[0, truth]),
        whole_decision=decided,
        projection=_whole_map(net, whole, layer, channel)[0],
        other_pictures=pictures,
        other_projections=projections,
        data="" if dataset is None else dataset.title,
    )


def telling(found: Mapping[str, Occlusion]) -> str:
    """The name of the result that shows most, of pictures by name.

    Among those in which the square changes the decision somewhere it is the one of whose class the
    network is surest without the square; where it changes none, the surest of all.

    Raises:
        ValueError: There is none.
    """
    return max(found, key=lambda n: (bool(found[n].changed.any()), found[n].whole_probability))


def _shade(bundle: Bundle, fill: float | None) -> Tensor:
    """The occluder's colour, (C, 1, 1), in normalised units."""
    channels = bundle.preprocessing.channels
    if fill is None:
        return torch.zeros(channels, 1, 1)
    return bundle.preprocessing.normalised(torch.full((1, channels, 1, 1), fill))[0]


def _check_form(bundle: Bundle, image: Tensor, dataset: Dataset | None) -> None:
    channels = bundle.preprocessing.channels
    if image.dim() != 3 or image.shape[0] != channels:
        raise PictureError(
            f"image must have shape ({channels}, H, W), as `preprocess` makes it, got "
            f"{tuple(image.shape)}"
        )
    if dataset is not None and dataset.images.shape[1:] != image.shape:
        raise PictureError(
            f"pictures of the data set must have the image's shape {tuple(image.shape)}, got "
            f"{tuple(dataset.images.shape[1:])}; load the data in that size"
        )


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
    chosen = torch.zeros(0, dtype=torch.int64)
    if dataset is not None and len(dataset):
        maxima = []
        for rows in batches(len(dataset), image.shape[1:], "other pictures", progress=progress):
            inputs = bundle.preprocessing.normalised(dataset.images[rows]).to(image)
            ((_, maps),) = net.stream(inputs, [layer])
            same = torch.isclose(inputs, image, atol=1e-4).flatten(1).all(1).cpu()
            maxima.append(maps[:, channel].amax((1, 2)).cpu().masked_fill(same, 0))
        value, chosen = torch.cat(maxima).sort(descending=True, stable=True)
        chosen = chosen[value > 0][:_OTHERS]
    if dataset is None or not len(chosen):
        return bundle.preprocessing.pixels(image[None])[:0], image.new_zeros(0, *image.shape).cpu()
    inputs = bundle.preprocessing.normalised(dataset.images[chosen]).to(image)
    projections = _whole_map(net, net.record(inputs, [layer]), layer, channel)
    return bundle.preprocessing.pixels(inputs), projections


ANALYSIS = Analysis(
    title="Occlusion",
    question="A square covers one part of a picture after the other, each pixel equally often. "
    "Where does the network change its mind, and where does the strongest map of the last layer "
    "fall?",
    source="Fig. 7",
    needs=("network", "picture", "dataset"),
    function=occlusion,
)
