"""RandAugment on each picture alone."""

import torch

from deconvviz.io.data import draw_shapes
from deconvviz.io.data.augment import _randaugment


def test_it_varies_each_picture_and_leaves_the_global_generator_alone():
    images = draw_shapes(1).images.expand(40, -1, -1, -1)
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    varied = _randaugment(images, 9, torch.Generator().manual_seed(1))
    assert torch.equal(torch.rand(3), wanted)
    assert (varied.shape, varied.dtype) == (images.shape, torch.uint8)
    assert len({picture.numpy().tobytes() for picture in varied}) > 25
    assert torch.equal(varied, _randaugment(images, 9, torch.Generator().manual_seed(1)))
    assert not torch.equal(varied, _randaugment(images, 9, torch.Generator().manual_seed(2)))
