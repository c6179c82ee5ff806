"""A trained network on a person's picture of any size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.errors import CheckpointError, PictureError, SettingError
from deconvviz.io.checkpoint import Checkpoint, load_checkpoint
from deconvviz.networks import PictureToPicture, architecture
from deconvviz.progress import Progress, track
from deconvviz.restoration.degradations import resize
from deconvviz.restoration.metrics import luma
from deconvviz.restoration.shipped import checkpoints_for

Name = Literal["denoise", "deblur", "inpaint", "sr2", "sr3", "sr4"]
NAMES: tuple[Name, ...] = ("denoise", "deblur", "inpaint", "sr2", "sr3", "sr4")
"""What `Restorer.load` restores."""
MAX_PIXELS = 100_000_000
"""Pixels of the largest picture that super-resolution makes."""
_TILE = 256  # pixels; larger tiles leave the processor's cache, smaller ones overlap more
_EIGHT = [(turns, mirror) for turns in range(4) for mirror in (False, True)]
_PER_LUMA = 255 / 219  # grey levels of RGB for one of Y, which has 219 of them


@dataclass(frozen=True)
class Restorer:
    """Networks of one task, for grey and for colour pictures; one network may do both.

    Attributes:
        task: A name in `TASKS`.
        grey: Network for grey pictures, in evaluation mode.
        colour: Network for colour pictures.
    """

    task: str
    grey: "Network"
    colour: "Network"

    @classmethod
    def load(
        cls, name: str, checkpoint: Path | None = None, *, self_ensemble: bool = False
    ) -> "Restorer":
        """The networks in the package, or one of your own.

        Args:
            name: One of `NAMES`.
            checkpoint: Network to take instead of those in the package.
            self_ensemble: See `Network`.

        Raises:
            SettingError: There is no such task, or the checkpoint is of another one.
            CheckpointError: A checkpoint is missing or damaged, or none is in the package.
        """
        if name not in NAMES:
            raise SettingError(f"no task `{name}`; there are {', '.join(NAMES)}")
        networks = [Network.load(path) for path in checkpoints_for(name, checkpoint)]
        task = "sr" if name.startswith("sr") else name
        scale = int(name[2:]) if task == "sr" else 1
        for one in networks:
            if one.task != task or one.architecture.enlarges != scale:
                raise SettingError(f"{checkpoint} is a network for `{one.task}`, not for {name}")
        made = [replace(one, self_ensemble=self_ensemble) for one in networks]
        return cls(task, made[0], made[-1])

    @property
    def enlarges(self) -> int:
        """Height and width of the restored picture over those of the given one."""
        return self.colour.architecture.enlarges

    def __call__(
        self,
        pixels: Tensor,
        missing: Tensor | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Restore a picture.

        Args:
            pixels: (1 or 3, H, W) uint8.
            missing: (H, W) bool, of pixels to fill in; for `inpaint` alone.
            progress: Called after each tile.

        Returns:
            uint8, as many channels, `enlarges` times as large. Pixels that were not missing are
            unchanged by `inpaint`. Super-resolution restores luma; the colours are interpolated.

        Raises:
            SettingError: `missing` is not given for `inpaint`, or given for another task.
            PictureError: The restored picture would be too large, or `missing` is of another size.
        """
        if (missing is not None) != (self.task == "inpaint"):
            raise SettingError(
                f"a mask of missing pixels is for `inpaint`, which needs one; the task is "
                f"`{self.task}`"
            )
        network = self.grey if len(pixels) == 1 else self.colour
        if self.task == "sr":
            return _enlarged(pixels, network, progress)
        given = pixels.float() / 255
        if missing is not None:
            if missing.shape != pixels.shape[1:]:
                wanted, got = (f"{x.shape[-1]} x {x.shape[-2]}" for x in (pixels, missing))
                raise PictureError(f"the mask is {got} pixels, and the picture {wanted}")
            known = (~missing)[None].float()
            given = torch.cat([given.expand(network.colours, -1, -1) * known, known])
        elif network.colours > len(pixels):
            given = given.expand(network.colours, -1, -1)
        restored = (network(given, progress) * 255).round().byte()
        if network.colours > len(pixels):
            restored = restored.float().mean(0, keepdim=True).round().byte()
        return restored if missing is None else torch.where(missing, restored, pixels)


@dataclass(frozen=True)
class Network:
    """One network, applied tile by tile.

    Attributes:
        model: The network, in evaluation mode.
        architecture: What it was built from.
        task: A name in `TASKS`.
        channels: Channels of its input.
        self_ensemble: Whether its answer is the mean over the picture's eight rotated and mirrored
            copies (Timofte et al. 2016, arXiv:1511.02228): better, in eight times the time.
    """

    model: nn.Module
    architecture: PictureToPicture
    task: str
    channels: int
    self_ensemble: bool = False

    @classmethod
    def load(cls, path: Path) -> "Network":
        """The network of a checkpoint.

        Raises:
            CheckpointError: It is missing or damaged, or the network restores no pictures.
        """
        return cls.of(load_checkpoint(path), path)

    @classmethod
    def of(cls, checkpoint: Checkpoint, path: Path) -> "Network":
        """The network of a checkpoint that is loaded."""
        described = checkpoint.description
        if not described.task:
            raise CheckpointError(f"{path} is a classifier; name a network for restoration")
        made = architecture(described.model)
        if not isinstance(made, PictureToPicture):
            raise CheckpointError(
                f"{path} is a network for `{described.task}`, which does not restore pictures; "
                f"name one for {', '.join(NAMES)}"
            )
        return cls(checkpoint.network(), made, described.task, described.channels)

    @property
    def colours(self) -> int:
        """Channels of the restored picture."""
        return self.channels - (self.task == "inpaint")

    @torch.inference_mode()
    def __call__(
        self, pixels: Tensor, progress: Progress | None = None, tile: int = _TILE
    ) -> Tensor:
        """The network's answer to (C, H, W) in [0, 1], clipped to [0, 1].

        Tiles overlap by as much as the network sees, so that the result is that of the whole
        picture at once.
        """
        if not self.self_ensemble:
            return self._answer(pixels, progress, tile)
        answers = [
            _mirrored(
                self._answer(_mirrored(pixels.rot90(turns, (1, 2)), mirror), None, tile), mirror
            ).rot90(-turns, (1, 2))
            for turns, mirror in track(_EIGHT, "restoring", progress)
        ]
        return torch.stack(answers).mean(0)

    def _answer(self, pixels: Tensor, progress: Progress | None, tile: int) -> Tensor:
        factor, multiple = self.architecture.enlarges, self.architecture.multiple
        height, width = pixels.shape[-2:]
        padding = (0, -width % multiple, 0, -height % multiple)
        even = functional.pad(pixels[None], padding, mode="replicate")
        model = self.model.to(memory_format=torch.channels_last)
        whole: Tensor | None = None
        tiles = list(_tiles(even.shape[-2], even.shape[-1], tile))
        for top, bottom, left, right in track(tiles, "restoring", progress):
            reach = -(-self.architecture.reach // multiple) * multiple
            above, before = max(0, top - reach), max(0, left - reach)
            part = even[..., above : bottom + reach, before : right + reach]
            made = model(part.to(memory_format=torch.channels_last))[0].clamp(0, 1)
            rows = slice((top - above) * factor, (bottom - above) * factor)
            columns = slice((left - before) * factor, (right - before) * factor)
            if whole is None:
                whole = made.new_empty(len(made), *(side * factor for side in even.shape[-2:]))
            whole[:, top * factor : bottom * factor, left * factor : right * factor] = made[
                :, rows, columns
            ]
        assert whole is not None
        return whole[:, : height * factor, : width * factor]


def _mirrored(pixels: Tensor, mirror: bool) -> Tensor:
    return pixels.flip(-1) if mirror else pixels


def _tiles(height: int, width: int, side: int) -> Iterator[tuple[int, int, int, int]]:
    """Top, bottom, left and right of the parts of a picture."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield top, min(top + side, height), left, min(left + side, width)


def _enlarged(pixels: Tensor, network: Network, progress: Progress | None) -> Tensor:
    """Luma from the network on colours from bicubic interpolation, (1 or 3, H, W) uint8."""
    scale = network.architecture.enlarges
    height, width = (side * scale for side in pixels.shape[-2:])
    if height * width > MAX_PIXELS:
        raise PictureError(
            f"enlarged, it would have {height * width // 10**6} megapixels; the largest picture "
            f"made here has {MAX_PIXELS // 10**6}"
        )
    colour = pixels.float().expand(3, -1, -1)
    restored = network(luma(colour) / 255, progress) * 255
    interpolated = resize(pixels, height, width).float()
    # One more grey level of Y is 255/219 more of each of R, G and B at equal colour differences.
    change = (restored - luma(interpolated.expand(3, -1, -1))) * _PER_LUMA
    return (interpolated + change).round().clamp(0, 255).byte()
