"""The deconvnet of a model: its layers, recordings of it, and projections back to pixels."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import torch
from torch import Tensor, nn

from deconvviz.deconv import projection, recording, verification
from deconvviz.deconv.attributes import changed
from deconvviz.deconv.chain import chain
from deconvviz.deconv.copies import unwrapped
from deconvviz.deconv.coverage import Coverage, cover, projectable
from deconvviz.deconv.geometry import receptive_fields
from deconvviz.deconv.layers import (
    Convolved,
    Layer,
    default_layers,
    describe,
    name_values,
    value_of,
)
from deconvviz.deconv.passes import simplify
from deconvviz.deconv.precision import Precision
from deconvviz.deconv.projection import Projection, Start
from deconvviz.deconv.recording import Recording
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.selection import Selection
from deconvviz.deconv.selfcheck import SelfCheck, is_own, self_check
from deconvviz.deconv.table import step_of
from deconvviz.deconv.tape import Tape, named_weights, weight_of
from deconvviz.deconv.verification import Verification
from deconvviz.errors import SelectionError, TraceError, UnsupportedOperationError


class Deconvnet:
    """Projects a network's activations back to pixels (Zeiler & Fergus 2014, arXiv:1311.2901).

    The model is traced once and then only read, always in evaluation form and with its current
    weights. `record` and `project` change nothing and may run in several threads at once.

    Attributes:
        model: The model that is read, without the wrapper of `DataParallel` or `torch.compile`.
        layers: Layer name -> `Layer`, in the order of execution; without those that depend on an
            operation that cannot be run on a tape.
        default_layers: The names of the rectified maps after each convolution.
        convolutions: Default layer -> the convolution that it rectifies.
        projectable: The names of the layers that can be projected; others can only be recorded.
        coverage: Every operation of the model, and how it is undone.
        checked: The comparison of the tape's values with the model's own at `input_size`; None if
            it was skipped, and in a deconvnet by `with_model`.

    Args:
        model: Any module that maps images (N, C, H, W) to something.
        input_size: Channels, height and width of images for tracing. Other sizes may be recorded,
            as far as the network takes them.
        check: Whether to compare the tape's values with the model's own, on a random picture:
            here, and again at the first recording of each other size, dtype or device, and with
            the weights of `with_model`. Each time it costs one forward pass of the model itself
            and one of the tape, of one picture. By default it is skipped for networks of
            `deconvviz.models` alone.

    Raises:
        TraceError: The model cannot be traced.
        SelfCheckError: The tape computes other values than the model. So may `record` and `stream`.

    Example:
        >>> net = Deconvnet(model, input_size=(3, 32, 32))
        >>> recording = net.record(images, layers=["stage2.relu1"])
        >>> projection = net.project(recording, recording.strongest("stage2.relu1", k=9))
        >>> projection.pixels.shape  # doctest: +SKIP
        torch.Size([9, 3, 18, 18])
    """

    def __init__(
        self,
        model: nn.Module,
        input_size: tuple[int, int, int] = (3, 32, 32),
        *,
        check: bool | None = None,
    ) -> None:
        self.model = model = unwrapped(model)
        self._tape = simplify(_tape_of(model, input_size))
        self._names = name_values(self._tape)
        blocked = self._tape.blocked()
        usable = {name: value for name, value in self._names.items() if value not in blocked}
        shapes = self._tape.shapes()
        calls = self._tape.calls(self._tape.operations, model, shapes)
        fields = receptive_fields(
            [step_of(call, "deconvnet") for call in calls], self._tape.input, shapes
        )
        self.coverage: Coverage = cover(calls, frozenset(usable.values()))
        passed = projectable(calls)
        self.projectable = frozenset(name for name, value in usable.items() if value in passed)
        self.convolutions: Mapping[str, Convolved] = MappingProxyType(
            default_layers(self._tape, usable)
        )
        self.default_layers: tuple[str, ...] = tuple(self.convolutions)
        self.layers: Mapping[str, Layer] = MappingProxyType(
            {name: describe(shapes[value], fields[value]) for name, value in usable.items()}
        )
        self._check = check
        self._checked_at: set[object] = set()
        self.checked: SelfCheck | None = self._self_check(input_size[1:])

    def with_model(self, model: nn.Module) -> "Deconvnet":
        """A deconvnet of another model of the same structure, such as a snapshot, without tracing.

        Args:
            model: The other model; it needs the same code and the same attributes.

        Raises:
            TraceError: A weight is missing or has another shape, or an attribute is not the same.
        """
        model = unwrapped(model)
        ours, theirs = _weight_shapes(self.model), _weight_shapes(model)
        for name in self._tape.weights.values():
            if theirs.get(name) != ours[name]:
                has = f"has {theirs[name]}" if name in theirs else "has none"
                raise TraceError(f"`{name}` is {ours[name]} here, but the other model {has}")
        differs = changed(self._tape.held, model, frozenset(self._tape.attributes.values()))
        if differs:
            raise TraceError(f"{differs} is not the same in the other model; make a new Deconvnet")
        other = copy.copy(self)
        other.model = model
        other.checked = None
        other._checked_at = set()
        return other

    def record(self, images: Tensor, layers: Sequence[str] | None = None) -> Recording:
        """Run the model forward and keep the state that projections need.

        The pass stops after the highest chosen layer. Kept are the activations of those layers
        and, of the operations below them, what projections need: switches and masks, one byte a
        unit.

        Args:
            images: (N, C, H, W) normalised, in the model's dtype and on its device, of any size
                that the network takes.
            layers: Names of layers to keep; by default `default_layers`.

        Returns:
            Recording of N images.

        Raises:
            UnknownLayerError: The model has no such layer.
            UnsupportedOperationError: A layer depends on an operation that cannot be run on a tape.
            TraceError: An attribute of the model is not what it was when traced.
            PictureError: The images have a wrong shape, dtype or device, contain NaN or inf, or
                have a size that the network does not take, up to the highest layer.
        """
        chosen = self._chosen(layers)
        try:
            recorded = recording.record(self._tape, self.model, self._names, images, chosen)
        except UnsupportedOperationError as error:
            highest = next(iter([*self.layers][::-1]), "")
            rest = f"; the highest layer that does not depend on it is `{highest}`"
            raise UnsupportedOperationError(f"{error}{rest if highest else ''}") from None
        self._self_check(recorded.size)
        return recorded

    def stream(
        self, images: Tensor, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[str, Tensor]]:
        """Run the model forward and yield each layer's activations as soon as they are known.

        For what needs no projection: as fast as the model itself, and each map is freed once the
        pass has read it, so that many images fit.

        Args:
            images: (N, C, H, W), as in `record`.
            layers: Names of layers; by default `default_layers`.

        Yields:
            A layer's name and its activations, (N, C, H, W), (N, C, 1, 1) for a linear layer, in
            the order of execution.

        Raises:
            UnknownLayerError: The model has no such layer; raised at the first `next`.
            UnsupportedOperationError: See `record`; raised now or at the first `next`.
            TraceError: See `record`; raised at the first `next`.
            PictureError: See `record`; raised at the first `next`, or when a size does not fit.
        """
        chosen = self._chosen(layers)
        items = recording.stream(self._tape, self.model, self._names, images, chosen)
        for first in items:
            self._self_check((images.shape[2], images.shape[3]))  # images that it took
            yield first
            yield from items

    def _chosen(self, layers: Sequence[str] | None) -> tuple[str, ...]:
        chosen = self.default_layers if layers is None else layers
        chosen = (chosen,) if isinstance(chosen, str) else tuple(chosen)
        if (end := self._tape.end) is not None:
            modules = dict(self.model.named_modules())
            for name in chosen:
                if name in modules and name not in self._names:
                    after = f"after {end.line}" if end.line else "in the rest of the model"
                    raise UnsupportedOperationError(f"cannot run `{name}`, {after}: {end.refused}")
        return chosen

    def project(
        self,
        recording: Recording,
        selection: Selection,
        rule: Rule = "deconvnet",
        start: Start = "activation",
        max_bytes: int = 2**30,
        precision: Precision = "full",
    ) -> Projection:
        """Project chosen activations back to pixel space.

        Each row, or each group of rows, is projected alone: every other activation is zero, and
        each operation below the layer is undone in turn, inside the receptive field only. Biases
        play no part. Zeiler & Fergus (2014), section 2.1, arXiv:1311.2901.

        Args:
            recording: One forward pass of N images, from `record`.
            selection: K activations of one layer.
            rule: "deconvnet", "guided" (Springenberg et al. 2015) or "gradient".
            start: Start from each unit's own "activation", as in the paper, or from "one".
            max_bytes: About how much memory the signals may take at once; more signals are
                projected in chunks.
            precision: Signals, and the kernels that filter them, are in the model's own dtype
                ("full"), in bfloat16 ("bf16", on a CPU or CUDA) or in float16 ("fp16", on CUDA).
                Activations, switches and masks are those of the recording in any case.

        Returns:
            Projection of G windows, signed, in normalised input units, in the model's dtype; one
            per row, or one per group by rising group number. All windows have one size, the largest
            needed. An empty selection gives no windows.

        Raises:
            UnknownLayerError: `selection.layer` is not in `recording`.
            SelectionError: The recording has no such image, channel or position; or a group has
                units of several images; or the recording is of another model.
            UnsupportedOperationError: An operation below the layer has no adjoint under `rule`.
            SettingError: There is no such precision, or not on this device.
            ValueError: There is no such rule or start.
        """
        if recording.tape is not self._tape:
            raise SelectionError(
                "this recording was made by another Deconvnet; record the images with this one"
            )
        value = value_of(selection.layer, self._names)
        try:
            return projection.project(
                self.model, value, recording, selection, rule, start, max_bytes, precision
            )
        except UnsupportedOperationError as error:
            names, layer = self._names, selection.layer
            highest = projection.highest_below(self.model, names, recording, layer, rule)
            below = f"; the highest layer below that can be projected is `{highest}`"
            raise UnsupportedOperationError(f"{error}{below if highest else ''}") from None

    def verify(
        self,
        layers: Sequence[str] | None = None,
        units: int = 8,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
        images: Tensor | None = None,
    ) -> Verification:
        """Compare projections under the gradient rule with autograd through the model itself.

        Autograd differentiates random active units of a copy of the model, which runs in evaluation
        form by its own code, without the engine. A layer that no module returns is found in it by
        its values. It costs one forward pass of the model for each picture and one backward pass,
        up to the layer, for each unit.

        Args:
            layers: Names of layers; by default `default_layers`.
            units: Number of units of each layer.
            dtype: `torch.float64` proves most. In `torch.float32` two correct evaluations may
                differ where an activation near zero changes sign; a layer that differs there is
                compared again in float64.
            seed: Seed of the picture and of the choice of units.
            images: (N, C, H, W) normalised; by default one picture of noise, of `input_size`.

        Returns:
            The largest relative error of each layer, and which layers could not be compared, and
            why. If a layer failed, the first operation that is undone wrongly is named.

        Raises:
            UnknownLayerError: The model has no such layer.
            PictureError: The images do not fit; see `record`.
            ValueError: The dtype is another one.
        """
        chosen = self._chosen(layers)
        return verification.verify(
            self._tape, self.model, self._names, chosen, units, dtype, seed, images
        )

    def _self_check(self, size: tuple[int, int]) -> SelfCheck | None:
        """Compare the tape with the model, unless that is not wanted or was done before.

        Two threads may both compare, to the same end.
        """
        weight = weight_of(self.model)
        key = (size, weight.dtype, weight.device)
        wanted = not is_own(self.model) if self._check is None else self._check
        if not wanted or key in self._checked_at:
            return None
        result = self_check(self._tape, self.model, self._names, size)
        self._checked_at.add(key)
        return result


def _tape_of(model: nn.Module, input_size: tuple[int, int, int]) -> Tape:
    """A model's tape, written down if it is a chain of layers, else traced."""
    if (tape := chain(model, input_size)) is not None:
        return tape
    from deconvviz.deconv.export import trace  # which takes two seconds to import

    return trace(model, input_size)


def _weight_shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in named_weights(model).items()}
