"""Filters: the first layer's kernels on one scale, and their faults (Fig. 6)."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.inputs import peaks, title_of
from deconvviz.analysis.kernels import NYQUIST_CHANCE, Kernels, kernels_of
from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress
from deconvviz.schema import validated

_DRAWS = 20  # layers of random kernels, for their mean similarity


@validated
class FilterOptions:
    """Options of the analysis of filters."""

    layer: str = ""
    """One of the network's rectified maps; by default the first."""
    dominance_threshold: Annotated[float, Field(ge=1)] = 3.0
    """A kernel is dominant if its RMS is above this multiple of the layer's median."""
    duplicate_threshold: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Two kernels are duplicates if their |cosine| is above this."""


@dataclass(frozen=True, eq=False)
class Filters(Result):
    """The kernels of one layer, U of them.

    Attributes:
        layer: Rectified map after the convolution.
        kernels: Kernels as the network applies them.
        chance_similarity: Mean over kernels of the largest absolute cosine with another one, for
            random kernels of the same number and size.
        peak: (U,) largest activation of each unit over the data, 0 if never above zero; or None.
        data: Number of pictures and title of the data; empty without data.
    """

    network: str
    layer: str
    kernels: Kernels
    options: FilterOptions
    chance_similarity: float
    peak: Tensor | None
    data: str
    name = "filters"
    nyquist_by_chance = NYQUIST_CHANCE
    omitted = ("weights",)
    derived = (
        "dominant",
        "dead",
        "nyquist",
        "nyquist_by_chance",
        "duplicates",
        "participation_ratio",
    )

    @property
    def dominant(self) -> Tensor:
        """(U,) bool: kernels that are much larger than the others."""
        return self.kernels.dominant(self.options.dominance_threshold)

    @property
    def dead(self) -> Tensor | None:
        """(U,) bool: units that are never above zero on the data; None without data."""
        return None if self.peak is None else self.peak <= 0

    @property
    def nyquist(self) -> Tensor:
        """(U,) share of each kernel's energy near Nyquist."""
        return self.kernels.near_nyquist

    @property
    def duplicates(self) -> list[tuple[int, int, float]]:
        """Pairs of kernels that are copies or negatives: the lower, the higher, and their cosine.

        Each kernel is compared with its nearest one.
        """
        nearest, cosine = self.kernels.nearest
        pairs = {
            (min(unit, other), max(unit, other)): value
            for unit, (other, value) in enumerate(
                zip(nearest.tolist(), cosine.tolist(), strict=True)
            )
            if abs(value) > self.options.duplicate_threshold
        }
        return [(*pair, value) for pair, value in sorted(pairs.items())]

    @property
    def participation_ratio(self) -> float:
        """1 over the sum of squared shares of the squared weights: U if equal, 1 if one has all."""
        share = self.kernels.share
        return float(1 / share.square().sum()) if share.any() else 0.0


def filters(
    bundle: Bundle,
    dataset: Dataset | None = None,
    options: FilterOptions | None = None,
    *,
    net: Deconvnet | None = None,
    progress: Progress | None = None,
) -> Filters:
    """Find dominant, dead, aliasing and duplicate kernels of a layer.

    Zeiler & Fergus (2014, arXiv:1311.2901, Fig. 6 and section 4.1) found in AlexNet's first layer
    that a few kernels dominated, that others were dead, and that a stride of 4 and kernels without
    middle frequencies caused aliasing.

    Without a data set no units are found dead. Arguments are as in `Inputs`.

    Raises:
        DataError: The data set has no pictures or other channels than the network.
        SettingError: The network has no rectified convolution.
        UnknownLayerError: The network has no such layer.
        UnsupportedOperationError: No module of the network holds the kernels.
    """
    chosen = options or FilterOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    if not net.default_layers:
        raise SettingError(f"`{bundle.name}` has no rectified convolution, so no filters")
    layer = chosen.layer or net.default_layers[0]
    kernels = kernels_of(net, layer)
    peak, data = None, ""
    if dataset is not None:
        found = peaks(net, bundle, dataset, [layer], title="finding dead units", progress=progress)
        peak, data = found[layer].value[:, 0], title_of(dataset)
    return Filters(bundle.name, layer, kernels, chosen, _random_similarity(kernels), peak, data)


def _random_similarity(kernels: Kernels) -> float:
    """The mean largest |cosine| with another kernel, for random ones of this number and size."""
    generator = torch.Generator().manual_seed(0)
    draws = [
        replace(kernels, weights=torch.randn(kernels.weights.shape, generator=generator))
        for _ in range(_DRAWS)
    ]
    return float(torch.stack([draw.nearest[1].abs().mean() for draw in draws]).mean())


ANALYSIS = Analysis(
    title="First-layer filters",
    question="Are some first-layer kernels dominant, dead, duplicates, or of such high frequencies "
    "that they alias? All on one scale.",
    source="Fig. 6",
    needs=("network", "dataset"),
    function=filters,
)
