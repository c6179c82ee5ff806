"""Where over a data set every unit is strongest."""

from collections.abc import Sequence

from deconvviz.analysis.batches import batches
from deconvviz.atlas.accumulator import Accumulator, AccumulatorSpec
from deconvviz.deconv import Deconvnet
from deconvviz.errors import DataError
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset
from deconvviz.progress import Progress

__all__ = ["check_fits", "peaks"]


def peaks(
    net: Deconvnet,
    bundle: Bundle,
    dataset: Dataset,
    layers: Sequence[str],
    *,
    title: str = "",
    progress: Progress | None = None,
) -> dict[str, Accumulator]:
    """Every unit's strongest activation, with its picture and its place there.

    Args:
        net: The network; what is read may be a snapshot of `bundle`'s.
        bundle: It says how pictures become its input.
        dataset: The pictures.
        layers: Of `net`.
        title: What is done, in a word.
        progress: Told how many pictures are done.

    Returns:
        Layer -> tally with one activation a unit; 0, and picture -1, where none is above zero.

    Raises:
        DataError: The data set has no pictures or other channels than the network.
        UnknownLayerError: The network has no such layer.
    """
    check_fits(bundle, dataset)
    found: dict[str, Accumulator] = {}
    size = (dataset.images.shape[2], dataset.images.shape[3])
    for rows in batches(len(dataset), size, title, progress=progress):
        labels = dataset.labels[rows]
        for layer, maps in net.stream(
            bundle.preprocessing.normalised(dataset.images[rows]), layers
        ):
            if layer not in found:
                want = AccumulatorSpec(k=1, classes=0, statistics=False)
                found[layer] = Accumulator(maps.shape[1], want, maps.dtype, maps.device)
            found[layer].add(maps, rows.start, labels)
    return {layer: found[layer] for layer in layers}


def check_fits(bundle: Bundle, dataset: Dataset, least: int = 1) -> None:
    """Refuse a data set that the network's pictures cannot come from.

    Raises:
        DataError: It has fewer than `least` pictures, or other channels than the network.
    """
    if len(dataset) < least:
        raise DataError(
            f"{dataset.title}: {len(dataset)} pictures are too few; give {least} or more"
        )
    has, wants = dataset.images.shape[1], bundle.preprocessing.channels
    if has != wants:
        raise DataError(
            f"{dataset.title}: pictures of {has} channels, but `{bundle.name}` takes {wants}; load "
            f"them with channels={wants}"
        )
