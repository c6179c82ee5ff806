"""Projections as one picture: a contact sheet, or a figure with titles and a caption."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from deconvviz.deconv import Projection
from deconvviz.errors import PictureError
from deconvviz.io.images import limit_side, to_png
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import crop, mosaic, stretched
from deconvviz.plots.display import display, display_caption, number
from deconvviz.plots.figures import contact_sheet

_COLUMNS = 8
_SMALL, _LARGE = 96, 128  # pixels: smaller windows are enlarged, larger ones shrunk


def thumbnails(projection: Projection, most: int) -> bytes:
    """The first `most` projections side by side, each at its own contrast, as a PNG file.

    Without any, the sheet is one transparent tile.
    """
    if not len(projection):
        return to_png(Image.new("RGBA", (_SMALL, _SMALL)))
    # One by one, because many large windows would fill the memory several times.
    tiles = [
        np.asarray(limit_side(Image.fromarray(display(window)), _LARGE))
        for window in projection.pixels[:most]
    ]
    return to_png(mosaic(tiles, _COLUMNS, gap=2, side=_SMALL))


def figure(
    projection: Projection,
    columns: int | None,
    images: Tensor | None,
    most: int,
    *,
    values: Sequence[float] = (),
    source: str = "",
) -> Figure:
    """The first `most` projections under their titles; see `Projection.plot` for the rest.

    `values`, the activation of each unit, stand in the titles, and `source`, the network and the
    picture, in the caption.
    """
    columns = (6 if images is None else 3) if columns is None else columns
    if columns < 1 or most < 1:
        raise ValueError(f"columns and most must be >= 1, got {columns} and {most}")
    shown = [display(window) for window in projection.pixels[:most]]
    names, caption = titles(projection)[:most], _caption(projection, most, source)
    if values:
        pairs_of = zip(names, values, strict=False)
        names = [f"{name}, activation {number(value)}" for name, value in pairs_of]
    if images is None:
        return contact_sheet([[window] for window in shown], names, caption, columns)
    pairs = list(zip(_image_parts(projection, images, most), shown, strict=True))
    caption += (
        " Left of each, the part of the image in its window, from the image's smallest value "
        "(black) to its largest (white)."
    )
    return contact_sheet(pairs, names, caption, columns)


def titles(projection: Projection) -> list[str]:
    """The unit or group of each of G projections, for example "unit 12, row 3, column 4".

    A unit at (0, 0) that sees the whole picture, as in linear layers, has no row and column; the
    image is named where there are several.
    """
    selection, images = projection.selection, projection.image.tolist()
    if selection.group is not None:
        numbers, counts = torch.unique(selection.group, return_counts=True)
        names = [
            f"group {number} of {count} unit{'s' * (count != 1)}"
            for number, count in zip(numbers.tolist(), counts.tolist(), strict=True)
        ]
    else:
        columns = (selection.channel, selection.y, selection.x, projection.boxes)
        whole = [0, 0, *projection.size]
        names = [
            f"unit {channel}" + (f", row {y}, column {x}" if y or x or box != whole else "")
            for channel, y, x, box in zip(*(column.tolist() for column in columns), strict=True)
        ]
    if len(set(images)) < 2:
        return names
    return [f"{name}, image {image}" for name, image in zip(names, images, strict=True)]


def _caption(projection: Projection, most: int, source: str) -> str:
    count = len(projection)
    shown = f"The first {most} of {count}" if count > most else str(count or "No")
    return (
        f"{shown} projection{'s' * (count != 1)} from {projection.selection.layer}{source}, rule "
        f"{projection.rule}, start {projection.start}. {display_caption()}"
    )


def _image_parts(projection: Projection, images: Tensor, most: int) -> list[Pixels]:
    first = projection.image[:most].to(images.device)
    fits = images.dim() == 4 and images.shape[2:] == projection.size
    if not fits or bool((first >= len(images)).any()):
        height, width = projection.size
        raise PictureError(
            f"images must be those that were recorded, (N, C, {height}, {width}), got "
            f"{tuple(images.shape)}"
        )
    shown = stretched(images[first].detach().float().cpu().numpy())
    return [crop(*pair) for pair in zip(shown, projection.boxes.tolist(), strict=False)]
