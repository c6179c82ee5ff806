"""A trained segmenter on a person's picture of any size, and its classes in colours."""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from deconvviz.io.data.camvid import CLASSES, COLOURS
from deconvviz.restoration.degradations import resize, to_image
from deconvviz.restoration.segmentation import segment
from deconvviz.restoration.shipped import checkpoints_for, load_for

HEIGHT = 180
"""Height in pixels to which pictures are brought: that of the training pictures."""
_COVER = 0.55  # of an overlay that the colours make up

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Segmenter:
    """A network that names the class of each pixel.

    Attributes:
        model: The network, in evaluation mode.
        classes: Names of the classes.
        mean: Per channel, of pixels in [0, 1].
        std: Per channel.
    """

    model: nn.Module
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def load(cls, checkpoint: Path | None = None) -> "Segmenter":
        """The network in the package, or one of your own.

        Raises:
            SettingError: The checkpoint is of another task.
            CheckpointError: It is missing or damaged, or none is in the package.
        """
        (path,) = checkpoints_for("segment", checkpoint)
        stored = load_for("segment", path)
        described = stored.description
        return cls(stored.network(), described.classes, described.mean, described.std)

    @property
    def colours(self) -> tuple[Colour, ...]:
        """A colour of each class, RGB; for CamVid's classes those of its publications."""
        if self.classes == CLASSES:
            return COLOURS
        hues = (number / len(self.classes) for number in range(len(self.classes)))
        mixed = (colorsys.hsv_to_rgb(hue, 0.6, 0.9) for hue in hues)
        return tuple((round(255 * r), round(255 * g), round(255 * b)) for r, g, b in mixed)

    def __call__(self, pixels: Tensor) -> Tensor:
        """The class of each pixel.

        The picture is segmented at `HEIGHT`, and the map is enlarged to its size.

        Args:
            pixels: (1 or 3, H, W) uint8.

        Returns:
            (H, W) uint8, indices into `classes`.
        """
        height, width = pixels.shape[-2:]
        small = resize(pixels, HEIGHT, max(1, round(width * HEIGHT / height)))
        found = segment(self.model, small.expand(3, -1, -1)[None], self.mean, self.std)
        large = to_image(found).resize((width, height), Image.Resampling.NEAREST)
        return torch.from_numpy(np.array(large))


def class_map(classes: Tensor, colours: Sequence[Colour]) -> Image.Image:
    """Classes (H, W) uint8 as a picture with a palette: its values are the classes."""
    image = Image.fromarray(classes.numpy())
    image.putpalette([value for colour in colours for value in colour])
    return image


def overlaid(image: Image.Image, classes: Tensor, colours: Sequence[Colour]) -> Image.Image:
    """A picture under the colours of its classes (H, W)."""
    return Image.blend(image.convert("RGB"), class_map(classes, colours).convert("RGB"), _COVER)
