"""The atlas as a result, and the file that holds it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from deconvviz.atlas.accumulator import Accumulator
from deconvviz.deconv.layers import unknown_layer
from deconvviz.errors import AtlasError, SelectionError
from deconvviz.io.bundle import Bundle, tensors_digest
from deconvviz.io.data import Dataset
from deconvviz.io.files import write_atomically
from deconvviz.io.legacy import current_atlas
from deconvviz.schema import Count, Positive, parse, read, validated

_SCHEMA: Literal[2] = 2
_KEY = "deconvviz_atlas"
_CLASS_SIZES = "class_sizes"


class DamagedAtlasError(AtlasError):
    """An atlas file is cut or has changed; it holds nothing that a new build does not make."""


FILE = "atlas.safetensors"
"""The file's name in the folder of an atlas."""


@validated
class Header:
    """Everything that determines an atlas; two with equal headers are equal."""

    network: str
    """Name of the network."""
    weights: str
    """SHA-256 of the network's weights."""
    data: str
    """Title of the data set."""
    fingerprint: str
    """SHA-256 of the data set."""
    pictures: Positive
    """Number of pictures."""
    classes: tuple[str, ...]
    """Names of the classes."""
    layers: Mapping[str, tuple[Positive, Positive, Positive]]
    """Layer -> number of units, height and width of the maps."""
    k: Positive
    """Number of activations kept for each unit."""
    statistics: bool
    """Whether the atlas has statistics."""
    batch_size: Positive
    """Pictures in one forward pass; convolutions of other sizes differ in the last bits."""
    device: str
    """Type of device that ran the network."""
    dtype: Literal["float16", "bfloat16", "float32", "float64"]
    """Data type of the network."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of the libraries that built the atlas."""
    source: str = ""
    """"NAME/SPLIT" of the data set for `load_dataset`; empty where it is not a named one."""

    @property
    def digest(self) -> str:
        """SHA-256 of all fields, a key for caches."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    def accumulator(self, layer: str, device: torch.device | str = "cpu") -> Accumulator:
        """What a layer is accumulated in, empty."""
        channels, dtype = self.layers[layer][0], getattr(torch, self.dtype)
        classes = len(self.classes) if self.statistics else None
        return Accumulator.empty(channels, self.k, dtype, classes, device)

    def difference(self, other: "Header") -> str | None:
        """The difference of `other` from this, as a phrase; None if they fit together."""
        phrases = {
            "weights": "another network",
            "fingerprint": "other data",
            "layers": "other layers",
        }
        for name in (*phrases, "k", "statistics", "batch_size", "device", "dtype", "versions"):
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                return phrases.get(name, f"{name} {theirs} instead of {ours}")
        return None


@dataclass(frozen=True)
class TopActivation:
    """One of a unit's strongest activations.

    Attributes:
        value: The activation.
        picture: Index of the picture in the data set.
        y: Row in the feature map.
        x: Column in the feature map.
    """

    value: float
    picture: int
    y: int
    x: int


@dataclass(frozen=True, eq=False)
class Units:
    """The C units of a layer: strongest activations and statistics.

    Attributes:
        value: (C, k) strongest activations, descending; 0 where there are fewer than k.
        picture: (C, k) index of the picture of each; -1 where there is none.
        y: (C, k) row in the feature map.
        x: (C, k) column in the feature map.
        mean: (C,) mean activation over pictures and positions, float64. This and what follows is
            None in an atlas without statistics.
        active: (C,) share of all positions where the unit is above zero, float64.
        activation_frequency: (C,) share of the pictures in which it is above zero anywhere,
            float64.
        class_mean: (C, classes) mean activation over the pictures of a class and positions; NaN
            for a class without pictures.
        histogram: (C, len(EDGES) + 1) int64, number of pictures by the unit's peak in them; the
            first bin holds those with no activation above `EDGES[0]`.
    """

    value: Tensor
    picture: Tensor
    y: Tensor
    x: Tensor
    mean: Tensor | None = None
    active: Tensor | None = None
    activation_frequency: Tensor | None = None
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
        """(C,) class selectivity: 0 for no preference, 1 for a unit active for one class alone.

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


@dataclass(frozen=True, eq=False)
class Atlas:
    """The strongest activations of every unit over a data set, with statistics.

    Attributes:
        header: Network, data and settings of the atlas.
        units: Layer -> its units.
    """

    header: Header
    units: Mapping[str, Units]

    def __getitem__(self, layer: str) -> Units:
        """The units of a layer.

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

    def top(self, layer: str, unit: int) -> list[TopActivation]:
        """The strongest activations of one unit, descending; none for a dead unit.

        Raises:
            UnknownLayerError: The atlas does not have this layer.
            SelectionError: The layer does not have this unit.
        """
        units = self[layer]
        if not 0 <= unit < len(units):
            raise SelectionError(
                f"no unit {unit} in `{layer}`; it has {len(units)}, counted from 0"
            )
        columns = (units.value[unit], units.picture[unit], units.y[unit], units.x[unit])
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [TopActivation(*row) for row in rows if row[1] >= 0]

    def check(self, bundle: Bundle, dataset: Dataset | None = None) -> None:
        """Check that the atlas was built from this network, and from these pictures.

        Raises:
            AtlasError: It was built from another network or other data.
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


@validated
class _Metadata:
    """The description in an atlas file."""

    schema: Literal[2]
    """Version of the format."""
    seen: Count
    """Number of pictures so far."""
    header: Header
    """Network, data and settings of the atlas."""
    digest: str = ""
    """SHA-256 of the tensors; schema 1 has none."""


@dataclass
class BuildState:
    """A build in progress, or a part of one; the content of an atlas file.

    Attributes:
        header: Network, data and settings of the atlas.
        accumulators: Layer -> top-k and statistics of the pictures so far.
        seen: Number of pictures so far.
        class_sizes: (classes,) int64, number of pictures so far, by class.
    """

    header: Header
    accumulators: Mapping[str, Accumulator]
    seen: int
    class_sizes: Tensor

    @classmethod
    def empty(cls, header: Header, device: torch.device | str = "cpu") -> "BuildState":
        """A build that has seen no picture."""
        accumulators = {layer: header.accumulator(layer, device) for layer in header.layers}
        sizes = torch.zeros(len(header.classes), dtype=torch.int64, device=device)
        return cls(header, accumulators, 0, sizes)

    @classmethod
    def load(cls, path: Path) -> "BuildState":
        """Read an atlas file, finished or not, and check all of it.

        Raises:
            AtlasError: The file is missing, damaged, or has another schema.
        """
        if not path.is_file():
            raise AtlasError(f"no atlas at {path}; `deconvviz atlas build` makes one")
        try:
            with safe_open(path, framework="pt") as file:
                text = (file.metadata() or {}).get(_KEY)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise _damaged(path, error) from None
        if text is None:
            raise AtlasError(f"{path} is not an atlas: its metadata has no `{_KEY}`")
        stored = current_atlas(parse(text, path, AtlasError))
        if isinstance(stored, dict) and stored.get("schema") != _SCHEMA:
            raise AtlasError(
                f"{path} has schema {stored.get('schema')}, this version reads 1 and {_SCHEMA}; "
                "update deconvviz, or build the atlas again"
            )
        metadata = read(_Metadata, stored, path, AtlasError)
        try:
            if metadata.digest not in ("", _digest(tensors)):
                raise ValueError("its checksum differs")
            return cls._from_tensors(metadata.header, metadata.seen, tensors)
        except (KeyError, ValueError, RuntimeError) as error:  # torch: sizes that overflow
            raise _damaged(path, error) from None

    @classmethod
    def _from_tensors(cls, header: Header, seen: int, tensors: dict[str, Tensor]) -> "BuildState":
        """Check tensors against a header, without allocating what it promises."""
        sizes = tensors.pop(_CLASS_SIZES)
        if seen > header.pictures or sizes.shape != (len(header.classes),):
            raise ValueError("counts do not fit together")
        accumulators = {}
        for layer, (_, height, width) in header.layers.items():
            given = {}
            for name, expected in header.accumulator(layer, "meta").tensors().items():
                tensor = tensors.pop(f"{layer}/{name}")
                if tensor.shape != expected.shape or not _widens(tensor.dtype, expected.dtype):
                    raise ValueError(f"`{layer}/{name}` is {tuple(tensor.shape)} {tensor.dtype}")
                given[name] = tensor.to(expected.dtype)
            for name, length in (("picture", seen), ("y", height), ("x", width)):
                if (given[name] >= length).any() or (given[name] < -(name == "picture")).any():
                    raise ValueError(f"`{layer}/{name}` lies outside the data")
            accumulators[layer] = Accumulator(given)
        if tensors:
            raise ValueError(f"`{min(tensors)}` belongs to no layer")
        return cls(header, accumulators, seen, sizes)

    def save(self, path: Path, *, compact: bool = False) -> None:
        """Write the file atomically.

        It takes 32 k bytes per unit, and 8 (70 + classes) more with statistics. A `compact` file
        has integers as small as they can be, and statistics in float32.
        """
        tensors = {
            f"{layer}/{name}": tensor.cpu().contiguous()
            for layer, accumulator in self.accumulators.items()
            for name, tensor in accumulator.tensors().items()
        }
        if compact:
            tensors = {
                name: tensor if name.endswith("/value") else _compact(tensor)
                for name, tensor in tensors.items()
            }
        tensors[_CLASS_SIZES] = self.class_sizes
        metadata = _Metadata(_SCHEMA, self.seen, self.header, _digest(tensors))
        text = json.dumps(asdict(metadata))  # unsorted: layers stay in their order
        write_atomically(path, save(tensors, metadata={_KEY: text}))

    def merge(self, other: "BuildState") -> None:
        """Add a part built from the pictures that follow."""
        for layer, accumulator in self.accumulators.items():
            accumulator.merge(other.accumulators[layer])
        self.seen += other.seen
        self.class_sizes = self.class_sizes + other.class_sizes

    def to_cpu(self) -> "BuildState":
        """A copy on the CPU."""
        accumulators = {
            layer: Accumulator({name: one.cpu() for name, one in accumulator.tensors().items()})
            for layer, accumulator in self.accumulators.items()
        }
        return BuildState(self.header, accumulators, self.seen, self.class_sizes.cpu())

    def atlas(self) -> Atlas:
        """The result of a finished build."""
        return Atlas(self.header, {layer: self._units(layer) for layer in self.accumulators})

    def _units(self, layer: str) -> Units:
        found = self.accumulators[layer]
        top = (found.value, found.picture, found.y, found.x)
        if not self.header.statistics:
            return Units(*top)
        _, height, width = self.header.layers[layer]
        return Units(
            *top,
            mean=found.total / self.seen,
            active=found.active.double() / (self.seen * height * width),
            activation_frequency=found.pictures.double() / self.seen,
            class_mean=(found.class_total / self.class_sizes[:, None]).T.contiguous(),
            histogram=found.histogram,
        )


def _compact(tensor: Tensor) -> Tensor:
    if tensor.is_floating_point():
        return tensor.float() if tensor.dtype == torch.float64 else tensor
    low, high = (int(value) for value in tensor.aminmax())
    for dtype in (torch.int16, torch.int32):
        limits = torch.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return tensor.to(dtype)
    return tensor


def _widens(stored: torch.dtype, wanted: torch.dtype) -> bool:
    """Whether numbers of a type are numbers of another of the same kind."""
    if stored == wanted:
        return True
    kinds = (torch.int16, torch.int32, torch.int64), (torch.float32, torch.float64)
    return any(stored in kind and wanted == kind[-1] for kind in kinds)


def _damaged(path: Path, error: Exception) -> DamagedAtlasError:
    if not path.name.startswith("atlas."):
        return DamagedAtlasError(
            f"{path} is no atlas, or damaged ({error}); give the {FILE} that `deconvviz atlas "
            "build` made, or its folder"
        )
    return DamagedAtlasError(
        f"{path} is damaged ({error}); `deconvviz atlas build --out {path.parent}`, with the "
        "options that it was built with, makes it again"
    )


def _digest(tensors: Mapping[str, Tensor]) -> str:
    return tensors_digest(dict(sorted(tensors.items())))


def load_atlas(path: str | Path) -> Atlas:
    """Read an atlas that `build_atlas` has finished.

    Args:
        path: The file, or its folder.

    Raises:
        AtlasError: The file is missing, damaged, unfinished, or has another schema.
    """
    path = Path(path)
    path = path / FILE if path.is_dir() else path
    state = BuildState.load(path)
    if state.seen < state.header.pictures:
        raise AtlasError(
            f"{path} is unfinished: {state.seen} of {state.header.pictures} pictures; run the "
            "command that began it again to resume"
        )
    return state.atlas()
