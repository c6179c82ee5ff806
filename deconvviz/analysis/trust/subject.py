"""What is examined: one projection, with the part of the picture that it was made of."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deconvviz.analysis.trust.metrics import edges
from deconvviz.deconv import Deconvnet, Recording, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.errors import PictureError, SelectionError
from deconvviz.plots.figures import Box

__all__ = ["Subject", "look_at"]

_SAME = 1e-4  # of the largest value, by which float32 may differ between a picture and its part


@dataclass(frozen=True, eq=False)
class Subject:
    """One projection under examination.

    Attributes:
        net: The deconvnet that made it.
        rule: The rule of the projection.
        image: (1, C, H, W) normalised: as much of the picture as its units need.
        selection: The units, in `image`; they start together.
        recording: Of `image`, with the units' layer.
        region: The units' window in `image`, without what leaves the picture.
        box: The same in the whole picture.
        activation: The units' summed activation.
        pixels: (C, h, w) the projection in the region, in normalised input units.
        edges: (h, w) the edges of the picture in the region; see `metrics.edges`.
    """

    net: Deconvnet
    rule: Rule
    image: Tensor
    selection: Selection
    recording: Recording
    region: Box
    box: Box
    activation: float
    pixels: Tensor
    edges: Tensor

    @property
    def layer(self) -> str:
        """The units' layer."""
        return self.selection.layer

    @property
    def patch(self) -> Tensor:
        """(C, h, w) the picture in the region, normalised."""
        return self.cut(self.image[0])

    def cut(self, maps: Tensor) -> Tensor:
        """The region of maps (..., H, W) over the image; a view."""
        top, left, bottom, right = self.region
        return maps[..., top:bottom, left:right]

    def with_patches(self, patches: Tensor) -> Tensor:
        """(N, C, H, W): the image with each of N patches (N, C, h, w) in the region."""
        images = self.image.repeat(len(patches), 1, 1, 1)
        images = images.contiguous(memory_format=torch.channels_last)  # as recording does
        self.cut(images).copy_(patches)
        return images

    def projected(self, net: Deconvnet, recording: Recording, starts: Selection) -> Tensor:
        """(G, C, h, w): what a net and a recording of such images give for G starts."""
        return self.cut(net.project(recording, starts, self.rule).full())


def look_at(net: Deconvnet, images: Tensor, selection: Selection, rule: Rule) -> Subject:
    """Prepare one projection for its examination.

    Only the part of the picture that the units see is kept, where it gives the same projection:
    then a large picture takes no longer than a small one.

    Args:
        net: The deconvnet.
        images: (N, C, H, W) normalised; or one of them, (C, H, W).
        selection: One unit, or several of one group, which start together.
        rule: The rule of the projection.

    Raises:
        SelectionError: It is not one projection, or the projection is zero.
    """
    images = images if images.dim() == 4 else images[None]
    image, selection = _alone(images, selection)
    whole = _subject(net, rule, image, selection)
    if not whole.activation or not bool(whole.pixels.any()):
        raise SelectionError(
            f"nothing to examine: unit {int(selection.channel[0])} of `{selection.layer}` has the "
            f"activation {whole.activation:.3g} here, and its projection is zero; choose a place "
            "or a unit that is active"
        )
    return _cropped(whole) or whole


def _alone(images: Tensor, selection: Selection) -> tuple[Tensor, Selection]:
    """The one picture of a selection that makes one projection, and the selection in it."""
    groups = len(selection) if selection.group is None else len(torch.unique(selection.group))
    if groups != 1:
        raise SelectionError(
            f"one projection is examined at a time, but this selection makes {groups}; give one row"
            " of it, or rows of one group"
        )
    image = int(selection.image[0])
    if not 0 <= image < len(images):
        raise SelectionError(f"no image {image}; there are {len(images)}, counted from 0")
    return images[image : image + 1], _moved(selection, 0, 0)


def _moved(selection: Selection, up: int, left: int) -> Selection:
    """The same units in the first image, so many rows and columns nearer to its corner."""
    s = selection
    group = torch.zeros_like(s.image)
    return Selection(s.layer, group, s.channel, s.y - up, s.x - left, group, s.weight)


def _subject(net: Deconvnet, rule: Rule, image: Tensor, selection: Selection) -> Subject:
    recording = net.record(image, [selection.layer])
    full = net.project(recording, selection, rule).full()[0]
    box = _window(net, selection, full)
    inside = slice(box[0], box[2]), slice(box[1], box[3])
    values = recording.values(selection)
    if selection.weight is not None:
        values = values * selection.weight.to(values)
    return Subject(
        net=net,
        rule=rule,
        image=image,
        selection=selection,
        recording=recording,
        region=box,
        box=box,
        activation=float(values.sum()),
        pixels=full[:, *inside],
        edges=edges(image[0])[inside],
    )


def _window(net: Deconvnet, selection: Selection, full: Tensor) -> Box:
    """What the units see of the picture; all of it where a projection (C, H, W) goes beyond."""
    layer, (height, width) = net.layers[selection.layer], full.shape[1:]
    (down, across), (offset, begin) = layer.stride, layer.offset
    if not down or not across:
        return 0, 0, height, width
    top, left = selection.y * down + offset, selection.x * across + begin
    high, wide = layer.receptive_field
    box = (
        max(int(top.min()), 0),
        max(int(left.min()), 0),
        min(int(top.max()) + high, height),
        min(int(left.max()) + wide, width),
    )
    inside = full[:, box[0] : box[2], box[1] : box[3]]
    return box if inside.count_nonzero() == full.count_nonzero() else (0, 0, height, width)


def _cropped(whole: Subject) -> Subject | None:
    """The subject in the part of the picture that its units see, if that gives the same."""
    (down, across), (height, width) = whole.net.layers[whole.layer].stride, whole.recording.size
    if whole.box == (0, 0, height, width):
        return None
    # Cut where a unit's window starts, so that every stride below falls as in the whole picture.
    up, left = whole.box[0] // down, whole.box[1] // across
    top, begin = up * down, left * across
    bottom = min(height, -(-whole.box[2] // down) * down)
    right = min(width, -(-whole.box[3] // across) * across)
    part = whole.image[:, :, top:bottom, begin:right]
    try:
        seen = _subject(whole.net, whole.rule, part, _moved(whole.selection, up, left))
    except (PictureError, SelectionError):  # a network that takes one size alone, for example
        return None
    same = seen.pixels.shape == whole.pixels.shape and _near(seen.pixels, whole.pixels)
    if not same or not _near(torch.tensor(seen.activation), torch.tensor(whole.activation)):
        return None
    return replace(seen, box=whole.box, edges=whole.edges)


def _near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _SAME * other.abs().max())
