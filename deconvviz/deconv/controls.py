"""What controls need of the engine: other weights, other switches, a unit as a function.

A control changes one thing that a projection was made with and leaves the rest; how far the
picture changes with it is for `deconvviz.analysis.trust` to say.
"""

import copy
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from deconvviz.deconv.layers import name_values, unknown_layer
from deconvviz.deconv.recording import Recording
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.table import Saved, row_of
from deconvviz.deconv.table.convolution import Convolution, Linear, TransposedConvolution
from deconvviz.deconv.table.pooling import AdaptiveMaxPool, MaxPool
from deconvviz.deconv.tape import Operation, Tape, named_weights

__all__ = [
    "Kernels",
    "UnitActivation",
    "kernels_below",
    "kernels_not_below",
    "maps_below",
    "random_switches",
    "shuffled",
]


@dataclass(frozen=True)
class Kernels:
    """The kernels of one convolution or linear layer, with the normalisation that reads them.

    Attributes:
        module: The path of the module that they are of; empty for the model itself.
        weights: The names of the parameters and buffers, in the model.
        depth: How many other kernels lie between them and the layer, on the longest way there.
    """

    module: str
    weights: tuple[str, ...]
    depth: int


def kernels_below(tape: Tape, layer: str) -> tuple[Kernels, ...]:
    """The kernels that a layer's activations are made with, from its own, of depth 0, downwards.

    Of branches that are joined, the last kernels are all of one depth.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    top = _value(tape, layer)
    depths = {top: 0}
    below, waiting, done = list[Kernels](), list[str](), set[str]()
    for op in reversed(tape.ancestors([top])):
        if op.shape is None:
            continue
        depth = depths.get(op.name, 0)  # none has what is read for its size alone
        for name in op.inputs:
            depths[name] = max(depths.get(name, 0), depth + _has_kernels(op))
        waiting += [name for name in _weights(tape, op) if name not in done]
        done.update(waiting)
        if _has_kernels(op) and waiting:
            below.append(Kernels(op.module, tuple(waiting), depth))
            waiting = []
    if below and waiting:  # a normalisation of the images, before any kernel
        below[-1] = replace(below[-1], weights=(*below[-1].weights, *waiting))
    return tuple(sorted(below, key=lambda kernels: kernels.depth))


def kernels_not_below(tape: Tape, layer: str) -> tuple[str, ...]:
    """The modules of all other kernels, in order: what projections of the layer never meet."""
    below = tape.ancestors([_value(tape, layer)])
    used = {op.module for op in below}
    others = (op.module for op in tape.operations if _has_kernels(op) and op.module not in used)
    return tuple(dict.fromkeys(others))


def maps_below(tape: Tape, layer: str, layers: Sequence[str]) -> str | None:
    """The last of `layers` that a layer's activations are made from; None without any.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    top = _value(tape, layer)
    below = {op.name for op in tape.ancestors([top])} - {top}
    return next((name for name in reversed(layers) if _value(tape, name) in below), None)


def shuffled(model: nn.Module, weights: Collection[str], generator: torch.Generator) -> nn.Module:
    """A copy of a model with some of its weights in random order, which shares all the others.

    The entries of each tensor change places, so that their distribution stays what it was; tensors
    of one length in one module change places together, so that of a BatchNorm each scale keeps its
    shift, its mean and its variance, as those of another map.

    Args:
        model: The model; it stays as it is.
        weights: Names of parameters and buffers. Counters and other integers are left alone.
        generator: Draws the orders, on the CPU.
    """
    named = named_weights(model)
    memo: dict[int, Any] = {id(tensor): tensor for tensor in named.values()}
    orders: dict[tuple[str, int], Tensor] = {}
    for name in weights:
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


def random_switches(
    model: nn.Module, recording: Recording, layer: str, generator: torch.Generator
) -> Recording | None:
    """The recording with the switches of every max pooling below a layer as noise sets them.

    Every other thing that was recorded, masks and activations, stays as it is. Each image has its
    own random switches.

    Returns:
        Recording of the same images; None if there is no max pooling below the layer.

    Raises:
        UnknownLayerError: The tape has no such layer.
    """
    tape = recording.tape
    operations = tape.ancestors([_value(tape, layer)])
    switches: dict[str, Saved] = {}
    for call in tape.calls(operations, model, recording.shapes):
        row = row_of(call.operation)
        if isinstance(row, MaxPool | AdaptiveMaxPool):
            noise = torch.rand(call["self"].shape, generator=generator).to(recording.device)
            _, residue = row.run(replace(call, arguments={**call.arguments, "self": noise}))
            assert residue is not None
            switches[call.operation.name] = residue
    return replace(recording, residues={**recording.residues, **switches}) if switches else None


class UnitActivation(nn.Module):
    """The summed activation of some units of one layer, as a function of images (N, C, H, W).

    Gradients flow to the images through every operation, written as a module or not; weights are
    read from the model whenever it is called, and no hook is set on it.

    Attributes:
        maps: Called on the feature maps of `through`, for those who set hooks.

    Args:
        model: The model that is read.
        tape: Its tape, from a recording.
        selection: The units, whose `image` is not looked at; each counts with its weight.
        through: A layer below, whose feature maps pass through `maps`.
    """

    def __init__(
        self, model: nn.Module, tape: Tape, selection: Selection, through: str | None = None
    ) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self._read = (model,)  # in a tuple, so that it is not taken for a part of this module
        self._tape = tape
        self._selection = selection
        self._top = _value(tape, selection.layer)
        self._through = None if through is None else _value(tape, through)
        self._operations = tape.ancestors([self._top])

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> (N,)."""
        model = self._read[0]
        values: dict[str, Any] = {**self._tape.state(model), self._tape.input: images}
        for op in self._operations:
            row, call = row_of(op), op.call(values)
            value = row.value(call) if row else call.run()
            values[op.name] = self.maps(value) if op.name == self._through else value
        return self._sum(values[self._top])

    def _sum(self, value: Tensor) -> Tensor:
        chosen = self._selection
        columns = (chosen.channel, chosen.y, chosen.x)[: value.dim() - 1]
        place = tuple(column.to(value.device) for column in columns)
        units = value.movedim(0, -1)[place].movedim(-1, 0)
        if chosen.weight is not None:
            units = units * chosen.weight.to(units)
        return units.sum(dim=1)


def _value(tape: Tape, layer: str) -> str:
    names = name_values(tape)
    if layer not in names:
        raise unknown_layer(layer, names, "this model")
    return names[layer]


def _has_kernels(op: Operation) -> bool:
    return isinstance(row_of(op), Convolution | Linear | TransposedConvolution)


def _weights(tape: Tape, op: Operation) -> Iterator[str]:
    """The names of the weights that an operation reads, itself or made into others before."""
    read: Sequence[str] = sorted(op.reads.difference(op.inputs))
    made_by = (name for made in tape.ancestors(read) for name in sorted(made.reads))
    for value in dict.fromkeys((*read, *made_by)):
        if value in tape.weights:
            yield tape.weights[value]
