"""Coverage: every operation of a network, and its reversal."""

import json
from collections.abc import Collection, Iterable, Sequence, Set
from dataclasses import dataclass
from html import escape
from typing import Literal

from deconvviz.deconv.rules import Rule
from deconvviz.deconv.table import refusal, row_of
from deconvviz.deconv.tape import Call, Operation

Status = Literal["exact", "extension", "unsupported"]


@dataclass(frozen=True)
class CoveredOperation:
    """One kind of operation in a network.

    Attributes:
        operation: Name, for example `conv2d`.
        status: `exact` as in the paper, an `extension` of it, or `unsupported`.
        undone: Reversal of the operation, or the reason that there is none.
        modules: Path of the calling module, once for each use; empty for the model itself.
        lines: Line of the model's code, once for each use, for example `nets.py:12`; empty where
            unknown.
    """

    operation: str
    status: Status
    undone: str
    modules: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of uses in the network."""
        return len(self.modules)

    @property
    def places(self) -> str:
        """The first three places of use, and the number of others, as text."""
        uses = zip(self.modules, self.lines, strict=True)
        named = [
            (f"`{module}`" if module else "the model itself") + (f" at {line}" if line else "")
            for module, line in dict.fromkeys(uses)
        ]
        return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


@dataclass(frozen=True)
class Coverage:
    """Every operation of a network between the images and its outputs.

    `str()` and the table of a notebook are for people, `table()` and `json()` for programs.

    Attributes:
        operations: Each kind once, in the order of first use.
    """

    operations: tuple[CoveredOperation, ...]

    @property
    def unsupported(self) -> tuple[CoveredOperation, ...]:
        """Operations without an adjoint: layers above them can be recorded, but not projected."""
        return tuple(op for op in self.operations if op.status == "unsupported")

    def table(self) -> list[dict[str, str | int | list[str]]]:
        """One dict per operation: `count` and the fields of `CoveredOperation`, by name.

        `pandas.DataFrame` and `st.dataframe` take the list as it is.
        """
        return [
            {
                "operation": op.operation,
                "count": op.count,
                "status": op.status,
                "undone": op.undone,
                "modules": list(op.modules),
                "lines": list(op.lines),
            }
            for op in self.operations
        ]

    def json(self) -> str:
        """The rows of `table()` as JSON."""
        return json.dumps(self.table(), indent=1)

    def __str__(self) -> str:
        width = max((len(op.operation) for op in self.operations), default=0)
        return "\n".join(
            f"{op.count:4} x {op.operation:{width}}  {op.status:11}  {op.undone}"
            + (f" (in {op.places})" if op.status == "unsupported" else "")
            for op in self.operations
        )

    def _repr_html_(self) -> str:
        """A table for notebooks. Module and file names are the user's, so cells are escaped."""
        heads = ("operation", "count", "status", "how it is undone", "where")
        rows = [(op.operation, op.count, op.status, op.undone, op.places) for op in self.operations]
        body = "".join(_html_row("td", row) for row in rows)
        return f"<table>{_html_row('th', heads)}{body}</table>"


def cover(calls: Sequence[Call], tops: Collection[str]) -> Coverage:
    """The coverage of a network.

    Args:
        calls: Its calls in the order of execution.
        tops: Names of the values that are projected: those of the layers.
    """
    reached = _reached(calls, tops)
    uses: dict[tuple[str, Status, str], list[Operation]] = {}
    for call in calls:
        uses.setdefault(_coverage_of(call, reached), []).append(call.operation)
    return Coverage(
        tuple(
            CoveredOperation(*kind, tuple(op.module for op in ops), tuple(op.line for op in ops))
            for kind, ops in uses.items()
        )
    )


def projectable(calls: Sequence[Call], rule: Rule = "deconvnet") -> set[str]:
    """Names of the values that a signal passes down from to the images, by adjoints alone.

    Args:
        calls: A network's calls in the order of execution.
        rule: The rule at activations.
    """
    blocked, passed = set[str](), set[str]()
    for call in calls:
        name = call.operation.name
        below = row_of(call.operation).targets(call.operation, rule)
        (passed if not refusal(call) and blocked.isdisjoint(below) else blocked).add(name)
    return passed


def _reached(calls: Sequence[Call], tops: Collection[str]) -> set[str]:
    """The values that a signal may reach, from a layer or from an output."""
    read = {name for call in calls for name in call.operation.reads}
    reached = {*tops, *(call.operation.name for call in calls if call.operation.name not in read)}
    for call in reversed(calls):
        if call.operation.name in reached:
            reached.update(row_of(call.operation).targets(call.operation, "gradient"))
    return reached


def _coverage_of(call: Call, reached: Set[str]) -> tuple[str, Status, str]:
    kind, row, reason = call.operation.kind, row_of(call.operation), refusal(call)
    if reason and not call.operation.refused and call.operation.name not in reached:
        return kind, "exact", "held as recorded, no signal reaches it"
    if reason:
        return kind, "unsupported", reason
    return kind, "extension" if row.extension else "exact", row.undone


def _html_row(tag: str, cells: Iterable[object]) -> str:
    inner = (f'<{tag} style="text-align: left">{escape(str(cell))}</{tag}>' for cell in cells)
    return f"<tr>{''.join(inner)}</tr>"
