"""Pictures a second in training: our trainer beside the usual loop, and beside cifar10-airbench.

    DECONVVIZ_DATA=DIR python benchmarks/training.py [--regulariser] [--airbench PATH] [--write]

Without an option: the same networks, batches and kind of optimiser in our trainer and in the loop
that everybody writes, in turns. With `--regulariser`: our trainer with the deconvolution decoder
and without, likewise. With `--airbench`: the network and the loop of a checkout of
github.com/KellerJordan/cifar10-airbench, untouched but for its device, and our `fast` on the same
pictures; eight epochs of all pictures are half an hour on two cores. CIFAR-10 is found as always;
without it, shapes are drawn.
"""

import argparse
import contextlib
import json
import math
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from report import environment, markdown, write_section
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import __version__ as torchvision_version
from torchvision import transforms

from deconvviz.errors import DataError
from deconvviz.io.data import Augmentation, Dataset, load_dataset
from deconvviz.models import MODELS, build, vgg
from deconvviz.training import Recipe, read_metrics, train

SMALL = "vgg-32-64-128"
MODELS[SMALL] = partial(vgg, widths=(32, 64, 128))
NETWORKS = {
    "seed-cnn": "seed-cnn, 32/64/128 maps",
    SMALL: "vgg, 32/64/128 maps",
    "fast": "fast, 64/192/256 maps",
}

# CPU: about eight seconds a side and round on two cores. "seconds" of a run are told to a tenth.
PICTURES = {
    "cpu": {"seed-cnn": 4096, SMALL: 4096, "fast": 1536},
    "cuda": dict.fromkeys(NETWORKS, 50_000),
}
EPOCHS = {"cpu": 3, "cuda": 10}  # of ours in one round; the usual loop does one
TRIED = 8  # batches with which each number of workers is tried


def pictures(count: int, split: str = "train") -> Dataset:
    """Some of CIFAR-10's pictures, of all classes and always the same, or drawn ones."""
    try:
        found = load_dataset("cifar10", split, progress=False)
    except DataError:
        found = load_dataset("shapes", split)
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    return found if count >= len(found) else found.subset(order[:count])


def recipe_of(network: str, device: str) -> Recipe:
    """SGD and the augmentation of the usual loop: crop and mirror image."""
    return Recipe(
        model=network,
        epochs=EPOCHS[device],
        optimiser="sgd",
        augmentation=Augmentation(crop_padding=4, flip=True),
        snapshots=(),
    )


def ours(recipe: Recipe, training: Dataset, device: str) -> float:
    """Images a second of our trainer, by its own clock: measurements and files are left out."""
    with tempfile.TemporaryDirectory() as folder:
        few = training.subset(range(64))
        train(recipe, training, few, Path(folder), device=device, progress=False)
        taken = read_metrics(Path(folder))[-1]["seconds"]
    steps = recipe.epochs * (len(training) // recipe.batch_size)
    return steps * recipe.batch_size / max(taken, 0.05)


def settled(recipe: Recipe, training: Dataset, device: str) -> Recipe:
    """The recipe with the precision that our trainer finds faster here; also a first run."""
    with tempfile.TemporaryDirectory() as folder:
        once = replace(recipe, epochs=1)
        few = training.subset(range(64))
        train(once, training, few, Path(folder), device=device, progress=False)
        told = json.loads((Path(folder) / "config.json").read_text())
    return replace(recipe, precision=told["recipe"]["precision"])


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One picture at a time, as torchvision's CIFAR10 gives it: from PIL through the transforms."""

    def __init__(self, data: Dataset) -> None:
        mean, std = data.channel_statistics()
        self.pixels = data.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = data.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(data.images.shape[-1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(mean, std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


class Usual:
    """The loop that everybody writes: a DataLoader, float32, maps before rows and columns."""

    def __init__(self, recipe: Recipe, data: Dataset, device: str, workers: int) -> None:
        self.device = torch.device(device)
        size = data.images.shape[-1]
        self.model = build(recipe.model, classes=len(data.classes), size=size).to(self.device)
        self.loader = DataLoader(
            Pictures(data),
            recipe.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=device == "cuda",
        )
        self.criterion = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
        self.optimiser = torch.optim.SGD(
            self.model.parameters(),
            lr=0.1 * recipe.lr,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )

    def epoch(self) -> float:
        """One pass; images a second."""
        started, seen = time.perf_counter(), 0
        self.model.train()
        for images, labels in self.loader:
            images = images.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            self.optimiser.zero_grad()
            self.criterion(self.model(images), labels).backward()
            self.optimiser.step()
            seen += len(labels)
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return seen / (time.perf_counter() - started)


def quickest(recipe: Recipe, data: Dataset, device: str) -> tuple[Usual, int]:
    """The usual loop with the number of workers that suits it best here, its workers started."""
    few = data.subset(range(min(len(data), TRIED * recipe.batch_size)))
    rates = {}
    for workers in sorted({0, 2, *([os.cpu_count() or 1] if device == "cuda" else [])}):
        usual = Usual(recipe, few, device, workers)
        usual.epoch()
        rates[workers] = usual.epoch()
    best = max(rates, key=lambda workers: rates[workers])
    usual = Usual(recipe, data, device, best)
    usual.epoch()
    return usual, best


class Apart:
    """The usual loop in a process of its own, which our trainer's settings do not reach.

    Attributes:
        workers: The number that suits it best here.
    """

    def __init__(self, recipe: Recipe, data: Dataset, device: str) -> None:
        self.process = ProcessPoolExecutor(1, get_context("spawn"))
        self.workers = self.process.submit(_begin, recipe, data, device).result()

    def epoch(self) -> float:
        """One pass; images a second."""
        return self.process.submit(_go_on).result()

    def end(self) -> None:
        """Its process, and its loader's."""
        self.process.shutdown()


_there: dict[str, Usual] = {}  # in that process


def _begin(recipe: Recipe, data: Dataset, device: str) -> int:
    _there["loop"], workers = quickest(recipe, data, device)
    return workers


def _go_on() -> float:
    return _there["loop"].epoch()


def turns(
    first: Callable[[], float], second: Callable[[], float], rounds: int
) -> list[tuple[float, float]]:
    """Both rates in each round, one after the other, so that a busy machine slows both."""
    return [(first(), second()) for _ in range(rounds)]


def told(pairs: Sequence[tuple[float, float]]) -> list[str]:
    """Median rates, and the median ratio of the second to the first with its range."""
    ratios = [second / first for first, second in pairs]
    medians = (f"{statistics.median(side):.0f}" for side in zip(*pairs, strict=True))
    span = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [*medians, f"**{statistics.median(ratios):.2f}x** ({span})"]


def against_usual(options: argparse.Namespace) -> str:
    """Our trainer beside the usual loop."""
    rows, data = [], None
    for network, name in NETWORKS.items():
        data = pictures(options.pictures or PICTURES[options.device][network])
        recipe = settled(recipe_of(network, options.device), data, options.device)
        usual = Apart(recipe, data, options.device)
        run = partial(ours, recipe, data, options.device)
        pairs = turns(usual.epoch, run, options.rounds)
        usual.end()
        rows.append([name, *told(pairs), recipe.precision, str(usual.workers)])
    assert data is not None
    head = ["network", "usual, images/s", "ours, images/s", "ratio", "our precision", "its workers"]
    return (
        "`python benchmarks/training.py`; "
        f"{environment(options.device, torchvision=torchvision_version)}."
        "\n\nThe usual loop: a DataLoader with the quickest number of workers, PIL pictures "
        "through RandomCrop, RandomHorizontalFlip, ToTensor and Normalize, float32. Same networks, "
        "batches of 128, SGD with Nesterov momentum. Medians of "
        f"{options.rounds} rounds in turns, and the ratio's range; {data.title}."
        f"\n\n{markdown(head, rows)}"
    )


def with_decoder(options: argparse.Namespace) -> str:
    """What the deconvolution decoder costs."""
    rows, data = [], None
    for network, name in NETWORKS.items():
        data = pictures(options.pictures or PICTURES[options.device][network])
        alone = settled(recipe_of(network, options.device), data, options.device)
        both = settled(replace(alone, deconv_weight=0.3), data, options.device)
        runs = [partial(ours, recipe, data, options.device) for recipe in (both, alone)]
        rows.append([name, *told(turns(runs[0], runs[1], options.rounds)), alone.precision])
    assert data is not None
    head = ["network", "with decoder, images/s", "without, images/s", "cost of a step", "precision"]
    return (
        f"`python benchmarks/training.py --regulariser`; {environment(options.device)}.\n\nA step "
        "with the deconvolution decoder (weight 0.3) over one without, at equal pictures. Medians "
        f"of {options.rounds} rounds in turns, and the ratio's range; {data.title}."
        f"\n\n{markdown(head, rows)}"
    )


class Clock:
    """Stands in for a CUDA event where there is no GPU."""

    at = 0.0

    def record(self) -> None:
        """Note the time."""
        self.at = time.perf_counter()

    def elapsed_time(self, later: "Clock") -> float:
        """Milliseconds from this one to another."""
        return 1e3 * (later.at - self.at)


AIRBENCH, ITS_BATCH = "airbench94_muon.py", 2000
ON_CPU = {
    'torch.device("cuda")': 'torch.device("cpu")',
    "torch.cuda.Event(enable_timing=True)": "Clock()",
    "torch.cuda.synchronize()": "None",
    "@torch.compile\n": "",  # on a CPU, compiling takes longer than these runs would gain
}


def airbench(folder: Path, device: str, half: str, epochs: int) -> dict[str, Any]:
    """The names that its script defines, read from its source with another device and length.

    Args:
        folder: The checkout.
        device: "cpu" or "cuda".
        half: What stands for its half precision: "fp16", "bfloat16" or "float".
        epochs: In place of its eight.
    """
    path = folder / AIRBENCH
    changes = {"ceil(8 * len(train_loader))": f"ceil({epochs} * len(train_loader))"}
    if device == "cpu":
        changes |= ON_CPU | {".half()": f".{half}()"}
    source = path.read_text("utf-8")
    for before, after in changes.items():
        if before not in source:
            raise SystemExit(f"{path} has no `{before}`; check out the commit f1c599c")
        source = source.replace(before, after)
    names: dict[str, Any] = {"__name__": "airbench", "Clock": Clock}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a backslash in a docstring of its own
        exec(compile(source, str(path), "exec"), names)  # noqa: S102  a checkout of the user's choice
    return names


def its_precision(folder: Path, device: str) -> tuple[str, dict[str, float]]:
    """The precision in which its network takes a step soonest, and images a second in each."""
    if device == "cuda":
        return "fp16", {}
    rates: dict[str, float] = {}
    for half in ("float", "bfloat16", "fp16"):
        model = airbench(folder, device, half, 1)["CifarNet"]()
        model.to(memory_format=torch.channels_last).reset()
        batch = getattr(torch.rand(32, 3, 32, 32), half)().to(memory_format=torch.channels_last)
        quickest = math.inf
        for _ in range(4):
            started = time.perf_counter()
            model(batch).float().sum().backward()
            taken = time.perf_counter() - started
            quickest = min(quickest, taken)
            if rates and taken > 5 * len(batch) / max(rates.values()):
                break  # half precision is emulated on many CPUs, a hundred times slower
        rates[half] = len(batch) / quickest
    return max(rates, key=lambda half: rates[half]), rates


def theirs(
    folder: Path, device: str, half: str, epochs: int, splits: Sequence[Dataset]
) -> list[dict[str, float]]:
    """Its own run on our pictures; a line an epoch, seconds without its measurements."""
    names, lines = airbench(folder, device, half, epochs), []
    names["print_training_details"] = lambda told, is_final_entry: lines.append(  # noqa: ARG005
        {"seconds": told["time_seconds"], "accuracy": told.get("tta_val_acc") or told["val_acc"]}
    )
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        Path("cifar10").mkdir()
        for name, data in zip(("train", "test"), splits, strict=True):
            pixels = data.images.permute(0, 2, 3, 1).contiguous()
            kept = {"images": pixels, "labels": data.labels, "classes": list(data.classes)}
            torch.save(kept, f"cifar10/{name}.pt")
        model = names["CifarNet"]().to(device).to(memory_format=torch.channels_last)
        if device == "cuda":
            model.compile(mode="max-autotune")
            names["main"]("warmup", model)
            lines.clear()
        names["main"](0, model)
    return lines


def against_airbench(options: argparse.Namespace) -> str:
    """Its network and loop beside our `fast`, each as its authors train it."""
    device, epochs = options.device, options.epochs
    train_split = pictures(options.pictures or 50_000)
    if len(train_split) < ITS_BATCH:
        raise SystemExit(f"--airbench needs {ITS_BATCH} pictures or more, a batch of its own")
    test_split = pictures(len(train_split) // 5, "test")
    half, tried = its_precision(options.airbench, device)
    lines = theirs(options.airbench, device, half, epochs, (train_split, test_split))
    recipe = Recipe(model="fast", epochs=epochs, optimiser="muon", snapshots=())
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, train_split, test_split, Path(folder), device=device, progress=False)
        metrics = read_metrics(Path(folder))
        precision = json.loads((Path(folder) / "config.json").read_text())["recipe"]["precision"]
    batches = (ITS_BATCH, recipe.batch_size)
    seen = [len(train_split) // batch * batch for batch in batches]
    rows, pairs, before = [], [], (0.0, 0.0)
    for epoch, (its, our) in enumerate(zip(lines, metrics, strict=False), 1):
        now = (its["seconds"], our["seconds"])
        rates = [
            count / max(after - earlier, 0.05)
            for count, after, earlier in zip(seen, now, before, strict=True)
        ]
        pairs.append((rates[0], rates[1]))
        accuracies = [f"{its['accuracy']:.2%}", f"{our['test_accuracy']:.2%}"]
        rows.append([str(epoch), *(f"{rate:.0f}" for rate in rates), *accuracies])
        before = now
    head = ["epoch", "its images/s", "ours, images/s", "its accuracy", "ours"]
    others = ", ".join(f"{name} {rate:.0f}" for name, rate in tried.items())
    compared = f" (images/s of a few steps of 32: {others})" if others else ""
    return (
        f"`python benchmarks/training.py --airbench PATH`; {environment(device)}.\n\nIts own "
        f"network, loop and recipe (`{AIRBENCH}`, batches of {ITS_BATCH}) in {half}{compared}, and "
        f"our `fast` (Muon, batches of {recipe.batch_size}, {precision}), one after the other on "
        f"the same {len(train_split)} pictures, {train_split.title}; accuracy on "
        f"{len(test_split)}, each picture once as it is. Ours over its "
        f"images/s, by epochs: {told(pairs)[-1]}. With its views of each picture "
        f"averaged it ends at {lines[-1]['accuracy']:.2%}.\n\n{markdown(head, rows)}"
    )


def main() -> None:
    """Measure, print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regulariser", action="store_true", help="cost of the decoder")
    parser.add_argument("--airbench", type=Path, help="a checkout of cifar10-airbench")
    there = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", choices=list(EPOCHS), default=there)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, help="of each run, fewer for a quick look")
    parser.add_argument("--epochs", type=int, default=8, help="of the runs with --airbench")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.airbench:
        title, text = "Training beside cifar10-airbench", against_airbench(options)
    elif options.regulariser:
        title, text = "The decoder's cost", with_decoder(options)
    else:
        title, text = "Training", against_usual(options)
    print(text)  # noqa: T201
    if options.write:
        write_section(title, text)


if __name__ == "__main__":
    main()
