"""Train the networks that answer with maps or generate, and what they are compared with.

    python benchmarks/train_dense.py RUNS NAME...

RUNS is a folder for the runs; a stopped run resumes, and a finished one is left as it is. A name is
a recipe below, or the beginning of several: `segment` trains all nine segmenters. Data sets are
found as always, by DECONVVIZ_DATA or in the cache.

Segmenters are chosen on the 101 validation pictures; the 233 test pictures are seen by
`benchmarks/dense.py` alone.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from deconvviz.restoration import RestorationRecipe, train_restoration
from deconvviz.training import read_metrics

SEEDS = (0, 1, 2)
DESIGNS = ("unpool", "transposed", "unet")


def segmenter(back: str, seed: int) -> RestorationRecipe:
    """9000 steps of 8 views, which are 196 epochs of the 367 pictures: 45 minutes of one core."""
    return RestorationRecipe(
        task="segment",
        network=f"segmenter:back={back}",
        loss="cross-entropy",
        epochs=20,
        steps_per_epoch=450,
        batch_size=8,
        patch=160,
        seed=seed,
        optimiser="adamw",
        lr=4e-3,
        warmup=0.1,
        weight_decay=0.05,
        max_grad_norm=5,
        ema_decay=0.998,
        precision="bf16",  # half the time of float32
        class_weights="sqrt-median",
    )


RECIPES: Mapping[str, RestorationRecipe] = {
    f"segment-{back}-{seed}": segmenter(back, seed) for seed in SEEDS for back in DESIGNS
}
"""Every run by name."""


def chosen(names: list[str]) -> list[str]:
    """The recipes of these names or beginnings of names, in order."""
    found = [
        [one for one in RECIPES if one == name or one.startswith(f"{name}-")] for name in names
    ]
    if unknown := [name for name, some in zip(names, found, strict=True) if not some]:
        raise SystemExit(f"no recipe `{unknown[0]}`; there are {', '.join(RECIPES)}")
    return [one for some in found for one in some]


def train(runs: Path, name: str) -> None:
    """Train one network in RUNS/name, or resume it."""
    folder = runs / name
    if not (folder / "model.md").is_file():  # written last
        train_restoration(RECIPES[name], folder)
    last = {k: v for k, v in read_metrics(folder)[-1].items() if k != "epoch"}
    figures = "  ".join(f"{key} {value:g}" for key, value in last.items())
    print(f"{name:28} {figures}", flush=True)  # noqa: T201


def main() -> None:
    """Train all networks that are not trained yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="+", help=", ".join(RECIPES))
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    for name in chosen(options.names):
        train(options.runs, name)


if __name__ == "__main__":
    main()
