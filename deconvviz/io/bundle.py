"""A network that is ready to be looked at, with what it wants of a picture."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from deconvviz.errors import SettingError, UnknownModelError
from deconvviz.io.card import card
from deconvviz.io.checkpoint import Checkpoint, Description, load_checkpoint
from deconvviz.io.preprocess import Box, Preprocess, Size

__all__ = ["Bundle", "weights_digest"]


@dataclass(frozen=True)
class Bundle:
    """A network with what is needed to feed it and to speak of it.

    Attributes:
        name: What it was loaded by.
        model: The network, on the CPU, in evaluation mode.
        preprocessing: How a picture becomes its input.
        architecture: What kind of network it is.
        classes: In the order of the logits; none where they are not known or the head is missing.
        facts: What is known of its training and its quality: short phrases, Markdown.
        card: All that is known of it, a Markdown page; may be empty.
        training: The training record of a checkpoint: recipe, device, seconds, metrics, test.
        sha256: Of the checkpoint's file, or of all weights where there is none: a key for caches.
        snapshots: Epoch -> checkpoint of its convolutional stages then, where there are any.
    """

    name: str
    model: nn.Module
    preprocessing: Preprocess
    architecture: str
    classes: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    card: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    snapshots: Mapping[int, Path] = field(default_factory=dict)

    @classmethod
    def from_checkpoint(
        cls, name: str, checkpoint: Checkpoint, snapshots: Mapping[int, Path] | None = None
    ) -> "Bundle":
        """A network that `deconvviz train` made."""
        described = checkpoint.description
        return cls(
            name,
            checkpoint.network(),
            Preprocess(described.size, described.mean, described.std),
            described.model,
            () if described.stages_only else described.classes,
            _facts(described),
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
        """A network of your own, with what it wants of a picture.

        Args:
            model: The network; it is put into evaluation mode.
            input_size: Channels, height and width of its training pictures, which are square.
            mean: Per channel, of pixels in [0, 1], subtracted from the input; 0 if not given.
            std: Per channel, the divisor after it; 1 if not given.
            classes: In the order of the logits.
            name: How it is called; by default its class's name.

        Raises:
            SettingError: The sizes do not fit together.
        """
        channels, height, width = input_size
        mean, std = mean or (0.0,) * channels, std or (1.0,) * channels
        if height != width or height < 1:
            raise SettingError(f"input_size {input_size} is no square; give (channels, side, side)")
        if len(mean) != channels or len(std) != channels or min(std) <= 0:
            raise SettingError(
                f"mean {mean} and std {std} do not fit {channels} channels; give one number a "
                "channel, and std above zero"
            )
        architecture = type(model).__name__
        preprocessing = Preprocess(height, mean, std)
        digest = weights_digest(model)
        name = name or architecture
        return cls(name, model.eval(), preprocessing, architecture, classes, sha256=digest)

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures it was trained on."""
        return self.preprocessing.input_size

    def box(self, picture: Image.Image) -> Box:
        """The part of `picture` that the model sees: top, left, bottom, right, in its pixels."""
        return self.preprocessing.box(picture)

    def view(self, picture: Image.Image, size: Size = "trained") -> Image.Image:
        """The pixels that `preprocess` normalises, as a picture; its arguments are the same."""
        return self.preprocessing.view(picture, size)

    def preprocess(self, picture: Image.Image, size: Size = "trained") -> Tensor:
        """Make a picture what the model was trained on.

        Args:
            picture: Any size and mode.
            size: The side of the square that `box` cuts out and that is then resized, by default
                that of the training pictures; a picture already of that size passes untouched.
                None keeps the whole picture at its own size, for the convolutional layers, which
                take any.

        Returns:
            (C, H, W) float32, normalised for this model.
        """
        return self.preprocessing.tensor(picture, size)

    def at_epoch(self, epoch: int) -> "Bundle":
        """The convolutional stages as they were after `epoch` epochs of training.

        Raises:
            UnknownModelError: no snapshot was kept then.
        """
        if epoch not in self.snapshots:
            kept = ", ".join(map(str, self.snapshots)) or "none"
            raise UnknownModelError(
                f"`{self.name}` has no snapshot of epoch {epoch}; kept were: {kept}"
            )
        name = f"{self.name}, epoch {epoch}"
        return Bundle.from_checkpoint(name, load_checkpoint(self.snapshots[epoch]))


def weights_digest(model: nn.Module) -> str:
    """SHA-256 of all weights and buffers with their names, for caches."""
    digest = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{name}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def _facts(described: Description) -> tuple[str, ...]:
    epochs, test = described.training.get("epochs", 0), described.training.get("test")
    facts = [f"trained on {described.data['title']} for {epochs} epoch{'s' * (epochs != 1)}"]
    if test:
        pictures = f"{test['pictures']:,}".replace(",", "\u202f")  # a thin space, never broken
        facts.append(f"**{test['accuracy']:.1%}** of {pictures} test pictures right")
    return tuple(facts)
