"""A projection in a file that holds all that is needed to make it again.

The file is safetensors with two tensors: `pixels`, the projection, and `picture`, the pixels that
the network was given before they were normalised, so that the picture's own file is not needed. The
fields of `ProjectionRecord` stand in its metadata: texts as they are, everything else as JSON.
"""

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args, get_origin, get_type_hints

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field
from safetensors.torch import save
from torch import Tensor

from deconvviz.deconv import Box
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import Rule
from deconvviz.errors import SavedFileError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import versions
from deconvviz.io.images import MAX_SIDE, MIN_SIDE, Picture
from deconvviz.io.preprocess import Preprocess
from deconvviz.io.weights import open_safetensors
from deconvviz.schema import Count, Positive, parse, read, to_dict, validated

_MAX_BYTES = 256 << 20  # a projection of 4096 x 4096 pixels, and its picture
_MAX_HEADER = 32 << 20  # bytes, most of them positions
_MAX_POSITIONS = 2**20  # of a map as large as a picture of 1024 x 1024
_DTYPES = ("F16", "BF16", "F32", "F64")

Text = Annotated[str, Field(max_length=500)]
Side = Annotated[int, Field(ge=1, le=100_000)]


@validated
class PreprocessRecord:
    """The preprocessing that made a network's input; see `Preprocess`."""

    size: Annotated[int, Field(ge=1, le=MAX_SIDE)]
    """Side in pixels of the training pictures."""
    mean: Annotated[tuple[float, ...], Field(min_length=1, max_length=1024)]
    """Per channel, of pixels in [0, 1], subtracted from the input."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    """Per channel, the divisor after the mean is subtracted."""
    resize: Count
    """Length of the shorter side before the crop; 0 for `size`."""
    interpolation: Literal["NEAREST", "BOX", "BILINEAR", "HAMMING", "BICUBIC", "LANCZOS"]
    """Interpolation of the resize."""
    multiple: Positive
    """Height and width of a picture that keeps its size are cut to multiples of this."""

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.std):
            raise SettingError(f"mean and std have {len(self.mean)} and {len(self.std)} values")

    @classmethod
    def of(cls, made: Preprocess) -> "PreprocessRecord":
        """The record of a preprocessing."""
        values = (made.size, made.mean, made.std, made.resize, made.interpolation.name)
        return cls(*values, made.multiple)  # type: ignore[arg-type]  # checked by the declaration

    def tensor(self, picture: NDArray[np.uint8]) -> Tensor:
        """(C, H, W) float32: the network's input from its (H, W, 3) pixels."""
        made = Preprocess(self.size, self.mean, self.std)
        return made.tensor(Image.fromarray(picture), size=None)


@validated
class ProjectionRecord:
    """What was projected, of which picture, through which network, and how."""

    network: Text
    """Name of the network."""
    checkpoint_sha256: Text
    """Digest of its checkpoint, or of all its weights."""
    preprocessing: PreprocessRecord
    """How its input was made from the picture."""
    picture: Text
    """Name of the picture."""
    picture_sha256: Text
    """Digest of the picture's size and pixels."""
    picture_size: tuple[Side, Side]
    """Width and height of the picture, after it was opened."""
    input_size: Text
    """"as trained", or the longest side in pixels that the whole picture was limited to."""
    crop: Box
    """The part of the picture that the network sees: top, left, bottom, right, in its pixels."""
    layer: Text
    """Layer of the unit."""
    unit: Count
    """Feature map of all positions."""
    positions: Annotated[tuple[tuple[Count, Count, Count], ...], Field(max_length=_MAX_POSITIONS)]
    """Channel, row and column of each activation that the projection starts from."""
    count: Count
    """Number of positions."""
    together: bool
    """Whether many positions are projected together into the whole picture, or one into its
    window."""
    share: Annotated[float, Field(gt=0, le=1)] | None
    """Share of the feature map's positions that was asked for, those with the highest
    activations; null for one position."""
    activation: float
    """The highest activation among them."""
    box: Box
    """The window in the network's input: top, left, bottom, right."""
    rule: Rule
    """Rule at activations."""
    start: Start
    """Value that the projection starts from."""
    versions: dict[str, str]
    """Versions of the libraries that made it."""
    threads: Annotated[int, Field(ge=1, le=4096)]
    """Threads that made it; another number may change the last digits."""
    units: Text = "signed, normalised input"
    """Units of the projection's pixels."""
    schema: Literal[1] = 1
    """Version of this form."""

    def __post_init__(self) -> None:
        if len(self.positions) != self.count or (not self.together and self.count != 1):
            raise SettingError(
                f"count is {self.count}, but there are {len(self.positions)} positions"
            )
        if any(channel != self.unit for channel, _, _ in self.positions):
            raise SettingError(f"a position is of another unit than {self.unit}")

    @classmethod
    def of(cls, bundle: Bundle, picture: Picture, size: int | None, **projected: Any) -> Self:
        """The record of what was `projected` on this machine, by the other fields' names.

        `size` is the longest side that the whole picture was limited to; None: as trained.
        """
        wide, high = picture.image.size
        return cls(
            network=bundle.name,
            checkpoint_sha256=bundle.sha256,
            preprocessing=PreprocessRecord.of(bundle.preprocessing),
            picture=picture.name,
            picture_sha256=picture.key,
            picture_size=(wide, high),
            input_size="as trained" if size is None else str(size),
            crop=bundle.box(picture.image) if size is None else (0, 0, high, wide),
            versions=versions(),
            threads=torch.get_num_threads(),
            **projected,
        )

    @property
    def about(self) -> dict[str, str]:
        """What a picture of it is of, as texts for people."""
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        texts = {
            "Software": f"deconvviz {self.versions.get('deconvviz', '')}".strip(),
            "network": self.network,
            "checkpoint_sha256": self.checkpoint_sha256,
            "picture": self.picture,
            "picture_sha256": self.picture_sha256,
            "input_size": self.input_size,
            "layer": self.layer,
            "unit": str(self.unit),
            "position": f"{self.count} positions",
            "activation": repr(self.activation),
            "box": "top {}, left {}, bottom {}, right {}".format(*self.box),
            "rule": self.rule,
            "start": self.start,
            "versions": versions,
        }
        if not self.together:
            _, y, x = self.positions[0]
            texts["position"] = f"y {y}, x {x}"
        return texts


@dataclass(frozen=True, eq=False)
class SavedProjection:
    """A projection and what it was made from.

    Attributes:
        pixels: (C, h, w) signed, in normalised input units.
        picture: uint8 (H, W, 3), the network's input before it was normalised.
    """

    record: ProjectionRecord
    pixels: Tensor
    picture: NDArray[np.uint8] = field(repr=False)

    def to_bytes(self, **more: Tensor) -> bytes:
        """The content of its file.

        `more` are other tensors: `boxes`, the (1, 4) window, and `pixels` as (1, C, h, w).
        """
        metadata = {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in to_dict(self.record).items()
        }
        picture = torch.from_numpy(np.array(self.picture))
        tensors = {"pixels": self.pixels.contiguous(), "picture": picture, **more}
        return save(tensors, metadata=metadata)


def read_projection(path: Path) -> SavedProjection:
    """Read the file of a projection, having checked all of it.

    Raises:
        SavedFileError: It is missing, damaged, larger than any projection, or another kind of file.
    """
    if not path.is_file():
        raise SavedFileError(f"no file {path}; the Workbench's button Raw tensor makes one")
    if path.stat().st_size > _MAX_BYTES:
        raise SavedFileError(f"{path} is over {_MAX_BYTES >> 20} MB, larger than any projection")
    with open_safetensors(path, SavedFileError, "file of a projection", _MAX_HEADER) as file:
        record = _record(path, file.metadata() or {})
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        kinds = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
        _check(path, record, kinds)
        pixels, picture = slices["pixels"][...], slices["picture"][...]
    if not bool(pixels.isfinite().all()):
        raise SavedFileError(f"{path}: `pixels` holds values that are not finite")
    return SavedProjection(record, pixels.reshape(pixels.shape[-3:]), picture.numpy())


def _record(path: Path, metadata: dict[str, str]) -> ProjectionRecord:
    if "positions" not in metadata:
        raise SavedFileError(
            f"{path} does not say what it was made from; only files of the Workbench's button Raw "
            "tensor, and of `deconvviz project` with --unit or -k 1, can be made again"
        )
    kinds, content = get_type_hints(ProjectionRecord), dict[str, Any]()
    texts = {one.name for one in fields(ProjectionRecord) if _is_text(kinds[one.name])}
    for name, text in metadata.items():
        source = f"`{name:.40}` of {path}"
        content[name] = text if name in texts else parse(text, source, SavedFileError)
    return read(ProjectionRecord, content, f"the description of {path}", SavedFileError)


def _is_text(kind: Any) -> bool:
    return kind is str or (get_origin(kind) is Literal and isinstance(get_args(kind)[0], str))


def _check(
    path: Path, record: ProjectionRecord, kinds: dict[str, tuple[str, tuple[int, ...]]]
) -> None:
    """Refuse tensors of other names, types and sizes before they are read."""
    if kinds.keys() - {"boxes"} != {"pixels", "picture"}:
        raise SavedFileError(f"{path} must hold the tensors `pixels` and `picture` and no others")
    (dtype, shape), (kind, size) = kinds["pixels"], kinds["picture"]
    shape = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape  # of `deconvviz project`
    if dtype not in _DTYPES or len(shape) != 3 or shape[0] != len(record.preprocessing.mean):
        raise SavedFileError(f"{path}: `pixels` is {dtype} {list(shape)}, no projection's pixels")
    sides = all(MIN_SIDE <= side <= MAX_SIDE for side in size[:2])
    if kind != "U8" or len(size) != 3 or size[-1] != 3 or not sides:
        raise SavedFileError(f"{path}: `picture` is {kind} {list(size)}, no picture's pixels")
