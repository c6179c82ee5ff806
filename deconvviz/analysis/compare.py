"""Compare: two networks on one picture, and which unit of the one is like which of the other."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from deconvviz.analysis.inputs import batches, chosen_layers, compared, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.errors import PictureError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.io.preprocess import Pixels
from deconvviz.progress import Progress
from deconvviz.schema import Count, Positive, validated

RANDOM = "random"


@validated
class CompareOptions:
    """Options of the comparison of two networks."""

    other: str = RANDOM
    """Other network of the same input size: a name, a checkpoint, or "random" for the same network
    with random weights."""
    epoch: Count | None = None
    """Earlier epoch of the other network; with "random", of the same one, with its own weights."""
    layer: str = ""
    """Layer of the first network; by default the last rectified one."""
    other_layer: str = ""
    """Layer of the other network; by default the one of the same name, else the last rectified."""
    units: Positive = 6
    """How many of the strongest units in the picture are shown."""
    rule: Rule = "deconvnet"
    """Rule at activations."""


@dataclass(frozen=True, eq=False)
class Compared:
    """One of the two networks on the picture.

    Attributes:
        answer: Its most probable class; empty without names.
        probability: Of this class.
        channels: (K,) int64 units that are shown.
        activation: (K,) their largest activation in the picture.
        projections: (K, C, H, W) there.
    """

    network: str
    layer: str
    answer: str
    probability: float
    channels: Tensor
    activation: Tensor
    projections: Tensor


@dataclass(frozen=True, eq=False)
class Compare(Result):
    """A picture in two networks, and the best match of every unit of a layer.

    Attributes:
        first: The K strongest units of the first network.
        second: Their best matches in the other network, one below the other.
        match: (units,) int64 for each unit of the first layer the unit of the other whose
            activations correlate with its own most; -1 for a unit that never changes.
        correlation: (units,) Pearson's, from -1 to 1; NaN for such a unit.
        chance: (units,) the highest correlation of each unit where every picture of the other
            network is replaced by the next one of the data.
        positions: Rows and columns of the grid on which activations are compared.
        data: Number of pictures and title of the data.
        picture: uint8 (H, W, 3).
    """

    first: Compared
    second: Compared
    match: Tensor
    correlation: Tensor
    chance: Tensor
    positions: tuple[int, int]
    rule: Rule
    data: str
    picture: Pixels
    name = "compare"
    omitted = ("picture", "projections")
    derived = ("mean", "mean_chance")

    @property
    def mean(self) -> float:
        """Mean of the best correlations over all units that change."""
        return float(self.correlation.nanmean())

    @property
    def mean_chance(self) -> float:
        """The same by chance."""
        return float(self.chance.nanmean())


def compare(
    bundle: Bundle,
    image: Tensor,
    dataset: Dataset,
    options: CompareOptions | None = None,
    *,
    net: Deconvnet | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Compare:
    """Show the strongest units of a picture beside those of another network that are most alike.

    Two units are alike if their activations over a data set are: Pearson correlation over all
    pictures and places, the feature maps of both averaged to a grid of the smaller one's size. The
    best of many units correlates by chance, too: the control pairs each picture in the one network
    with the next picture in the other.

    The image is (C, H, W), normalised by the first network's preprocessing.

    Raises:
        DataError: There are fewer than two pictures, or they have other channels.
        SettingError: The other network takes pictures of another size.
        UnknownModelError: There is no other network of this name, or no such epoch of it.
        UnknownLayerError: A network has no such layer.
    """
    chosen = options or CompareOptions()
    check_dataset(bundle, dataset, 2)
    (_, net), (second, second_net) = _both(bundle, net, chosen, seed)
    (layer,) = chosen_layers(net, (chosen.layer,) if chosen.layer else (), net.default_layers[-1:])
    same = (layer,) if layer in second_net.layers else second_net.default_layers[-1:]
    asked = (chosen.other_layer,) if chosen.other_layer else ()
    (other_layer,) = chosen_layers(second_net, asked, same, second.name)

    pair = ((bundle, net, layer), (second, second_net, other_layer))
    true, positions = _correlations(pair, dataset, 0, progress)
    chance, _ = _correlations(pair, dataset, 1, progress)
    best, match = true.nan_to_num(-2).max(1)
    known = best >= -1
    inputs = (image, _renormalised(image, bundle, second))
    recording = net.record(image[None], [layer])
    channels = recording.strongest(layer, chosen.units).channel
    shown = (channels, match[channels].clamp(min=0))
    first, other = (
        _compared(one, one_net, one_layer, pixels, units, chosen.rule)
        for (one, one_net, one_layer), pixels, units in zip(pair, inputs, shown, strict=True)
    )
    return Compare(
        first=first,
        second=other,
        match=match.masked_fill(~known, -1),
        correlation=best.masked_fill(~known, float("nan")),
        chance=chance.nan_to_num(-2).amax(1).masked_fill(~known, float("nan")),
        positions=positions,
        rule=chosen.rule,
        data=title_of(dataset),
        picture=bundle.preprocessing.pixels(image[None])[0],
    )


_Side = tuple[Bundle, Deconvnet, str]


def _both(
    bundle: Bundle, net: Deconvnet | None, chosen: CompareOptions, seed: int
) -> list[tuple[Bundle, Deconvnet]]:
    """The network, and the one that it is compared with."""
    same = chosen.other == RANDOM
    others = () if same else (chosen.other,)
    random = same and chosen.epoch is None
    found = compared(bundle, net, others, random_weights=random, seed=seed)
    if chosen.epoch is not None:
        earlier = found[-1][0].at_epoch(chosen.epoch)
        found = [found[0], (earlier, Deconvnet(earlier.model, earlier.input_size))]
    return found


def _renormalised(image: Tensor, first: Bundle, second: Bundle) -> Tensor:
    """A picture as the second network's input."""
    if first.preprocessing == second.preprocessing:
        return image
    pixels = torch.from_numpy(first.preprocessing.pixels(image[None])).movedim(-1, 1)
    if pixels.shape[1] != second.preprocessing.channels:
        raise PictureError(
            f"`{second.name}` takes {second.preprocessing.channels} channels, `{first.name}` "
            f"{first.preprocessing.channels}"
        )
    return second.preprocessing.normalised(pixels)[0]


def _correlations(
    pair: tuple[_Side, _Side], dataset: Dataset, shift: int, progress: Progress | None
) -> tuple[Tensor, tuple[int, int]]:
    """(first's units, other's units) correlations, float64, and the grid; NaN for a constant unit.

    The other network sees the picture that comes `shift` later in the data.
    """
    sums: list[Tensor] = []
    grid = (1, 1)
    size = dataset.images.shape[2:]
    title = "by chance" if shift else "activations"
    for rows in batches(len(dataset), size, title, progress=progress):
        numbers = torch.arange(rows.start, rows.stop)
        maps = []
        for (bundle, net, layer), step in zip(pair, (0, shift), strict=True):
            some = dataset.images[(numbers + step) % len(dataset)]
            recording = net.record(bundle.preprocessing.normalised(some), [layer])
            maps.append(recording[layer].double())
        heights, widths = zip(*(one.shape[2:] for one in maps), strict=True)
        grid = min(heights), min(widths)
        a, b = (adaptive_avg_pool2d(one, grid).movedim(1, 0).flatten(1) for one in maps)
        count = torch.tensor(float(a.shape[1]))
        parts = [count, a.sum(1), b.sum(1), a.square().sum(1), b.square().sum(1), a @ b.T]
        sums = [old + new for old, new in zip(sums, parts, strict=True)] if sums else parts
    count, a, b, aa, bb, ab = sums
    spread = [
        (squares / count - (total / count).square()).clamp(min=0)
        for total, squares in ((a, aa), (b, bb))
    ]
    # Rounding leaves a constant unit a spread, which dividing by would blow up.
    deviations = [
        one.sqrt().masked_fill(one <= 1e-12 * (squares / count), float("nan"))
        for one, squares in zip(spread, (aa, bb), strict=True)
    ]
    covariance = ab / count - torch.outer(a / count, b / count)
    return covariance / torch.outer(*deviations), grid


def _compared(
    bundle: Bundle, net: Deconvnet, layer: str, image: Tensor, channels: Tensor, rule: Rule
) -> Compared:
    """Some units of a network at their peaks in a picture."""
    output = tuple(net.layers)[-1]
    recording = net.record(image[None], [layer, output])
    peaks = recording.peaks(layer)
    value, y, x = (one[0][channels] for one in (peaks.value, peaks.y, peaks.x))
    scores = recording[output].flatten()
    answer, probability = "", float("nan")
    if len(bundle.classes) == len(scores):
        probability = float(scores.softmax(0).max())
        answer = bundle.classes[int(scores.argmax())]
    projections = image[None][:0]
    if len(channels):
        units = Selection(layer, 0, channels, y, x)
        projections = net.project(recording, units, rule).full()
    return Compared(bundle.name, layer, answer, probability, channels, value, projections)


ANALYSIS = Analysis(
    title="Compare",
    question="Which units of another network respond as those of this one do, and what do both see "
    "in a picture?",
    source="Li et al. 2016",
    needs=("network", "picture", "dataset"),
    function=compare,
)
