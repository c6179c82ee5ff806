"""Learning rates over a run, by name."""

import math
from typing import Literal

Schedule = Literal["one-cycle", "cosine", "step", "constant"]


def lr_scale(schedule: Schedule, warmup: float, progress: float) -> float:
    """A learning rate over its peak.

    Args:
        schedule: After warmup: "one-cycle", linear to 0; "cosine", half a cosine to 0; "step",
            divided by 10 at half and again at three quarters of the way; "constant".
        warmup: Fraction of all steps over which it rises linearly from 0.
        progress: Fraction of all steps that are done.
    """
    if progress < warmup:
        return progress / warmup
    rest = (progress - warmup) / (1 - warmup)
    if schedule == "one-cycle":
        return 1 - rest
    if schedule == "cosine":
        return (1 + math.cos(math.pi * rest)) / 2
    if schedule == "step":
        return 1.0 if rest < 1 / 2 else 0.1 if rest < 3 / 4 else 0.01
    return 1.0
