"""A network with its preprocessing, classes and card."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from deconvviz.deconv import Box
from deconvviz.errors import DataError, SettingError, UnknownModelError
from deconvviz.io.card import card, inert, spaced
from deconvviz.io.checkpoint import Checkpoint, Description, load_checkpoint
from deconvviz.io.data import Dataset
from deconvviz.io.images import MAX_SIDE
from deconvviz.io.preprocess import Preprocess, Size
from deconvviz.networks import architecture

UNTRAINED = "random weights, not trained"
"""What `Bundle.summary` says of a network without training."""


@dataclass(frozen=True)
class Bundle:
    """A network with its preprocessing, classes and card.

    Attributes:
        name: Name that it was loaded by.
        model: Network, on the CPU, in evaluation mode.
        preprocessing: Preprocessing of pictures.
        architecture: Name of the architecture.
        classes: Class names in the order of the logits; empty if unknown or without a head.
        summary: Short Markdown phrases on training and accuracy.
        card: Model card, a Markdown page; may be empty.
        training: Training record of a checkpoint: recipe, device, seconds, metrics, test.
        sha256: Digest of the checkpoint's file, or of all weights; a key for caches.
        snapshots: Epoch -> checkpoint of the convolutional stages after this epoch.
        assumed: What of the preprocessing nobody gave: input size, mean, standard deviation.
    """

    name: str
    model: nn.Module
    preprocessing: Preprocess
    architecture: str
    classes: tuple[str, ...] = ()
    summary: tuple[str, ...] = ()
    card: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    snapshots: Mapping[int, Path] = field(default_factory=dict)
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Number the later of equal class names, so that a name means one class."""
        object.__setattr__(self, "classes", distinct(self.classes))

    @property
    def is_untrained(self) -> bool:
        """Whether its weights are known to be random."""
        return UNTRAINED in self.summary

    @classmethod
    def from_checkpoint(
        cls, name: str, checkpoint: Checkpoint, snapshots: Mapping[int, Path] | None = None
    ) -> "Bundle":
        """The network of a checkpoint made by `deconvviz train`."""
        described = checkpoint.description
        multiple = architecture(described.model).multiple if described.task else 1
        return cls(
            name,
            checkpoint.network(),
            Preprocess(described.size, described.mean, described.std, multiple=multiple),
            described.model,
            () if described.stages_only else described.classes,
            _summary(described),
            card(described, name),
            described.training,
            checkpoint.sha256,
            snapshots or {},
        )

    @classmethod
    def of(
        cls,
        model: nn.Module,
        input_size: tuple[int, int, int] = (3, 224, 224),
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        classes: tuple[str, ...] = (),
        name: str = "",
    ) -> "Bundle":
        """A network of your own.

        Args:
            model: Network; it is set to evaluation mode.
            input_size: Channels, height and width of the training pictures, which are square.
            mean: Mean of each channel, for pixels in [0, 1]; 0 by default.
            std: Standard deviation of each channel; 1 by default.
            classes: Class names in the order of the logits.
            name: Name for people; by default that of the class of `model`.

        Raises:
            SettingError: The sizes do not fit together.
        """
        channels, height, width = input_size
        if not (height == width and 1 <= channels <= 1024 and 1 <= height <= MAX_SIDE):
            raise SettingError(
                f"input_size must be (channels, side, side), at most 1024 and {MAX_SIDE}, got "
                f"{input_size}"
            )
        values = {"mean": mean, "standard deviation": std}
        assumed = tuple(name for name, value in values.items() if not value)
        mean, std = mean or (0.0,) * channels, std or (1.0,) * channels
        if len(mean) != channels or len(std) != channels or min(std) <= 0:
            raise SettingError(
                f"mean and std must have {channels} values, one for each channel, and std must be "
                f"> 0; got {mean} and {std}"
            )
        architecture = type(model).__name__
        preprocessing = Preprocess(height, mean, std)
        digest = weights_digest(model)
        name = name or architecture
        return cls(
            name, model.eval(), preprocessing, architecture, classes, sha256=digest, assumed=assumed
        )

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures it was trained on."""
        return self.preprocessing.input_size

    def box(self, picture: Image.Image) -> Box:
        """The part of `picture` that the model sees: top, left, bottom, right, in pixels."""
        return self.preprocessing.box(picture)

    def preprocess(self, picture: Image.Image, size: Size = "trained") -> Tensor:
        """Preprocess a picture for this model.

        Args:
            picture: Any size and mode.
            size: Side of the crop in pixels, by default that of the training pictures; a picture
                already of that size is not resized. None keeps the whole picture at its own size,
                for the convolutional layers, which take any.

        Returns:
            (C, H, W) float32, normalised for this model.
        """
        return self.preprocessing.tensor(picture, size)

    def at_epoch(self, epoch: int) -> "Bundle":
        """The convolutional stages after `epoch` epochs of training.

        Raises:
            UnknownModelError: There is no snapshot of this epoch.
        """
        if epoch not in self.snapshots:
            kept = ", ".join(map(str, self.snapshots)) or "none"
            raise UnknownModelError(
                f"`{self.name}` has no snapshot of epoch {epoch}; it has {kept}"
            )
        name = f"{self.name}, epoch {epoch}"
        return Bundle.from_checkpoint(name, load_checkpoint(self.snapshots[epoch]))


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names, each once: of equal ones the later are numbered, as "crane (2)"."""
    seen, found = Counter[str](), []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(found)


def check_dataset(bundle: Bundle, dataset: Dataset, least: int = 1) -> None:
    """Check that pictures can be given to a network.

    Raises:
        DataError: There are fewer than `least` pictures, or the number of channels differs.
    """
    if len(dataset) < least:
        raise DataError(f"{dataset.title}: need at least {least} pictures, got {len(dataset)}")
    has, wants = dataset.images.shape[1], bundle.preprocessing.channels
    if has != wants:
        raise DataError(
            f"{dataset.title}: pictures have {has} channels, but `{bundle.name}` takes {wants}; "
            f"load them with channels={wants}"
        )


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers with their names, for caches."""
    return tensors_digest(model.state_dict())


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors with their names, in the order given."""
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        digest.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        if tensor.is_meta:  # it has no values
            continue
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _summary(described: Description) -> tuple[str, ...]:
    epochs, test = described.training.get("epochs", 0), described.training.get("test")
    phrases = [
        f"trained on {inert(described.data['title'])} for {epochs} epoch{'s' * (epochs != 1)}"
    ]
    if test:
        pictures = spaced(test["pictures"])
        phrases.append(f"**{test['accuracy']:.1%}** of {pictures} test pictures right")
    return tuple(phrases)
