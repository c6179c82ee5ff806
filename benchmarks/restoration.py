"""Tables of the networks that restore pictures, beside what does it without learning.

    python benchmarks/restoration.py                      # all tables, of the package's networks
    python benchmarks/restoration.py --runs RUNS sr last  # some, of runs of train_restoration.py

Both sides of a table are measured in this one run, on test pictures. The strengths of classical
methods are the best ones on training pictures held out, and all but TV know the noise or the blur;
the networks know neither. The values of every picture go to `restoration.json` beside
this script (--json). Published figures are quoted from the papers.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import torch
from report import environment, markdown, options, publish
from torchvision.transforms.functional import pil_to_tensor

from deconvviz.io.data.benchmarks import PictureSet, load_pictures
from deconvviz.io.files import write_atomically
from deconvviz.io.images import PHOTOGRAPHS, photograph
from deconvviz.progress import TerminalBars
from deconvviz.restoration.apply import Network
from deconvviz.restoration.classical import biharmonic, deblurrers, denoisers, interpolated
from deconvviz.restoration.degradations import resize
from deconvviz.restoration.evaluate import (
    Method,
    Problem,
    Scores,
    bicubic,
    compare,
    enlarged_by,
    enlarging,
    holed,
    noisy,
    restored_by,
    soft,
    unchanged,
)
from deconvviz.restoration.pictures import HELD_OUT_EVERY, Deblurring
from deconvviz.restoration.shipped import shipped

HELD_OUT = 5  # pictures on which classical methods are tuned
HEAD = ("pictures", "method", "PSNR, dB", "SSIM", "s a picture", "published PSNR")
PUBLISHED = {
    ("sr2", "ours"): "36.66 SRCNN, 36.94 FSRCNN (T91), 37.53 VDSR",
    ("sr3", "ours"): "32.75 SRCNN, 33.06 FSRCNN (T91), 33.66 VDSR",
    ("sr4", "ours"): "30.48 SRCNN, 30.55 FSRCNN (T91), 31.35 VDSR",
    ("sr2", "bicubic"): "33.66",
    ("sr3", "bicubic"): "30.39",
    ("sr4", "bicubic"): "28.42",
    ("BSD68 15", "ours"): "31.07 BM3D, 31.73 DnCNN-S",
    ("BSD68 25", "ours"): "28.57 BM3D, 29.23 DnCNN-S, 29.19 FFDNet",
    ("BSD68 50", "ours"): "25.62 BM3D, 26.23 DnCNN-S",
}
Row = tuple[str, dict[str, Scores]]


class Finder:
    """Trained networks by name: of the package, or of a folder of runs."""

    def __init__(self, runs: Path | None) -> None:
        self.runs = runs

    def path(self, name: str) -> Path:
        """Where a network is, or would be."""
        return self.runs / name / "model.safetensors" if self.runs else shipped(name)

    def trained(self, *names: str) -> Iterator[tuple[str, Network]]:
        """Those of some networks that are trained already, with their names."""
        for name in names:
            if self.path(name).is_file():
                yield name, Network.load(self.path(name))
            else:
                print(f"{name} is not trained yet: left out")  # noqa: T201


def measured(problems: Sequence[Problem], methods: Mapping[str, Method], period: int = 0) -> dict:
    """The scores of all methods, with a bar."""
    with TerminalBars() as bars:
        return compare(problems, methods, period, bars)


def super_resolution(find: Finder) -> Iterator[Row]:
    """Set5, luma."""
    for name, network in find.trained("sr2", "sr3", "sr4"):
        scale = network.architecture.enlarges
        methods = {"bicubic": bicubic(scale), "ours": enlarged_by(network)}
        yield name, measured(enlarging(load_pictures("set5"), scale), methods)


def large_pictures(find: Finder) -> Iterator[Row]:
    """1024 x 768 pixels enlarged 2 times: photographs brought to 2048 x 1536 and reduced again."""
    images = {name: pil_to_tensor(photograph(name).image) for name in PHOTOGRAPHS}
    large = tuple(resize(image, 1536, 2048) for image in images.values())
    problems = enlarging(PictureSet("photographs", large, tuple(images)), 2)
    for _, network in find.trained("sr2"):
        methods = {"bicubic": bicubic(2), "ours": enlarged_by(network)}
        yield f"1024 x 768, {torch.get_num_threads()} threads", measured(problems, methods)


def last_layers(find: Finder) -> Iterator[Row]:
    """Three last layers of equally many weights and equally many steps, at scale 3."""
    found = find.trained("x3-transposed", "x3-resize", "x3-shuffle")
    methods = {name.removeprefix("x3-"): enlarged_by(network) for name, network in found}
    problems = enlarging(load_pictures("set5"), 3)
    yield "Set5 x3", measured(problems, {"bicubic": bicubic(3), **methods}, period=3)


def denoising(find: Finder) -> Iterator[Row]:
    """Grey on BSD68 and Set12, colour on Set5; noise neither clipped nor rounded."""
    sets = {"denoise-grey": ("train400", "BSD68", "Set12"), "denoise-colour": ("t91", "Set5")}
    for name, network in find.trained(*sets):
        training, *tests = sets[name]
        for title, sigma in product(tests, (15, 25, 50)):
            classical = denoisers(noisy(_held_out(training), sigma), sigma)
            methods = {"noisy": unchanged, **classical, "ours": restored_by(network)}
            yield f"{title} {sigma}", measured(noisy(load_pictures(title.lower()), sigma), methods)


def ensemble(find: Finder) -> Iterator[Row]:
    """Grey on BSD68, noise of 25: once, and the mean over eight rotated and mirrored copies."""
    for _, network in find.trained("denoise-grey"):
        eight = restored_by(replace(network, self_ensemble=True))
        methods = {"ours": restored_by(network), "ours, self-ensemble": eight}
        yield "BSD68 25", measured(noisy(load_pictures("bsd68"), 25), methods)


def deblurring(find: Finder) -> Iterator[Row]:
    """Set5 in colour: a Gaussian of 1.6 pixels, noise of 2."""
    for _, network in find.trained("deblur"):
        classical = deblurrers(soft(_held_out("t91")), Deblurring.BLUR)
        methods = {"blurred": unchanged, **classical, "ours": restored_by(network)}
        yield "Set5", measured(soft(load_pictures("set5")), methods)


def inpainting(find: Finder) -> Iterator[Row]:
    """Set5 in colour: pixels missing one by one."""
    classical: dict[str, Method] = {"linear": interpolated, "biharmonic": biharmonic}
    for (_, network), share in product(find.trained("inpaint"), (0.25, 0.5, 0.75)):
        problems = holed(load_pictures("set5"), share)
        methods = {**classical, "ours": restored_by(network)}
        yield f"Set5, {share:.0%} missing", measured(problems, methods)


def _held_out(name: str) -> PictureSet:
    return load_pictures(name).held_out(HELD_OUT_EVERY)[1].first(HELD_OUT)


TABLES: Mapping[str, tuple[str, Callable[[Finder], Iterator[Row]]]] = {
    "sr": ("Super-resolution", super_resolution),
    "large": ("Super-resolution of a large picture", large_pictures),
    "last": ("Super-resolution: the last layer", last_layers),
    "denoise": ("Denoising", denoising),
    "ensemble": ("Denoising: self-ensemble", ensemble),
    "deblur": ("Deblurring", deblurring),
    "inpaint": ("Inpainting", inpainting),
}


def main() -> None:
    """Print every table, and keep the values of each picture."""
    parser = options(__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--runs", type=Path, help="folder of runs, instead of the package")
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    if unknown := set(given.tables).difference(TABLES):
        parser.error(f"no table `{min(unknown)}`")
    kept = json.loads(given.json.read_text("utf-8")) if given.json.is_file() else {}
    for name in given.tables or TABLES:
        title, table = TABLES[name]
        found = dict(table(Finder(given.runs)))
        kept[name] = {row: {m: vars(one) for m, one in each.items()} for row, each in found.items()}
        write_atomically(given.json, json.dumps(kept, indent=1) + "\n")
        publish(title, f"{_about(table, name)}\n\n{_table(found)}", write=given.write)


def _about(table: Callable[[Finder], Iterator[Row]], name: str) -> str:
    command = f"`python benchmarks/restoration.py {name}`; {environment()}."
    return f"{command}\n\n{(table.__doc__ or '').strip()}"


def _table(found: Mapping[str, Mapping[str, Scores]]) -> str:
    spread = any(one.spread for each in found.values() for one in each.values())
    rows = [
        [
            *(row, method, f"{one.mean():.2f}", f"{one.mean('ssim'):.4f}"),
            f"{statistics.median(one.seconds):.2g}",
            f"{one.mean('spread'):.3f}" if spread else PUBLISHED.get((row, method), ""),
        ]
        for row, each in found.items()
        for method, one in each.items()
    ]
    return markdown((*HEAD[:-1], "checkerboard, grey levels") if spread else HEAD, rows)


if __name__ == "__main__":
    main()
