"""The target of an examination: one projection, with the part of the picture that it needs."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from deconvviz.analysis.trust.similarity import edges
from deconvviz.deconv import Box, Deconvnet, Recording, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.errors import PictureError, SelectionError

_SAME = 1e-4  # of the largest value, by which float32 may differ between a picture and its part


@dataclass(frozen=True, eq=False)
class Target:
    """One projection under examination.

    Attributes:
        image: (1, C, H, W) normalised: the part of the picture that the units need.
        selection: Units in `image`; they start together.
        recording: Recording of `image`, with the units' layer.
        region: Window of the units in `image`, clipped to it.
        box: The same window in the whole picture.
        activation: Summed activation of the units.
        pixels: (C, h, w) projection in the region, in normalised input units.
        edges: (h, w) edges of the picture in the region; see `metrics.edges`.
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
        """(G, C, h, w) projections of G starts by another net or recording of such images."""
        return self.cut(net.project(recording, starts, self.rule).full())


def find_target(net: Deconvnet, images: Tensor, selection: Selection, rule: Rule) -> Target:
    """Prepare one projection for its examination.

    Only the part of the picture that the units see is kept, if it gives the same projection: so a
    large picture takes no longer than a small one.

    Images are (N, C, H, W) or (C, H, W), normalised; the selection is one unit, or several of one
    group, which start together.

    Raises:
        SelectionError: The selection makes several projections, or the projection is zero.
    """
    images = images if images.dim() == 4 else images[None]
    image, selection = _alone(images, selection)
    whole = _target(net, rule, image, selection)
    if not whole.activation or not bool(whole.pixels.any()):
        raise SelectionError(
            f"unit {int(selection.channel[0])} of `{selection.layer}` has activation "
            f"{whole.activation:.3g} here and a projection of zero; choose a place or a unit that "
            "is active"
        )
    return _cropped(whole) or whole


def _alone(images: Tensor, selection: Selection) -> tuple[Tensor, Selection]:
    """The picture of a selection that makes one projection, and the selection in it."""
    groups = len(selection) if selection.group is None else len(torch.unique(selection.group))
    if groups != 1:
        raise SelectionError(
            f"the selection makes {groups} projections, expected one; give one row of it, or rows "
            "of one group"
        )
    image = int(selection.image[0])
    if not 0 <= image < len(images):
        raise SelectionError(f"no image {image}; there are {len(images)}, counted from 0")
    return images[image : image + 1], _moved(selection, 0, 0)


def _moved(selection: Selection, up: int, left: int) -> Selection:
    """The same units in the first image, moved towards its top left corner."""
    s = selection
    group = torch.zeros_like(s.image)
    return Selection(s.layer, group, s.channel, s.y - up, s.x - left, group, s.weight)


def _target(net: Deconvnet, rule: Rule, image: Tensor, selection: Selection) -> Target:
    recording = net.record(image, [selection.layer])
    full = net.project(recording, selection, rule).full()[0]
    box = _window(net, selection, full)
    inside = slice(box[0], box[2]), slice(box[1], box[3])
    values = recording.values(selection)
    if selection.weight is not None:
        values = values * selection.weight.to(values)
    return Target(
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
    """The window of the units; the whole picture where the projection (C, H, W) leaves it."""
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


def _cropped(whole: Target) -> Target | None:
    """The target in the part of the picture that its units see, if that gives the same."""
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
        seen = _target(whole.net, whole.rule, part, _moved(whole.selection, up, left))
    except (PictureError, SelectionError):  # a network that takes one size alone, for example
        return None
    same = seen.pixels.shape == whole.pixels.shape and _near(seen.pixels, whole.pixels)
    if not same or not _near(torch.tensor(seen.activation), torch.tensor(whole.activation)):
        return None
    return replace(seen, box=whole.box, edges=whole.edges)


def _near(one: Tensor, other: Tensor) -> bool:
    return bool((one - other).abs().max() <= _SAME * other.abs().max())
