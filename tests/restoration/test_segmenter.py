"""Segmentation of pictures of any size: the class of each pixel, in its colour."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from deconvviz.io.data.camvid import CLASSES, COLOURS
from deconvviz.restoration.files import segment_files, targets
from deconvviz.restoration.segmenter import HEIGHT, Segmenter


class Brightness(nn.Module):
    """Three classes: dark, medium and bright pixels."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, pictures):
        middles = torch.tensor([0.0, 0.5, 1.0]).view(1, 3, 1, 1)
        return -(pictures.mean(1, keepdim=True) - middles).abs()


SEGMENTER = Segmenter(Brightness(), ("dark", "medium", "bright"), (0.0,) * 3, (1.0,) * 3)


@pytest.mark.parametrize("size", [(360, 300), (90, 60), (31, 47), (8, 160)])
@pytest.mark.parametrize("channels", [1, 3])
def test_each_pixel_has_its_class_whatever_the_size(size, channels):
    height, width = size
    columns = torch.tensor([0, 128, 255]).repeat_interleave(-(-width // 3))[:width]
    pixels = columns.byte().expand(channels, height, width)
    found = SEGMENTER(pixels)
    wanted = torch.tensor([0, 1, 2]).repeat_interleave(-(-width // 3))[:width].expand(height, width)
    assert found.shape == wanted.shape
    inner = torch.ones(width, dtype=torch.bool)
    for edge in (columns[1:] != columns[:-1]).nonzero().flatten().tolist():
        blur = max(2, -(-3 * height // HEIGHT))  # pixels that the two resizes mix at an edge
        inner[max(0, edge + 1 - blur) : edge + 1 + blur] = False
    assert inner.any()
    assert torch.equal(found[:, inner].long(), wanted[:, inner])


def test_classes_of_camvid_have_its_colours_and_others_differ():
    assert Segmenter(Brightness(), CLASSES, (0.0,) * 3, (1.0,) * 3).colours == COLOURS
    assert len(set(SEGMENTER.colours)) == 3


def test_maps_hold_the_classes_and_overlays_the_picture_in_colour(tmp_path):
    pixels = np.full((40, 40), 255, np.uint8)
    pixels[:, :20] = 0
    Image.fromarray(pixels).save(tmp_path / "a.jpg")
    (tmp_path / "bad.png").write_bytes(b"")
    out = tmp_path / "out"
    results = list(segment_files(targets(tmp_path, out, ".png"), SEGMENTER))
    assert [bool(result.refusal) for result in results] == [False, True]
    with Image.open(out / "a.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image)[:, [0, 39]], [[0, 2]] * 40)
        assert image.convert("RGB").getpixel((39, 0)) == SEGMENTER.colours[2]
    pairs = targets(tmp_path / "a.jpg", tmp_path / "over.png", ".png")
    (result,) = segment_files(pairs, SEGMENTER, overlay=True)
    with Image.open(result.target) as image:
        dark, bright = (np.array(image.getpixel((x, 5))) for x in (0, 39))
    first, last = (np.array(SEGMENTER.colours[at]) for at in (0, 2))
    cover = dark / first  # of the picture, which is black here and white there
    assert np.allclose(cover, cover[0], atol=0.02)
    assert np.allclose(255 - bright, cover[0] * (255 - last), atol=2)
