"""Randomised weights and switches: a model or recording with one thing replaced by chance.

Adebayo et al. (2018), "Sanity checks for saliency maps", arXiv:1810.03292. How far a projection
changes by it is measured in `deconvviz.analysis.trust`.
"""

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from deconvviz.deconv.layers import name_values, value_of
from deconvviz.deconv.recording import Recording
from deconvviz.deconv.table import Saved, row_of
from deconvviz.deconv.table.convolution import Weighted
from deconvviz.deconv.table.pooling import AdaptiveMaxPool, MaxPool
from deconvviz.deconv.tape import Operation, Tape, named_weights


@dataclass(frozen=True)
class ModuleWeights:
    """The weights of one convolution or linear layer and of the normalisation after it.

    Attributes:
        module: Path of the convolution's or linear layer's module; empty for the model itself.
        names: Names of the parameters and buffers, in the model.
        depth: Number of other convolutions and linear layers above, up to the layer, on the longest
            path.
    """

    module: str
    names: tuple[str, ...]
    depth: int


def weights_below(tape: Tape, layer: str) -> tuple[ModuleWeights, ...]:
    """The weights that a layer's activations depend on, from the layer's own, of depth 0, down.

    Where branches are joined, the last convolution of each has the same depth.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    top = value_of(layer, name_values(tape))
    depths = {top: 0}
    below, waiting, done = list[ModuleWeights](), list[str](), set[str]()
    for op in reversed(tape.ancestors([top])):
        if op.shape is None:
            continue
        depth = depths.get(op.name, 0)  # missing for a value that is read for its size alone
        for name in op.inputs:
            depths[name] = max(depths.get(name, 0), depth + _has_weights(op))
        waiting += [name for name in _weights(tape, op) if name not in done]
        done.update(waiting)
        if _has_weights(op) and waiting:
            below.append(ModuleWeights(op.module, tuple(waiting), depth))
            waiting = []
    if below and waiting:  # a normalisation of the images, before any convolution
        below[-1] = replace(below[-1], names=(*below[-1].names, *waiting))
    return tuple(sorted(below, key=lambda weights: weights.depth))


def modules_not_below(tape: Tape, layer: str) -> tuple[str, ...]:
    """The convolutions and linear layers that a layer does not depend on: paths, in order.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    below = {op.module for op in tape.ancestors([value_of(layer, name_values(tape))])}
    others = (op.module for op in tape.operations if _has_weights(op) and op.module not in below)
    return tuple(dict.fromkeys(others))


def shuffle_weights(
    model: nn.Module, names: Collection[str], generator: torch.Generator
) -> nn.Module:
    """A copy of a model with some weights in random order, which shares all others.

    The entries of each tensor are permuted, so that their distribution stays. Tensors of equal
    length in one module are permuted alike, so that in a BatchNorm each scale keeps its shift, mean
    and variance.

    Args:
        model: The model, which is not changed.
        names: Names of parameters and buffers; integers, such as counters, are not permuted.
        generator: Random generator on the CPU.
    """
    named = named_weights(model)
    memo: dict[int, Any] = {id(tensor): tensor for tensor in named.values()}
    orders: dict[tuple[str, int], Tensor] = {}
    for name in names:
        tensor, module = named[name], name.rpartition(".")[0]
        count = tensor.numel()
        if not tensor.is_floating_point():
            continue
        if (module, count) not in orders:
            orders[module, count] = torch.randperm(count, generator=generator)
        order = orders[module, count].to(tensor.device)
        other = tensor.detach().flatten()[order].view_as(tensor)
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(other, tensor.requires_grad) if is_parameter else other
    return copy.deepcopy(model, memo)


def untrained(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy of a model as its modules initialise themselves, with the statistics of no picture.

    Parameters of modules that have no `reset_parameters` are permuted.

    Args:
        model: The model, which is not changed.
        generator: Random generator on the CPU.
    """
    resets = [one for one in model.modules() if hasattr(one, "reset_parameters")]
    own = {id(tensor) for one in resets for tensor in one.parameters(recurse=False)}
    others = [name for name, tensor in model.named_parameters() if id(tensor) not in own]
    copied = copy.deepcopy(shuffle_weights(model, others, generator))
    seed = int(torch.randint(2**31, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # modules draw from torch's own generator
        torch.manual_seed(seed)
        for module in copied.modules():
            reset: Any = getattr(module, "reset_parameters", None)
            if reset:
                reset()
    return copied


def random_switches(
    model: nn.Module, recording: Recording, layer: str, generator: torch.Generator
) -> Recording | None:
    """A recording in which the switches of every max pooling below a layer are those of noise.

    All else stays as recorded, masks and activations too. Each image has switches of its own.

    Args:
        model: The recorded model.
        recording: A recording of N images.
        layer: Name of a layer.
        generator: Random generator on the CPU.

    Returns:
        Recording of the same images; None if there is no max pooling below the layer.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    tape = recording.tape
    operations = tape.ancestors([value_of(layer, name_values(tape))])
    switches: dict[str, Saved] = {}
    for call in tape.calls(operations, model, recording.shapes):
        row = row_of(call.operation)
        if isinstance(row, MaxPool | AdaptiveMaxPool):
            noise = torch.rand(call["self"].shape, generator=generator).to(recording.device)
            _, saved = row.run(replace(call, arguments={**call.arguments, "self": noise}))
            switches[call.operation.name] = saved
    return replace(recording, saved={**recording.saved, **switches}) if switches else None


def _has_weights(op: Operation) -> bool:
    return isinstance(row_of(op), Weighted)


def _weights(tape: Tape, op: Operation) -> Iterator[str]:
    """Names of the weights that an operation reads, directly or computed into others."""
    read: Sequence[str] = sorted(op.reads.difference(op.inputs))
    made_by = (name for made in tape.ancestors(read) for name in sorted(made.reads))
    for value in dict.fromkeys((*read, *made_by)):
        if value in tape.weights:
            yield tape.weights[value]
