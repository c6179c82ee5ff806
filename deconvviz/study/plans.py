"""The plans of the study, by name."""

from collections.abc import Mapping
from typing import Any

from deconvviz.data import Augmentation
from deconvviz.errors import StudyError
from deconvviz.study.plan import Arm, Plan
from deconvviz.study.report import ARMS
from deconvviz.training import Design, Recipe

__all__ = ["PLANS", "find_plan"]

_FEW = Recipe(
    model="vgg:32,64,128",
    epochs=5,
    steps=300,
    batch_size=64,
    peak_rate=0.1,
    weight_decay=1e-3,
    augmentation=Augmentation(cutout=8),
    decoder=Design(stages=(0.5, 0.5), rise=0.1, fall=0.9),
    snapshots=(),
    precision="float32",
)
"""What all arms share: a network that two cores train in minutes, with few labels."""

_ALL = {"unlabelled_batch": 64}
_DECONV: dict[str, Any] = {"deconv_weight": 0.5}
_TEACHER: dict[str, Any] = {"consistency_weight": 5.0}

HELPS = Plan(
    name="helps",
    asks="Does a deconvolution decoder beside the classifier raise its accuracy?",
    recipe=_FEW,
    arms=(
        Arm("A", ARMS["A"]),
        Arm("A2", ARMS["A2"], {"epochs": 15}),
        Arm("N", ARMS["N"], {"noise": 0.15, **_ALL}),
        Arm("R-lab", ARMS["R-lab"], _DECONV),
        Arm("R-all", ARMS["R-all"], {**_DECONV, **_ALL}),
        Arm("C", ARMS["C"], {**_TEACHER, **_ALL}),
        Arm("C+R", ARMS["C+R"], {**_TEACHER, **_DECONV, **_ALL}),
    ),
    budgets={
        500: {},
        1000: {},
        4000: {},
        10_000: {"epochs": 10},
        50_000: {"epochs": 20, "steps": 390, "batch_size": 128},
    },
    seeds=tuple(range(10)),
    robust=True,
)

PLANS: Mapping[str, Plan] = {plan.name: plan for plan in (HELPS,)}
"""Every plan that `deconvviz study run` knows."""


def find_plan(name: str) -> Plan:
    """The plan of a name.

    Raises:
        StudyError: There is none.
    """
    if name not in PLANS:
        raise StudyError(f"no study `{name}`; there are {', '.join(PLANS)}")
    return PLANS[name]
