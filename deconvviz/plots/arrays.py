"""Pictures as arrays: enlarged, cut out, framed, put together.

Arrays are uint8 and crisp: small windows are enlarged by repeating pixels. matplotlib, which takes
half a second to import, has no part in it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.util import montage

from deconvviz.deconv import Box
from deconvviz.io.preprocess import Pixels

GREY = 128  # zero, as `display` shows it, and what lies beyond a picture's edge
_FRAME = (255, 255, 255)
_CHOSEN = (255, 150, 60)


def enlarge(pixels: Pixels, side: int, *, crisp: bool = False) -> Pixels:
    """Enlarge by a whole factor, so that the longer side has about `side`, at least as now.

    Smoothly, by bicubic interpolation; or `crisp`, each pixel as a square.
    """
    height, width = pixels.shape[:2]
    factor = max(1, round(side / max(height, width)))
    if crisp or factor == 1:
        return pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    size = (factor * width, factor * height)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))


def crop(picture: Pixels, box: Box) -> Pixels:
    """The part of an (H, W, 3) picture in `box`, grey beyond its edges."""
    top, left, bottom, right = box
    height, width = picture.shape[:2]
    shown = np.full((bottom - top, right - left, 3), GREY, np.uint8)
    ys = slice(max(top, 0), max(0, min(bottom, height)))
    xs = slice(max(left, 0), max(0, min(right, width)))
    part = picture[ys, xs]
    y, x = ys.start - top, xs.start - left
    shown[y : y + part.shape[0], x : x + part.shape[1]] = part
    return shown


def framed(
    picture: Pixels, boxes: Sequence[Box], chosen: Box | None = None, side: int = 900
) -> Pixels:
    """A picture with the outlines of windows, thin white ones and a bold one for the chosen.

    It is enlarged to about `side` first, so that lines hide little of it.
    """
    canvas = enlarge(picture, side)
    factor = canvas.shape[0] // picture.shape[0]
    image = Image.fromarray(canvas)
    draw = ImageDraw.Draw(image)
    thin = max(1, round(max(image.size) / 320))
    for box in boxes:
        _outline(draw, box, factor, _FRAME, thin)
    if chosen is not None:
        _outline(draw, chosen, factor, _CHOSEN, 2 * thin)
    return np.asarray(image)


def _outline(
    draw: ImageDraw.ImageDraw, box: Box, factor: int, colour: tuple[int, int, int], width: int
) -> None:
    """A rectangle just outside the box, with a dark edge that shows it on white."""
    top, left, bottom, right = (edge * factor for edge in box)
    for grow, line, thickness in ((width + 1, (0, 0, 0), width + 2), (width, colour, width)):
        corners = (left - grow, top - grow, right + grow - 1, bottom + grow - 1)
        draw.rectangle(corners, outline=line, width=thickness)


def mosaic(
    tiles: Sequence[Pixels] | Pixels,
    columns: int,
    gap: int = 1,
    side: int = 0,
    places: int = 0,
    *,
    crisp: bool = False,
) -> Pixels:
    """K tiles (h, w, 3), at least one, row by row on a transparent background: (H, W, 4).

    Each is enlarged to about `side` pixels, as in `enlarge`, then `gap` pixels are left between
    them; there is room for at least `places` tiles.
    """
    large = np.stack([enlarge(tile, side, crisp=crisp) for tile in tiles])
    opaque = np.full((*large.shape[:3], 1), 255, np.uint8)
    places = max(places, len(large))
    columns = min(columns, places)
    sheet: Pixels = montage(
        np.concatenate([large, opaque], axis=3),
        fill=(0, 0, 0, 0),
        grid_shape=(-(-places // columns), columns),
        padding_width=gap,
        channel_axis=3,
    )
    height, width = sheet.shape[:2]  # montage adds a gap around all tiles, too
    return np.ascontiguousarray(sheet[gap : height - gap, gap : width - gap])


def stretched(images: NDArray[np.floating]) -> Pixels:
    """Images of any range as pictures: uint8 (N, H, W, 3).

    Each goes from its smallest value, black, to its largest, white; one that is flat is black.

    Images are (N, C, H, W). Three channels are red, green and blue; any other number is shown as
    its mean, in grey.
    """
    if images.shape[1] != 3:
        images = images.mean(axis=1, keepdims=True).repeat(3, axis=1)
    low, high = (f(images, axis=(1, 2, 3), keepdims=True) for f in (np.min, np.max))
    shades = 255 * (images - low) / np.where(high > low, high - low, 1)
    shown: Pixels = shades.round().astype(np.uint8).transpose(0, 2, 3, 1)
    return shown
