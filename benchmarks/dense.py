"""Tables of the networks that segment, detect, generate and learn without labels.

    python benchmarks/dense.py RUNS segment detect unsupervised generate --out FOLDER

RUNS holds the runs of `train_restoration.py`; what is not trained yet is left out. Every row of a
table is measured in this one run, on test pictures, from the stored checkpoints. FOLDER gets the
values of each picture as JSON, and pictures of what is generated. Generation needs, for MNIST's
distances, a classifier:

    deconvviz train --data mnist --model vgg:16,32,64 --no-augmentation.flip --out RUNS/features
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dense_recipes import DECODERS, DESIGNS, RUN_OF, SEEDS, UPS
from PIL import Image
from report import environment, markdown, publish, seconds
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.io.checkpoint import Checkpoint, load_checkpoint
from deconvviz.io.data import (
    Dataset,
    load_dataset,
    normalise,
    stratified_subset,
    train_test_split,
)
from deconvviz.io.data.camvid import CLASSES, load_camvid
from deconvviz.io.data.dataset import stratified_split
from deconvviz.io.files import write_atomically
from deconvviz.io.zoo import load
from deconvviz.networks import architecture, build
from deconvviz.networks.autoencoders import Encoder, transposed
from deconvviz.restoration import generation, unsupervised
from deconvviz.restoration.detection import detections, objects, scenes
from deconvviz.restoration.frechet import features_of, frechet_distance, phase_spread
from deconvviz.restoration.metrics import psnr, ssim
from deconvviz.restoration.overlap import (
    boundary_counts,
    boundary_iou,
    class_iou,
    confusion,
    mean_iou,
)
from deconvviz.restoration.precision import average_precision, mean_average_precision
from deconvviz.restoration.probe import pooled, probe
from deconvviz.restoration.segmentation import segment
from deconvviz.training import evaluate
from deconvviz.training.cost import multiply_adds

Table = tuple[str, dict[str, Any]]
BLOCK = 50  # pictures at a time, since their maps are of 64-bit numbers


def trained(runs: Path, name: str) -> Iterator[tuple[int, Checkpoint]]:
    """The finished runs of a name, with their seeds."""
    for seed in SEEDS:
        path = runs / f"{name}-{seed}" / "model.safetensors"
        if path.is_file():
            yield seed, load_checkpoint(path)


def spread(values: Sequence[float], digits: int = 2, scale: float = 1) -> str:
    """Mean, and the standard deviation over seeds."""
    mean = f"{statistics.mean(values) * scale:.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values) * scale:.{digits}f}"


def parameters(model: nn.Module) -> str:
    """Number of parameters, in thousands."""
    return f"{sum(p.numel() for p in model.parameters()) / 1000:.0f} k"


def segmentation(runs: Path, _out: Path) -> Table:
    """Three designs on CamVid's 233 test pictures, and the longer run that ships."""
    scene = load_camvid("test")
    rows, kept, best = [], {}, ("", 0.0)
    runs_of = {back: list(trained(runs, f"segment-{back}")) for back in DESIGNS}
    longer = runs / RUN_OF["segment"] / "model.safetensors"
    runs_of["unet, shipped"] = [(0, load_checkpoint(longer))] if longer.is_file() else []
    for back, checkpoints in runs_of.items():
        found: dict[str, list[Any]] = {"iou": [], "boundary": [], "val": [], "minutes": []}
        each_class, model = [], None
        for seed, checkpoint in checkpoints:
            described, model = checkpoint.description, checkpoint.network()
            predicted = segment(model, scene.images, described.mean, described.std)
            counts = [
                confusion(*pair, len(CLASSES)) for pair in zip(predicted, scene.masks, strict=True)
            ]
            whole = torch.stack(counts).sum(0)
            found["iou"].append(mean_iou(whole))
            found["boundary"].append(
                boundary_iou(boundary_counts(predicted, scene.masks, len(CLASSES)))
            )
            found["val"].append(described.training["held_out"]["mean_iou"])
            found["minutes"].append(described.training["seconds"] / 60)
            each_class.append(class_iou(whole))
            kept[f"{back}-{seed}"] = [mean_iou(one) for one in counts]
        if model is None:
            continue
        size = (3, 192, 240)
        picture = torch.zeros(1, *size)
        (taken,) = seconds([lambda net=model, one=picture: net(one)], spend=3)
        rows.append(
            [
                back,
                parameters(model),
                f"{multiply_adds(model, size) / 1e6:.0f} M",
                spread(found["val"], 1, 100),
                spread(found["iou"], 1, 100),
                spread(found["boundary"], 1, 100),
                *(f"{float(one) * 100:.0f}" for one in torch.stack(each_class).mean(0)),
                spread(found["minutes"], 0),
                f"{taken * 1000:.0f}",
            ]
        )
        if back in DESIGNS:
            best = max(best, (back, statistics.mean(found["val"])), key=lambda one: one[1])
    head = ["way back", "parameters", "multiply-adds", "101: mean IoU, %", "233: mean IoU, %"]
    head += ["233: boundary IoU, %", *CLASSES, "minutes of training", "ms a picture"]
    note = (
        f"Best on the 101 after equally many steps: {best[0]}. Classes: IoU on the 233, %, "
        "mean over seeds."
    )
    return f"{markdown(head, rows)}\n\n{note}", kept


def detection(runs: Path, _out: Path) -> Table:
    """Both heads on shapes over test photographs."""
    photographs = load_dataset("photos20", "test", progress=False)
    chosen = photographs.images[torch.linspace(0, len(photographs) - 1, 1000).long()]
    scene = scenes(chosen, 96, torch.Generator().manual_seed(1))
    true = [objects(one) for one in scene.shapes]
    rows, kept = [], {}
    for head in ("decoder", "plain"):
        found: dict[float, list[float]] = {0.5: [], 0.75: [], 0.9: []}
        model = None
        for seed, checkpoint in trained(runs, f"detect-{head}"):
            described, model = checkpoint.description, checkpoint.network()
            stride = architecture(described.model).stride  # type: ignore[attr-defined]
            inputs = normalise(scene.images, described.mean, described.std)
            maps = features_of(model, inputs)
            answers = detections(maps, len(described.classes), stride)
            for overlap, values in found.items():
                values.append(mean_average_precision(answers, true, 6, overlap))
            kept[f"{head}-{seed}"] = [average_precision(answers, true, c, 0.5) for c in range(6)]
        if model is not None:
            each = [spread(values, 1, 100) for values in found.values()]
            cost = f"{multiply_adds(model, (3, 96, 96)) / 1e6:.0f} M"
            rows.append([head, parameters(model), cost, *each])
    head_row = ["head", "parameters", "multiply-adds"]
    return markdown([*head_row, "AP50, %", "AP75, %", "AP90, %"], rows), kept


class Photographs:
    """The unsupervised text's pictures: 1000 of the test split, and 500 to fit scales on."""

    def __init__(self) -> None:
        whole = unsupervised.photographs("train")
        self.training = whole
        _, self.fitting = train_test_split(whole, unsupervised.HELD_OUT)
        self.test = unsupervised.photographs("test")
        self.some = stratified_subset(self.test, 1000)


def fitted(backs: Callable[[Tensor], Tensor], fitting: Tensor) -> Callable[[Tensor], Tensor]:
    """What leads back to maps, with the best linear map of these to pixels, and an offset.

    Args:
        backs: (N, 3, H, W) uint8 -> (N, K, H, W).
        fitting: Pictures to fit on, (N, 3, H, W) uint8.
    """

    def with_offset(images: Tensor) -> Tensor:
        return functional.pad(backs(images).movedim(1, -1).double(), (0, 1), value=1.0)

    square, product = 0, 0
    for block in fitting.split(BLOCK):
        inputs, targets = with_offset(block).flatten(0, -2), block.movedim(1, -1).flatten(0, -2)
        square, product = square + inputs.T @ inputs, product + inputs.T @ targets.double()
    best = torch.linalg.lstsq(square, product).solution

    def picture(images: Tensor) -> Tensor:
        found = [(with_offset(block) @ best).movedim(-1, 1) for block in images.split(BLOCK)]
        return torch.cat(found).float().clamp(0, 255)

    return picture


@torch.inference_mode()
def deconvnet(encoder: Encoder, images: Tensor) -> Tensor:
    """Pictures through an encoder and back by its transposed weights and switches, not scaled."""
    features, first, second = encoder.with_switches((images.float() / 255 - 0.5) / 0.25)
    return transposed(encoder, features, first, second)


@torch.inference_mode()
def one_layer(encoder: Encoder, images: Tensor) -> Tensor:
    """The text as it stands: the second layer transposed, ReLU, enlarged bilinearly; 32 maps."""
    given = (images.float() / 255 - 0.5) / 0.25
    maps = functional.conv_transpose2d(encoder(given), encoder.conv2.weight, padding=1).relu()
    return functional.interpolate(maps, images.shape[-2:], mode="bilinear", align_corners=False)


def ways_back(runs: Path, data: Photographs) -> dict[str, Callable[[Tensor], Tensor]]:
    """Every way from a picture over features to a picture, by name."""
    torch.manual_seed(0)
    encoders = {"random weights": build("autoencoder").encoder}
    for _, checkpoint in trained(runs, "classify"):
        encoders.setdefault("weights from labels", checkpoint.network().encoder)
    ways: dict[str, Callable[[Tensor], Tensor]] = {}
    for name, encoder in encoders.items():
        fit = data.fitting.images
        ways[f"second layer transposed, bilinear, {name}"] = fitted(
            lambda images, e=encoder: one_layer(e, images), fit
        )
        ways[f"deconvnet, {name}"] = fitted(lambda images, e=encoder: deconvnet(e, images), fit)
    for name in DECODERS:
        for seed, checkpoint in trained(runs, f"autoencode-{name}"):
            network, described = checkpoint.network(), checkpoint.description
            if seed == SEEDS[0]:
                ways[f"deconvnet, weights of the {name} auto-encoder"] = fitted(
                    lambda images, e=network.encoder: deconvnet(e, images), data.fitting.images
                )
            ways[f"{name}, seed {seed}"] = lambda images, n=network, d=described: (
                unsupervised.restored(n, images, d.mean, d.std)
            )
    return ways


def quality(back: Tensor, originals: Tensor) -> list[tuple[float, float, float]]:
    """Mean absolute error, PSNR and SSIM of each picture, in grey levels and dB."""
    rounded = back.round()
    return [
        (float((one - other).abs().mean()), psnr(one, other), ssim(one, other))
        for one, other in zip(rounded, originals.float(), strict=True)
    ]


def without_labels(runs: Path, _out: Path) -> Table:
    """Ways back to the picture, and what the features hold."""
    data = Photographs()
    originals = data.some.images
    reduced = unsupervised.blurred(originals)
    rows, kept = [], {}
    inputs = {"as it is": originals, "reduced by 4": reduced}
    kept["bicubic"] = {"reduced by 4": quality(reduced.float(), originals)}
    for name, way in ways_back(runs, data).items():
        kept[name] = {kind: quality(way(given), originals) for kind, given in inputs.items()}
    for name, found in kept.items():
        cells = []
        for kind in inputs:
            if kind not in found:
                cells += ["", "", ""]
                continue
            means = map(statistics.mean, zip(*found[kind], strict=True))
            cells += [f"{v:.{d}f}" for v, d in zip(means, (2, 2, 3), strict=True)]
        rows.append([name, *cells])
    head = ["way back", *(f"{kind}: {m}" for kind in inputs for m in ("MAE", "PSNR, dB", "SSIM"))]
    features, accuracies = what_features_hold(runs, data)
    kept["features"] = accuracies
    return f"{markdown(head, rows)}\n\n{features}", kept


def what_features_hold(runs: Path, data: Photographs) -> tuple[str, dict[str, Any]]:
    """Accuracy of linear probes with all labels and with 1 %, five draws of the latter."""
    torch.manual_seed(0)
    encoders: dict[str, Callable[[Tensor], Tensor] | None] = {
        "pixels": None,
        "random encoder": build("autoencoder").encoder.eval(),
    }
    whole: dict[str, list[float]] = {}
    for name in (*(f"autoencode-{one}" for one in DECODERS), "classify", "classify-few"):
        for seed, checkpoint in trained(runs, name):
            network, described = checkpoint.network(), checkpoint.description
            if seed == SEEDS[0]:
                encoders[f"encoder of {name}"] = network.encoder
            if name.startswith("classify"):
                found = evaluate(network, data.test, described.mean, described.std)
                whole.setdefault(name, []).append(found.accuracy)
    kept: dict[str, Any] = {}
    rows = []
    for name, encoder in encoders.items():
        train, test = (looked_at(encoder, one.images) for one in (data.training, data.test))
        order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
        tested = (test, data.test.labels)
        every = probe((train[order], data.training.labels[order]), tested, 20)
        few = [probe(share(train, data.training, seed), tested, 20) for seed in range(5)]
        kept[name] = {"all": every, "1 %": few}
        rows.append([name, str(train.shape[1]), f"{every:.1%}", f"{spread(few, 1, 100)} %"])
    for name, values in whole.items():
        kept[f"{name}, whole network"] = values
        label = "1 %" if "few" in name else "all"
        cells = {"all": "", "1 %": "", label: f"{spread(values, 1, 100)} %"}
        rows.append([f"{name}, whole network, not probed", "", *cells.values()])
    return markdown(["features", "numbers", "all labels", "1 % of labels"], rows), kept


def share(features: Tensor, training: Dataset, seed: int) -> tuple[Tensor, Tensor]:
    """Features and labels of 1 % of the pictures, with the proportions of the classes, shuffled."""
    _, chosen = stratified_split(training.labels, round(0.01 * len(training)), seed)
    order = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(seed))
    return features[chosen[order]], training.labels[chosen[order]]


def looked_at(encoder: Callable[[Tensor], Tensor] | None, images: Tensor) -> Tensor:
    """Features of pictures, averaged over a grid of 4 x 4, or of 16 x 16 for plain pixels."""
    if encoder is None:
        return pooled(images, 16)
    return features_of(lambda block: pooled(encoder((block.float() / 255 - 0.5) / 0.25)), images)


def generators(runs: Path, out: Path) -> Table:
    """Samples of each step up, on both data sets."""
    rows, kept = [], {}
    for data in ("mnist", "cifar10"):
        test = load_dataset(data, "test", progress=False).images.float() / 255
        _, others = train_test_split(load_dataset(data, progress=False), generation.HELD_OUT)
        features = feature_network(runs, data)
        real = features_of(features, test)

        def distance(images: Tensor, net=features, reference=real) -> float:
            return frechet_distance(features_of(net, images), reference)

        held_out = others.images.float() / 255
        noise = torch.rand(held_out.shape, generator=torch.Generator().manual_seed(0))
        references = {"held-out pictures": held_out, "uniform noise": noise}
        for name, images in references.items():
            rows.append([data, name, "", "", f"{distance(images):.2f}", "", "", board(images), ""])
        for up in (*UPS, "small"):
            path = runs / f"generate-{data}-{up}" / "model.safetensors"
            if not path.is_file():
                continue
            checkpoint = load_checkpoint(path)
            model, described = checkpoint.network(), checkpoint.description
            drawn = generation.samples(model, len(held_out))
            from_prior = generation.samples(model, len(held_out), prior=True)
            back = features_of(lambda block, net=model: net(block), held_out)
            torch.manual_seed(0)
            untrained = build(
                described.model, channels=described.channels, size=described.size
            ).eval()
            found = {
                "distance": distance(drawn),
                "distance from the prior": distance(from_prior),
                "distance of reconstructions": distance(back),
                "rms": float((back - held_out).square().mean().sqrt()) * 255,
            }
            kept[f"{data}-{up}"] = found
            rows.append(
                [
                    data,
                    up,
                    parameters(model),
                    f"{found['rms']:.1f}",
                    f"{found['distance']:.2f}",
                    f"{found['distance from the prior']:.2f}",
                    f"{found['distance of reconstructions']:.2f}",
                    board(drawn),
                    board(generation.samples(untrained, 1000)),
                ]
            )
            sheet(drawn[:64], out / f"{data}-{up}-samples.png")
            ways = [generation.interpolated(model, test[i], test[i + 1]) for i in range(0, 16, 2)]
            sheet(torch.cat(ways), out / f"{data}-{up}-between.png")
            drawing = range(min(64, model.maps[0]))
            units = [generation.from_feature(model, c, 1, 1, 10.0) for c in drawing]
            sheet((torch.stack(units) / 4 + 0.5).clamp(0, 1), out / f"{data}-{up}-units.png")
    head = ["data", "what", "parameters", "RMS error of reconstructions"]
    head += [
        "Fréchet distance to the test pictures",
        "of samples from N(0, 1)",
        "of reconstructions",
    ]
    head += ["checkerboard, grey levels", "before training"]
    note = (
        "Distances are of 5000 pictures from the 10 000 test pictures, in the features below the "
        "last layer of a classifier: for MNIST one of three stages, for CIFAR-10 `demo`. Samples "
        "are drawn from the normal distribution that fits the latents of training pictures. "
        "`small` ships; it is transposed4 at half the width."
    )
    return f"{markdown(head, rows)}\n\n{note}", kept


def board(images: Tensor) -> str:
    """The spread of the phases of a period of 2, in grey levels."""
    return f"{phase_spread(images) * 255:.2f}"


def feature_network(runs: Path, data: str) -> Callable[[Tensor], Tensor]:
    """Features below the logits of a classifier, from pixels in [0, 1]."""
    bundle = load(str(runs / "features" / "model.safetensors") if data == "mnist" else "demo")
    body = nn.Sequential(bundle.model.stages, *list(bundle.model.head)[:-1]).eval()  # type: ignore[arg-type]
    preprocessing = bundle.preprocessing
    return lambda block: body(normalise(block, preprocessing.mean, preprocessing.std))


def sheet(images: Tensor, path: Path) -> None:
    """Pictures in [0, 1], eight in a row, as PNG at three times their size."""
    count, channels, height, width = images.shape
    grid = images.view(count // 8, 8, channels, height, width).permute(0, 3, 1, 4, 2)
    pixels = (grid.reshape(count // 8 * height, 8 * width, channels) * 255).round().byte().numpy()
    picture = Image.fromarray(np.repeat(pixels, 3, 2) if channels == 1 else pixels)
    picture.resize((picture.width * 3, picture.height * 3), Image.Resampling.NEAREST).save(path)


TABLES: dict[str, tuple[str, Callable[[Path, Path], Table]]] = {
    "segment": ("Segmentation: CamVid, 240x180, 11 classes", segmentation),
    "detect": ("Detection: shapes over photographs", detection),
    "unsupervised": ("Deconvolution without labels: photographs at 64x64", without_labels),
    "generate": ("Generation: MNIST and CIFAR-10", generators),
}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("tables", nargs="+", choices=TABLES)
    parser.add_argument("--out", type=Path, default=Path("dense"), help="folder for the values")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.tables:
        title, measure = TABLES[name]
        text, values = measure(options.runs, options.out)
        write_atomically(options.out / f"{name}.json", json.dumps(values))
        publish(title, f"{environment()}\n\n{text}", write=options.write)


if __name__ == "__main__":
    main()
