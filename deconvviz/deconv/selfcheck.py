"""The self-check: a tape's values are compared with those of the model that it came from."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from deconvviz.deconv import recording
from deconvviz.deconv.own_run import (
    DrawError,
    EveryValue,
    NoDraws,
    copy_in,
    difference,
    modules_of,
    random_images,
    run_watched,
    sharing_copy,
    tensors_in,
)
from deconvviz.deconv.tape import Operation, Tape, weight_of
from deconvviz.errors import PictureError, SelfCheckError

_MOST = 2**17  # numbers of a layer that are compared; of a larger one, whole maps of some channels
_CONSTANTS = 1e-7  # torch holds 1/6, of hardsigmoid and hardswish, in float32 at any dtype
_OWN = ("torch", "deconvviz")  # packages of whose modules our own networks are made


@dataclass(frozen=True)
class SelfCheck:
    """The values of a tape and of its model on one random picture, compared.

    Attributes:
        values: Number of compared tensors: outputs of modules, and of the model.
        error: The largest difference of any, relative to its largest value.
        tolerance: The largest difference that rounding explains.
        left_out: What could not be compared, and why; empty if all was.
    """

    values: int
    error: float
    tolerance: float
    left_out: str = ""

    def __str__(self) -> str:
        if not self.values:
            return f"values not compared with the model's own: {self.left_out}"
        line = f"values equal the model's own (largest relative error {in_short(self.error)})"
        return f"{line}, {self.left_out}" if self.left_out else line


def in_short(error: float) -> str:
    """An error with one digit: `3e-7`."""
    digits, _, power = f"{error:.0e}".partition("e")
    return f"{digits}e{int(power)}" if error else "0"


def is_own(model: nn.Module) -> bool:
    """Whether a network is one of `deconvviz.models`, which the project's tests check."""
    ours = type(model).__module__.startswith("deconvviz.")
    return ours and all(type(m).__module__.partition(".")[0] in _OWN for m in model.modules())


def self_check(
    tape: Tape, model: nn.Module, names: Mapping[str, str], size: tuple[int, int]
) -> SelfCheck:
    """Compare a tape with its model on one random picture.

    Compared are the outputs of all modules that are layers, and the model's own outputs. It costs
    one forward pass of the model and one of the tape. Where they differ by more than rounding
    explains, both run again in float64, which tells rounding from a fault.

    Args:
        tape: The model's tape.
        model: The model, which is left as it is; torch draws no random numbers.
        names: Layer name -> value name, of all layers.
        size: Height and width of the picture.

    Raises:
        SelfCheckError: The values differ. It names the first operation that does.
    """
    images_size = (tape.input_shape[0], *size)
    if weight_of(model).is_meta:
        return SelfCheck(0, 0.0, 0.0, "the weights have no values (meta device)")
    found = _compare(tape, model, names, images_size)
    if found.suspect and weight_of(model).dtype != torch.float64:
        precise = copy_in(model, torch.float64, torch.device("cpu"))
        again = _compare(tape, precise, names, images_size)
        if len(again.errors) >= len(found.errors):  # else the model fails in float64
            model, found = precise, again
    if not found.suspect:
        return found.result()
    if _changes(model, images_size):
        return SelfCheck(0, 0.0, found.tolerance, "the model gives another value on each run")
    suspect = [names[name] for name in found.suspect if name in names]
    first = _first_different(tape, model, images_size, found.tolerance, suspect)
    if first is None:
        return found.result(leaving_out=True)
    raise SelfCheckError(
        f"the traced {type(model).__name__} computes other values than the model itself, on a "
        f"random picture of {size[0]} x {size[1]} pixels, and {first} is the first operation that "
        "differs; please report this fault of deconvviz (`check=False` skips the comparison)"
    )


def tolerance_of(weight: Tensor) -> float:
    """The largest relative difference that rounding explains, in one forward pass."""
    eps = torch.finfo(weight.dtype).eps
    reduced = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    if weight.is_cuda and reduced and weight.dtype == torch.float32:
        eps = 2.0**-10  # TF32 has ten bits
    return max(math.sqrt(eps), _CONSTANTS)


# --- the comparison -------------------------------------------------------------------------------


class _Layers:
    """The tape's values of the layers, until the model's modules have returned theirs."""

    def __init__(self, tape: Tape, names: Mapping[str, str]) -> None:
        self.layers: dict[str, str] = {}  # value -> its first name
        self.values_at: dict[str, list[str]] = {}  # path of a module -> values
        for layer, path in modules_of(tape, names).items():
            self.layers.setdefault(names[layer], layer)
            self.values_at.setdefault(path, []).append(names[layer])
        self.ours: dict[str, Tensor] = {}
        self.errors: dict[str, float] = {}

    def put(self, name: str, value: Tensor) -> None:
        if name in self.layers:
            self.ours[name] = _some_channels(value).clone()

    def see(self, paths: frozenset[str], theirs: Tensor) -> None:
        """Compare a module's output with the values at its paths, the best counts.

        A shared module has several calls; which of them a value is from shows in the value itself.
        """
        for value in {value for path in paths for value in self.values_at.get(path, ())}:
            ours, before = self.ours.get(value), self.errors.get(value, torch.inf)
            if ours is not None and (before or value not in self.errors):
                self.errors[value] = min(before, _difference_of_some(ours, theirs))


@dataclass(frozen=True)
class _Comparison:
    """The difference of each layer and output, by name, and why others were left out."""

    errors: Mapping[str, float]
    tolerance: float
    left_out: str

    @property
    def suspect(self) -> list[str]:
        return [name for name, error in self.errors.items() if not error <= self.tolerance]

    def result(self, *, leaving_out: bool = False) -> SelfCheck:
        right = [error for error in self.errors.values() if error <= self.tolerance]
        why = self.left_out
        if leaving_out:
            why = f"except {', '.join(self.suspect)}, where the model returns another value"
        return SelfCheck(len(right), max(right, default=0.0), self.tolerance, why)


def _compare(
    tape: Tape, model: nn.Module, names: Mapping[str, str], size: tuple[int, int, int]
) -> _Comparison:
    images, tolerance = random_images(model, size), tolerance_of(weight_of(model))
    layers, ends = _Layers(tape, names), dict[str, Tensor]()
    left_out = _run_tape(tape, model, images, layers, ends)
    outputs: list[Tensor] = []
    try:
        with torch.no_grad():
            output = run_watched(sharing_copy(model), images, layers.see)
        outputs = list(tensors_in(output))
    except DrawError as error:
        left_out = f"not compared from where the model draws random numbers: {error}"
    except Exception as error:  # noqa: BLE001  a model's forward pass may raise anything
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        left_out = f"not compared from where the model itself fails: {reason}"
    errors = {layers.layers[value]: error for value, error in layers.errors.items()}
    if tape.end is not None or tape.blocked():
        left_out = left_out or "up to what the tape cannot run"
    if not left_out:
        found = _errors_of_outputs(tape, model, images, outputs, ends)
        errors |= {f"output {place}": error for place, error in enumerate(found, 1)}
    return _Comparison(errors, tolerance, left_out)


def _run_tape(
    tape: Tape, model: nn.Module, images: Tensor, layers: _Layers, ends: dict[str, Tensor]
) -> str:
    """Put the tape's values into `layers` and `ends`; why it stopped early, if it did."""
    read = {name for op in tape.operations for name in op.reads}
    try:
        with NoDraws():
            for op, value in recording.values(tape, model, images, _every(tape)):
                if isinstance(value, Tensor):
                    layers.put(op.name, value)
                    if op.name not in read:
                        ends[op.name] = value
    except DrawError as error:
        return f"not compared from where the model draws random numbers: {error}"
    except PictureError as error:
        return f"not compared from where the picture does not fit: {error}"
    return ""


def _errors_of_outputs(
    tape: Tape, model: nn.Module, images: Tensor, outputs: list[Tensor], ends: Mapping[str, Tensor]
) -> list[float]:
    """The difference of each output of the model from the nearest value of the tape.

    An output that is no end of the tape, because something else reads it too, is looked for among
    all values.
    """
    tolerance = tolerance_of(weight_of(model))
    errors = [_nearest(ends.values(), output) for output in outputs]
    if all(error <= tolerance for error in errors):
        return errors
    every: list[Tensor] = [images, *tape.state(model).values(), *model.parameters()]
    every += model.buffers()
    for value in every:
        errors = [min(e, difference(value, o)) for e, o in zip(errors, outputs, strict=True)]
    for _, value in recording.values(tape, model, images, _every(tape)):
        for ours in tensors_in(value):
            errors = [min(e, difference(ours, o)) for e, o in zip(errors, outputs, strict=True)]
    return errors


def _nearest(values: Iterable[Tensor], output: Tensor) -> float:
    return min((difference(value, output) for value in values), default=torch.inf)


def _every(tape: Tape) -> list[str]:
    blocked = tape.blocked()
    return [op.name for op in tape.operations if op.name not in blocked]


def _some_channels(value: Tensor) -> Tensor:
    return value[:, :: -(-value.numel() // _MOST)] if value.dim() > 1 else value


def _difference_of_some(ours: Tensor, theirs: Tensor) -> float:
    """The difference of a layer's output from some of its channels, first or last."""
    direct = difference(ours, _some_channels(theirs))
    if direct and theirs.dim() == 4:
        return min(direct, difference(ours, _some_channels(theirs.movedim(-1, 1))))
    return direct


# --- where it began -------------------------------------------------------------------------------


def _changes(model: nn.Module, size: tuple[int, int, int]) -> bool:
    """Whether a model gives other values when it runs again: it keeps state, or draws by itself."""
    images, outputs = random_images(model, size), list[list[Tensor]]()
    copied = sharing_copy(model)
    for _ in range(2):
        try:
            with torch.no_grad(), NoDraws():
                outputs.append([tensor.clone() for tensor in tensors_in(copied(images))])
        except Exception:  # noqa: BLE001  what it computed before is compared all the same
            return False
    once, again = outputs
    tolerance = tolerance_of(weight_of(model))
    return len(once) != len(again) or any(
        difference(one, other) > tolerance for one, other in zip(once, again, strict=True)
    )


def _first_different(
    tape: Tape,
    model: nn.Module,
    size: tuple[int, int, int],
    tolerance: float,
    suspect: Iterable[str],
) -> Operation | None:
    """The first operation whose value the model never computes, and that others depend on.

    The values are compared, not the names of operations, because torch takes some operations
    apart. A value that the model has in another form alone (a transposition that the tape does
    without) does not count unless what is computed from it is wrong too.
    """
    images, theirs = random_images(model, size), dict[int, list[Tensor]]()

    def see(value: Tensor) -> None:
        theirs.setdefault(value.numel(), []).append(value.detach().clone())

    see(images)
    for tensor in tape.state(model).values():
        see(tensor)
    try:
        with torch.no_grad(), EveryValue(see), NoDraws():
            sharing_copy(model)(images)
    except Exception:  # noqa: BLE001, S110  what it computed before is compared all the same
        pass
    wrong, done = set[str](), list[Operation]()
    try:
        with NoDraws():
            for op, value in recording.values(tape, model, images, _every(tape)):
                done.append(op)
                ours = tensors_in(value) if op.shape is not None else ()
                if any(_nearest(theirs.get(v.numel(), ()), v) > tolerance for v in ours):
                    wrong.add(op.name)
    except (DrawError, PictureError):
        pass
    return _root(done, wrong, suspect)


def _root(
    operations: Sequence[Operation], wrong: set[str], suspect: Iterable[str]
) -> Operation | None:
    """The first wrong operation from which wrong ones lead to a suspect value or to an end."""
    read = {name for op in operations for name in op.reads}
    leading = wrong & {*suspect, *(op.name for op in operations if op.name not in read)}
    for op in reversed(operations):
        if op.name in leading:
            leading.update(name for name in op.inputs if name in wrong)
    return next((op for op in operations if op.name in leading), None)
