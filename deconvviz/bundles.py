"""A name or a path -> a network that is ready to be looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor, nn

from deconvviz.card import card
from deconvviz.checkpoint import Checkpoint, Description, load_checkpoint
from deconvviz.data import normalise
from deconvviz.errors import UnknownModelError
from deconvviz.images import to_tensor

__all__ = ["DEMOS", "Bundle", "load"]

DEMOS = ("demo", "demo-deconv")
"""The networks that come with the package."""


@dataclass(frozen=True)
class Bundle:
    """A network with what is needed to feed it and to speak of it.

    Attributes:
        name: What it was loaded by.
        model: The network, on the CPU, in evaluation mode.
        description: What its checkpoint says of it.
        sha256: Of the checkpoint's file: a key for caches.
        snapshots: Epoch -> checkpoint of its convolutional stages then, where there are any.
    """

    name: str
    model: nn.Module
    description: Description
    sha256: str
    snapshots: Mapping[int, Path] = field(default_factory=dict)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, in the order of the logits; none where the head is missing."""
        return () if self.description.stages_only else self.description.classes

    @property
    def input_size(self) -> tuple[int, int, int]:
        """(C, H, W) of the pictures it was trained on."""
        return self.description.input_size

    @property
    def training(self) -> Mapping[str, Any]:
        """The training record: recipe, device, seconds, metrics an epoch, test result."""
        return self.description.training

    @cached_property
    def card(self) -> str:
        """Its card, Markdown."""
        return card(self.description, self.name)

    def box(self, picture: Image.Image) -> tuple[int, int, int, int]:
        """The part of `picture` that the model sees: top, left, bottom, right, in its pixels.

        The largest central square; all of a square picture.
        """
        side = min(picture.size)
        left, top = (picture.width - side) // 2, (picture.height - side) // 2
        return top, left, top + side, left + side

    def view(
        self, picture: Image.Image, size: int | Literal["trained"] | None = "trained"
    ) -> Image.Image:
        """The pixels that `preprocess` normalises, as a picture; its arguments are the same."""
        if size is None:
            return picture
        side = self.input_size[1] if size == "trained" else size
        if picture.size == (side, side):
            return picture
        top, left, bottom, right = self.box(picture)
        square = picture.crop((left, top, right, bottom))
        return square.resize((side, side), Image.Resampling.BICUBIC)

    def preprocess(
        self, picture: Image.Image, size: int | Literal["trained"] | None = "trained"
    ) -> Tensor:
        """Make a picture what the model was trained on.

        Args:
            picture: Any size and mode.
            size: The side of the square that `box` cuts out and that is then resized
                (antialiased bicubic), by default that of the training pictures; a picture already
                of that size passes untouched. None keeps the whole picture at its own size, for
                the convolutional layers, which take any.

        Returns:
            (C, H, W) float32, normalised for this model.
        """
        seen = self.view(picture, size)
        pixels = to_tensor(seen.convert("L") if self.input_size[0] == 1 else seen)
        pixels = pixels[None, : self.input_size[0]]
        return normalise(
            pixels, self.description.mean, self.description.std, torch.contiguous_format
        )[0]

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
        return _bundle(f"{self.name}, epoch {epoch}", load_checkpoint(self.snapshots[epoch]), {})


def load(name: str | Path) -> Bundle:
    """Load a network.

    Args:
        name: "demo", a VGG trained on CIFAR-10; "demo-deconv", its twin trained with a
            deconvolution decoder; or the path of a checkpoint made by `deconvviz train`.

    Raises:
        UnknownModelError: no network has this name.
        CheckpointError: the checkpoint is missing, damaged or unsafe.
    """
    if str(name) in DEMOS:
        folder = Path(__file__).parent / "demo"
        checkpoint = load_checkpoint(folder / f"{name}.safetensors")
        return _bundle(str(name), checkpoint, _snapshots(folder / f"{name}-epochs"))
    path = Path(name).expanduser()
    if not path.exists() and path.suffix != ".safetensors":
        raise UnknownModelError(
            f"no model `{name}`; there are {', '.join(DEMOS)} and paths of checkpoints "
            "that end in .safetensors"
        )
    return _bundle(path.stem, load_checkpoint(path), _snapshots(path.parent / "snapshots"))


def _bundle(name: str, checkpoint: Checkpoint, snapshots: dict[int, Path]) -> Bundle:
    return Bundle(name, checkpoint.network(), checkpoint.description, checkpoint.sha256, snapshots)


def _snapshots(folder: Path) -> dict[int, Path]:
    paths = sorted(folder.glob("epoch-*.safetensors"))
    return {int(path.stem.removeprefix("epoch-")): path for path in paths}
