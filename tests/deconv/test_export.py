"""What is traced, what of it is known, and what is refused."""

import inspect
import threading
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from deconvviz.deconv.export import trace
from deconvviz.deconv.graph import line_of
from deconvviz.deconv.tape import Tape
from deconvviz.errors import TraceError
from tests.deconv.comparing import fingerprint
from tests.deconv.networks import network
from tests.deconv.small_networks import Plain


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
        kind: f"test_export.py:{first + i}" for i, kind in enumerate(("conv2d", "div", "softmax"))
    }
    assert written == {**lines, "relu": ""}  # which is written in no forward but torch's own
    assert [str(op) for op in tape.operations] == [
        f"conv2d in `0.conv.0` (test_export.py:{first})",
        f"div in `0` (test_export.py:{first + 1})",
        f"softmax in `0` (test_export.py:{first + 2})",
        "relu in `1`",
    ]


def test_a_stack_trace_that_says_nothing_gives_no_line() -> None:
    assert line_of("") == line_of("no frames") == ""
    assert line_of('  File "C:/a b/nets.py", line 7, in forward\n    x = y') == "nets.py:7"


def test_operations_know_whether_the_images_lie_first() -> None:
    def forward(x: Tensor) -> Tensor:
        h = x.flatten(2).relu()
        h = h.permute(2, 0, 1).tanh()
        return h.permute(1, 0, 2).relu()

    batched = {op.kind: op.batched for op in trace(Plain(forward), (3, 4, 4)).operations}
    assert batched == {"flatten": True, "tanh": False, "permute": False, "relu": True}


def data_dependent(x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (data_dependent, r"cannot trace Plain at images of .* it reads numbers out of the images "),
        (data_dependent, r"to decide what to do, at test_export.py:\d+$"),
        (lambda x: x * float(x.max()), r"to decide what to do, at test_export.py:\d+$"),
        (lambda x: nn.functional.conv2d(x, torch.ones(1, 4, 3, 3)), "cannot trace Plain"),
    ],
)
def test_what_cannot_be_traced(
    forward: Callable[[Tensor], Tensor], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TraceError, match=reason):
        trace(Plain(forward), (3, 8, 8))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((32, 32), r"channels, height and width of images, got \(32, 32\)"),
        ((3, 0, 8), "channels, height and width"),
        ((3, 8.0, 8), "channels, height and width"),
        ((4, 24, 24), "cannot trace Sequential .* 3 channels, but got 4"),
        ((3, 4, 4), "cannot trace Sequential .* too small"),
    ],
)
def test_sizes_that_a_model_does_not_take(
    size: tuple[int, ...], reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(TraceError, match=reason):
        trace(network("average"), size)
    assert capfd.readouterr() == ("", "")


def test_tracing_leaves_no_trace() -> None:
    """What a hook keeps is kept in a copy, so that it sees nothing of it."""
    seen: list[object] = []

    class Counter:
        count = 0

        def hook(self, *_given: object) -> None:
            self.count += 1

    model, counter = network("demo").train(), Counter()
    handles = [m.register_forward_hook(lambda *given: seen.append(given)) for m in model.modules()]
    handles += [m.register_forward_hook(counter.hook) for m in model.modules()]
    before = fingerprint(model)
    try:
        trace(model, (3, 32, 32))
        with pytest.raises(TraceError):
            trace(model, (4, 32, 32))
        assert fingerprint(model) == before
        assert not seen
        assert not counter.count
    finally:
        model.eval()
        for handle in handles:
            handle.remove()


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
