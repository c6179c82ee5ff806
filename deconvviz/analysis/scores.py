"""The class scores of a network: the value on its tape that it returns, before a softmax."""

from collections.abc import Iterator

import torch
from torch import Tensor

from deconvviz.deconv import Deconvnet
from deconvviz.deconv.layers import name_values, value_of
from deconvviz.deconv.tape import Operation, Tape
from deconvviz.deconv.unit_activation import LayerMaps
from deconvviz.errors import SelectionError, UnsupportedOperationError

_SOFTMAX = frozenset({"softmax", "log_softmax"})
_RESHAPES = frozenset(
    {"reshape", "view", "flatten", "squeeze", "squeezed", "unsqueeze", "clone", "slice"}
)


def probabilities(returned: Tensor) -> Tensor:
    """(N, classes) probabilities, of what a classifier returns: scores, or probabilities already.

    The latter are what is nowhere below zero and sums to one in each row.
    """
    one = returned.new_ones(())
    sums = returned.sum(1)
    if bool((returned >= 0).all()) and torch.allclose(sums, one.expand_as(sums), atol=1e-3):
        return returned
    return returned.softmax(1)


def score_maps(net: Deconvnet, images: Tensor) -> LayerMaps:
    """The class scores of a network as a function of images.

    The scores are what the model returns; where it ends in a softmax over the classes, or in its
    logarithm, they are the values before that. Their differences are those of log-probabilities.

    Args:
        net: The network.
        images: (N, C, H, W) normalised, of the size at which the scores are wanted.

    Returns:
        A function whose values are (N, classes), or (N, classes, 1, 1).

    Raises:
        SelectionError: The model returns maps, or no single tensor with one score for each class,
            or its tape does not hold what it returns.
    """
    with torch.inference_mode():
        returned = net.model(images[:1])
    _check(returned)
    tape = net.record(images[:1], [next(iter(net.layers))]).tape
    for value in _candidates(net, tape):
        try:
            maps = LayerMaps.of_value(net.model, tape, value)
            with torch.no_grad():
                found = maps(images[:1])
        except UnsupportedOperationError:
            continue
        if _equal(found, returned):
            return LayerMaps.of_value(net.model, tape, _before_softmax(tape, value))
    raise SelectionError(
        "no operation that can be followed gives this network's class scores, so that what raises "
        "a class cannot be said"
    )


def _check(returned: object) -> None:
    """Refuse what is not one score for each class."""
    if not isinstance(returned, Tensor):
        kind = type(returned).__name__
        raise SelectionError(
            f"this network returns a {kind} and no tensor of class scores, so that what raises a "
            "class cannot be said; wrap it in a module that returns the scores"
        )
    shape = tuple(returned.shape[1:])
    if len(shape) == 3 and any(side != 1 for side in shape[1:]):
        raise SelectionError(
            f"this network returns maps, {shape} at this size, and no score for each class"
        )
    if len(shape) not in (1, 3):
        raise SelectionError(f"this network returns {shape} and no score for each class")


def _equal(found: Tensor, returned: Tensor) -> bool:
    same_shape = found.shape == returned.shape
    return same_shape and torch.allclose(found, returned.to(found), rtol=1e-3, atol=1e-4)


def _candidates(net: Deconvnet, tape: Tape) -> Iterator[str]:
    """The values that nothing reads, last first, then the last layer."""
    read = {name for op in tape.operations for name in op.reads}
    ends = [op for op in tape.operations if op.name not in read and op.batched and op.shape]
    yield from (op.name for op in reversed(ends))
    yield value_of(tuple(net.layers)[-1], name_values(tape))


def _before_softmax(tape: Tape, value: str) -> str:
    """The input of the softmax over the classes that gives a value, else the value itself."""
    made = {op.name: op for op in tape.operations}
    shapes, name = tape.shapes(), value
    while (op := made.get(name)) and _keeps_all(op, shapes):
        name = op.inputs[0]
    if op is None or op.kind not in _SOFTMAX:
        return value
    shape = shapes[op.inputs[0]]
    axis = int(op.arguments["dim"]) % len(shape)
    if axis == 0:
        raise SelectionError("this network's softmax is over the pictures, not over the classes")
    alone = all(side == 1 for side in shape[2:])
    return op.inputs[0] if axis == 1 and alone else value


def _keeps_all(op: Operation, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether the value has the numbers of its only input, in their order."""
    if op.kind not in _RESHAPES or len(op.inputs) != 1:
        return False
    return torch.Size(shapes[op.name]).numel() == torch.Size(shapes[op.inputs[0]]).numel()
