"""The atlas as a result and as one file."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deconvviz.atlas.accumulator import Accumulator, AccumulatorSpec
from deconvviz.deconv.layers import unknown_layer
from deconvviz.errors import AtlasError, SelectionError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically

__all__ = [
    "FILE",
    "SCHEMA",
    "Atlas",
    "Header",
    "Moment",
    "Sweep",
    "Units",
    "empty",
    "load_atlas",
    "load_sweep",
]

SCHEMA = 1
_KEY = "deconvviz_atlas"
_SIZES = "class_sizes"
FILE = "atlas.safetensors"
"""The file's name in the folder of an atlas."""


@dataclass(frozen=True)
class Header:
    """What an atlas is of; two with equal headers are equal.

    Attributes:
        network: The network's name, for people.
        weights: The network's SHA-256.
        data: The data's title, for people.
        fingerprint: The data's SHA-256.
        pictures: How many pictures the data has.
        classes: Their classes.
        layers: Layer -> its units, and height and width of its maps.
        k: How many activations are kept of each unit.
        statistics: Whether it has them.
        block: Pictures in one forward pass; convolutions of other numbers differ in last bits.
        device: The kind of device that ran the network.
        dtype: The network's dtype.
        versions: The libraries that made it.
    """

    network: str
    weights: str
    data: str
    fingerprint: str
    pictures: int
    classes: tuple[str, ...]
    layers: Mapping[str, tuple[int, int, int]]
    k: int
    statistics: bool
    block: int
    device: str
    dtype: str
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 of all of it: a key for caches."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def difference(self, other: "Header") -> str | None:
        """What the other is of that this is not, in words; None if they are equal."""
        ours, theirs = asdict(self), asdict(other)
        for name, told in (
            ("weights", "another network"),
            ("fingerprint", "other data"),
            ("layers", "other layers"),
        ):
            if ours[name] != theirs[name]:
                return told
        for name in ("k", "statistics", "block", "device", "dtype", "versions"):
            if ours[name] != theirs[name]:
                return f"{name} {theirs[name]} instead of {ours[name]}"
        return None


@dataclass(frozen=True)
class Moment:
    """One strong activation of one unit.

    Attributes:
        value: The activation.
        picture: The number of the picture in the data.
        y: Row in the feature map.
        x: Column in the feature map.
    """

    value: float
    picture: int
    y: int
    x: int


@dataclass(frozen=True, eq=False)
class Units:
    """What is known of the C units of a layer.

    Attributes:
        value: (C, k) the strongest activations, falling; 0 where there are fewer than k.
        picture: (C, k) the picture of each; -1 where there is none.
        y: (C, k) its row in the feature map.
        x: (C, k) its column.
        mean: (C,) mean activation over pictures and positions, float64. This and what follows is
            None in an atlas without statistics.
        active: (C,) share of all positions where the unit is above zero, float64.
        fires: (C,) share of the pictures in which it is above zero anywhere, float64.
        class_mean: (C, classes) mean activation over the pictures of a class and positions; NaN
            for a class without pictures.
        histogram: (C, len(EDGES) + 1) int64, the pictures by the unit's peak in them; the first
            bin holds those in which it is silent, or below `EDGES[0]`.
    """

    value: Tensor
    picture: Tensor
    y: Tensor
    x: Tensor
    mean: Tensor | None = None
    active: Tensor | None = None
    fires: Tensor | None = None
    class_mean: Tensor | None = None
    histogram: Tensor | None = None

    def __len__(self) -> int:
        return len(self.value)

    @property
    def dead(self) -> Tensor:
        """(C,) bool: never above zero on any picture."""
        return self.picture[:, 0] < 0

    @cached_property
    def selectivity(self) -> Tensor | None:
        """(C,) how much a unit prefers one class: 0 not at all, 1 it answers to that class alone.

        (a - b) / (a + b), where a is the mean activation over the class that excites it most and b
        that over all other classes (Morcos et al. 2018, arXiv:1803.06959). 0 for a dead unit.
        """
        if self.class_mean is None:
            return None
        means = self.class_mean[:, ~self.class_mean.isnan().all(0)].clamp_min(0)
        if means.shape[1] < 2:
            return torch.zeros(len(self), dtype=means.dtype)
        highest = means.amax(1)
        others = (means.sum(1) - highest) / (means.shape[1] - 1)
        return (highest - others) / (highest + others).clamp_min(torch.finfo(means.dtype).tiny)

    @property
    def preferred(self) -> Tensor | None:
        """(C,) the class with the highest mean activation."""
        if self.class_mean is None:
            return None
        return self.class_mean.nan_to_num(-torch.inf).argmax(1)

    def moments(self, unit: int) -> list[Moment]:
        """The strongest activations of one unit, falling; none of a dead one."""
        columns = (self.value[unit], self.picture[unit], self.y[unit], self.x[unit])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [Moment(*row) for row in rows if row[1] >= 0]


@dataclass(frozen=True, eq=False)
class Atlas:
    """The strongest activations of every unit over a data set, and how each unit behaves there.

    Attributes:
        header: What it is of.
        units: Layer -> what is known of its units.
    """

    header: Header
    units: Mapping[str, Units]

    def __getitem__(self, layer: str) -> Units:
        """What is known of a layer's units.

        Raises:
            UnknownLayerError: The atlas does not have this layer.
        """
        if layer not in self.units:
            raise unknown_layer(layer, self.units, "this atlas")
        return self.units[layer]

    def __repr__(self) -> str:
        head, units = self.header, sum(map(len, self.units.values()))
        return (
            f"Atlas({head.network}: {units} units in {len(self.units)} layers, the {head.k} "
            f"strongest of {head.pictures} pictures, {head.data})"
        )

    def moments(self, layer: str, unit: int) -> list[Moment]:
        """The strongest activations of one unit, falling.

        Raises:
            UnknownLayerError: The atlas does not have this layer.
            SelectionError: The layer does not have this unit.
        """
        units = self[layer]
        if not 0 <= unit < len(units):
            raise SelectionError(
                f"no unit {unit} in `{layer}`; it has {len(units)}, counted from 0"
            )
        return units.moments(unit)

    def check(self, bundle: Bundle, dataset: Dataset | None = None) -> None:
        """Refuse to be used with another network, or with other pictures.

        Raises:
            AtlasError: It is of another network or of other data.
        """
        head = self.header
        if bundle.sha256 != head.weights:
            raise AtlasError(
                f"this atlas is of `{head.network}` with other weights ({head.weights[:8]}…) than "
                f"`{bundle.name}` ({bundle.sha256[:8]}…); build one of this network"
            )
        if dataset is not None and dataset.fingerprint != head.fingerprint:
            raise AtlasError(
                f"this atlas is of {head.pictures} pictures ({head.data}), not of these "
                f"{len(dataset)} ({dataset.title}); give the same data, or build one of these"
            )


@dataclass
class Sweep:
    """A sweep as far as it has come, or a part of one: what an atlas's file holds.

    Attributes:
        header: What it is of.
        tallies: Layer -> what was kept of the pictures so far.
        seen: How many pictures these are.
        class_sizes: (classes,) int64, how many of them each class has.
    """

    header: Header
    tallies: Mapping[str, Accumulator]
    seen: int
    class_sizes: Tensor

    def save(self, path: Path) -> None:
        """Write the file, at once or not at all.

        Of a unit it holds 32 k bytes, with statistics 8 (70 + classes) more.
        """
        tensors = {
            f"{layer}/{name}": tensor
            for layer, tally in self.tallies.items()
            for name, tensor in tally.tensors().items()
        }
        told = {"schema": SCHEMA, "seen": self.seen, "header": asdict(self.header)}
        content = save(
            {**tensors, _SIZES: self.class_sizes},
            metadata={_KEY: json.dumps(told)},  # unsorted: layers stay in their order
        )
        write_atomically(path, content)

    def merge(self, other: "Sweep") -> None:
        """Take in what was kept of the pictures that follow."""
        for layer, tally in self.tallies.items():
            tally.merge(other.tallies[layer])
        self.seen += other.seen
        self.class_sizes = self.class_sizes + other.class_sizes

    def to_cpu(self) -> "Sweep":
        """The same, brought to the CPU."""
        tallies = {layer: Accumulator.of(tally.tensors()) for layer, tally in self.tallies.items()}
        return Sweep(self.header, tallies, self.seen, self.class_sizes.cpu())

    def atlas(self) -> Atlas:
        """The finished sweep's result."""
        units = {layer: self._units(layer, tally) for layer, tally in self.tallies.items()}
        return Atlas(self.header, units)

    def _units(self, layer: str, tally: Accumulator) -> Units:
        top = (tally.value, tally.picture, tally.y, tally.x)
        if not self.header.statistics:
            return Units(*top)
        _, height, width = self.header.layers[layer]
        return Units(
            *top,
            mean=tally.total / self.seen,
            active=tally.active.double() / (self.seen * height * width),
            fires=tally.pictures.double() / self.seen,
            class_mean=(tally.class_total / self.class_sizes[:, None]).T.contiguous(),
            histogram=tally.histogram,
        )


def empty(header: Header, device: torch.device | str = "cpu") -> Sweep:
    """A sweep that has seen nothing yet."""
    want = AccumulatorSpec(header.k, len(header.classes), header.statistics)
    tallies = {
        layer: Accumulator(channels, want, getattr(torch, header.dtype), device)
        for layer, (channels, _, _) in header.layers.items()
    }
    sizes = torch.zeros(len(header.classes), dtype=torch.int64, device=device)
    return Sweep(header, tallies, 0, sizes)


def load_atlas(path: str | Path) -> Atlas:
    """Read an atlas that `build_atlas` has finished.

    Args:
        path: Its file, or the folder that has it.

    Raises:
        AtlasError: There is none, it is damaged, of another schema, or unfinished.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    sweep = load_sweep(path)
    if sweep.seen < sweep.header.pictures:
        raise AtlasError(
            f"{path} is unfinished: it has seen {sweep.seen} of {sweep.header.pictures} pictures; "
            "the command that began it goes on"
        )
    return sweep.atlas()


def load_sweep(path: Path) -> Sweep:
    """Read a sweep, finished or not, having checked all of it.

    Raises:
        AtlasError: There is none, it is damaged, or of another schema.
    """
    if not path.is_file():
        raise AtlasError(f"no atlas at {path}; `deconvviz atlas build` makes one")
    try:
        with safe_open(path, framework="pt") as file:
            told = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if told["schema"] != SCHEMA:
            raise AtlasError(
                f"{path} has schema {told['schema']}, this version reads {SCHEMA}; build it again"
            )
        return _checked(told, tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise AtlasError(f"{path} is no atlas or a damaged one ({error}); build it again") from None


def _checked(told: Mapping[str, Any], tensors: dict[str, Tensor]) -> Sweep:
    """The sweep of a file's content (ValueError, KeyError or TypeError if that cannot be)."""
    fields = dict(told["header"])
    fields["classes"] = tuple(fields["classes"])
    fields["layers"] = {name: tuple(size) for name, size in fields["layers"].items()}
    header, seen = Header(**fields), int(told["seen"])
    sizes = tensors.pop(_SIZES)
    if not 0 <= seen <= header.pictures or sizes.shape != (len(header.classes),):
        raise ValueError("its counts do not fit together")
    tallies = {}
    for layer, tally in empty(header).tallies.items():
        _, height, width = header.layers[layer]
        wanted = tally.tensors()
        given = {name: tensors.pop(f"{layer}/{name}") for name in wanted}
        for name, tensor in given.items():
            if (tensor.shape, tensor.dtype) != (wanted[name].shape, wanted[name].dtype):
                raise ValueError(f"`{layer}/{name}` is {tuple(tensor.shape)} {tensor.dtype}")
        for name, length in (("picture", seen), ("y", height), ("x", width)):
            if (given[name] >= length).any() or (given[name] < -(name == "picture")).any():
                raise ValueError(f"`{layer}/{name}` lies outside the data")
        tallies[layer] = Accumulator.of(given)
    if tensors:
        raise ValueError(f"`{min(tensors)}` belongs to no layer")
    return Sweep(header, tallies, seen, sizes)
