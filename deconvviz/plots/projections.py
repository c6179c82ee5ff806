"""Projections as one picture: a sheet of them at a glance, or a figure that says what each is."""

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from deconvviz.deconv.projection import Projection
from deconvviz.errors import PictureError
from deconvviz.io.images import limit_side, to_png
from deconvviz.plots.display import display, display_caption
from deconvviz.plots.figures import Pixels, contact_sheet, crop, mosaic, stretched

__all__ = ["captioned", "thumbnails", "titles"]

_COLUMNS = 8
_SMALL, _LARGE = 96, 128  # pixels: windows are enlarged to about the first, and shrunk to the other


def thumbnails(projection: Projection, most: int) -> bytes:
    """The first `most` projections side by side, each at its own contrast, as a PNG file.

    Without any, the sheet is empty: one transparent tile.
    """
    if not len(projection):
        return to_png(Image.new("RGBA", (_SMALL, _SMALL)))
    # One by one, because many large windows would fill the memory several times.
    tiles = [
        np.asarray(limit_side(Image.fromarray(display(window)), _LARGE))
        for window in projection.pixels[:most]
    ]
    return to_png(mosaic(tiles, _COLUMNS, gap=2, side=_SMALL))


def captioned(
    projection: Projection, columns: int | None, images: Tensor | None, most: int
) -> Figure:
    """The first `most` projections under their titles; see `Projection.plot` for the rest."""
    columns = (6 if images is None else 3) if columns is None else columns
    if columns < 1 or most < 1:
        raise ValueError(f"columns and most must be positive, but they are {columns} and {most}")
    shown = [display(window) for window in projection.pixels[:most]]
    told, caption = titles(projection)[:most], _caption(projection, most)
    if images is None:
        return contact_sheet([[window] for window in shown], told, caption, columns)
    pairs = list(zip(_seen(projection, images, most), shown, strict=True))
    caption += (
        " Left of each, what its window holds of the image, from the image's smallest value (black)"
        " to its largest (white)."
    )
    return contact_sheet(pairs, told, caption, columns)


def titles(projection: Projection) -> list[str]:
    """What each of G projections started from, for example "unit 12, row 3, column 4".

    A unit that sees the whole picture from (0, 0), as those of linear layers, has no place to tell;
    the image is told where there are several.
    """
    selection, images = projection.selection, projection.image.tolist()
    if selection.group is not None:
        numbers, counts = torch.unique(selection.group, return_counts=True)
        started = [
            f"group {number} of {count} unit{'s' * (count != 1)}"
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
    else:
        columns = (selection.channel, selection.y, selection.x, projection.boxes)
        whole = [0, 0, *projection.size]
        started = [
            f"unit {channel}" + (f", row {y}, column {x}" if y or x or box != whole else "")
            for channel, y, x, box in zip(*(column.tolist() for column in columns), strict=True)
        ]
    if len(set(images)) < 2:
        return started
    return [f"{told}, image {image}" for told, image in zip(started, images, strict=True)]


def _caption(projection: Projection, most: int) -> str:
    """How many of which projections are shown, and how."""
    count = len(projection)
    shown = f"The first {most} of {count}" if count > most else str(count or "No")
    return (
        f"{shown} projection{'s' * (count != 1)} from {projection.selection.layer}, rule "
        f"{projection.rule}, start {projection.start}. {display_caption()}"
    )


def _seen(projection: Projection, images: Tensor, most: int) -> list[Pixels]:
    """What each of the first windows holds of its image."""
    first = projection.image[:most].to(images.device)
    fits = images.dim() == 4 and images.shape[2:] == projection.size
    if not fits or bool((first >= len(images)).any()):
        height, width = projection.size
        raise PictureError(
            f"images must be those that were recorded, (N, C, {height}, {width}), but they are "
            f"{tuple(images.shape)}"
        )
    shown = stretched(images[first].detach().float().cpu().numpy())
    boxes = [(top, left, bottom, right) for top, left, bottom, right in projection.boxes.tolist()]
    return [crop(image, box) for image, box in zip(shown, boxes, strict=False)]
