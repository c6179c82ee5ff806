"""Analyses as the pages show them: run once for all sessions, and kept on disk.

Results lie in the cache folder, by network and pictures, as the files that `Result.save` writes; a
page shows these, and runs what is missing.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deconvviz.analysis import evolution
from deconvviz.analysis.evolution import Evolution
from deconvviz.analysis.inputs import Inputs
from deconvviz.analysis.registry import Analysis, analyses
from deconvviz.io.data import Dataset, cache_folder
from deconvviz.ui.atlas import datasets
from deconvviz.ui.memory import RESULTS, kept
from deconvviz.ui.networks import InputView, Network
from deconvviz.ui.work import bar
from deconvviz.units import Unit

_KEPT = 500  # folders of results on disk, each of one network and picture


def runnable_analyses() -> Mapping[str, Analysis]:
    """The analyses that need no more than a network and pictures, by name."""
    known_needs = {"network", "snapshots", "dataset", "picture", "unit"}
    return {name: one for name, one in analyses().items() if known_needs.issuperset(one.needs)}


@dataclass(frozen=True, eq=False)
class AnalysisInputs:
    """Inputs chosen for an analysis; None where it does not need one."""

    network: Network
    dataset: Dataset | None = None
    picture: InputView | None = None
    unit: Unit | None = None

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
    """A kept result: its summary, and the contents of its JSON and PNG files."""

    summary: str
    numbers: bytes
    figure: bytes


def saved_result(inputs: AnalysisInputs, name: str) -> SavedResult | None:
    """The kept result of an analysis; None if it was not run on these inputs."""
    try:
        numbers = (inputs.folder / f"{name}.json").read_bytes()
        figure = (inputs.folder / f"{name}.png").read_bytes()
        return SavedResult(str(json.loads(numbers)["summary"]), numbers, figure)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # missing or damaged: it is run again


def run_analysis(inputs: AnalysisInputs, name: str) -> None:
    """Run an analysis with a progress bar, and keep its result."""
    analysis = analyses()[name]
    with bar("Starting …") as progress:
        given = Inputs(
            bundle=inputs.network.bundle,
            net=inputs.network.net,
            dataset=inputs.dataset,
            image=inputs.picture.pixels[0] if inputs.picture else None,
            selection=inputs.unit.selection if inputs.unit else None,
            progress=progress,
        )
        analysis.run(given).save(inputs.folder)
    _tidy(inputs.folder.parent)


def _tidy(folder: Path) -> None:
    """Delete the oldest results."""
    results = [(one.stat().st_mtime, one) for one in folder.iterdir()]
    for _, one in sorted(results, reverse=True)[_KEPT:]:
        shutil.rmtree(one, ignore_errors=True)


@kept()
def some_pictures(network: Network, name: str, most: int) -> Dataset:
    """At most `most` of the pictures of a data set, evenly from all."""
    tiles = datasets(network)[name]
    return tiles.subset(range(0, len(tiles), -(-len(tiles) // most)))


def history(network: Network, pictures: Dataset, layer: str, most: int) -> Evolution:
    """All units of one layer through all kept epochs, the first `most` of them projected.

    A progress bar is shown unless it is already known.
    """
    key = ("history", network.key, pictures.fingerprint, layer, most)
    known: Evolution | None = RESULTS.get(key)
    if known:
        return known
    units = {layer: range(min(most, network.net.layers[layer].channels))}
    with bar("Going through the epochs …") as progress:
        found = evolution(network.bundle, pictures, units=units, progress=progress)
    return RESULTS.put(key, found)
