"""Rows of the operations that only move values about."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from typing_extensions import override

from deconvviz.deconv.geometry import Field, Reach
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table.row import Recall, Row
from deconvviz.deconv.tape import Call, Ref

__all__ = ["Concatenate", "Pad", "Reshape"]


class Reshape(Row):
    """The same numbers in another shape, image by image: flatten, view, reshape."""

    undone: ClassVar[str] = "the former shape"

    @override
    def reach(self, call: Call) -> None:
        return None

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        return [signal.reshape(len(signal), *call["self"].shape[1:])]


class Concatenate(Row):
    """Channels of several branches, one after another."""

    undone: ClassVar[str] = "each branch gets its own channels"

    @override
    def refusal(self, call: Call) -> str | None:
        dims = call["tensors"][0].dim()
        return None if call["dim"] % dims == 1 else "it does not concatenate channels"

    @override
    def adjoint(self, call: Call, signal: Tensor, recall: Recall, rule: Rule) -> Sequence[Tensor]:
        parts = torch.split(signal, [branch.shape[1] for branch in call["tensors"]], dim=1)
        refs: tuple[Ref, ...] = call.operation.arguments["tensors"]
        inputs = call.operation.inputs
        return [part for ref, part in zip(refs, parts, strict=True) if ref.name in inputs]


class Pad(Row):
    """A border of one number around the map; a negative border cuts."""

    undone: ClassVar[str] = "its border cut away"

    @override
    def refusal(self, call: Call) -> str | None:
        if call["mode"] != "constant":
            return f"its border is `{call['mode']}`, and only a constant one is supported"
        if len(call["pad"]) > 4 or call["self"].dim() != 4:
            return "it pads more than the two axes of a map"
        return None

    @override
    def reach(self, call: Call) -> Field:
        left, _, top, _ = (*call["pad"], 0, 0)[:4]
        return Reach(1, -top, 1), Reach(1, -left, 1)
