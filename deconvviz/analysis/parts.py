"""Pictures in which the same parts are marked: a person's own, or faces drawn here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from deconvviz.deconv import Box
from deconvviz.errors import DataError
from deconvviz.io.images import open_picture
from deconvviz.io.preprocess import Preprocess
from deconvviz.schema import read

_FORM = (
    'it must be {"pictures": ["a.png", "b.png"], "parts": {"nose": [[top, left, bottom, right], '
    "[top, left, bottom, right]]}}: for each part a box in each picture, in its pixels"
)
_FINE = 8  # times the size that faces are drawn at, for smooth edges


@dataclass(frozen=True, eq=False)
class MarkedPictures:
    """N pictures, each with the same parts.

    Attributes:
        images: (N, C, H, W), normalised, as the network sees them.
        parts: Part -> its box in each picture, in pixels of `images`.

    Raises:
        DataError: Fewer than two pictures or no parts; or a box is missing, empty or leaves its
            picture.
    """

    images: Tensor
    parts: Mapping[str, Sequence[Box]]
    title: str

    def __post_init__(self) -> None:
        count = len(self.images)
        if count < 2 or not self.parts:
            raise DataError(
                "need at least one part in at least two pictures, got "
                f"{len(self.parts)} parts in {count} pictures"
            )
        height, width = self.images.shape[2:]
        for part, boxes in self.parts.items():
            if len(boxes) != count:
                raise DataError(
                    f"`{part}` needs one box in each of {count} pictures, got {len(boxes)}"
                )
            for nth, box in enumerate(boxes):
                _check_box(f"`{part}` in picture {nth}", box, (height, width))


def read_parts(path: Path, preprocessing: Preprocess) -> MarkedPictures:
    """Read marked parts and the pictures that they are in.

    The file is JSON: `pictures`, a list of files, relative to its own folder unless absolute; and
    `parts`, for each name a list of boxes [top, left, bottom, right] in whole pixels of those
    files, one per picture, the last two exclusive.

    Boxes are moved to what the network sees with this preprocessing.

    Raises:
        DataError: The file has another form, or a box leaves what the network sees.
        PictureError: A picture cannot be read.
    """
    marks = _marks(path)
    images, seen = [], []
    for name in marks.pictures:
        image = open_picture(path.parent / name).image
        images.append(preprocessing.tensor(image))
        seen.append((image.height, image.width, preprocessing.box(image)))
    parts: dict[str, list[Box]] = {}
    for part, boxes in marks.parts.items():
        if len(boxes) != len(images):
            raise DataError(
                f"{path}: `{part}` needs one box in each of {len(images)} pictures, got "
                f"{len(boxes)}"
            )
        parts[part] = []
        for name, box, (height, width, view) in zip(marks.pictures, boxes, seen, strict=True):
            where = f"{path}: `{part}` in {name}"
            _check_box(where, box, (height, width))
            parts[part].append(_as_seen(where, box, view, preprocessing.size))
    return MarkedPictures(torch.stack(images), parts, path.stem)


def draw_faces(count: int, preprocessing: Preprocess, seed: int = 0) -> MarkedPictures:
    """Plain faces of random place, size and colours, whose eyes, nose and mouth are known.

    There must be at least two; they have the network's input size.
    """
    rng = np.random.default_rng(seed)
    drawn = [_face(rng, preprocessing.size) for _ in range(count)]
    images = (
        torch.stack([preprocessing.tensor(image) for image, _ in drawn])
        if drawn
        else torch.empty(0)
    )
    names = drawn[0][1] if drawn else ()
    return MarkedPictures(images, {n: [boxes[n] for _, boxes in drawn] for n in names}, "faces")


@dataclass(frozen=True)
class _Marks:
    pictures: tuple[str, ...]
    parts: Mapping[str, tuple[Box, ...]]


def _marks(path: Path) -> _Marks:
    try:
        return read(_Marks, path.read_text("utf-8"), path, DataError)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot read marks from {path}; give a JSON file: {_FORM}") from error
    except DataError as error:
        raise DataError(f"{error}; {_FORM}") from None


def _check_box(where: str, box: Sequence[int], size: tuple[int, int]) -> None:
    top, left, bottom, right = box
    height, width = size
    if not (0 <= top < bottom <= height and 0 <= left < right <= width):
        raise DataError(
            f"{where}: {list(box)} is not a box inside {height} rows and {width} columns; give "
            "top, left, bottom, right"
        )


def _as_seen(where: str, box: Sequence[int], view: Box, side: int) -> Box:
    """A box in the file's picture, to the nearest pixels of the network's input."""
    top, left, bottom, right = view
    height, width = side / (bottom - top), side / (right - left)
    rows = round((box[0] - top) * height), round((box[2] - top) * height)
    columns = round((box[1] - left) * width), round((box[3] - left) * width)
    seen = (
        max(0, rows[0]),
        max(0, columns[0]),
        min(side, max(rows[1], rows[0] + 1)),
        min(side, max(columns[1], columns[0] + 1)),
    )
    if seen[0] >= seen[2] or seen[1] >= seen[3]:
        raise DataError(
            f"{where}: {list(box)} is outside of what the network sees, {list(view)}; mark what is "
            "inside, or crop the picture"
        )
    return seen


def _face(rng: np.random.Generator, size: int) -> tuple[Image.Image, dict[str, Box]]:
    """A face and its parts, drawn large and shrunk."""
    large = size * _FINE
    skin, ground, dark = (
        rng.integers((150, 100, 60), (256, 190, 140)),
        *rng.integers(0, 200, (2, 3)),
    )
    canvas = Image.new("RGB", (large, large), tuple(ground.tolist()))
    draw = ImageDraw.Draw(canvas)
    radius = rng.uniform(0.3, 0.36)
    x, y = rng.uniform(radius, 1 - radius, 2) * 0.6 + 0.2  # somewhere around the middle
    colour, shade = tuple(skin.tolist()), tuple((skin * 0.7).astype(int).tolist())
    ink = tuple((dark * 0.3).astype(int).tolist())

    def box(across: float, down: float, wide: float, high: float) -> Box:
        """Around a point of the face, in its radii, to whole pixels of the small picture."""
        centre, half = (y + down * radius, x + across * radius), (high * radius, wide * radius)
        edges = [(centre[i] + sign * half[i]) * size for sign in (-1, 1) for i in (0, 1)]
        top, left, bottom, right = (round(min(max(edge, 0), size)) for edge in edges)
        return top, left, max(bottom, top + 1), max(right, left + 1)

    def corners(rectangle: Box) -> tuple[int, int, int, int]:
        top, left, bottom, right = (edge * _FINE for edge in rectangle)
        return left, top, right - 1, bottom - 1

    draw.ellipse(corners(box(0, 0, 0.9, 1)), fill=colour)
    apart, opened = rng.uniform(0.33, 0.42), rng.uniform(0.12, 0.2)
    parts = {
        "left eye": box(-apart, -0.25, 0.2, opened),
        "right eye": box(apart, -0.25, 0.2, opened),
        "nose": box(0, 0.1, 0.14, 0.22),
        "mouth": box(0, 0.58, rng.uniform(0.3, 0.45), rng.uniform(0.08, 0.14)),
    }
    for eye in ("left eye", "right eye"):
        left, top, right, bottom = corners(parts[eye])
        third = (right - left) // 3
        draw.ellipse((left, top, right, bottom), fill=(250, 250, 250))
        draw.ellipse((left + third, top, right - third, bottom), fill=ink)
    left, top, right, bottom = corners(parts["nose"])
    draw.polygon([((left + right) / 2, top), (left, bottom), (right, bottom)], fill=shade)
    draw.ellipse(corners(parts["mouth"]), fill=(170, 40, 50))
    return canvas.resize((size, size), Image.Resampling.BOX), parts
