"""Devices and their faster precision."""

import pytest
import torch

from deconvviz.errors import SettingError
from deconvviz.models import build
from deconvviz.training.device import device_name, faster_precision, find_device


def test_timing_leaves_the_model_as_it_was():
    model = build("vgg")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert faster_precision(model, torch.randn(4, 3, 32, 32)) in ("bf16", "float32")
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_the_default_device_takes_tensors_and_has_a_name():
    device = find_device()
    assert torch.zeros(1, device=device).device.type == device.type
    assert device_name(torch.device("cpu")).endswith("threads")


@pytest.mark.parametrize("name", ["abacus", "cuda:999x", "cpu:-1", "cpu:99", "cpu:", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(SettingError, match="no device"):
        find_device(name)
