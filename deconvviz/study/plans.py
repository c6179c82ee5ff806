"""The plans of the study, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from deconvviz.errors import StudyError
from deconvviz.io.data import Augmentation
from deconvviz.study.plan import Arm, Contrast, Plan
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
"""For few labels: a network so small that two cores train it for long.

Consistency needs the length: after 1000 steps of a wider network it had brought nothing."""

_ALL = {"unlabelled_batch": 64}
_DECONV: dict[str, Any] = {"deconv_weight": 0.5}
_TEACHER: dict[str, Any] = {"consistency_weight": 20.0}


def _decoder(weight: float, **options: Any) -> dict[str, Any]:
    """Changes that add a decoder of all training pictures."""
    return {**_ALL, "deconv_weight": weight, **{f"decoder.{k}": v for k, v in options.items()}}


_STAGES = _decoder(0.5, stages=(0.5, 0.5))
"""The picture and the input of each later stage: best of SEARCH_LONGER's decoders, if by little."""

HELPS = Plan(
    name="helps",
    question="Does a deconvolution decoder beside the classifier raise its accuracy?",
    recipe=_FEW,
    arms=(
        Arm("A", "cross-entropy on the labelled pictures"),
        # R-all takes 2.48 times the multiply-adds of A
        Arm("A2", "A, with the compute that R-all takes", epoch_scale=2.5),
        Arm(
            "N",
            "A with all that R-all takes in, pictures without labels, but nothing to reconstruct",
            _ALL,
        ),
        Arm(
            "R-lab",
            "A, and a decoder that reconstructs the labelled pictures",
            {**_STAGES, "unlabelled_batch": 0},
        ),
        Arm(
            "R-all",
            "A, and a decoder that reconstructs all training pictures, labelled or not",
            _STAGES,
        ),
        Arm(
            "C",
            "A, and consistency with a mean teacher on all training pictures",
            {**_TEACHER, **_ALL},
        ),
        Arm("C+R", "C and R-all together", {**_TEACHER, **_STAGES}),
    ),
    budgets={
        500: {},
        1000: {},
        4000: {},
        10_000: {"epochs": 10},
        50_000: {"epochs": 20, "steps_per_epoch": 390, "batch_size": 128},
    },
    seeds=tuple(range(10)),
    robustness=True,
    contrasts=(
        Contrast("R-all", "A", 0.015, "reconstruction beside cross-entropy (R-all − A)"),
        Contrast("R-all", "N"),
        Contrast("R-lab", "A"),
        Contrast("C", "A"),
        Contrast("C+R", "C", 0.03, "reconstruction beside consistency (C+R − C)"),
        Contrast("A2", "A"),
    ),
    primary=1000,
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
_HIDDEN = {"augmentation.cutout": 16}

SEARCH = Plan(
    name="search",
    question="Which decoder, and which consistency, help most? Measured on held-out training "
    "pictures.",
    recipe=replace(  # SGD has no use for muon_lr, but its records hold it
        _FEW, model="vgg:32,64,128", optimiser="sgd", muon_lr=0.025, epochs=4, steps_per_epoch=250
    ),
    arms=(
        Arm("A", "the labelled pictures alone"),
        Arm("U", "pictures without labels beside them, for BatchNorm's statistics alone", _ALL),
        Arm("picture", "weight 1, the picture alone", _decoder(1.0)),
        Arm("stages", "weight 0.5, the picture and each stage", _STAGES),
        Arm("weak", "weight 0.1, the picture alone", _decoder(0.1)),
        Arm(
            "skip_last_stages",
            "weight 1, from below the last stage",
            _decoder(1.0, skip_last_stages=1),
        ),
        Arm("early", "weight 4, falling over the whole run", _decoder(4.0, rampdown=1.0)),
        Arm(
            "inpaint",
            "weight 1; a quarter of each picture is hidden, and is to be filled in",
            {**_decoder(1.0, inpaint=True), **_HIDDEN},
        ),
        Arm("hidden", "a quarter of each picture is hidden, no decoder", _HIDDEN),
        Arm("free", "weight 1, with a free branch", _decoder(1.0, free_branch=True)),
        Arm("tied", "weight 0.5, tied kernels", _decoder(0.5, tied=True)),
        Arm("switches", "weight 1, with switches", _decoder(1.0, switches=True)),
        *(
            Arm(
                f"C{weight}",
                f"consistency, weight {weight}",
                {**_ALL, "consistency_weight": weight},
            )
            for weight in (5, 20, 50)
        ),
        Arm("A-muon", "A by Muon", _MUON),
        Arm("weak-muon", "weak by Muon", {**_decoder(0.1), **_MUON}),
        Arm("stages-muon", "stages by Muon", {**_STAGES, **_MUON}),
        Arm("C20-muon", "C20 by Muon", {**_ALL, **_TEACHER, **_MUON}),
    ),
    budgets={1000: {}},
    seeds=(100, 101, 102),
    hold_out=5000,
)

SEARCH_LONGER = replace(
    SEARCH,
    name="search-longer",
    question="And in four times the steps of a narrower network? On held-out training pictures.",
    recipe=replace(_FEW, epochs=8),
    arms=(
        Arm("A", "the labelled pictures alone"),
        Arm("weak", "weight 0.1, the picture alone", _decoder(0.1)),
        Arm("stages", "weight 0.5, the picture and each stage", _STAGES),
        Arm("C20", "consistency, weight 20", {**_ALL, **_TEACHER}),
        Arm("C20+weak", "C20 and weak", {**_TEACHER, **_decoder(0.1)}),
        Arm("C20+stages", "C20 and stages", {**_TEACHER, **_STAGES}),
    ),
)


def _factor(
    name: str,
    description: str,
    option: str,
    values: Sequence[Any] | Mapping[Any, Any],
    **changes: Any,
) -> list[Arm]:
    """Arms NAME=VALUE that set one option, to the value or to what it is mapped to."""
    settings = values if isinstance(values, Mapping) else dict(zip(values, values, strict=True))
    return [
        Arm(f"{name}={value}", f"{description} {value}", {option: setting, **changes})
        for value, setting in settings.items()
    ]


def _deep(each: int) -> str:
    """Three stages of so many convolutions."""
    widths = "/".join(",".join([str(w)] * each) for w in (16, 32, 64))
    return f"plain:{widths}:head=mean"


def _small(option: str) -> str:
    """The small network with one more option."""
    return f"{_SMALL.model.removesuffix(':head=mean')}:{option}:head=mean"


LEVERS = Plan(
    name="levers",
    question="What do kernel size, depth, learning rate and the amount of data do?",
    recipe=_SMALL,
    arms=(
        Arm("classifier", "the classifier alone"),
        Arm("decoder", "with a decoder of the labelled pictures beside it", _DECONV),
        *_factor(
            "kernel",
            "side of the classifier's kernels:",
            "model",
            {3: _SMALL.model, 5: _small("kernel=5"), 7: _small("kernel=7")},
        ),
        *_factor(
            "depth",
            "number of the classifier's convolutions:",
            "model",
            {3 * each: _deep(each) for each in (1, 2, 3)},
        ),
        *_factor("lr", "peak learning rate", "lr", (0.01, 0.03, 0.1, 0.3)),
        *_factor(
            "decoder-kernel",
            "side of the decoder's kernels:",
            "decoder.kernel",
            (3, 4, 5, 7),
            **_DECONV,
        ),
        *_factor(
            "decoder-depth",
            "convolutions in each of the decoder's steps:",
            "decoder.depth",
            (1, 2, 3),
            **_DECONV,
        ),
        *_factor(
            "decoder-lr",
            "factor on the decoder's learning rate:",
            "decoder_lr_scale",
            (0.1, 0.3, 1.0, 3.0),
            **_DECONV,
        ),
    ),
    budgets={4000: {}, 500: {}, 1000: {}, 10_000: {}},
    swept=("classifier", "decoder"),
    seeds=(0, 1, 2),
)

RECIPE = Plan(
    name="recipe",
    question="What does each ingredient of the recipe bring?",
    recipe=replace(_SMALL, epochs=10, steps_per_epoch=0, optimiser="muon"),
    arms=(
        Arm("best", "Muon, one cycle, crop, flip, cutout, label smoothing"),
        Arm("without Muon", "SGD alone", {"optimiser": "sgd"}),
        Arm("without crop", "no shifts", {"augmentation.crop_padding": 0}),
        Arm("without flip", "no mirror images", {"augmentation.flip": False}),
        Arm("without cutout", "no hidden squares", {"augmentation.cutout": 0}),
        Arm("without smoothing", "targets of one class", {"label_smoothing": 0.0}),
        Arm("without warmup", "the peak rate from the first step", {"warmup": 0.0}),
        Arm("constant lr", "the peak rate to the last step", {"schedule": "constant"}),
        Arm("without decay", "no weight decay", {"weight_decay": 0.0}),
        Arm(
            "without fast biases",
            "BatchNorm's biases learn as fast as the rest",
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
        Arm("mean pooling", "for maximum pooling", {"model": _small("pool=mean")}),
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
                "augmentation.crop_padding": 0,
                "augmentation.flip": False,
                "augmentation.cutout": 0,
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
