"""Compare: two networks on one picture, and which unit of the one is like which of the other."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from deconvviz.analysis.inputs import batches, chosen_layers, compared, projected_layers, title_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.scores import probabilities
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
class Side:
    """One of the two networks, and a layer of it."""

    bundle: Bundle
    net: Deconvnet
    layer: str


@dataclass(frozen=True, eq=False)
class Matches:
    """The best match in another layer of each of K units, over a data set.

    Attributes:
        unit: (K,) int64 the unit whose activations correlate with its own most; -1 for a unit that
            never changes.
        correlation: (K,) Pearson's, from -1 to 1; NaN for such a unit.
        chance: (K,) the highest correlation of each unit where every picture of the other network
            is replaced by another one, drawn at random.
        positions: Rows and columns of the grid on which activations are compared.
        data: Number of pictures and title of the data.
    """

    unit: Tensor
    correlation: Tensor
    chance: Tensor
    positions: tuple[int, int]
    data: str
    derived = ("mean", "mean_chance")

    @property
    def mean(self) -> float:
        """Mean of the best correlations over all units that change."""
        return float(self.correlation.nanmean())

    @property
    def mean_chance(self) -> float:
        """The same by chance."""
        return float(self.chance.nanmean())


@dataclass(frozen=True, eq=False)
class Seen:
    """What some units of a network see in a picture.

    Attributes:
        answer: The network's most probable class; empty without names.
        probability: Of this class.
        channels: (K,) int64 the units; -1 for none.
        activation: (K,) their largest activation in the picture; 0 for none.
        projections: (K, C, H, W) there; zero for none.
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
        first: The strongest units of the first network.
        second: Their best matches in the other network, in the same order.
        matches: Of all units.
        picture: uint8 (H, W, 3).
    """

    first: Seen
    second: Seen
    matches: Matches
    rule: Rule
    picture: Pixels
    name = "compare"
    omitted = ("picture", "projections")


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

    The image is (C, H, W), normalised by the first network's preprocessing. For what is alike see
    `match_units`.

    Raises:
        DataError: There are fewer than two pictures, or they have other channels.
        SettingError: The other network takes pictures of another size.
        UnknownModelError: There is no other network of this name, or no such epoch of it.
        UnknownLayerError: A network has no such layer.
    """
    chosen = options or CompareOptions()
    (_, net), (other, other_net) = _both(bundle, net, chosen, seed)
    (layer,) = chosen_layers(
        net, (chosen.layer,) if chosen.layer else (), projected_layers(net)[-1:]
    )
    same = (layer,) if layer in other_net.projectable else projected_layers(other_net)[-1:]
    asked = (chosen.other_layer,) if chosen.other_layer else ()
    (other_layer,) = chosen_layers(other_net, asked, same, other.name)
    first, second = Side(bundle, net, layer), Side(other, other_net, other_layer)
    matches = match_units(first, second, dataset, seed=seed, progress=progress)
    return side_by_side(first, second, matches, image, chosen.units, chosen.rule)


def side_by_side(
    first: Side, second: Side, matches: Matches, image: Tensor, units: int, rule: Rule
) -> Compare:
    """The strongest `units` of the first network in a picture, and their matches; see `compare`."""
    recording = first.net.record(image[None], [first.layer])
    channels = recording.strongest(first.layer, units).channel
    matched = matches.unit[channels]
    other = _renormalised(image, first.bundle, second.bundle)
    return Compare(
        first=_seen(first, image, channels, rule),
        second=_seen(second, other, matched, rule),
        matches=matches,
        rule=rule,
        picture=first.bundle.preprocessing.pixels(image[None])[0],
    )


def match_units(
    first: Side, second: Side, dataset: Dataset, *, seed: int = 0, progress: Progress | None = None
) -> Matches:
    """For each unit of a layer, the unit of another one that responds most as it does.

    Two units are alike if their activations over a data set are: Pearson correlation over all
    pictures and places, the feature maps of both averaged to a grid of the smaller one's size. The
    best of many units correlates by chance, too: the control pairs each picture in the one network
    with another one, drawn at random, in the other.

    Raises:
        DataError: There are fewer than two pictures, or they have other channels.
    """
    check_dataset(first.bundle, dataset, 2)
    check_dataset(second.bundle, dataset, 2)
    true, positions = correlations(first, second, dataset, progress=progress)
    partners = shuffled_partners(len(dataset), seed)
    chance, _ = correlations(first, second, dataset, partners, progress=progress)
    best, match = true.nan_to_num(-2).max(1)
    unknown = best < -1
    nothing = float("nan")
    return Matches(
        unit=match.masked_fill(unknown, -1),
        correlation=best.masked_fill(unknown, nothing),
        chance=chance.nan_to_num(-2).amax(1).masked_fill(unknown, nothing),
        positions=positions,
        data=title_of(dataset),
    )


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


def correlations(
    first: Side,
    second: Side,
    dataset: Dataset,
    partners: Tensor | None = None,
    *,
    progress: Progress | None = None,
) -> tuple[Tensor, tuple[int, int]]:
    """(first's units, other's units) correlations, float64, and the grid; NaN for a constant unit.

    With `partners`, (pictures,) int64, the other network sees those in place of the pictures.
    """
    sums: list[Tensor] = []
    grid = (1, 1)
    size = dataset.images.shape[2:]
    title = "activations" if partners is None else "by chance"
    for rows in batches(len(dataset), size, title, progress=progress):
        numbers = torch.arange(rows.start, rows.stop)
        theirs = numbers if partners is None else partners[numbers]
        ours = _maps(first, dataset, numbers)
        same = second is first and partners is None
        maps = (ours, ours if same else _maps(second, dataset, theirs))
        heights, widths = zip(*(one.shape[2:] for one in maps), strict=True)
        grid = min(heights), min(widths)
        a, b = (adaptive_avg_pool2d(one, grid).movedim(1, 0).flatten(1) for one in maps)
        count = torch.tensor(float(a.shape[1]), dtype=torch.float64)
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


def shuffled_partners(count: int, seed: int) -> Tensor:
    """(count,) int64: for each of at least two pictures another one, drawn at random."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    partners = torch.empty_like(order)
    partners[order] = order.roll(-1)
    return partners


def _maps(side: Side, dataset: Dataset, numbers: Tensor) -> Tensor:
    """(N, channels, H, W) activations of some pictures, float64."""
    images = side.bundle.preprocessing.normalised(dataset.images[numbers])
    ((_, maps),) = side.net.stream(images, [side.layer])
    return maps.double()


def _seen(side: Side, image: Tensor, channels: Tensor, rule: Rule) -> Seen:
    """Some units of a network at their peaks in a picture."""
    bundle, net, layer = side.bundle, side.net, side.layer
    recording = net.record(image[None], [layer])
    peaks, there = recording.peaks(layer), channels >= 0
    value = peaks.value[0][channels.clamp(min=0)].masked_fill(~there, 0)
    y, x = (one[0][channels[there]] for one in (peaks.y, peaks.x))
    with torch.inference_mode():
        scores = bundle.model(image[None])
    answer, probability = "", float("nan")
    if isinstance(scores, Tensor) and scores.shape == (1, len(bundle.classes)):
        probability = float(probabilities(scores).max())
        answer = bundle.classes[int(scores[0].argmax())]
    projections = torch.zeros(len(channels), *image.shape)
    if there.any():
        units = Selection(layer, 0, channels[there], y, x)
        projections[there] = net.project(recording, units, rule).full().float()
    return Seen(bundle.name, layer, answer, probability, channels, value, projections)


ANALYSIS = Analysis(
    title="Compare",
    question="Which units of another network respond as those of this one do, and what do both see "
    "in a picture?",
    source="Li et al. 2016",
    needs=("network", "picture", "dataset"),
    function=compare,
    on_page=False,
)
