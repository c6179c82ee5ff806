"""What a network is made of, and how each operation is undone: said before any picture."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Literal

from deconvviz.deconv.table import refusal, row_of
from deconvviz.deconv.tape import Call, Operation

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
        lines: Where each use is written in the model's code, for example `nets.py:12`; empty where
            that is unknown.
    """

    operation: str
    status: Status
    undone: str
    modules: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def count(self) -> int:
        """How often the network uses it."""
        return len(self.modules)

    @property
    def places(self) -> str:
        """Where it is used, in words: the first three places, and how many more there are."""
        uses = zip(self.modules, self.lines, strict=True)
        named = [
            (f"`{module}`" if module else "the model itself") + (f" at {line}" if line else "")
            for module, line in dict.fromkeys(uses)
        ]
        return ", ".join(named[:3]) + (f" and {len(named) - 3} more" if len(named) > 3 else "")


@dataclass(frozen=True)
class Coverage:
    """Every operation of a network between the images and its outputs.

    `str()` is for people, and a notebook shows it as a table; `table()` and `json()` are for
    programs.
    """

    operations: tuple[CoveredOperation, ...]

    @property
    def unsupported(self) -> tuple[CoveredOperation, ...]:
        """What cannot be undone: layers above it can be recorded, but not projected."""
        return tuple(op for op in self.operations if op.status == "unsupported")

    def table(self) -> list[dict[str, str | int | list[str]]]:
        """A row an operation: its `count` and the fields of `CoveredOperation`, by name.

        `pandas.DataFrame` and `st.dataframe` take it as it is.
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
        """The rows of `table()`, as a list of objects."""
        return json.dumps(self.table(), indent=1)

    def __str__(self) -> str:
        width = max((len(op.operation) for op in self.operations), default=0)
        return "\n".join(
            f"{op.count:4} x {op.operation:{width}}  {op.status:11}  {op.undone}"
            + (f" (in {op.places})" if op.status == "unsupported" else "")
            for op in self.operations
        )

    def _repr_html_(self) -> str:
        """A table for notebooks. Names of modules and files are the user's, so all is escaped."""
        heads = ("operation", "count", "status", "how it is undone", "where")
        rows = [(op.operation, op.count, op.status, op.undone, op.places) for op in self.operations]
        body = "".join(_html_row("td", row) for row in rows)
        return f"<table>{_html_row('th', heads)}{body}</table>"


def cover(calls: Iterable[Call]) -> Coverage:
    """Report on the calls of a network, each kind once, in the order of first use."""
    uses: dict[tuple[str, Status, str], list[Operation]] = {}
    for call in calls:
        uses.setdefault(_verdict(call), []).append(call.operation)
    return Coverage(
        tuple(
            CoveredOperation(*kind, tuple(op.module for op in ops), tuple(op.line for op in ops))
            for kind, ops in uses.items()
        )
    )


def _verdict(call: Call) -> tuple[str, Status, str]:
    kind, row, reason = call.operation.kind, row_of(call.operation), refusal(call)
    if row is None or reason:
        return kind, "unsupported", reason or ""
    return kind, "extension" if row.extension else "exact", row.undone


def _html_row(tag: str, cells: Iterable[object]) -> str:
    inner = (f'<{tag} style="text-align: left">{escape(str(cell))}</{tag}>' for cell in cells)
    return f"<tr>{''.join(inner)}</tr>"
