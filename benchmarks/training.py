"""Pictures per second in training: our trainer beside a usual loop, and beside cifar10-airbench.

    DECONVVIZ_DATA=DIR python benchmarks/training.py [--decoder | --adversary | --airbench PATH]

Without an option: the same networks, batches and kind of optimiser in our trainer and in a usual
PyTorch loop, in turns. With `--decoder`: our trainer with the deconvolution decoder and without;
with `--adversary`: with attacks of one and two steps on each picture, and without.
With `--airbench`: network and loop of a checkout of github.com/KellerJordan/cifar10-airbench,
unchanged except for device, precision and length, and our `fast` on the same pictures; eight epochs
of all pictures take half an hour on two cores. Without CIFAR-10, shapes are drawn.
"""

import argparse
import contextlib
import os
import statistics
import tempfile
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from report import cifar10, environment, markdown, options, publish
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import __version__ as torchvision_version
from torchvision import transforms

from deconvviz.io.data import Augmentation, Dataset
from deconvviz.models import build
from deconvviz.training import Recipe, read_metrics, train
from deconvviz.training.adversary import Adversary
from deconvviz.training.run_folder import read_config

NETWORKS = ("seed-cnn", "vgg:32,64,128", "fast")
# CPU: about eight seconds per side and round on two cores, because metrics have tenths of a second.
PICTURES = {
    "cpu": dict(zip(NETWORKS, (4096, 4096, 1536), strict=True)),
    "cuda": dict.fromkeys(NETWORKS, 50_000),
}
DECODER: dict[str, dict[str, Any]] = {"decoder, weight 0.3": {"deconv_weight": 0.3}}
ATTACKS: dict[str, dict[str, Any]] = {
    f"L2 attack of {steps} step{'s' * (steps > 1)}": {
        "adversary": Adversary(radius=0.5, steps=steps)
    }
    for steps in (1, 2)
}
EPOCHS = {"cpu": 3, "cuda": 10}  # of ours in one round; the usual loop does one
Line = dict[str, float]


def pictures(count: int, split: str = "train") -> Dataset:
    """The same random part of CIFAR-10, or of drawn shapes, at each call."""
    found = cifar10(split)
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    return found if count >= len(found) else found.subset(order[:count])


def run(recipe: Recipe, training: Dataset, test: Dataset, device: str) -> tuple[Recipe, list[Line]]:
    """Train once; the recipe with its precision decided, and the metrics."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        train(recipe, training, test, folder, device=device, progress=False)
        return read_config(folder / "config.json").recipe, read_metrics(folder)


def our_rate(recipe: Recipe, training: Dataset, device: str) -> float:
    """Pictures per second of our trainer, without evaluation and files."""
    _, metrics = run(recipe, training, training.subset(range(64)), device)
    steps = recipe.epochs * (len(training) // recipe.batch_size)
    return steps * recipe.batch_size / max(metrics[-1]["seconds"], 0.05)


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """One picture at a time, as torchvision's CIFAR10 gives it: from PIL through the transforms."""

    def __init__(self, data: Dataset) -> None:
        self.pixels = data.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = data.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(data.images.shape[-1], padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(*data.channel_statistics()),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


class UsualLoop:
    """A DataLoader, float32, channels first."""

    def __init__(self, recipe: Recipe, data: Dataset, device: str, workers: int) -> None:
        size = data.images.shape[-1]
        self.device = torch.device(device)
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
            lr=0.1 * recipe.peak_lr,
            momentum=recipe.momentum,
            nesterov=True,
            weight_decay=recipe.weight_decay,
        )

    def epoch(self) -> float:
        """Train for one pass; return pictures per second."""
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


# The usual loop has a process of its own, which our trainer's allocator settings do not reach.
_loops: dict[int, UsualLoop] = {}


def start_usual(recipe: Recipe, data: Dataset, device: str) -> int:
    """Start the loop in this process, with the fastest number of workers, which is returned."""
    few, rates = data.subset(range(min(len(data), 8 * recipe.batch_size))), {}
    for workers in sorted({0, 2, *([os.cpu_count() or 1] if device == "cuda" else [])}):
        loop = UsualLoop(recipe, few, device, workers)
        loop.epoch()
        rates[workers] = loop.epoch()
    fastest = max(rates, key=lambda workers: rates[workers])
    _loops[0] = UsualLoop(recipe, data, device, fastest)
    _loops[0].epoch()
    return fastest


def usual_epoch() -> float:
    return _loops[0].epoch()


def summary(pairs: Sequence[tuple[float, float]]) -> list[str]:
    """Median rates, and the median ratio of the second to the first with its range."""
    ratios = [second / first for first, second in pairs]
    medians = (f"{statistics.median(side):.0f}" for side in zip(*pairs, strict=True))
    span = f"{min(ratios):.2f} to {max(ratios):.2f}"
    return [*medians, f"**{statistics.median(ratios):.2f}x** ({span})"]


def compare(given: argparse.Namespace) -> str:
    """Our trainer beside the usual loop, or with the decoder and without."""
    rows, device = [], given.device
    extras = DECODER if given.decoder else ATTACKS if given.adversary else {}
    for network in NETWORKS:
        data = pictures(given.pictures or PICTURES[device][network])
        recipe = Recipe(model=network, epochs=1, augmentation=Augmentation(), snapshots=())
        recipe, _ = run(recipe, data, data.subset(range(64)), device)  # decides the precision
        recipe = replace(recipe, epochs=EPOCHS[device])
        plain = partial(our_rate, recipe, data, device)
        # one after the other in each round, so that a busy machine slows both
        if extras:
            for name, change in extras.items():
                more = partial(our_rate, replace(recipe, **change), data, device)
                rates = summary([(more(), plain()) for _ in range(given.rounds)])
                rows.append([network, name, *rates, recipe.precision])
            continue
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            workers = process.submit(start_usual, recipe, data, device).result()
            rounds = range(given.rounds)
            rates = summary([(process.submit(usual_epoch).result(), plain()) for _ in rounds])
        rows.append([network, *rates, recipe.precision, str(workers)])
    medians = f"Medians of {given.rounds} rounds in turns, and the ratio's range; {data.title}."
    if extras:
        head = ["network", "with", "with it, images/s", "without, images/s", "cost", "precision"]
        intro = "Our trainer with what the second column names, and without."
        option = "decoder" if given.decoder else "adversary"
        call, libraries = f"python benchmarks/training.py --{option}", {}
    else:
        head = ["network", "usual, images/s", "ours, images/s", "ratio", "our precision", "workers"]
        intro = (
            "The usual loop: a DataLoader with the fastest number of workers, PIL pictures through "
            "RandomCrop, RandomHorizontalFlip, ToTensor and Normalize, float32. Same networks, "
            "batches of 128, SGD with Nesterov momentum."
        )
        call, libraries = "python benchmarks/training.py", {"torchvision": torchvision_version}
    made = f"`{call}`; {environment(device, **libraries)}."
    return f"{made}\n\n{intro} {medians}\n\n{markdown(head, rows)}"


class Clock:
    """Replaces a CUDA event where there is no GPU."""

    at = 0.0

    def record(self) -> None:
        """Note the time."""
        self.at = time.perf_counter()

    def elapsed_time(self, later: "Clock") -> float:
        """Milliseconds from this one to another."""
        return 1e3 * (later.at - self.at)


AIRBENCH, AIRBENCH_BATCH = "airbench94_muon.py", 2000
ON_CPU = {
    'torch.device("cuda")': 'torch.device("cpu")',
    "torch.cuda.Event(enable_timing=True)": "Clock()",
    "torch.cuda.synchronize()": "None",
    "@torch.compile\n": "",  # on a CPU, compiling takes longer than these runs would gain
}


def airbench(
    folder: Path, device: str, precision: str, epochs: int, splits: Sequence[Dataset]
) -> list[Line]:
    """Seconds and accuracy of each epoch of its script, on our pictures."""
    changes = {"ceil(8 * len(train_loader))": f"ceil({epochs} * len(train_loader))"}
    if device == "cpu":  # where fp16 is emulated, a hundred times slower
        changes |= {**ON_CPU, ".half()": ".bfloat16()" if precision == "bf16" else ".float()"}
    path, lines = folder / AIRBENCH, []
    source = path.read_text("utf-8")
    for before, after in changes.items():
        if before not in source:
            raise SystemExit(f"{path} has no `{before}`; check out the commit f1c599c")
        source = source.replace(before, after)
    names: dict[str, Any] = {"__name__": "airbench", "Clock": Clock}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # a backslash in one of its docstrings
        exec(compile(source, str(path), "exec"), names)  # noqa: S102  a checkout of the user's choice
    names["print_training_details"] = lambda line, is_final_entry: lines.append(  # noqa: ARG005
        {"seconds": line["time_seconds"], "accuracy": line.get("tta_val_acc") or line["val_acc"]}
    )
    with tempfile.TemporaryDirectory() as place, contextlib.chdir(place):
        Path("cifar10").mkdir()
        for name, data in zip(("train", "test"), splits, strict=True):
            pixels = data.images.permute(0, 2, 3, 1).contiguous()
            stored = {"images": pixels, "labels": data.labels, "classes": list(data.classes)}
            torch.save(stored, f"cifar10/{name}.pt")
        model = names["CifarNet"]().to(device).to(memory_format=torch.channels_last)
        if device == "cuda":
            model.compile(mode="max-autotune")
            names["main"]("warmup", model)
            lines.clear()
        names["main"](0, model)
    return lines


def beside_airbench(given: argparse.Namespace) -> str:
    """cifar10-airbench's network and loop beside our `fast`, each as its authors train it."""
    device, epochs = given.device, given.epochs
    training = pictures(given.pictures or 50_000)
    if len(training) < AIRBENCH_BATCH:
        raise SystemExit(f"--airbench needs {AIRBENCH_BATCH} pictures or more, one of its batches")
    test = pictures(len(training) // 5, "test")
    recipe = Recipe(model="fast", epochs=epochs, optimiser="muon", snapshots=())
    recipe, metrics = run(recipe, training, test, device)
    lines = airbench(given.airbench, device, recipe.precision, epochs, (training, test))
    sizes = (AIRBENCH_BATCH, recipe.batch_size)
    seen = [len(training) // size * size for size in sizes]
    rows, pairs, before = [], [], (0.0, 0.0)
    for epoch, (its, our) in enumerate(zip(lines, metrics, strict=False), 1):
        now = (its["seconds"], our["seconds"])
        first, second = (
            n / max(end - start, 0.05) for n, end, start in zip(seen, now, before, strict=True)
        )
        pairs.append((first, second))
        accuracies = [f"{its['accuracy']:.2%}", f"{our['test_accuracy']:.2%}"]
        rows.append([str(epoch), f"{first:.0f}", f"{second:.0f}", *accuracies])
        before = now
    precision = recipe.precision if device == "cpu" else "half precision"
    head = ["epoch", "its images/s", "ours, images/s", "its accuracy", "ours"]
    return (
        f"`python benchmarks/training.py --airbench PATH`; {environment(device)}.\n\nIts network, "
        f"loop and recipe (`{AIRBENCH}`, batches of {AIRBENCH_BATCH}), and our `fast` (Muon, "
        f"batches of {recipe.batch_size}), both in {precision}, one after the other on the same "
        f"{len(training)} pictures, {training.title}; accuracy on {len(test)}, each picture once. "
        f"Ours over its images/s, by epochs: {summary(pairs)[-1]}. "
        f"With its test-time augmentation it ends at {lines[-1]['accuracy']:.2%}.\n\n"
        f"{markdown(head, rows)}"
    )


def main() -> None:
    parser = options(__doc__)
    parser.set_defaults(device="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--decoder", action="store_true", help="cost of the decoder")
    parser.add_argument("--adversary", action="store_true", help="cost of an attack's steps")
    parser.add_argument("--airbench", type=Path, help="a checkout of cifar10-airbench")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pictures", type=int, help="number for each run, fewer for a quick look")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of the runs with --airbench")
    given = parser.parse_args()
    if given.airbench:
        title, text = "Training beside cifar10-airbench", beside_airbench(given)
    else:
        cost = "An attack's cost" if given.adversary else "Training"
        title = "The decoder's cost" if given.decoder else cost
        text = compare(given)
    publish(title, text, write=given.write)


if __name__ == "__main__":
    main()
