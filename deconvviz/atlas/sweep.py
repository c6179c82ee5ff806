"""Sweep a network over a data set once, and keep what excites each unit."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor

from deconvviz.atlas.store import FILE, Atlas, Header, Sweep, empty, load_sweep
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.tape import weight_of
from deconvviz.errors import AtlasError, DataError, SettingError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import versions
from deconvviz.io.data import Dataset
from deconvviz.processes import ProcessGroup
from deconvviz.progress import Progress

__all__ = ["PARTIAL", "build_atlas"]

PARTIAL = "atlas.partial.safetensors"
"""The file's name while a sweep goes on."""

# All of these shape the last bits of convolutions and sums; hence they are no options.
_LARGEST_BLOCK = 64  # pictures in one forward pass
_BLOCK_BYTES = 2**29  # of all layers' maps together, though they are not held at once
_SEGMENT = 32  # blocks that one process sums up before all are merged


def build_atlas(
    bundle: Bundle,
    dataset: Dataset,
    folder: Path | None = None,
    *,
    net: Deconvnet | None = None,
    k: int = 9,
    layers: Sequence[str] | None = None,
    statistics: bool = True,
    processes: ProcessGroup | None = None,
    progress: Progress | None = None,
) -> Atlas:
    """Find what excites each unit most in a data set, and how it behaves over all of it.

    Zeiler & Fergus (2014), arXiv:1311.2901, figure 2. The data streams by: memory does not grow
    with it. The result is the same to the last bit however many processes share the work and
    however often it was interrupted, because pictures are run in fixed blocks, summed up in fixed
    segments, and these are merged in the order of the data.

    Args:
        bundle: The network; it runs where it lies.
        dataset: Pictures of a size that the network takes.
        folder: Where the atlas goes, as `FILE`; an interrupted sweep goes on there. None keeps
            nothing.
        net: The network's deconvnet, where there is one already.
        k: How many activations to keep of each unit, at most one a picture; only positive ones.
        layers: The layers to look at; by default the rectified map after each convolution.
        statistics: Whether to count, too, how often and for which class each unit is active.
        processes: The processes that share the work; by default this one alone.
        progress: Told after each block how many pictures are done.

    Raises:
        SettingError: `k` is not between 1 and the number of pictures.
        DataError: There are no pictures, or they have another number of channels.
        AtlasError: `folder` has an atlas, or an unfinished one, of something else.
        UnknownLayerError: The network has no such layer.
        PictureError: The network does not take pictures of this size.
    """
    _check(bundle, dataset, k)
    processes = processes or ProcessGroup()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    runner = _Runner(bundle, net, dataset, net.default_layers if layers is None else layers)
    header = runner.header(k, statistics)
    sweep = _begun(folder, header)
    for _ in runner.rounds(sweep, processes, progress):
        if folder is not None and processes.is_main:
            finished = sweep.seen == len(dataset)
            sweep.save(folder / (FILE if finished else PARTIAL))
            if finished:
                (folder / PARTIAL).unlink(missing_ok=True)
    return sweep.atlas()


def _check(bundle: Bundle, dataset: Dataset, k: int) -> None:
    if not len(dataset):
        raise DataError("there are no pictures to build an atlas of; give at least one")
    if not 1 <= k <= len(dataset):
        raise SettingError(f"k {k} cannot be: of {len(dataset)} pictures, 1 to all can be kept")
    channels = dataset.images.shape[1]
    if channels != bundle.preprocessing.channels:
        raise DataError(
            f"`{bundle.name}` takes pictures of {bundle.preprocessing.channels} channels, these have "
            f"{channels}; load them with as many"
        )


def _begun(folder: Path | None, header: Header) -> Sweep:
    """The sweep that `folder` has, finished or not; else one that has seen nothing."""
    for path in () if folder is None else (folder / FILE, folder / PARTIAL):
        if path.is_file():
            sweep = load_sweep(path)
            difference = header.difference(sweep.header)
            if difference:
                raise AtlasError(
                    f"{path} is of {difference}; name another folder, or remove that file"
                )
            return sweep
    return empty(header)


class _Runner:
    """The network over the data, a segment at a time."""

    def __init__(
        self, bundle: Bundle, net: Deconvnet, dataset: Dataset, layers: Sequence[str]
    ) -> None:
        self.bundle, self.net, self.dataset = bundle, net, dataset
        weight = weight_of(bundle.model)
        self.device, self.dtype = weight.device, weight.dtype
        self.sizes = self._sizes(layers)
        floats = sum(channels * height * width for channels, height, width in self.sizes.values())
        fitting = takewhile(
            lambda block: 4 * floats * block <= _BLOCK_BYTES,
            (2**power for power in range(_LARGEST_BLOCK.bit_length())),
        )
        self.block = max(fitting, default=1)

    def _sizes(self, layers: Sequence[str]) -> dict[str, tuple[int, int, int]]:
        """Units, and height and width of the maps, by layer, for pictures as these are."""
        maps = self.net.stream(self._images(0, 1), layers)
        return {layer: (one.shape[1], one.shape[2], one.shape[3]) for layer, one in maps}

    def header(self, k: int, statistics: bool) -> Header:
        """What the atlas will be of."""
        return Header(
            network=self.bundle.name,
            weights=self.bundle.sha256,
            data=self.dataset.title,
            fingerprint=self.dataset.fingerprint,
            pictures=len(self.dataset),
            classes=self.dataset.classes,
            layers=self.sizes,
            k=k,
            statistics=statistics,
            block=self.block,
            device=self.device.type,
            dtype=str(self.dtype).removeprefix("torch."),
            versions=versions(),
        )

    def rounds(
        self, sweep: Sweep, processes: ProcessGroup, progress: Progress | None
    ) -> Iterator[None]:
        """Carry the sweep on round by round; in each, every process sums up one segment."""
        length, total = _SEGMENT * self.block, len(self.dataset)
        while sweep.seen < total:
            start = sweep.seen
            mine = range(start + processes.rank * length, total)[:length]
            part = empty(sweep.header, self.device)
            for first in range(mine.start, mine.stop, self.block):
                self._add(part, first, min(self.block, mine.stop - first))
                if progress and processes.is_main:
                    progress("pictures", min(start + processes.size * part.seen, total), total)
            for other in processes.all_gather(part.to_cpu()):
                sweep.merge(other)
            yield

    def _add(self, part: Sweep, first: int, count: int) -> None:
        """Run one block of pictures."""
        labels = self.dataset.labels[first : first + count].to(self.device)
        for layer, maps in self.net.stream(self._images(first, count), tuple(self.sizes)):
            part.tallies[layer].add(maps, first, labels)
        part.class_sizes += torch.bincount(labels, minlength=len(part.class_sizes))
        part.seen += count

    def _images(self, first: int, count: int) -> Tensor:
        pictures = self.dataset.images[first : first + count].to(self.device)
        return self.bundle.preprocessing.normalised(pictures).to(self.dtype)
