"""Train the networks whose gradients are compared."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import Dataset, stratified_subset
from deconvviz.progress import Progress
from deconvviz.schema import Count, NonNegative, Positive, validated
from deconvviz.study.complete import complete
from deconvviz.study.gradients.result import Gradients
from deconvviz.study.gradients.trace import FORMS, Condition, Setting, Trace, follow, trace_file

Seed = Annotated[int, Field(ge=0, lt=2**32)]


class _TraceSpec(NamedTuple):
    condition: Condition
    seed: int
    setting: Setting

    @property
    def key(self) -> tuple[Setting, Condition, int]:
        return self.setting, self.condition, self.seed


@validated
class GradientOptions:
    """Options of the comparison of gradients."""

    depths: tuple[Positive, ...] = tuple(FORMS)
    """Layers with weights between picture and head: 6, 12 or 20, which must halve the side 3, 3 and
    5 times."""
    seeds: tuple[Seed, ...] = (0, 1, 2)
    """Seeds of initial weights and batches."""
    deconv_weight: NonNegative = 0.3
    """Weight of the reconstruction error in the runs on both losses; 0 leaves these out."""
    init: tuple[Literal["pytorch", "he"], ...] = ("pytorch", "he")
    """Initial weights, PyTorch's own and He's; see `Setting`. Each is a result of its own."""
    pictures: Count = 10_000
    """Pictures to train on, chosen with the class proportions of all; 0: all."""
    epochs: Count = 10
    """Passes over the pictures; with 0 a run ends at the last of `steps`, and each batch is drawn
    anew."""
    patience: Count = 5
    """Epochs after which a run stops whose mean cross-entropy is no lower than chance; 0: none
    does."""
    steps: tuple[Positive, ...] = (1, 10, 100)
    """Updates after which gradients are measured, beside 0 and the ends of epochs 1, 2, 5 and the
    last one."""
    width: Annotated[int, Field(ge=1, le=4096)] = 8
    """Number of maps in the first stage; the widest has four times as many."""
    lr: Annotated[float, Field(gt=0)] = 0.01
    """Learning rate of SGD with momentum 0.9, the same for all."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Pictures in a step."""


def gradients(
    training: Dataset,
    path: Path,
    options: GradientOptions | None = None,
    *,
    device: str | torch.device = "cpu",
    progress: Progress | None = None,
) -> tuple[Gradients, ...]:
    """Train plain and deconvolution networks of equal depth, and follow their gradients.

    Each depth is trained as `ddnet` and as a plain CNN without transposed convolutions, as many
    layers of each width; with and without BatchNorm; on the cross-entropy alone, and on that with
    the reconstruction error, for which the plain CNN gets a decoder. All have the same batches, and
    SGD, because Adam's steps, which are of one length whatever the gradient, would hide what is to
    be seen. Gradients are measured on 256 pictures, always the same, with BatchNorm in training
    mode. A run that is in the file already is not made again. Runs are made seed by seed, so that
    an early end leaves whole comparisons.

    Args:
        training: The pictures.
        path: The file of traces, NAME.jsonl; made where missing.
        options: Depths, seeds and training.
        device: Device to train on.
        progress: Called with the share of finished updates.

    Returns:
        One result for each of the initial weights, in their order.

    Raises:
        DataError: The pictures are too few, all alike, or of a side that cannot be halved so often.
        SettingError: There is no such depth, or none, or no seed, initial weights or step.
        StudyError: A record in the file is damaged.
    """
    chosen = options or GradientOptions()
    if not (chosen.depths and chosen.seeds and chosen.init):
        raise SettingError("no depths or seeds, or no initial weights; give at least one of each")
    if 0 < chosen.pictures < len(training):
        training = stratified_subset(training, chosen.pictures)
    settings = [_setting(training, chosen, init) for init in dict.fromkeys(chosen.init)]
    specs = [
        _TraceSpec(Condition(architecture, depth, norm, weight), seed, setting)
        for seed, setting, weight, norm, architecture, depth in product(
            dict.fromkeys(chosen.seeds),
            settings,
            dict.fromkeys((0.0, chosen.deconv_weight)),
            (False, True),
            ("plain", "ddnet"),
            sorted(set(chosen.depths)),
        )
    ]
    _check(training, settings[0], chosen.depths)
    pictures = training.to(device)

    def make(spec: _TraceSpec, report: Callable[[float], None]) -> Trace:
        return follow(spec.condition, spec.seed, pictures, spec.setting, report)

    traces = complete(specs, trace_file(path), make, title="gradients", progress=progress)
    return _by_setting(traces)


def read_gradients(path: Path) -> tuple[Gradients, ...]:
    """The results in a file, one for each setting.

    Raises:
        StudyError: A record in it is damaged.
    """
    return _by_setting(trace_file(path).read())


def _by_setting(traces: Sequence[Trace]) -> tuple[Gradients, ...]:
    return tuple(
        Gradients(tuple(sorted((t for t in traces if t.setting == setting), key=_order)))
        for setting in dict.fromkeys(trace.setting for trace in traces)
    )


def _setting(training: Dataset, chosen: GradientOptions, init: Literal["pytorch", "he"]) -> Setting:
    mean, std = training.channel_statistics()
    setting = Setting(
        dataset=training.title,
        fingerprint=training.fingerprint,
        pictures=len(training),
        mean=mean,
        std=std,
        width=chosen.width,
        init=init,
        lr=chosen.lr,
        batch_size=chosen.batch_size,
        steps=(0, *sorted(set(chosen.steps))),
        classes=len(training.classes),
        epochs=chosen.epochs,
        patience=chosen.patience if chosen.epochs else 0,
    )
    if not chosen.epochs:
        return setting
    measured = {epoch for epoch in (1, 2, 5, chosen.patience) if 0 < epoch <= chosen.epochs}
    ends = {setting.steps_per_epoch * epoch for epoch in (*measured, chosen.epochs)}
    before = {step for step in setting.steps if step < max(ends)}
    return replace(setting, steps=tuple(sorted(before | ends)))


def _order(trace: Trace) -> tuple[object, ...]:
    """Sort key: each plain network before the ddnet that it is compared with."""
    one = trace.condition
    return one.deconv_weight, one.norm, one.architecture != "plain", one.depth, trace.seed


def _check(training: Dataset, setting: Setting, depths: Sequence[int]) -> None:
    height, side = training.images.shape[2:]
    factor = 2 ** max(len(FORMS[depth][0]) for depth in depths)
    if height != side or side % factor:
        raise DataError(
            f"pictures of {side}x{height} pixels cannot be halved by all networks of "
            f"{', '.join(map(str, depths))} layers; give squares of a multiple of {factor}"
        )
    if len(training) < 2 or min(setting.std) == 0:
        raise DataError(
            f"{len(training)} pictures, or a channel that is the same everywhere; give pictures "
            "that differ"
        )
