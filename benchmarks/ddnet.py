"""The deep deconvolution network at 224 x 224 pixels beside a plain one of equal depth and cost.

    python benchmarks/ddnet.py [--device cuda] [--pictures 5000] [--write]

One epoch each of CIFAR-10 pictures enlarged to 224 x 224, as the text that proposes the network has
it: Adam at 0.001, batches of 128. At 32 x 32, and over three seeds: `deconvviz study report texts`.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import torch
from report import cifar10, environment, markdown, options, publish
from torch.nn import functional

from deconvviz.io.data import Dataset, stratified_subset
from deconvviz.models import build
from deconvviz.study import find_plan
from deconvviz.training import Recipe, read_metrics, train
from deconvviz.training.cost import multiply_adds

SIDE = 224
HEAD = ("network", "multiply-adds, M", "parameters, M", "training loss", "test accuracy", "seconds")


def enlarged(data: Dataset) -> Dataset:
    """The same pictures at 224 x 224, bicubic."""
    made = [
        functional.interpolate(part.float(), (SIDE, SIDE), mode="bicubic").round().clamp(0, 255)
        for part in data.images.split(64)
    ]
    images = torch.cat([part.byte() for part in made])
    return replace(data, images=images, title=f"{data.title}, {SIDE} x {SIDE}", source="")


def row(recipe: Recipe, training: Dataset, test: Dataset, device: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, training, test, Path(folder), device=device)
        (line,) = read_metrics(Path(folder))
    model = build(recipe.model, size=SIDE, classes=len(training.classes))
    weights = sum(weight.numel() for weight in model.parameters())
    return [
        recipe.model,
        f"{multiply_adds(model, (3, SIDE, SIDE)) / 1e6:.0f}",
        f"{weights / 1e6:.2f}",
        f"{line['train_loss']:.3f}",
        f"{line['test_accuracy']:.1%}",
        f"{line['seconds']:.0f}",
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--pictures", type=int, default=5000, help="training pictures")
    given = parser.parse_args()
    training = enlarged(stratified_subset(cifar10("train"), given.pictures))
    test = enlarged(stratified_subset(cifar10("test"), max(100, given.pictures // 5)))
    plan = find_plan("texts")
    arms = {arm.name: arm for arm in plan.arms}
    rows = []
    for name in ("ddnet", "plain"):
        recipe = replace(plan.recipe, model=arms[name].changes["model"], epochs=1)
        rows.append(row(recipe, training, test, given.device))
    text = (
        f"`python benchmarks/ddnet.py --pictures {given.pictures}`; {environment(given.device)}; "
        f"{training.title}, one epoch of {len(training)} pictures, {len(test)} test pictures, "
        f"one seed, {plan.recipe.precision}.\n\n"
    )
    table = markdown(HEAD, rows)
    publish("The deep deconvolution network at 224 pixels", text + table, write=given.write)


if __name__ == "__main__":
    main()
