"""Analyses as the pages show them: run once for all sessions, and kept on disk.

Results lie in the cache folder, by network and pictures, as the files that `Result.save` writes; a
page shows these, and runs what is missing.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from deconvviz.analysis import evolution
from deconvviz.analysis.evolution import Evolution, History
from deconvviz.analysis.inputs import Inputs
from deconvviz.analysis.registry import Analysis, analyses
from deconvviz.io.data import Dataset, at_most, cache_folder
from deconvviz.io.files import write_atomically
from deconvviz.io.preprocess import Pixels
from deconvviz.plots.arrays import GREY, crop
from deconvviz.plots.files import figure_png
from deconvviz.ui.atlas import datasets
from deconvviz.ui.memory import RESULTS, kept
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.show import INKS, Theme
from deconvviz.ui.work import bar
from deconvviz.units import Unit
from deconvviz.views import view

_KEPT = 500  # folders of results on disk, each of one network and picture
_QUICK = 2**19  # activations of all layers for one picture
# Photographs in which covering a part changes the decision, found by `occlusion.telling`: a test
# finds them again.
_TELLING = {
    "demo-photos": "astronaut",
    "demo": "motorcycle",
    "demo-accurate": "astronaut",
    "demo-deconv": "astronaut",
}


def runnable_analyses() -> Mapping[str, Analysis]:
    """The analyses that need no more than a network and pictures, by name; occlusion first."""
    known_needs = {"network", "snapshots", "dataset", "picture", "unit"}
    found = {
        name: one
        for name, one in analyses().items()
        if one.on_page and known_needs.issuperset(one.needs)
    }
    return dict(sorted(found.items(), key=lambda named: named[0] != "occlusion"))


def has_story(name: str) -> bool:
    """Whether the first picture of an analysis is made for a narrow place."""
    return view(f"{name}.story", None) is not None


@dataclass(frozen=True, eq=False)
class AnalysisInputs:
    """Inputs chosen for an analysis; None where it does not need one."""

    network: Network
    dataset: Dataset | None = None
    picture: InputView | None = None
    unit: Unit | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the command that name the unit and the pictures."""

    @property
    def folder(self) -> Path:
        """Folder of the results on these inputs."""
        keys = [self.network.key]
        keys += [self.dataset.fingerprint] if self.dataset else []
        keys += [self.picture.key] if self.picture else []
        keys += [repr(self.unit)] if self.unit else []
        digests = [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]
        return cache_folder() / "experiments" / "-".join(digests)


@dataclass(frozen=True)
class SavedResult:
    """A kept result.

    Attributes:
        headline: What is seen, in one plain sentence of Markdown.
        summary: The same with all numbers.
        story: The picture that comes first, a PNG file in the colours of a theme.
        figure: The whole figure, a PNG file for light and dark paper.
        numbers: Every number, a JSON file.
    """

    headline: str
    summary: str
    story: bytes
    figure: bytes
    numbers: bytes


def saved_result(inputs: AnalysisInputs, name: str, theme: Theme = "light") -> SavedResult | None:
    """The kept result of an analysis; None if it was not run on these inputs."""
    folder = inputs.folder
    try:
        numbers = (folder / f"{name}.json").read_bytes()
        return SavedResult(
            (folder / f"{name}.txt").read_text("utf-8"),
            str(json.loads(numbers)["summary"]),
            (folder / f"{name}-{theme}.png").read_bytes(),
            (folder / f"{name}.png").read_bytes(),
            numbers,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or damaged: it is run again


def run_analysis(inputs: AnalysisInputs, name: str) -> None:
    """Run an analysis with a progress bar, with its `quick` options, and keep its result."""
    folder, analysis = inputs.folder, analyses()[name]
    with bar(f"{analysis.title}: starting …") as progress:
        given = Inputs(
            bundle=inputs.network.bundle,
            net=inputs.network.net,
            dataset=inputs.dataset,
            image=inputs.picture.pixels[0] if inputs.picture else None,
            selection=inputs.unit.selection if inputs.unit else None,
            progress=progress,
        )
        found = analysis.run(given, replace(analysis.options, **analysis.quick))
        progress("drawing", 0, 1)
        found.save(folder)
        for theme, ink in INKS.items():
            write_atomically(folder / f"{name}-{theme}.png", figure_png(found.story(ink)))
        write_atomically(folder / f"{name}.txt", found.headline())
    _tidy(folder.parent)


def is_quick(network: Network, name: str) -> bool:
    """Whether an analysis of a network takes seconds, so that a page may run it unasked."""
    if analyses()[name].is_slow:
        return False
    layers = (network.net.layers[name] for name in network.layers)
    count = sum(one.channels * one.size[0] * one.size[1] for one in layers)
    return count <= _QUICK


def telling_photograph(network: Network) -> str:
    """The photograph to begin with: where parts of it are covered, the decision changes."""
    return _TELLING.get(network.bundle.name, "cat")


def _tidy(folder: Path) -> None:
    """Delete the oldest results."""
    results = [(one.stat().st_mtime, one) for one in folder.iterdir()]
    for _, one in sorted(results, reverse=True)[_KEPT:]:
        shutil.rmtree(one, ignore_errors=True)


@kept()
def some_pictures(network: Network, name: str, most: int) -> Dataset:
    """At most `most` of the pictures of a data set, those that `--count` of a command chooses."""
    return at_most(datasets(network)[name], most)


def history(network: Network, pictures: Dataset, layer: str, projected: range) -> Evolution:
    """All units of one layer through all kept epochs, some of them projected.

    A progress bar is shown unless it is already known.
    """
    key = ("history", network.key, pictures.fingerprint, layer, projected)
    known: Evolution | None = RESULTS.get(key)
    if known:
        return known
    with bar("Going through the epochs …") as progress:
        found = evolution(network.bundle, pictures, units={layer: projected}, progress=progress)
    return RESULTS.put(key, found)


def patch(history: History, pictures: Dataset, row: int, column: int) -> Pixels:
    """What a projected unit saw at one epoch: its window in the picture; grey where it saw none."""
    top, left, bottom, right = history.boxes[row, column].tolist()
    number = int(history.picture[history.units[row], column])
    if number < 0:
        high, wide = history.projections.shape[-2:]
        return np.full((high, wide, 3), GREY, np.uint8)
    return crop(pictures.images[number].permute(1, 2, 0).numpy(), (top, left, bottom, right))
