"""Recipes of the networks that segment, detect, generate and learn without labels.

`train_restoration.py` trains them, by these names. Each is a recipe and about how many minutes it
takes on one thread of an EPYC processor.

Segmenters are chosen on CamVid's 101 validation pictures; its 233 test pictures are seen by
`benchmarks/dense.py` alone.
"""

from collections.abc import Mapping
from typing import NamedTuple

from deconvviz.restoration import RestorationRecipe
from deconvviz.schema import changed


class Named(NamedTuple):
    """A recipe, and about how long it takes on one thread."""

    recipe: RestorationRecipe
    minutes: int


SEEDS = (0, 1, 2)
DESIGNS = ("unpool", "transposed", "unet")
UPS = ("transposed4", "transposed3", "resize")
DECODERS = {
    "tied": "autoencoder:decoder=tied",
    "tied-switches": "autoencoder:decoder=tied:switches=true",
    "untied": "autoencoder:decoder=untied",
    "untied-switches": "autoencoder:decoder=untied:switches=true",
}

# 9000 steps of 8 views are 196 epochs of the 367 pictures.
SEGMENT_LONG = RestorationRecipe(
    task="segment",
    loss="cross-entropy",
    network="segmenter:back=unet",
    epochs=20,
    steps_per_epoch=450,
    batch_size=8,
    patch=160,
    channels=3,
    optimiser="adamw",
    lr=4e-3,
    warmup=0.1,
    weight_decay=0.05,
    max_grad_norm=5,
    ema_decay=0.998,
    precision="bf16",  # half the time of float32
    class_weights="sqrt-median",
)
# 59 epochs of the pictures: nine runs are compared
SEGMENT = changed(SEGMENT_LONG, {"epochs": 6})
# 3000 steps of 32 pictures are 5 epochs of photos20.
AUTOENCODE = RestorationRecipe(
    task="autoencode",
    loss="l1",
    epochs=6,
    steps_per_epoch=500,
    batch_size=32,
    patch=64,
    channels=3,
    lr=2e-3,
    warmup=0.05,
    precision="bf16",
)
CLASSIFY = changed(
    AUTOENCODE,
    {
        "task": "classify",
        "network": "autoencoder:decoder=classes",
        "loss": "cross-entropy",
        "optimiser": "adamw",
        "lr": 1e-3,
        "weight_decay": 0.05,
    },
)
MNIST = RestorationRecipe(
    task="generate",
    loss="cross-entropy",
    pictures="mnist",
    epochs=20,
    steps_per_epoch=430,
    batch_size=128,
    patch=28,
    lr=2e-3,
    warmup=0.05,
    precision="bf16",
)
CIFAR = changed(
    MNIST,
    {
        "pictures": "cifar10",
        "loss": "l2",
        "steps_per_epoch": 350,
        "patch": 32,
        "channels": 3,
        "lr": 1e-3,
        "max_grad_norm": 100,
    },
)

DETECT = RestorationRecipe(
    task="detect",
    epochs=10,
    steps_per_epoch=400,
    batch_size=32,
    patch=96,
    channels=3,
    lr=2e-3,
    warmup=0.05,
    max_grad_norm=10,
    precision="bf16",
)


def _segmenters() -> dict[str, Named]:
    return {
        f"segment-{back}-{seed}": Named(
            changed(SEGMENT, {"network": f"segmenter:back={back}", "seed": seed}),
            15,
        )
        for seed in SEEDS
        for back in DESIGNS
    }


def _without_labels() -> dict[str, Named]:
    made = {
        f"autoencode-{name}-{seed}": Named(
            changed(AUTOENCODE, {"network": network, "seed": seed}), 6
        )
        for seed in SEEDS
        for name, network in DECODERS.items()
    }
    for seed in SEEDS:
        made[f"classify-{seed}"] = Named(changed(CLASSIFY, {"seed": seed}), 6)
        # 180 pictures: 1500 steps are 270 epochs of them
        few = {"seed": seed, "labels": 0.01, "epochs": 3}
        made[f"classify-few-{seed}"] = Named(changed(CLASSIFY, few), 3)
    return made


def _generators() -> dict[str, Named]:
    kinds = {
        "mnist": (MNIST, "vae:latent=16:width=32", 8),
        "cifar10": (CIFAR, "vae:latent=64:width=32", 12),
    }
    made = {
        f"generate-{data}-{up}": Named(changed(recipe, {"network": f"{network}:up={up}"}), minutes)
        for data, (recipe, network, minutes) in kinds.items()
        for up in UPS
    }
    # what ships is smaller, since all networks that restore, segment and generate are to have 5 MB
    for data, (recipe, network, minutes) in kinds.items():
        small = changed(recipe, {"network": network.replace("width=32", "width=16")})
        made[f"generate-{data}-small"] = Named(small, minutes // 2)
    return made


def _detectors() -> dict[str, Named]:
    return {
        f"detect-{head}-{seed}": Named(
            changed(DETECT, {"network": f"detector:head={head}", "seed": seed}),
            minutes,
        )
        for seed in SEEDS
        for head, minutes in (("decoder", 14), ("plain", 10))
    }


RECIPES: Mapping[str, Named] = {
    **_segmenters(),
    "segment-long": Named(SEGMENT_LONG, 48),
    **_without_labels(),
    **_generators(),
    **_detectors(),
}
"""Every run by name: its recipe, and about its minutes."""

RUN_OF = {
    "segment": "segment-long",
    "generate-mnist": "generate-mnist-small",
    "generate-cifar10": "generate-cifar10-small",
}
"""What ships -> the run that it is: of the segmenters, a longer one of the U-Net."""
