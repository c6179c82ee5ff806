"""The plans of the study, by name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deconvviz.errors import StudyError
from deconvviz.io.data import Augmentation
from deconvviz.study.plan import Arm, Plan
from deconvviz.study.report import ARMS
from deconvviz.training import DecoderConfig, Recipe

__all__ = ["PLANS", "find_plan"]

_FEW = Recipe(
    model="vgg:16,32,64",
    epochs=6,
    steps_per_epoch=500,
    batch_size=64,
    optimiser="muon",
    lr=0.1,
    muon_lr=0.02,
    weight_decay=1e-3,
    augmentation=Augmentation(cutout=8),
    decoder=DecoderConfig(rampup=0.1, rampdown=0.9),
    snapshots=(),
    precision="float32",
)
"""What all arms share: a network so small that two cores train it for long, with few labels.

Consistency needs the length: after 1000 steps of a wider network it had brought nothing."""

_ALL = {"unlabelled_batch": 64}
_DECONV: dict[str, Any] = {"deconv_weight": 0.5}
_TEACHER: dict[str, Any] = {"consistency_weight": 20.0}


def _reconstructs(weight: float, **design: Any) -> dict[str, Any]:
    """Changes that ask a decoder to give back all pictures."""
    return {**_ALL, "deconv_weight": weight, **{f"decoder.{k}": v for k, v in design.items()}}


_GIVES_BACK = _reconstructs(0.5, stages=(0.5, 0.5))
"""The picture and what enters each later stage: best of SEARCH_LONGER's decoders, if by little."""

HELPS = Plan(
    name="helps",
    asks="Does a deconvolution decoder beside the classifier raise its accuracy?",
    recipe=_FEW,
    arms=(
        Arm("A", ARMS["A"]),
        Arm("A2", ARMS["A2"], longer=2.5),  # R-all's multiply-adds over A's, 2.48
        Arm("N", ARMS["N"], _ALL),
        Arm("R-lab", ARMS["R-lab"], {**_GIVES_BACK, "unlabelled_batch": 0}),
        Arm("R-all", ARMS["R-all"], _GIVES_BACK),
        Arm("C", ARMS["C"], {**_TEACHER, **_ALL}),
        Arm("C+R", ARMS["C+R"], {**_TEACHER, **_GIVES_BACK}),
    ),
    budgets={
        500: {},
        1000: {},
        4000: {},
        10_000: {"epochs": 10},
        50_000: {"epochs": 20, "steps_per_epoch": 390, "batch_size": 128},
    },
    seeds=tuple(range(10)),
    robust=True,
)

_SMALL = Recipe(
    model="plain:16,16/32,32/64,64:head=mean",
    epochs=4,
    steps_per_epoch=150,
    batch_size=64,
    lr=0.1,
    weight_decay=1e-3,
    augmentation=Augmentation(cutout=8),
    snapshots=(),
    precision="float32",
)
"""A network for many short runs."""


_MUON: dict[str, Any] = {"optimiser": "muon", "muon_lr": 0.02}

SEARCH = Plan(
    name="search",
    asks="Which decoder, and which consistency, help most? Measured on held-out training pictures.",
    recipe=replace(  # SGD has no use for muon_lr, but its records hold it
        _FEW, model="vgg:32,64,128", optimiser="sgd", muon_lr=0.025, epochs=4, steps_per_epoch=250
    ),
    arms=(
        Arm("A", "the labelled pictures alone"),
        Arm("U", "pictures without labels beside them, for BatchNorm's statistics alone", _ALL),
        Arm("picture", "weight 1, the picture alone", _reconstructs(1.0)),
        Arm("stages", "weight 0.5, the picture and each stage", _GIVES_BACK),
        Arm("weak", "weight 0.1, the picture alone", _reconstructs(0.1)),
        Arm(
            "skip_last_stages",
            "weight 1, from below the last stage",
            _reconstructs(1.0, skip_last_stages=1),
        ),
        Arm("early", "weight 4, falling over the whole run", _reconstructs(4.0, rampdown=1.0)),
        Arm(
            "inpaint",
            "weight 1; a quarter of each picture is hidden, and is to come back",
            {**_reconstructs(1.0, inpaint=True), "augmentation.cutout": 16},
        ),
        Arm(
            "hidden", "a quarter of each picture is hidden, no decoder", {"augmentation.cutout": 16}
        ),
        Arm("free", "weight 1, with a free branch", _reconstructs(1.0, free_branch=True)),
        Arm("tied", "weight 0.5, tied kernels", _reconstructs(0.5, tied=True)),
        Arm("switches", "weight 1, with switches", _reconstructs(1.0, switches=True)),
        Arm("C5", "consistency, weight 5", {**_ALL, "consistency_weight": 5.0}),
        Arm("C20", "consistency, weight 20", {**_ALL, "consistency_weight": 20.0}),
        Arm("C50", "consistency, weight 50", {**_ALL, "consistency_weight": 50.0}),
        Arm("A-muon", "A by Muon", _MUON),
        Arm("weak-muon", "weak by Muon", {**_reconstructs(0.1), **_MUON}),
        Arm("stages-muon", "stages by Muon", {**_GIVES_BACK, **_MUON}),
        Arm("C20-muon", "C20 by Muon", {**_ALL, "consistency_weight": 20.0, **_MUON}),
    ),
    budgets={1000: {}},
    seeds=(100, 101, 102),
    hold_out=5000,
)

SEARCH_LONGER = replace(
    SEARCH,
    name="search-longer",
    asks="And in four times the steps of a narrower network? On held-out training pictures.",
    recipe=replace(_FEW, epochs=8),
    arms=(
        Arm("A", "the labelled pictures alone"),
        Arm("weak", "weight 0.1, the picture alone", _reconstructs(0.1)),
        Arm("stages", "weight 0.5, the picture and each stage", _GIVES_BACK),
        Arm("C20", "consistency, weight 20", {**_ALL, "consistency_weight": 20.0}),
        Arm("C20+weak", "C20 and weak", {**_reconstructs(0.1), "consistency_weight": 20.0}),
        Arm("C20+stages", "C20 and stages", {**_GIVES_BACK, "consistency_weight": 20.0}),
    ),
)


def _levers(name: str, about: str, option: str, values: Mapping[str, Any]) -> list[Arm]:
    """Arms NAME=VALUE that set one option."""
    return [Arm(f"{name}={v}", f"{about} {v}", {option: set_to}) for v, set_to in values.items()]


def _decoders(name: str, about: str, option: str, values: Mapping[str, Any]) -> list[Arm]:
    """Likewise, all with a decoder."""
    arms = _levers(name, about, option, values)
    return [replace(arm, changes={**arm.changes, **_DECONV}) for arm in arms]


def _deep(each: int) -> str:
    """Three stages of so many convolutions."""
    widths = "/".join(",".join([str(w)] * each) for w in (16, 32, 64))
    return f"plain:{widths}:head=mean"


LEVERS = Plan(
    name="levers",
    asks="What do kernel size, depth, learning rate and the amount of data do?",
    recipe=_SMALL,
    arms=(
        Arm("classifier", "the classifier alone"),
        Arm("decoder", "with a decoder of the labelled pictures beside it", _DECONV),
        *_levers(
            "kernel",
            "the classifier's kernels have a side of",
            "model",
            {
                str(k): f"{_SMALL.model.removesuffix(':head=mean')}:kernel={k}:head=mean"
                if k != 3
                else _SMALL.model
                for k in (3, 5, 7)
            },
        ),
        *_levers(
            "depth",
            "the classifier's convolutions number",
            "model",
            {str(3 * each): _deep(each) for each in (1, 2, 3)},
        ),
        *_levers("rate", "peak learning rate", "lr", {str(r): r for r in (0.01, 0.03, 0.1, 0.3)}),
        *_decoders(
            "decoder-kernel",
            "the decoder's kernels have a side of",
            "decoder.kernel",
            {str(k): k for k in (3, 4, 5, 7)},
        ),
        *_decoders(
            "decoder-depth",
            "convolutions in each of the decoder's steps:",
            "decoder.depth",
            {str(d): d for d in (1, 2, 3)},
        ),
        *_decoders(
            "decoder-rate",
            "the decoder learns so many times faster:",
            "decoder_lr_scale",
            {str(r): r for r in (0.1, 0.3, 1.0, 3.0)},
        ),
    ),
    budgets={4000: {}, 500: {}, 1000: {}, 10_000: {}},
    varies=("classifier", "decoder"),
    seeds=(0, 1, 2),
)

RECIPE = Plan(
    name="recipe",
    asks="What does each ingredient of the recipe bring?",
    recipe=replace(_SMALL, epochs=10, steps_per_epoch=0, optimiser="muon"),
    arms=(
        Arm("best", "Muon, one cycle, crop, flip, cutout, label smoothing"),
        Arm("without Muon", "SGD alone", {"optimiser": "sgd"}),
        Arm("without crop", "no shifts", {"augmentation.crop_padding": 0}),
        Arm("without flip", "no mirror images", {"augmentation.flip": False}),
        Arm("without cutout", "no hidden squares", {"augmentation.cutout": 0}),
        Arm("without smoothing", "targets of one class", {"label_smoothing": 0.0}),
        Arm("without warmup", "the peak rate from the first step", {"warmup": 0.0}),
        Arm("without cooling", "the peak rate to the last step", {"schedule": "constant"}),
        Arm("without decay", "no weight decay", {"weight_decay": 0.0}),
        Arm(
            "without fast shifts",
            "BatchNorm's shifts as fast as the rest",
            {"bn_bias_lr_scale": 1.0},
        ),
        Arm("cosine", "half a cosine for the straight line down", {"schedule": "cosine"}),
        Arm("Adam", "at 0.001", {"optimiser": "adam", "lr": 1e-3}),
        Arm("AdamW", "at 0.003", {"optimiser": "adamw", "lr": 3e-3}),
        Arm("mixup", "pictures blended in pairs", {"mixup": 0.2}),
        Arm("rotation", "turned by up to 15 degrees", {"augmentation.rotation": 15.0}),
        Arm("RandAugment", "magnitude 5", {"augmentation.randaugment": 5}),
        Arm("focal loss", "for cross-entropy", {"loss": "focal"}),
        Arm("squared loss", "for cross-entropy", {"loss": "mse", "lr": 0.03}),
        Arm(
            "mean pooling",
            "for maximum pooling",
            {"model": f"{_SMALL.model.removesuffix(':head=mean')}:pool=mean:head=mean"},
        ),
        Arm("decoder", "a deconvolution decoder beside it", _DECONV),
        Arm("10 % wrong labels", "at random", label_noise=0.1),
        Arm("40 % wrong labels", "at random", label_noise=0.4),
        Arm(
            "tutorial",
            "a tutorial's own network and recipe: two unpadded convolutions, Adam, no augmentation",
            {
                "model": "tutorial-cnn",
                "optimiser": "adam",
                "lr": 1e-3,
                "batch_size": 128,
                "schedule": "constant",
                "warmup": 0.0,
                "weight_decay": 0.0,
                "label_smoothing": 0.0,
                "augmentation": Augmentation(crop_padding=0, flip=False),
            },
        ),
    ),
    budgets={10_000: {}},
    seeds=(0, 1, 2),
)

PLANS: Mapping[str, Plan] = {
    plan.name: plan for plan in (HELPS, LEVERS, RECIPE, SEARCH, SEARCH_LONGER)
}
"""Every plan that `deconvviz study run` knows."""


def find_plan(name: str) -> Plan:
    """The plan of a name.

    Raises:
        StudyError: There is none.
    """
    if name not in PLANS:
        raise StudyError(f"no study `{name}`; there are {', '.join(PLANS)}")
    return PLANS[name]
