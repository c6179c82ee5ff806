import inspect
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from deconvviz.deconv.tape import Tape, _line, trace
from deconvviz.errors import TraceError
from tests.deconv.networks import FAMILIES, Branches, Functional, Residual, network


def run(tape: Tape, model: nn.Module, images: Tensor) -> Tensor:
    """The last value on the tape."""
    values = {**tape.state(model), tape.input: images}
    for op in tape.operations:
        result = op.call(values).run()
        values[op.name] = result[0] if isinstance(result, tuple) else result
    return values[tape.operations[-1].name]


class Plain(nn.Module):
    """A model from a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


@pytest.mark.parametrize("family", ["demo", "alexnet", "odd"])
def test_the_tape_is_the_model(family: str) -> None:
    model, size = network(family), FAMILIES[family][1]
    tape = trace(model, size)
    for count in (1, 3):
        images = torch.randn(count, *size, dtype=torch.float64)
        torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)


@pytest.mark.parametrize("make", [Functional, Residual, Branches])
def test_the_tape_takes_other_sizes_and_leaves_values_alone(make: type[nn.Module]) -> None:
    model = make().eval()
    tape = trace(model, (3, 16, 16))
    images = torch.randn(3, 3, 21, 34)
    kept = images.clone()
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)
    assert torch.equal(images, kept)


def halved(x: Tensor) -> Tensor:
    return x / 2


class Written(nn.Module):
    """An operation of a module of torch's, one of a function's, and one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        x = halved(x)
        return x.softmax(1)


def test_operations_know_the_line_of_the_forward_that_they_are_written_in() -> None:
    first = inspect.getsourcelines(Written.forward)[1] + 1
    tape = trace(nn.Sequential(Written(), nn.ReLU()), (3, 8, 8))
    written = {op.kind: op.line for op in tape.operations}
    lines = {
        kind: f"test_tape.py:{first + i}" for i, kind in enumerate(("conv2d", "div", "softmax"))
    }
    assert written == {**lines, "relu": ""}  # which is written in no forward but torch's own
    assert [str(op) for op in tape.operations] == [
        f"conv2d in `0.conv.0` (test_tape.py:{first})",
        f"div in `0` (test_tape.py:{first + 1})",
        f"softmax in `0` (test_tape.py:{first + 2})",
        "relu in `1`",
    ]


def test_a_stack_trace_that_says_nothing_gives_no_line() -> None:
    assert _line("") == _line("no frames") == ""
    assert _line('  File "C:/a b/nets.py", line 7, in forward\n    x = y') == "nets.py:7"


def test_weights_are_read_when_it_runs() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    tape = trace(model, (3, 8, 8))
    for module in model:
        nn.init.normal_(module.weight)
    model[1].running_mean += 2
    images = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(run(tape, model, images), model(images), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:.*torch.nn.utils.weight_norm.*:FutureWarning")
@pytest.mark.filterwarnings("ignore:The tensor attribute .* was assigned during export:UserWarning")
@pytest.mark.parametrize(
    "wrap", [parametrizations.weight_norm, nn.utils.weight_norm, nn.utils.spectral_norm]
)
def test_weights_that_are_computed_are_on_the_tape(wrap: Callable[[nn.Module], nn.Module]) -> None:
    model = nn.Sequential(wrap(nn.Conv2d(3, 4, 3)), nn.ReLU()).eval()
    images = torch.randn(2, 3, 8, 8)
    tape = trace(model, (3, 8, 8))
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    torch.testing.assert_close(run(tape, model, images), model(images))


def test_a_sum_in_place_keeps_what_it_adds_to() -> None:
    def forward(x: Tensor) -> Tensor:
        h = x * 2
        g = h.relu()
        g += h
        return g.mul_(3)

    images = torch.randn(2, 3, 4, 4)
    model = Plain(forward)
    assert torch.equal(run(trace(model, (3, 4, 4)), model, images), forward(images))


def test_what_runs_without_gradients_is_on_the_tape() -> None:
    """As the frozen part of a network does."""

    def forward(x: Tensor) -> Tensor:
        with torch.no_grad():
            h = x.relu()
        with torch.inference_mode():
            h = h * 2
        return h - x

    images = torch.randn(2, 3, 4, 4)
    tape = trace(Plain(forward), (3, 4, 4))
    assert [op.kind for op in tape.operations] == ["relu", "mul", "sub"]
    assert torch.equal(run(tape, Plain(forward), images), forward(images))


def test_operations_know_whether_the_images_lie_first() -> None:
    def forward(x: Tensor) -> Tensor:
        h = x.flatten(2).relu()
        h = h.permute(2, 0, 1).tanh()
        return h.permute(1, 0, 2).relu()

    batched = {op.kind: op.batched for op in trace(Plain(forward), (3, 4, 4)).operations}
    assert batched == {"flatten": True, "tanh": False, "permute": False, "relu": True}


def base_after_write_to_view(x: Tensor) -> Tensor:
    h = x * 2
    h[:, 0] = 0
    return h * 1


def view_after_write_to_base(x: Tensor) -> Tensor:
    h = x * 2
    flat = h.flatten(1)
    h.relu_()
    return flat * 1


def data_dependent(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def in_other_precision(x: Tensor) -> Tensor:
    with torch.autocast("cpu", enabled=False):
        return x.relu()


@pytest.mark.parametrize(
    ("forward", "told"),
    [
        (lambda x: nn.functional.max_pool2d(x, 2, return_indices=True)[1] * 1, "switches"),
        (base_after_write_to_view, "written into in place"),
        (view_after_write_to_base, "written into in place"),
        (data_dependent, r"cannot trace Plain at images of .* it reads numbers out of the images "),
        (data_dependent, r"to decide what to do, at test_tape.py:\d+$"),
        (lambda x: x * float(x.max()), r"to decide what to do, at test_tape.py:\d+$"),
        (in_other_precision, "under torch.autocast"),
        (lambda x: nn.functional.conv2d(x, torch.ones(1, 4, 3, 3)), "cannot trace Plain"),
        (lambda x: x.flatten(1)[:, x[0].flatten() > 0] * 1, "depends on what the images show"),
    ],
)
def test_what_cannot_be_traced(
    forward: Callable[[Tensor], Tensor], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TraceError, match=told):
        trace(Plain(forward), (3, 8, 8))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        ((32, 32), r"channels, height and width of images, but it is \(32, 32\)"),
        ((3, 0, 8), "channels, height and width of images"),
        ((3, 8.0, 8), "channels, height and width of images"),
        ((4, 24, 24), "cannot trace Sequential at images of .* to have 3 channels, but got 4"),
        ((3, 4, 4), "cannot trace Sequential at images of .* Output size is too small"),
    ],
)
def test_sizes_that_a_model_does_not_take(
    size: tuple[int, ...], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TraceError, match=told):
        trace(network("average"), size)
    assert capfd.readouterr() == ("", "")


def test_tracing_leaves_no_trace() -> None:
    seen: list[object] = []
    model = network("demo").train()
    handles = [m.register_forward_hook(lambda *given: seen.append(given)) for m in model.modules()]
    before = fingerprint(model)
    try:
        trace(model, (3, 32, 32))
        with pytest.raises(TraceError):
            trace(model, (4, 32, 32))
        assert fingerprint(model) == before
        assert not seen
    finally:
        model.eval()
        for handle in handles:
            handle.remove()


def fingerprint(model: nn.Module) -> list[object]:
    """Everything of a model that a reader must not change."""
    modules = [
        (name, module.training, *(list(h) for k, h in vars(module).items() if k.endswith("hooks")))
        for name, module in model.named_modules()
    ]
    tensors = [
        (name, id(t), t._version, t.requires_grad, t.grad, t.stride(), t.double().sum().item())
        for name, t in [*model.named_parameters(), *model.named_buffers()]
    ]
    return [*modules, *tensors]


def test_threads_may_trace_at_once() -> None:
    tapes: dict[int, Tape] = {}
    model = network("odd")
    threads = [
        threading.Thread(target=lambda i=i: tapes.update({i: trace(model, (2, 21, 26))}))
        for i in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kinds = [[str(op) for op in tape.operations] for tape in tapes.values()]
    assert len(kinds) == 3
    assert kinds[0] == kinds[1] == kinds[2]
