"""Train the networks whose gradients are compared; each run is a small file."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import product
from pathlib import Path

import torch

from deconvviz.errors import DataError, SettingError, StudyError
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.study.gradients.result import Gradients
from deconvviz.study.gradients.traces import FORMS, STARTS, Arm, Setting, Trace, follow

__all__ = ["STEPS", "gradients"]

STEPS = (0, 1, 2, 5, 10, 20, 50, 100, 200)
"""Updates after which gradients are measured, where nothing else is asked for."""


def gradients(
    training: Dataset,
    folder: Path,
    *,
    depths: Sequence[int] = (6, 12, 20),
    seeds: Sequence[int] = (0, 1, 2),
    steps: Sequence[int] = STEPS,
    deconv_weight: float = 0.3,
    width: int = 8,
    start: str = "pytorch",
    rate: float = 0.01,
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
    mode. Each run is a small file in `folder`; a run that is there already is not made again.

    Args:
        training: The pictures.
        folder: Of the runs; made where missing.
        depths: Layers with weights between picture and head; 6, 12 or 20, which must halve the
            side 3, 3 and 5 times.
        seeds: Of initial weights and batches.
        steps: Updates after which gradients are measured; the last one ends a run. 0 is always
            measured.
        deconv_weight: Of the reconstruction error in the runs on both losses; 0 leaves these out.
        width: Maps of the first stage; the widest has four times as many.
        start: The initial weights: "pytorch" for its own, which lose five sixths of a rectified
            signal's power in each layer, or "he" for those that keep it.
        rate: Of SGD with momentum 0.9, the same for all.
        batch_size: Pictures in a step.
        device: Where to train.
        progress: Told how many updates of all are done.

    Raises:
        DataError: The pictures are too few, all alike, or of a side that cannot be halved so often.
        SettingError: No such depth, seed, step, weight, width, start, rate or batch can be.
        StudyError: A run in `folder` is damaged, or of another setting.
    """
    mean, std = training.channel_statistics()
    setting = Setting(
        data=training.title,
        fingerprint=training.fingerprint,
        pictures=len(training),
        mean=mean,
        std=std,
        width=width,
        start=start,
        rate=rate,
        batch_size=batch_size,
        steps=tuple(sorted({0, *steps})),
    )
    _check(training, setting, depths, seeds, deconv_weight)
    weights = (0.0, deconv_weight) if deconv_weight else (0.0,)
    arms = [
        Arm(architecture, depth, norm, weight)
        for weight, norm, architecture, depth in product(
            weights, (False, True), ("plain", "ddnet"), sorted(set(depths))
        )
    ]
    runs = [(arm, seed) for arm in arms for seed in dict.fromkeys(seeds)]
    pictures, last = training.to(device), setting.steps[-1]
    traces = []
    for done, (arm, seed) in enumerate(runs):
        tell = _telling(progress, done * last, len(runs) * last)
        path = folder / arm.file_name(seed)
        if not path.is_file():
            follow(arm, seed, pictures, setting, tell).write(folder)
        found = Trace.read(path)  # what is told is what the files say, to the same digits
        _check_same(path, found.setting, setting)
        tell(last)
        traces.append(found)
    return Gradients(tuple(traces))


def _telling(progress: Progress | None, before: int, total: int) -> Callable[[int], None]:
    """Tells of one run's updates as a part of all."""

    def tell(done: int) -> None:
        if progress:
            progress("gradients", before + done, total)

    return tell


def _check(
    training: Dataset,
    setting: Setting,
    depths: Sequence[int],
    seeds: Sequence[int],
    deconv_weight: float,
) -> None:
    unknown = [depth for depth in depths if depth not in FORMS]
    if unknown or not depths:
        asked = f"depth {unknown[0]}" if unknown else "depth"
        raise SettingError(f"no {asked}; there are {', '.join(map(str, FORMS))}")
    if setting.start not in STARTS:
        raise SettingError(f"no start `{setting.start}`; there are {', '.join(STARTS)}")
    if not seeds or min(seeds) < 0:
        raise SettingError(f"seeds {list(seeds)} cannot be; give one or more, from 0 up")
    if setting.steps[0] < 0 or setting.steps[-1] < 1:
        raise SettingError(f"steps {list(setting.steps)} cannot be; give one or more, from 1 up")
    if not 0 <= deconv_weight < math.inf or not 0 < setting.rate < math.inf:
        raise SettingError(
            f"deconv_weight {deconv_weight} and rate {setting.rate} cannot be; the weight is 0 or "
            "more, the rate above 0"
        )
    if setting.width < 1 or setting.batch_size < 2:
        raise SettingError(
            f"width {setting.width} and batch_size {setting.batch_size} cannot be; the width is 1 "
            "or more, a batch has 2 pictures or more"
        )
    height, side = training.images.shape[2:]
    halved = 2 ** max(len(FORMS[depth][0]) for depth in depths)
    if height != side or side % halved:
        raise DataError(
            f"pictures of {side}x{height} pixels cannot be halved by all networks of "
            f"{', '.join(map(str, depths))} layers; give squares of a multiple of {halved}"
        )
    if len(training) < 2 or min(setting.std) == 0:
        raise DataError(
            f"{len(training)} pictures, or a channel that is the same everywhere, teach nothing; "
            "give pictures that differ"
        )


def _check_same(path: Path, found: Setting, wanted: Setting) -> None:
    there, asked = asdict(found), asdict(wanted)
    other = [name for name in asked if there[name] != asked[name]]
    if other:
        name = other[0]
        raise StudyError(
            f"{path} is of a run with {name} {there[name]}, not {asked[name]}; give the same "
            "options to go on, or another folder"
        )
