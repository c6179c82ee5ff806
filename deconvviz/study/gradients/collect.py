"""Train the networks whose gradients are compared."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import torch
from pydantic import Field

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import NonNegative, Positive, validated
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
    steps: tuple[Positive, ...] = (1, 2, 5, 10, 20, 50, 100, 200)
    """Updates after which gradients are measured, beside 0; the last one ends a run."""
    width: Annotated[int, Field(ge=1, le=4096)] = 8
    """Number of maps in the first stage; the widest has four times as many."""
    init: Literal["pytorch", "he"] = "pytorch"
    """Initial weights; see `Setting`."""
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
) -> Gradients:
    """Train plain and deconvolution networks of equal depth, and follow their gradients.

    Each depth is trained as `ddnet` and as a plain CNN without transposed convolutions, as many
    layers of each width; with and without BatchNorm; on the cross-entropy alone, and on that with
    the reconstruction error, for which the plain CNN gets a decoder. All have the same batches, and
    SGD, because Adam's steps, which are of one length whatever the gradient, would hide what is to
    be seen. Gradients are measured on 256 pictures, always the same, with BatchNorm in training
    mode. A run that is in the file already is not made again.

    Args:
        training: The pictures.
        path: The file of traces, NAME.jsonl; made where missing.
        options: Depths, seeds and training.
        device: Device to train on.
        progress: Called with the share of finished updates.

    Raises:
        DataError: The pictures are too few, all alike, or of a side that cannot be halved so often.
        SettingError: There is no such depth, or none, or no seed.
        StudyError: A record in the file is damaged.
    """
    chosen = options or GradientOptions()
    mean, std = training.channel_statistics()
    setting = Setting(
        dataset=training.title,
        fingerprint=training.fingerprint,
        pictures=len(training),
        mean=mean,
        std=std,
        width=chosen.width,
        init=chosen.init,
        lr=chosen.lr,
        batch_size=chosen.batch_size,
        steps=tuple(sorted({0, *chosen.steps})),
    )
    if not chosen.depths or not chosen.seeds:
        raise SettingError("no depths or seeds; give at least one of each")
    specs = [
        _TraceSpec(Condition(architecture, depth, norm, weight), seed, setting)
        for weight, norm, architecture, depth, seed in product(
            dict.fromkeys((0.0, chosen.deconv_weight)),
            (False, True),
            ("plain", "ddnet"),
            sorted(set(chosen.depths)),
            dict.fromkeys(chosen.seeds),
        )
    ]
    _check(training, setting, chosen.depths)
    pictures = training.to(device)

    def make(spec: _TraceSpec, report: Callable[[float], None]) -> Trace:
        return follow(spec.condition, spec.seed, pictures, spec.setting, report)

    traces = complete(specs, trace_file(path), make, title="gradients", progress=progress)
    return Gradients(traces)


def read_gradients(path: Path) -> tuple[Gradients, ...]:
    """The results in a file, one for each setting.

    Raises:
        StudyError: A record in it is damaged.
    """
    traces = trace_file(path).read()
    return tuple(
        Gradients(tuple(sorted((t for t in traces if t.setting == setting), key=_order)))
        for setting in dict.fromkeys(trace.setting for trace in traces)
    )


def _order(trace: Trace) -> tuple[object, ...]:
    """Sort key of `gradients`: each plain network before the ddnet that it is compared with."""
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
