"""A trained network in one safetensors file: weights, training record and preprocessing.

A checkpoint cannot run code. Everything in it is checked against the architecture it names before
a model is touched, so that a damaged or foreign file is refused in one sentence.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, NotRequired

import torch
from pydantic import ConfigDict, Field
from safetensors.torch import load_file, save
from torch import Tensor, nn
from typing_extensions import TypedDict

from deconvviz.errors import CheckpointError, SettingError, UnknownModelError
from deconvviz.io.files import write_atomically
from deconvviz.io.images import MAX_SIDE, MIN_SIDE, safe_name
from deconvviz.io.legacy import current_run
from deconvviz.io.weights import read_metadata, read_weights
from deconvviz.models import StagedCNN, build
from deconvviz.networks import build as build_network
from deconvviz.schema import Count, NonNegative, UnitInterval, parse, read, validated
from deconvviz.version import __version__

SCHEMA = 1
_KEY = "deconvviz"


class DataRecord(TypedDict):
    """Title and fingerprint of a data set."""

    title: str
    fingerprint: str


class TestRecord(TypedDict):
    """Accuracy on the test data, and the confusion matrix: rows are true classes."""

    title: str
    pictures: Annotated[int, Field(ge=1)]
    accuracy: UnitInterval
    confusion: NotRequired[list[list[Count]]]


class RobustRecord(TypedDict):
    """Accuracy on test pictures that an attack changed, within a radius of pixels in [0, 1]."""

    norm: str
    radius: NonNegative
    steps: Count
    pictures: Annotated[int, Field(ge=1)]
    accuracy: UnitInterval


class AdversaryRecord(TypedDict):
    """What a card names of the attack in training."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's own place

    radius: NonNegative
    norm: str
    steps: Count


class RecipeRecord(TypedDict, total=False):
    """A recipe as it was stored: of its options, those that a card names. Others are kept."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's own place

    epochs: int
    seed: int
    init: str
    precision: str
    deconv_weight: NonNegative
    teachers: tuple[str, ...]
    distillation_weight: NonNegative
    adversary: AdversaryRecord


class TrainingRecord(TypedDict, total=False):
    """Training of a network: epochs done, labelled pictures, seconds in training steps.

    `metrics` has a mapping for each epoch, `test` is after the last one; snapshots have neither.
    Encoder-decoders have `held_out` instead: figures on pictures held out of the training.
    `robust` and `notes` are added later.
    """

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # pydantic's own place

    recipe: RecipeRecord
    epochs: Count
    pictures: Count
    device: str
    seconds: NonNegative
    teacher_sha256: tuple[str, ...]
    init_sha256: str
    metrics: list[dict[str, float]]
    test: TestRecord
    held_out: dict[str, float]
    robust: list[RobustRecord]
    notes: str


@validated
class Description:
    """Description of a checkpoint, stored beside its weights."""

    model: Annotated[str, Field(max_length=200)]
    """Name of the architecture in `models.MODELS`, or in `networks.NETWORKS` if there is a task."""
    channels: Annotated[int, Field(ge=1, le=1024)]
    """Input channels."""
    size: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)]
    """Side in pixels of the square training pictures."""
    classes: Annotated[tuple[str, ...], Field(max_length=100_000)]
    """Class names, in the order of the logits; none where the answer is a picture."""
    mean: tuple[float, ...]
    """Per channel, of pixels in [0, 1], subtracted from the input."""
    std: tuple[Annotated[float, Field(gt=0)], ...]
    """Per channel, the divisor after the mean is subtracted."""
    data: DataRecord
    """Title and fingerprint of the training data."""
    training: TrainingRecord
    """Epochs, time and metrics of the training."""
    versions: dict[str, str] = field(default_factory=dict)
    """Versions of the libraries that made it."""
    stages_only: bool = False
    """Whether only the convolutional stages are stored, as in a snapshot."""
    task: Annotated[str, Field(max_length=100)] = ""
    """Task of an encoder-decoder, in `restoration.TASKS`; empty for a classifier."""

    def __post_init__(self) -> None:
        if not (self.task or self.classes):
            raise SettingError("classes must have at least one name, got none")
        if not len(self.mean) == len(self.std) == self.channels:
            raise SettingError(
                f"mean and std have {len(self.mean)} and {len(self.std)} values for "
                f"{self.channels} input channels"
            )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures it was trained on."""
        return (self.channels, self.size, self.size)

    def build(self) -> nn.Module:
        """The untrained network that the weights belong to.

        Raises:
            UnknownModelError: this version has no such architecture.
        """
        if self.task:
            return build_network(
                self.model, channels=self.channels, classes=len(self.classes), size=self.size
            )
        net = build(self.model, channels=self.channels, classes=len(self.classes), size=self.size)
        return net.stages if self.stages_only else net


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint, and the sha256 of its file."""

    description: Description
    weights: Mapping[str, Tensor]
    sha256: str

    def network(self) -> nn.Module:
        """The trained network, float32, on the CPU, in evaluation mode."""
        model = self.description.build()
        model.load_state_dict(dict(self.weights))
        return model.eval()


def versions() -> dict[str, str]:
    """The versions that a result depends on."""
    return {
        "deconvviz": __version__,
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def save_checkpoint(
    path: Path, model: nn.Module, description: Description, *, fp16: bool = False
) -> None:
    """Write `model` and its description to `path`, at once or not at all.

    Args:
        path: The file to write; its folder is made.
        model: A `StagedCNN`, or its stages for a snapshot.
        description: Stored beside the weights.
        fp16: Store float16: weights keep three decimal digits.
    """
    if description.stages_only and isinstance(model, StagedCNN):
        model = model.stages
    dtype = torch.float16 if fp16 else torch.float32
    weights = {
        name: (t.to(dtype) if t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    _write(path, weights, description)


def _write(path: Path, weights: dict[str, Tensor], description: Description) -> None:
    text = json.dumps({"schema": SCHEMA, **asdict(description)}, sort_keys=True)
    write_atomically(path, save(weights, metadata={_KEY: text}))


def amend_checkpoint(path: Path, **training: Any) -> Description:
    """Replace entries of a checkpoint's training record; the weights stay as they are.

    Args:
        path: The checkpoint.
        training: New values of `TrainingRecord`.

    Returns:
        The new description.

    Raises:
        CheckpointError: As for `load_checkpoint`.
    """
    description = load_checkpoint(path).description
    amended: Any = {**description.training, **training}
    _write(path, load_file(path), replace(description, training=amended))
    return load_checkpoint(path).description


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, having checked all of it.

    Raises:
        CheckpointError: it is missing, damaged, unsafe, of another schema or architecture, or has
            weights that are not finite. The sentence names the file and the first thing wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; `deconvviz train` makes one")
    description = _describe(path, read_metadata(path))
    try:
        with torch.device("meta"):
            wanted = description.build().state_dict()
    except UnknownModelError as error:
        raise CheckpointError(f"{path} cannot be rebuilt: {error}") from None
    weights = read_weights(path, wanted)
    with path.open("rb") as file:
        return Checkpoint(description, weights, hashlib.file_digest(file, "sha256").hexdigest())


def read_checkpoint(content: bytes, name: str) -> Checkpoint:
    """Read a checkpoint from its bytes, as `load_checkpoint` reads a file.

    Args:
        content: The file's bytes.
        name: The file's name on any machine, for messages.

    Raises:
        CheckpointError: See `load_checkpoint`; the message has this name, not a temporary path.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        path.write_bytes(content)
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            shown = f"`{safe_name(name, 'a file')}`"
            raise CheckpointError(str(error).replace(str(path), shown)) from None


def _describe(path: Path, metadata: Mapping[str, str]) -> Description:
    if _KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without deconvviz's description; "
            "only checkpoints made by `deconvviz train` say how to feed the network"
        )
    stored = parse(metadata[_KEY], f"the description of {path}", CheckpointError)
    if not isinstance(stored, dict) or "schema" not in stored:
        raise CheckpointError(f"the description of {path} is not an object with a schema number")
    if (schema := stored.pop("schema")) != SCHEMA:
        made_by = stored.get("versions")
        version = made_by.get("deconvviz", "?") if isinstance(made_by, dict) else "?"
        raise CheckpointError(
            f"{path} has schema {schema}, this version reads {SCHEMA}; train it again, or use "
            f"the version that made it ({version})"
        )
    if "training" in stored:
        stored["training"] = current_run(stored["training"])
    return read(Description, stored, f"the description of {path}", CheckpointError)
