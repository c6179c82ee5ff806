"""A chain's tape is the one that torch.export gives; what is no plain chain is traced."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_modules
from torch.nn.utils import prune

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.chain import chain
from deconvviz.deconv.export import trace
from deconvviz.deconv.tape import Tape
from deconvviz.errors import TraceError
from deconvviz.models import MODELS, build

SIZE = (3, 32, 32)
NAMES = (
    *MODELS,
    *("vgg:16,24:first=5:pool=overlap", "fast:8,16", "zf:8,12,16,20"),
    *("plain:8,8/16+32:kernel=5:pool=mean:head=mean", "plain:8/+16", "deconv-mnist:pairs=2"),
)


def every_layer() -> nn.Sequential:
    """Every layer of the table, with options that are not the default, in containers."""
    inner = nn.Sequential(
        nn.Conv2d(3, 6, (3, 5), (2, 1), (1, 2), (1, 1), 3, bias=False),
        nn.BatchNorm2d(6, eps=1e-3, momentum=None, affine=False),
        nn.ReLU(),
        nn.AvgPool2d((3, 2), ceil_mode=True),
    )
    return nn.Sequential(
        nn.Sequential(inner, nn.AvgPool2d(2, 2, 1, False, False, 3)),
        nn.MaxPool2d((2, 3), 1, (1, 0), 2, False, True),
        nn.ConvTranspose2d(6, 4, 3, 2, 1, 1, 2),
        nn.BatchNorm2d(4, momentum=0.3),
        nn.AdaptiveMaxPool2d((3, 2)),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(16, 5, bias=False),
        nn.ReLU(),
        nn.Linear(5, 2),
    )


def without_cudnn(tape: Tape) -> Tape:
    """Whether cuDNN may be used depends on torch's version, and changes no value."""
    operations = [
        replace(one, arguments={k: v for k, v in one.arguments.items() if k != "cudnn_enabled"})
        for one in tape.operations
    ]
    return replace(tape, operations=type(tape.operations)(operations))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_the_tape_is_the_traced_one(name: str, training: bool) -> None:
    model = build(name, size=64).train(training)
    tape = chain(model, (3, 64, 64))
    assert tape is not None
    assert without_cudnn(tape) == without_cudnn(trace(model, (3, 64, 64)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_every_layer_and_its_options_are_as_traced(dtype: torch.dtype) -> None:
    model = every_layer().to(dtype)
    tape = chain(model, SIZE)
    assert tape is not None
    assert without_cudnn(tape) == without_cudnn(trace(model, SIZE))
    assert model.training
    assert not int(model[3].num_batches_tracked)  # nothing was written


def test_values_are_the_models_own_at_other_sizes_too() -> None:
    model = build("vgg").eval().double()
    net = Deconvnet(model, SIZE, check=True)
    assert net.checked is not None
    assert net.checked.values
    images = torch.randn(2, 3, 48, 40, dtype=torch.float64)
    with torch.no_grad():
        logits = net.record(images, ["head.logits"])["head.logits"][..., 0, 0]
        torch.testing.assert_close(logits, model(images))


def hooked(model: nn.Sequential) -> nn.Sequential:
    model[0].register_forward_hook(lambda _module, _inputs, output: 2 * output)
    return model


def hooked_before(model: nn.Sequential) -> nn.Sequential:
    model[0].register_forward_pre_hook(lambda _module, inputs: (inputs[0] + 1,))
    return model


def with_method(model: nn.Sequential) -> nn.Sequential:
    model[1].forward = lambda x: x.sigmoid()
    return model


class Doubled(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class Reversed(nn.Sequential):
    def __iter__(self):
        return reversed([*self._modules.values()])


class Negative(nn.ReLU):
    def forward(self, x: Tensor) -> Tensor:
        return -super().forward(x)


def plain(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), *more)


def shared() -> nn.Sequential:
    relu = nn.ReLU()
    return nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu)


def tied() -> nn.Sequential:
    model = nn.Sequential(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3))
    model[1].weight = model[0].weight
    return model


OTHERS: dict[str, Callable[[], nn.Module]] = {
    "a hook": lambda: hooked(plain()),
    "a hook before": lambda: hooked_before(plain()),
    "a method of the instance": lambda: with_method(plain()),
    "a forward of its own": lambda: Doubled(*plain()),
    "an order of its own": lambda: Reversed(nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 1)),
    "a subclass of a layer": lambda: plain(Negative()),
    "a layer in place": lambda: plain(nn.ReLU(inplace=True)),
    "a layer twice": shared,
    "a weight twice": tied,
    "padding of another kind": lambda: plain(nn.Conv2d(4, 4, 3, 1, 1, padding_mode="circular")),
    "padding by name": lambda: plain(nn.Conv2d(4, 4, 3, padding="same")),
    "statistics of the batch": lambda: plain(nn.BatchNorm2d(4, track_running_stats=False)),
    "indices of a pool": lambda: plain(nn.AdaptiveMaxPool2d((None, 1))),
    "another flatten": lambda: plain(nn.Flatten(2)),
    "another layer": lambda: plain(nn.GELU()),
    "an empty container": lambda: plain(nn.Sequential()),
    "weight normalisation": lambda: nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 3))
    ),
    "pruned weights": lambda: nn.Sequential(
        prune.l1_unstructured(nn.Conv2d(3, 4, 3), "weight", 0.5)
    ),
}


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_whatever_computes_something_else_is_traced(make: Callable[[], nn.Module]) -> None:
    model = make().eval()
    assert chain(model, SIZE) is None
    net = Deconvnet(model, SIZE, check=True)  # which compares its values with the model's
    assert net.checked is not None
    assert net.checked.values


def test_hooks_of_all_modules_and_autocast_are_traced() -> None:
    model = plain()
    assert chain(model, SIZE) is not None
    handle = torch_modules.register_module_forward_hook(lambda *_: None)
    assert chain(model, SIZE) is None
    handle.remove()
    with torch.autocast("cpu"):
        assert chain(model, SIZE) is None
    assert chain(model, SIZE) is not None


@pytest.mark.parametrize("size", [(1, 32, 32), (3, 1, 1), (3, 0, 8), (3, 8), (3, 8.0, 8)])
def test_images_that_do_not_fit_are_refused_as_in_tracing(size: tuple[int, int, int]) -> None:
    model = build("seed-cnn")
    assert chain(model, size) is None
    with pytest.raises(TraceError) as traced:
        trace(model, size)
    with pytest.raises(TraceError) as made:
        Deconvnet(model, size)
    assert str(made.value) == str(traced.value)


def test_a_demo_is_opened_without_the_tracer_and_what_it_imports() -> None:
    program = (
        "import sys, torch\n"
        "from deconvviz.io.zoo import load\n"
        "from deconvviz.deconv import Deconvnet\n"
        "bundle = load('demo')\n"
        "net = Deconvnet(bundle.model, bundle.input_size, check=True)\n"
        "recording = net.record(torch.rand(1, *bundle.input_size))\n"
        "net.project(recording, recording.strongest(net.default_layers[-1], k=2))\n"
        "slow = {'torch._dynamo', 'torch.export._trace', 'deconvviz.deconv.export'}\n"
        "slow |= {'sympy'} if torch.__version__ >= '2.14' else set()\n"  # 2.10 imports it to run
        "found = slow & set(sys.modules)\n"
        "sys.exit(str(found) if found else 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
