"""Selections of units to project."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from deconvviz.errors import SelectionError

Indices = int | Sequence[int] | Tensor
_SHOWN = 10  # rows in the repr


@dataclass(frozen=True, eq=False)
class Selection:
    """K units of one layer, each at one position in one image.

    Rows are projected alone. Rows that share a `group` number are projected together and give one
    picture: of a region, a feature map, a whole layer.

    Attributes:
        layer: Name of the layer.
        image: (K,) image of the recording.
        channel: (K,) feature map; the unit in a linear layer.
        y: (K,) row in the feature map; 0 in a linear layer.
        x: (K,) column in the feature map; 0 in a linear layer.
        group: (K,) picture that each row belongs to; None: each row is a picture.
        weight: (K,) factor of each row's activation; None: 1. Two rows of one group with weights 1
            and -1 give the difference of two classes.

    Each column may be given as a sequence or a tensor of integers, or as one integer for all rows;
    weights are any finite numbers. They are held as tensors on the CPU, int64 and float64.

    Raises:
        SelectionError: The lengths differ, or a value is no integer or no finite weight.

    Example:
        >>> len(Selection("conv1", image=0, channel=[3, 5], y=4, x=4))
        2
    """

    layer: str
    image: Tensor
    channel: Tensor
    y: Tensor
    x: Tensor
    group: Tensor | None
    weight: Tensor | None

    def __init__(
        self,
        layer: str,
        image: Indices,
        channel: Indices,
        y: Indices,
        x: Indices,
        group: Indices | None = None,
        weight: float | Sequence[float] | Tensor | None = None,
    ) -> None:
        given = {"image": image, "channel": channel, "y": y, "x": x}
        if group is not None:
            given["group"] = group
        columns = {name: _indices(name, value) for name, value in given.items()}
        if weight is not None:
            columns["weight"] = _weights(weight)
        lengths = {name: len(column) for name, column in columns.items() if column.dim()}
        if len(set(lengths.values())) > 1:
            found = ", ".join(f"{length} of {name}" for name, length in lengths.items())
            raise SelectionError(f"columns must have equal lengths, got {found}")
        rows = next(iter(lengths.values()), 1)
        object.__setattr__(self, "layer", layer)
        object.__setattr__(self, "group", None)
        object.__setattr__(self, "weight", None)
        for name, column in columns.items():
            object.__setattr__(self, name, column.expand(rows))

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, rows: int | slice | Sequence[int] | Tensor) -> "Selection":
        """The chosen rows, as a selection of the same layer."""
        group = None if self.group is None else self.group[rows]
        weight = None if self.weight is None else self.weight[rows]
        y, x = self.y[rows], self.x[rows]
        return Selection(self.layer, self.image[rows], self.channel[rows], y, x, group, weight)

    def __repr__(self) -> str:
        units = "1 unit" if len(self) == 1 else f"{len(self)} units"
        groups = "" if self.group is None else f" in {len(torch.unique(self.group))} groups"
        return "\n".join([f"Selection({units} of `{self.layer}`{groups})", *self._first_rows()])

    def _first_rows(self) -> Iterator[str]:
        """The lines of a table: the names of the columns, and the first rows."""
        if not len(self):
            return
        columns = {field.name: getattr(self, field.name) for field in fields(self)[1:]}
        cells = [
            [name, *(f"{value:{'g' if name == 'weight' else 'd'}}" for value in column[:_SHOWN])]
            for name, column in columns.items()
            if column is not None
        ]
        widths = [max(map(len, column)) for column in cells]
        for row in zip(*cells, strict=True):
            yield "".join(f"  {cell:>{width}}" for cell, width in zip(row, widths, strict=True))
        if len(self) > _SHOWN:
            yield f"  … {len(self) - _SHOWN} more"


def _weights(value: float | Sequence[float] | Tensor) -> Tensor:
    try:
        column = torch.as_tensor(value, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise SelectionError(f"`weight` must hold numbers, got {value!r:.60}") from error
    if column.dim() > 1 or not column.isfinite().all():
        raise SelectionError("`weight` must be one-dimensional and finite")
    return column


def _indices(name: str, value: Indices) -> Tensor:
    try:
        column = torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SelectionError(f"`{name}` must hold integers, got {value!r:.60}") from error
    if column.numel() == 0:
        column = column.long()
    if column.is_floating_point() or column.is_complex() or column.dtype == torch.bool:
        raise SelectionError(f"`{name}` must hold integers, got {column.dtype}")
    if column.dim() > 1:
        raise SelectionError(f"`{name}` must be one-dimensional, got {tuple(column.shape)}")
    return column.detach().to("cpu", torch.int64)
