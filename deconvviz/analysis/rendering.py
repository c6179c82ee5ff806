"""A saved projection made again, and held to what was saved."""

from dataclasses import dataclass

import torch
from torch import Tensor

from deconvviz.deconv import Deconvnet, Selection
from deconvviz.errors import SavedFileError
from deconvviz.io.bundle import Bundle
from deconvviz.io.saved import SavedProjection


@dataclass(frozen=True, eq=False)
class Rendered:
    """A projection made again from its file.

    Attributes:
        pixels: (C, h, w) signed, in normalised input units.
        saved: What the file holds.
        share: The highest activation over the layer's largest in this picture.
    """

    pixels: Tensor
    saved: SavedProjection
    share: float

    @property
    def is_same(self) -> bool:
        """Whether both are the same bytes."""
        before, after = self.saved.pixels, self.pixels
        return (
            before.dtype == after.dtype
            and before.shape == after.shape
            and torch.equal(
                before.contiguous().view(torch.uint8), after.contiguous().view(torch.uint8)
            )
        )

    @property
    def difference(self) -> float | None:
        """The largest difference over the largest saved pixel; None if the sizes differ."""
        before, after = self.saved.pixels.double(), self.pixels.double()
        if before.shape != after.shape:
            return None
        largest = float(before.abs().max())
        return float((after - before).abs().max()) / (largest or 1.0)


def render(saved: SavedProjection, bundle: Bundle, net: Deconvnet | None = None) -> Rendered:
    """Project again what a file was made from.

    On the machine and with the versions and the number of threads that made the file, the pixels
    are the same bytes. Elsewhere another order of summation may change the last digits, and with
    them now and then a mask.

    Args:
        saved: The file.
        bundle: Its network, by digest.
        net: Deconvnet of the network, where there is one already.

    Raises:
        SavedFileError: The network has other weights, or other input channels.
        UnknownLayerError: The network has no such layer.
        SelectionError: The layer has no such positions.
        PictureError: The network does not take pictures of this size.
    """
    record = saved.record
    if record.checkpoint_sha256 != bundle.sha256:
        raise SavedFileError(
            f"`{bundle.name}` is another network than the file's: its digest is "
            f"{bundle.sha256[:12]}…, the file names {record.checkpoint_sha256[:12]}…"
        )
    if len(record.preprocessing.mean) != bundle.preprocessing.channels:
        raise SavedFileError(
            f"the file's picture has {len(record.preprocessing.mean)} channels, `{bundle.name}` "
            f"takes {bundle.preprocessing.channels}"
        )
    net = net or Deconvnet(bundle.model, bundle.input_size)
    recording = net.record(record.preprocessing.tensor(saved.picture)[None], [record.layer])
    if not record.positions:  # none was active
        return Rendered(torch.zeros_like(saved.pixels), saved, 0.0)
    channel, y, x = zip(*record.positions, strict=True)
    group = torch.zeros(len(channel), dtype=torch.int64) if record.together else None
    selection = Selection(record.layer, 0, channel, y, x, group=group)
    projection = net.project(recording, selection, record.rule, record.start)
    largest = float(recording[record.layer].max())
    value = float(recording.values(selection).max())
    (pixels,) = projection.full() if record.together else projection.pixels
    return Rendered(pixels, saved, value / largest if largest > 0 else 0.0)
