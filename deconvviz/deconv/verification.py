"""Verification: projections under the gradient rule, held to autograd through the model itself.

The oracle is torch alone: a copy of the model runs forward as its own code says, and autograd
differentiates single units of its own values by the pixels. Nothing of the engine takes part. Under
the other rules a projection differs from this one at activations only.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from deconvviz.deconv import projection, recording
from deconvviz.deconv.layers import value_of
from deconvviz.deconv.own_run import (
    DrawError,
    copy_in,
    difference,
    modules_of,
    random_images,
    run_watched,
)
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.selfcheck import SelfCheck, in_short, tolerance_of
from deconvviz.deconv.tape import Operation, Tape, weight_of
from deconvviz.errors import UnsupportedOperationError

# torch holds 1/6, of hardsigmoid's and hardswish's derivatives, in float32 at any dtype.
_TOLERANCES = {torch.float64: 1e-7, torch.float32: 1e-4}
_STEP = 1e-6  # of finite differences, in normalised input units
_GLANCE = 64  # numbers that are compared before a whole map is


@dataclass(frozen=True)
class VerifiedLayer:
    """The projections of one layer's units, compared with autograd.

    Attributes:
        layer: Name of the layer.
        units: Number of compared units; 0 if none was.
        error: The largest difference of any unit's pixels, relative to its largest pixel; 0 if none
            was compared.
        passed: Whether the error is within the tolerance; None if no unit was compared.
        note: How the layer was found in the model if it is no module's output, or why it was not
            compared.
    """

    layer: str
    units: int
    error: float
    passed: bool | None
    note: str = ""


@dataclass(frozen=True)
class Verification:
    """Projections under the gradient rule, compared with autograd through the model itself.

    `str()` is a table for people, `table()` and `to_dict()` are for programs.

    Attributes:
        layers: Each layer once, in the order of execution.
        dtype: Dtype of the comparison, for example `float64`.
        tolerance: The largest relative error that passes in this dtype.
        seed: Seed of the picture and of the choice of units.
        fault: If a layer failed, the first operation whose projections differ from autograd.
    """

    layers: tuple[VerifiedLayer, ...]
    dtype: str
    tolerance: float
    seed: int
    fault: str = ""

    @property
    def passed(self) -> bool:
        """Whether units were compared, and none failed."""
        return self.units > 0 and not self.failed

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the layers that failed."""
        return tuple(layer.layer for layer in self.layers if layer.passed is False)

    @property
    def units(self) -> int:
        """Number of compared units."""
        return sum(layer.units for layer in self.layers)

    @property
    def error(self) -> float:
        """The largest relative error of any unit."""
        return max((layer.error for layer in self.layers), default=0.0)

    @property
    def line(self) -> str:
        """The result in a phrase."""
        compared = sum(layer.units > 0 for layer in self.layers)
        places = f"{compared} layer{'s' * (compared != 1)}"
        if compared < len(self.layers):
            places += f" of {len(self.layers)}"
        if not self.units:
            return "no projection was compared with autograd"
        if self.failed:
            fault = f", first in {self.fault}" if self.fault else ""
            return f"projections of {', '.join(self.failed)} differ from autograd{fault}"
        return (
            f"projections of {self.units} units in {places} equal autograd "
            f"(largest relative error {in_short(self.error)})"
        )

    def table(self) -> list[dict[str, str | int | float | bool | None]]:
        """One dict per layer: the fields of `VerifiedLayer`, by name.

        `pandas.DataFrame` and `st.dataframe` take the list as it is.
        """
        return [asdict(layer) for layer in self.layers]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {
            "passed": self.passed,
            "units": self.units,
            "error": self.error,
            "dtype": self.dtype,
            "tolerance": self.tolerance,
            "seed": self.seed,
            "fault": self.fault,
            "layers": self.table(),
        }

    def __str__(self) -> str:
        width = max((len(layer.layer) for layer in self.layers), default=0)
        lines = []
        for layer in self.layers:
            word = {True: "equal", False: "DIFFERENT", None: "not compared"}[layer.passed]
            units = (
                f"{layer.units:3} units  {in_short(layer.error):>6}" if layer.units else " " * 17
            )
            lines.append(f"{layer.layer:{width}}  {units}  {word:12}  {layer.note}".rstrip())
        summary = f"{self.line[0].upper()}{self.line[1:]}"
        tolerance = f"in {self.dtype}, tolerance {in_short(self.tolerance)}"
        return "\n".join([*lines, f"{summary}, {tolerance}."])


def checked_line(checked: SelfCheck | None, verification: Verification | None) -> str:
    """One line that says what was compared with the model itself; empty if nothing was."""
    parts = [str(checked)] if checked else []
    parts += [verification.line] if verification else []
    return f"Checked: {'; '.join(parts)}." if parts else ""


def verify(
    tape: Tape,
    model: nn.Module,
    names: Mapping[str, str],
    layers: Sequence[str],
    units: int,
    dtype: torch.dtype,
    seed: int,
    images: Tensor | None,
) -> Verification:
    """Compare projections with autograd. See `Deconvnet.verify` for the rest.

    Args:
        tape: The model's tape.
        model: The model, which is left as it is.
        names: Layer name -> value name, of all layers.
        layers: Names of layers.
        units: Number of units of each layer.
        dtype: `torch.float32` or `torch.float64`.
        seed: Seed of the picture and of the choice of units.
        images: (N, C, H, W), or None for one picture of noise.
    """
    if dtype not in _TOLERANCES:
        raise ValueError(f"no verification in {dtype}; there are torch.float32 and torch.float64")
    for layer in layers:
        value_of(layer, names)
    values = {layer: names[layer] for layer in layers}
    oracle = _Oracle(tape, copy_in(model, dtype), seed, images)
    compared = oracle.compare(values, units)
    failed = [layer.layer for layer in compared if layer.passed is False]
    if failed and dtype != torch.float64:
        precise = copy_in(model, torch.float64, torch.device("cpu"))
        oracle = _Oracle(tape, precise, seed, images)
        again = oracle.compare({layer: values[layer] for layer in failed}, units)
        precisely = {layer.layer: layer for layer in again}
        compared = tuple(_second(layer, precisely.get(layer.layer)) for layer in compared)
    result = Verification(compared, _name(dtype), _TOLERANCES[dtype], seed)
    if not result.failed:
        return result
    fault = _first_fault(oracle, names, compared, units)
    return replace(result, fault=str(fault or ""))


def _second(rounded: VerifiedLayer, precise: VerifiedLayer | None) -> VerifiedLayer:
    """A layer that failed in float32, by its result in float64 if it has one."""
    if precise is None or precise.passed is None:
        return rounded
    notes = [precise.note] if precise.note else []
    notes.append(f"in float64, because rounding may change signs ({in_short(rounded.error)})")
    return replace(precise, note="; ".join(notes))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).partition(".")[2]


class _Oracle:
    """A model's copy, pictures for it, and the engine's recordings of them."""

    def __init__(self, tape: Tape, model: nn.Module, seed: int, images: Tensor | None) -> None:
        self.tape, self.model, self.seed = tape, model, seed
        weight = weight_of(model)
        if images is None:
            images = random_images(model, tape.input_shape, seed)
        self.images = images.detach().to(weight.device, weight.dtype)
        self.tolerance = _TOLERANCES[weight.dtype]

    def compare(self, values: Mapping[str, str], units: int) -> tuple[VerifiedLayer, ...]:
        """Compare random active units of each layer.

        Args:
            values: Layer name -> value name.
            units: Number of units of each layer.
        """
        modules = modules_of(self.tape, values)
        recorded = recording.record(self.tape, self.model, values, self.images, list(values))
        generator = torch.Generator().manual_seed(self.seed)
        chosen = {layer: _active_units(recorded, layer, units, generator) for layer in values}
        ours, notes = dict[str, Tensor](), dict[str, str]()
        for layer, selection in chosen.items():
            if not len(selection):
                notes[layer] = "no unit is active"
                continue
            try:
                ours[layer] = projection.project(
                    self.model, values[layer], recorded, selection, "gradient", "one", 2**30
                ).full()
            except UnsupportedOperationError as error:
                notes[layer] = str(error)
        errors: dict[str, list[float]] = {layer: [] for layer in values}
        for image in range(len(self.images)):
            maps = {layer: recorded[layer][image : image + 1] for layer in ours}
            own = _OwnValues(self.model, self.images[image : image + 1], maps, modules)
            for layer in ours:
                selection = chosen[layer]
                rows = (selection.image == image).nonzero()[:, 0]
                if not len(rows):
                    continue
                found, note = self._errors(
                    own, layer, values[layer], selection[rows], ours[layer][rows]
                )
                errors[layer] += found
                if layer not in notes or len(found) < len(rows):  # why not counts more than how
                    notes[layer] = note
            del own
        return tuple(self._verified(layer, errors[layer], notes.get(layer, "")) for layer in values)

    def _errors(
        self, own: "_OwnValues", layer: str, value: str, selection: Selection, ours: Tensor
    ) -> tuple[list[float], str]:
        """The relative error of each unit in one picture, and a note."""
        errors = list[float]()
        if layer not in own.values:
            return errors, own.missing()
        for row, pixels in enumerate(ours):
            unit = selection[row : row + 1]
            try:
                truth = own.gradient(layer, unit)
            except RuntimeError as failure:  # it wrote over what its own backward needs
                reason = str(failure).strip().partition("\n")[0]
                return errors, f"autograd cannot differentiate the model: {reason}"
            error = _relative(pixels - truth, truth)
            if error > self.tolerance and self._autograd_is_wrong(value, own, unit, pixels, truth):
                return errors, "torch's autograd is wrong here: finite differences agree with ours"
            errors.append(error)
        return errors, own.note(layer)

    def _autograd_is_wrong(
        self, value: str, own: "_OwnValues", unit: Selection, ours: Tensor, truth: Tensor
    ) -> bool:
        """Whether finite differences tell that the projection is right and autograd is not.

        torch 2.14 on a CPU differentiates InstanceNorm wrongly where a layer on the channels-last
        form of its value follows. Only float64 has the digits for this.
        """
        apart = ours - truth
        if ours.dtype != torch.float64 or not 0 < float(apart.abs().max()) < math.inf:
            return False
        direction, image = apart / apart.abs().max(), own.image.detach()
        moved = torch.cat([image + _STEP * direction, image - _STEP * direction])
        maps = recording.record(self.tape, self.model, {value: value}, moved, [value])[value]
        more, less = maps[:, int(unit.channel), int(unit.y), int(unit.x)].tolist()
        slope, gap = (more - less) / (2 * _STEP), float((apart * direction).sum())
        return bool(abs(slope - float((ours * direction).sum())) < 1e-3 * gap)

    def _verified(self, layer: str, errors: list[float], note: str) -> VerifiedLayer:
        if not errors:
            return VerifiedLayer(layer, 0, 0.0, None, note)
        error = max(errors)
        return VerifiedLayer(layer, len(errors), error, error <= self.tolerance, note)


def _active_units(
    recorded: recording.Recording, layer: str, units: int, generator: torch.Generator
) -> Selection:
    """Random positive units of all images; if there are none, units that are not zero."""
    maps = recorded[layer].cpu()
    places = (maps > 0).nonzero()
    if not len(places):
        places = (maps != 0).nonzero()
    chosen = places[torch.randperm(len(places), generator=generator)[:units]]
    return Selection(layer, *chosen.T)


def _relative(apart: Tensor, truth: Tensor) -> float:
    error, largest = float(apart.abs().max()), float(truth.abs().max())
    if math.isnan(error) or (error and not largest):
        return math.inf
    if truth.dtype == torch.float64 and error < torch.finfo(torch.float64).eps:
        return 0.0  # a derivative that is zero but for rounding, as below a mean of InstanceNorm
    return error / largest if error else 0.0


class _OwnValues:
    """A model's own values of some layers, with the graph that leads to them.

    A module's output belongs to a layer by the module's path, and by its values where the module
    runs several times. An activation that is no module is found by its values among all that torch
    functions return: its numbers on noise are those of no other map.

    Attributes:
        values: Layer name -> value, as a copy beside the model's own way.
        returned: Names of the layers that a module of that path returned.
        stopped: Why the model ended early, if it did.
    """

    def __init__(
        self,
        model: nn.Module,
        image: Tensor,
        maps: Mapping[str, Tensor],
        modules: Mapping[str, str],
    ) -> None:
        self.values, self.returned, self.stopped = dict[str, Tensor](), set[str](), ""
        self.image = image.clone().requires_grad_()
        self._tolerance = tolerance_of(image)
        self._maps, self._modules = maps, modules
        try:
            with torch.enable_grad():
                run_watched(model, self.image, self._see, functions=True)
        except DrawError as error:
            self.stopped = f"the model draws random numbers: {error}"
        except Exception as error:  # noqa: BLE001  a model's forward pass may raise anything
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            self.stopped = f"the model itself fails: {reason}"

    def _see(self, paths: frozenset[str], tensor: Tensor) -> None:
        for layer, maps in self._maps.items():
            returned = self._modules.get(layer) in paths
            # A module's own output counts more than what a function inside returned before it.
            if layer in self.returned or (layer in self.values and not returned):
                continue
            if _equal(maps, tensor, self._tolerance):
                self.values[layer] = _as_maps(maps, tensor).clone()
                if returned:
                    self.returned.add(layer)

    def note(self, layer: str) -> str:
        """How a layer was found, unless its module returned it."""
        if layer in self.returned:
            return ""
        who = "its module returns another value" if layer in self._modules else "of no module"
        return f"{who}; found in the model by its values"

    def missing(self) -> str:
        """Why a layer has no value."""
        return self.stopped or "not found among the model's own values"

    def gradient(self, layer: str, unit: Selection) -> Tensor:
        """The derivative of one unit by the pixels, (C, H, W)."""
        value = self.values[layer][0, int(unit.channel), int(unit.y), int(unit.x)]
        if not value.requires_grad:
            return torch.zeros_like(self.image[0])
        (pixels,) = torch.autograd.grad(value, self.image, retain_graph=True, allow_unused=True)
        return torch.zeros_like(self.image[0]) if pixels is None else pixels[0]


def _as_maps(maps: Tensor, tensor: Tensor) -> Tensor:
    """A model's tensor as (N, C, H, W): with axes for a linear layer, or channels first."""
    if tensor.dim() == 2:
        return tensor[:, :, None, None]
    direct = maps.shape == tensor.shape and difference(maps, tensor.detach())
    moved = tensor.movedim(-1, 1)
    if maps.shape != tensor.shape or (
        direct and maps.shape == moved.shape and difference(maps, moved.detach()) < direct
    ):
        return moved
    return tensor


def _equal(maps: Tensor, tensor: Tensor, tolerance: float) -> bool:
    """Whether a model's tensor is a layer's, but for rounding."""
    if tensor.numel() != maps.numel() or tensor.dim() not in (2, 4):
        return False
    tensor = tensor.detach()
    if tensor.dim() == 2:
        tensor = tensor[:, :, None, None]
    if tensor.shape == maps.shape != tensor.movedim(-1, 1).shape:
        ours, theirs = (held.reshape(-1)[:: -(-maps.numel() // _GLANCE)] for held in (maps, tensor))
        if difference(ours, theirs) > 0.1:
            return False
    return difference(maps, tensor) <= tolerance


# --- where it began -------------------------------------------------------------------------------


def _first_fault(
    oracle: _Oracle, names: Mapping[str, str], compared: Iterable[VerifiedLayer], units: int
) -> Operation | None:
    """The first operation whose own projections differ, below the first layer that failed.

    Operations below a layer that passed are not suspected, unless no other is found.
    """
    tape = oracle.tape
    failed = next(layer for layer in compared if layer.passed is False)
    passed = [names[layer.layer] for layer in compared if layer.passed]
    below = tape.ancestors([names[failed.layer]])
    right = {op.name for op in tape.ancestors(passed)}
    suspects = [op for op in below if op.name not in right]
    return _first_failing(oracle, suspects, units) or _first_failing(oracle, below, units)


def _first_failing(oracle: _Oracle, suspects: Sequence[Operation], units: int) -> Operation | None:
    shown = [op for op in suspects if op.shape is not None and op.batched]
    shown = [op for op in shown if op.shape is not None and len(op.shape) in (1, 3)]
    results = oracle.compare({op.name: op.name for op in shown}, units)
    for op, result in zip(shown, results, strict=True):
        if result.passed is False:
            return op
    return None
