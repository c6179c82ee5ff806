"""Train the networks whose gradients are compared."""

from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import torch

from deconvviz.errors import DataError, SettingError
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.study.complete import complete
from deconvviz.study.gradients.result import Gradients
from deconvviz.study.gradients.trace import FORMS, Condition, Setting, Trace, follow, trace_file


class _TraceSpec(NamedTuple):
    condition: Condition
    seed: int
    setting: Setting

    @property
    def key(self) -> tuple[Setting, Condition, int]:
        return self.setting, self.condition, self.seed


def gradients(
    training: Dataset,
    path: Path,
    *,
    depths: Sequence[int] = tuple(FORMS),
    seeds: Sequence[int] = (0, 1, 2),
    deconv_weight: float = 0.3,
    steps: Sequence[int] = (1, 2, 5, 10, 20, 50, 100, 200),
    width: int = 8,
    init: str = "pytorch",
    lr: float = 0.01,
    batch_size: int = 64,
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
        depths: Layers with weights between picture and head; 6, 12 or 20, which must halve the
            side 3, 3 and 5 times.
        seeds: Seeds of initial weights and batches.
        deconv_weight: Weight of the reconstruction error in the runs on both losses; 0 leaves these
            out.
        steps: Updates after which gradients are measured, beside 0; the last one ends a run.
        width: Maps of the first stage; the widest has four times as many.
        init: Initial weights, "pytorch" or "he"; see `Setting`.
        lr: Learning rate of SGD with momentum 0.9, the same for all.
        batch_size: Pictures in a step.
        device: Device to train on.
        progress: Called with the share of finished updates.

    Raises:
        DataError: The pictures are too few, all alike, or of a side that cannot be halved so often.
        SettingError: An option is out of its range.
        StudyError: A record in the file is damaged.
    """
    mean, std = training.channel_statistics()
    setting = Setting(
        dataset=training.title,
        fingerprint=training.fingerprint,
        pictures=len(training),
        mean=mean,
        std=std,
        width=width,
        init=init,  # type: ignore[arg-type]  # checked there
        lr=lr,
        batch_size=batch_size,
        steps=tuple(sorted({0, *steps})),
    )
    weights = dict.fromkeys((0.0, deconv_weight))
    if not depths or not seeds:
        raise SettingError("no depths or seeds; give at least one of each")
    specs = [
        _TraceSpec(
            Condition(architecture=architecture, depth=depth, norm=norm, deconv_weight=weight),
            seed,
            setting,
        )
        for weight, norm, architecture, depth in product(
            weights, (False, True), ("plain", "ddnet"), sorted(set(depths))
        )
        for seed in dict.fromkeys(seeds)
    ]
    _check(training, setting, depths)
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
