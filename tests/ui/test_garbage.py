"""The garbage collector leaves modules alone, and nothing that goes needs it."""

import gc
import subprocess
import sys
import weakref

import pytest
import torch

from deconvviz.deconv import Deconvnet
from deconvviz.io.zoo import load
from deconvviz.ui.garbage import importing


def test_nothing_is_collected_while_modules_are_imported_and_again_afterwards():
    with importing():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(ImportError), importing():
        raise ImportError
    assert gc.isenabled()


@pytest.mark.parametrize("name", ["demo", "torchvision/resnet18"])
def test_a_network_and_its_results_go_without_the_collector(name):
    bundle = load(name, weights=None) if "/" in name else load(name)
    gc.collect()
    gc.disable()
    try:
        net = Deconvnet(bundle.model, bundle.input_size, check=True)
        recording = net.record(torch.rand(1, *bundle.input_size))
        found = net.project(recording, recording.strongest(net.default_layers[-1], k=2))
        kept = [weakref.ref(one) for one in (bundle.model, net, recording, found)]
        del bundle, net, recording, found
        assert not any(one() for one in kept)
    finally:
        gc.enable()


def test_modules_are_set_aside_once_and_again_when_many_are_new():
    program = (
        "import gc, sys, types, torch\n"
        "from deconvviz.ui.garbage import set_modules_aside\n"
        "set_modules_aside()\n"
        "first = gc.get_freeze_count()\n"
        "assert first > 100_000, first\n"
        "held = [[] for _ in range(1000)]\n"
        "set_modules_aside()\n"
        "assert gc.get_freeze_count() <= first\n"
        "sys.modules.update((f'new_{n}', types.ModuleType(f'new_{n}')) for n in range(200))\n"
        "set_modules_aside()\n"
        "assert gc.get_freeze_count() > first + 200\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
