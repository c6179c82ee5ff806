"""Marks of a person are brought to what the network sees, or refused in one sentence."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from deconvviz.analysis.parts import MarkedPictures, draw_faces, read_parts
from deconvviz.errors import DataError, PictureError
from deconvviz.io.preprocess import Preprocess

PREPROCESS = Preprocess(32, (0.5,) * 3, (0.25,) * 3)
BOX = (4, 4, 12, 16)


def marked(tmp_path, parts, pictures=("a.png", "b.png"), size=(64, 48)):
    for name in ("a.png", "b.png"):
        Image.new("RGB", size, (9, 9, 9)).save(tmp_path / name)
    path = tmp_path / "marks.json"
    path.write_text(json.dumps({"pictures": list(pictures), "parts": parts}))
    return path


def test_a_marked_part_is_marked_in_what_the_network_sees(tmp_path):
    """White in the file's rectangle is white in the network's, and black around it."""
    boxes = {"a.png": (18, 30, 39, 51), "b.png": (0, 8, 24, 32)}
    for name, (top, left, bottom, right) in boxes.items():
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[top:bottom, left:right] = 255
        Image.fromarray(pixels).save(tmp_path / name)
    path = tmp_path / "marks.json"
    parts = {"patch": [list(box) for box in boxes.values()]}
    path.write_text(json.dumps({"pictures": list(boxes), "parts": parts}))
    read = read_parts(path, PREPROCESS)
    assert read.images.shape == (2, 3, 32, 32)
    assert read.title == "marks"
    for image, (top, left, bottom, right) in zip(read.images, read.parts["patch"], strict=True):
        white = (image.mean(0) * 0.25 + 0.5) > 0.5
        inside = torch.zeros_like(white)
        inside[top:bottom, left:right] = True
        assert (white != inside).sum() <= bottom - top + right - left  # a row and a column, rounded


def test_a_picture_of_the_networks_size_keeps_its_marks(tmp_path):
    path = marked(tmp_path, {"nose": [BOX, BOX]}, size=(32, 32))
    assert read_parts(path, PREPROCESS).parts == {"nose": [BOX, BOX]}


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        ({"nose": [BOX]}, "`nose` needs one box in each of 2 pictures, got 1"),
        ({"nose": [BOX, [4, 4, 4, 16]]}, "not a box inside 48 rows and 64 columns"),
        ({"nose": [BOX, [4, 4, 49, 16]]}, "`nose` in b.png"),
        ({"nose": [BOX, [0, 0, 9, 7]]}, "outside of what the network sees"),
        ({"nose": [BOX, [1, 2, 3]]}, "parts.nose.1"),
        ({"nose": [BOX, [1.5, 2, 3, 4]]}, "must be a valid integer"),
        ({"nose": 3}, "parts.nose"),
        ({}, "got 0 parts in 2 pictures"),
        ([], "parts must be"),
    ],
)
def test_wrong_marks_are_refused(tmp_path, parts, says):
    with pytest.raises(DataError, match=says):
        read_parts(marked(tmp_path, parts), PREPROCESS)


def test_wrong_files_are_refused(tmp_path):
    with pytest.raises(DataError, match="cannot read marks"):
        read_parts(tmp_path / "nothing.json", PREPROCESS)
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(DataError, match="JSON"):
        read_parts(tmp_path / "bad.json", PREPROCESS)
    (tmp_path / "list.json").write_text("[1]")
    with pytest.raises(DataError, match="it must be"):
        read_parts(tmp_path / "list.json", PREPROCESS)
    with pytest.raises(PictureError, match=r"no file c\.png"):
        read_parts(marked(tmp_path, {"nose": [BOX] * 2}, ("a.png", "c.png")), PREPROCESS)
    with pytest.raises(DataError, match="got 1 parts in 1 pictures"):
        read_parts(marked(tmp_path, {"nose": [BOX]}, ("a.png",)), PREPROCESS)


def test_boxes_of_a_batch_are_checked():
    with pytest.raises(DataError, match="`nose` in picture 1"):
        MarkedPictures(torch.zeros(2, 3, 8, 8), {"nose": [(0, 0, 1, 1), (0, 0, 9, 1)]}, "")
    with pytest.raises(DataError, match="got 1"):
        MarkedPictures(torch.zeros(2, 3, 8, 8), {"nose": [(0, 0, 1, 1)]}, "")


@pytest.mark.parametrize("size", [16, 32, 64])
def test_faces_are_the_same_at_every_call_and_differ_by_seed(size):
    preprocessing = Preprocess(size, (0.5,) * 3, (0.25,) * 3)
    faces, again = draw_faces(6, preprocessing, seed=3), draw_faces(6, preprocessing, seed=3)
    assert torch.equal(faces.images, again.images)
    assert faces.parts == again.parts
    assert not torch.equal(faces.images, draw_faces(6, preprocessing, seed=4).images)
    assert list(faces.parts) == ["left eye", "right eye", "nose", "mouth"]
    for left, right in zip(faces.parts["left eye"], faces.parts["right eye"], strict=True):
        assert left[3] <= right[1] + 1
        assert left[0] == right[0]


def test_a_mouth_is_red_where_it_is_marked():
    faces = draw_faces(8, Preprocess(64, (0.0,) * 3, (1.0,) * 3))
    for image, (top, left, bottom, right) in zip(faces.images, faces.parts["mouth"], strict=True):
        red = (image[0] > 0.6) & (image[1] < 0.25) & (image[2] < 0.3)
        middle = red[(top + bottom) // 2, left + 2 : right - 2]
        assert middle.float().mean() > 0.9


def test_one_face_is_too_few():
    with pytest.raises(DataError, match="at least"):
        draw_faces(1, PREPROCESS)
    with pytest.raises(DataError, match="in 0 pictures"):
        draw_faces(0, PREPROCESS)
