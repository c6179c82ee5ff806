"""How a recording shows itself to a person."""

import torch

from tests.deconv.networks import deconvnet, images_for


def test_a_recording_prints_in_one_line_its_first_layers_named() -> None:
    net, images = deconvnet("seed-cnn", torch.float32), images_for("seed-cnn", 1, torch.float32)
    few, many = ["stage1.relu", "stage2.relu"], list(net.layers)[:9]
    printed = repr(net.record(images, few))
    assert printed == "Recording(1 image of 32 x 32: stage1.relu, stage2.relu)"
    printed = repr(net.record(images.repeat(2, 1, 1, 1), many))
    assert printed == f"Recording(2 images of 32 x 32: {', '.join(many[:6])} and 3 more)"
