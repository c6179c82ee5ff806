"""Devices and their native precision."""

import pytest
import torch

from deconvviz.errors import SettingError
from deconvviz.training.device import device_name, find_device, native_precision


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx512_bf16": True, "avx2": True}, "bf16"),
        ({"avx512_bf16": False}, "float32"),
        ({}, "float32"),
    ],
)
def test_bf16_is_chosen_where_it_is_native(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert native_precision(torch.device("cpu")) == expected
    assert native_precision(torch.device("meta")) == "float32"


def test_the_default_device_takes_tensors_and_has_a_name():
    device = find_device()
    assert torch.zeros(1, device=device).device.type == device.type
    assert device_name(torch.device("cpu")).endswith("threads")


@pytest.mark.parametrize("name", ["abacus", "cuda:999x", "cpu:-1", "cpu:99", "cpu:", ""])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(SettingError, match="no device"):
        find_device(name)
