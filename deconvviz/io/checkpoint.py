"""A trained network in one safetensors file: weights, how it was made, and how to feed it.

A checkpoint cannot run code. Everything in it is checked against the architecture it names before
a model is touched, so that a damaged or foreign file is refused in one sentence.
"""

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from deconvviz.errors import CheckpointError, UnknownModelError
from deconvviz.io.files import write_atomically
from deconvviz.io.legacy import current_options
from deconvviz.models import StagedCNN, build

__all__ = ["SCHEMA", "Checkpoint", "Description", "load_checkpoint", "save_checkpoint", "versions"]

SCHEMA = 1
_KEY = "deconvviz"
# Ours have a header of a few kB; a header of gigabytes or 200 000 tensors is an attack or damage.
_LARGEST_HEADER = 1 << 20


@dataclass(frozen=True)
class Description:
    """What a checkpoint says of itself beside its weights.

    Attributes:
        model: The architecture's name in `models.MODELS`.
        channels: Input channels.
        size: Side in pixels of the square pictures it was trained on.
        classes: The names of the classes, in the order of the logits.
        mean: Per channel, of pictures in [0, 1], subtracted from the input.
        std: Per channel, the divisor after it.
        data: Title and fingerprint of the training data.
        training: The training record: epochs, seed, recipe, device, accuracies, seconds.
        versions: The libraries that made it.
        stages_only: The convolutional stages alone are stored, as in a snapshot.
    """

    model: str
    channels: int
    size: int
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    data: Mapping[str, str]
    training: Mapping[str, Any]
    versions: Mapping[str, str] = field(default_factory=dict)
    stages_only: bool = False

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures it was trained on."""
        return (self.channels, self.size, self.size)

    def build(self) -> nn.Module:
        """The untrained network that the weights belong to.

        Raises:
            UnknownModelError: this version has no such architecture.
        """
        net = build(self.model, channels=self.channels, classes=len(self.classes), size=self.size)
        return net.stages if self.stages_only else net


@dataclass(frozen=True)
class Checkpoint:
    """A description with its weights and the sha256 of the file they came from."""

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
    from deconvviz import __version__

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
        description: What to say of it.
        fp16: Store float16. Halves the file; weights keep three decimal digits.
    """
    if description.stages_only and isinstance(model, StagedCNN):
        model = model.stages
    dtype = torch.float16 if fp16 else torch.float32
    weights = {
        name: (t.to(dtype) if t.is_floating_point() else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    text = json.dumps({"schema": SCHEMA, **asdict(description)}, sort_keys=True)
    write_atomically(path, save(weights, metadata={_KEY: text}))


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint, having checked all of it.

    Raises:
        CheckpointError: it is missing, damaged, unsafe, of another schema or architecture, or has
            weights that are not finite. The sentence names the file and the first thing wrong.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"no checkpoint at {path}; `deconvviz train` makes one")
    _check_header(path)
    try:
        with safe_open(path, framework="pt") as file:
            description = _describe(path, file.metadata() or {})
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            _check_architecture(path, description, shapes)
            weights = {name: file.get_tensor(name) for name in shapes}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is a damaged safetensors file ({error})") from None
    return Checkpoint(description, _checked(path, weights), _sha256(path))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        starts = file.read(1)
    if starts != b"{" or not 0 < length <= min(_LARGEST_HEADER, path.stat().st_size - 8):
        raise CheckpointError(
            f"{path} is no checkpoint of deconvviz: it has no plausible safetensors header "
            "(pickled .pt files are not read; they can run code)"
        )


def _describe(path: Path, metadata: Mapping[str, str]) -> Description:
    if _KEY not in metadata:
        raise CheckpointError(
            f"{path} is a safetensors file without deconvviz's description; "
            "only checkpoints made by `deconvviz train` say how to feed the network"
        )
    try:
        fields = json.loads(metadata[_KEY])
        schema = fields.pop("schema")
        if schema != SCHEMA:
            raise CheckpointError(
                f"{path} has schema {schema}, this version reads {SCHEMA}; train it again, or use "
                f"the version that made it ({fields.get('versions', {}).get('deconvviz', '?')})"
            )
        if isinstance(recipe := fields["training"].get("recipe"), Mapping):
            fields["training"]["recipe"] = current_options(recipe)
        tuples: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()
        }
        described = Description(**tuples)
        _check_description(described)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{path} has a description that cannot be read: {error}") from None
    return described


def _check_description(d: Description) -> None:
    """Refuse what would fail, or take all memory, further on (ValueError or TypeError)."""
    if not (0 < int(d.channels) <= 1024 and 8 <= int(d.size) <= 4096):
        raise ValueError(f"input of {d.channels} channels, {d.size} pixels")
    if not (len(d.mean) == len(d.std) == d.channels and all(float(s) > 0 for s in d.std)):
        raise ValueError("mean and std do not fit the input channels")
    if not 0 < len(d.classes) <= 100_000 or not all(isinstance(c, str) for c in d.classes):
        raise ValueError("class names are missing or no texts")
    if not isinstance(d.training, dict) or not isinstance(d.data, dict):
        raise ValueError("training record or data is missing")
    recipe = d.training.get("recipe")
    if recipe is not None:  # the card is made of these
        _ = [d.training[key] for key in ("epochs", "pictures", "device", "seconds")]
        _ = [recipe[key] for key in ("epochs", "seed", "precision", "deconv_weight")]


def _check_architecture(
    path: Path, description: Description, shapes: Mapping[str, tuple[int, ...]]
) -> None:
    try:
        with torch.device("meta"):
            wanted = {k: tuple(v.shape) for k, v in description.build().state_dict().items()}
    except UnknownModelError as error:
        raise CheckpointError(f"{path} cannot be rebuilt: {error}") from None
    for what, names in (
        ("lacks", wanted.keys() - shapes.keys()),
        ("has unexpected", shapes.keys() - wanted.keys()),
    ):
        if names:
            raise CheckpointError(
                f"{path} is no `{description.model}`: it {what} `{min(names)}`"
                + (f" and {len(names) - 1} more" if len(names) > 1 else "")
            )
    for name, shape in shapes.items():
        if shape != wanted[name]:
            need = list(wanted[name])
            raise CheckpointError(
                f"{path}: `{name}` is {list(shape)}, `{description.model}` needs {need}"
            )


def _checked(path: Path, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float32, whole-number counters as they are."""
    checked = {}
    for name, tensor in weights.items():
        counter = name.endswith("num_batches_tracked")
        if tensor.is_floating_point() == counter:
            raise CheckpointError(f"{path}: `{name}` cannot be {tensor.dtype}")
        if not counter and not torch.isfinite(tensor).all():
            raise CheckpointError(f"{path}: `{name}` holds values that are not finite")
        checked[name] = tensor if counter else tensor.float()
    return checked
