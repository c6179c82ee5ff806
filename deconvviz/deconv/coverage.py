"""What a network is made of, and how each operation is undone: said before any picture."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

from deconvviz.deconv.table import refusal, row_of
from deconvviz.deconv.tape import Call

__all__ = ["Coverage", "CoveredOperation", "cover"]

Status = Literal["exact", "extension", "unsupported"]


@dataclass(frozen=True)
class CoveredOperation:
    """One kind of operation in a network.

    Attributes:
        operation: Its name, for example `conv2d`.
        status: `exact` as in the paper, an `extension` of it, or `unsupported`.
        undone: How it is undone, or why it cannot be.
        modules: The paths of the modules that use it, in order, once for each use; empty for a use
            in the model itself.
    """

    operation: str
    status: Status
    undone: str
    modules: tuple[str, ...]


@dataclass(frozen=True)
class Coverage:
    """Every operation of a network between the images and its outputs.

    `str()` is for people, `json()` for programs.
    """

    operations: tuple[CoveredOperation, ...]

    @property
    def unsupported(self) -> tuple[CoveredOperation, ...]:
        """What cannot be undone: layers above it can be recorded, but not projected."""
        return tuple(op for op in self.operations if op.status == "unsupported")

    def json(self) -> str:
        """A list with an object an operation, whose keys are the fields of `CoveredOperation`."""
        return json.dumps([asdict(op) for op in self.operations], indent=1)

    def __str__(self) -> str:
        width = max((len(op.operation) for op in self.operations), default=0)
        return "\n".join(
            f"{len(op.modules):4} x {op.operation:{width}}  {op.status:11}  {op.undone}"
            + (f" (in {_places(op.modules)})" if op.status == "unsupported" else "")
            for op in self.operations
        )


def cover(calls: Iterable[Call]) -> Coverage:
    """Report on the calls of a network, each kind once, in the order of first use."""
    modules: dict[tuple[str, Status, str], list[str]] = {}
    for call in calls:
        modules.setdefault(_verdict(call), []).append(call.operation.module)
    return Coverage(tuple(CoveredOperation(*kind, tuple(used)) for kind, used in modules.items()))


def _verdict(call: Call) -> tuple[str, Status, str]:
    kind, row, reason = call.operation.kind, row_of(call.operation), refusal(call)
    if row is None or reason:
        return kind, "unsupported", reason or ""
    return kind, "extension" if row.extension else "exact", row.undone


def _places(modules: tuple[str, ...]) -> str:
    named = dict.fromkeys(f"`{path}`" if path else "the model itself" for path in modules)
    first = list(named)[:3]
    return ", ".join(first) + (f" and {len(named) - 3} more" if len(named) > 3 else "")
