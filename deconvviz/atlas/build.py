"""Run a network over a data set once, and keep the strongest activations of each unit."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from itertools import takewhile
from pathlib import Path

import torch
from torch import Tensor

from deconvviz.atlas.store import FILE, Atlas, BuildState, DamagedAtlasError, Header
from deconvviz.deconv import Deconvnet
from deconvviz.deconv.tape import weight_of
from deconvviz.errors import AtlasError, SettingError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.checkpoint import versions
from deconvviz.io.data import Dataset
from deconvviz.io.files import only_writer
from deconvviz.processes import ProcessGroup
from deconvviz.progress import Progress

PARTIAL = "atlas.partial.safetensors"
"""The file's name until the build is finished."""

# These shape the last bits of convolutions and sums, so they are not options.
_MAX_BATCH_SIZE = 64  # pictures in one forward pass
_MAX_BATCH_BYTES = 2**29  # all layers' maps together, though they are not held at once
_BATCHES_PER_SEGMENT = 32  # summed by one process before a merge


def build_atlas(
    bundle: Bundle,
    dataset: Dataset,
    folder: str | Path | None = None,
    *,
    net: Deconvnet | None = None,
    k: int = 9,
    layers: Sequence[str] | None = None,
    statistics: bool = True,
    processes: ProcessGroup | None = None,
    progress: Progress | None = None,
) -> Atlas:
    """Find the strongest activations of each unit over a data set, and collect statistics.

    Zeiler & Fergus (2014), arXiv:1311.2901, figure 2. Memory does not grow with the data set. The
    result is the same to the last bit for any number of processes and after any interruption:
    pictures are run in fixed batches, summed in fixed segments, and these are merged in order.

    Args:
        bundle: Network; it runs on the device it is on.
        dataset: Pictures of a size that the network takes.
        folder: Folder for the atlas, as `FILE`; an interrupted build resumes there, and a damaged
            file is made again. None writes no file.
        net: Deconvnet of the network, if there is one already.
        k: Number of activations to keep for each unit, at most one per picture; only positive ones.
        layers: Layers to include; by default the rectified map after each convolution.
        statistics: Whether to collect how often and for which class each unit is active.
        processes: Processes that share the work; by default this one alone.
        progress: Called with the number of pictures done.

    Raises:
        SettingError: `k` is not between 1 and the number of pictures.
        DataError: There are no pictures, or they have another number of channels.
        AtlasError: `folder` has an atlas, finished or not, of something else.
        BusyError: Another process writes to `folder`.
        UnknownLayerError: The network has no such layer.
        PictureError: The network does not take pictures of this size.
    """
    check_dataset(bundle, dataset)
    if not 1 <= k <= len(dataset):
        raise SettingError(f"k must be from 1 to {len(dataset)}, the number of pictures, got {k}")
    processes = processes or ProcessGroup()
    net = net or Deconvnet(bundle.model, bundle.input_size)
    builder = _Builder(bundle, net, dataset, net.default_layers if layers is None else layers)
    folder = None if folder is None else Path(folder)
    header = builder.header(k, statistics)
    with only_writer(folder) if folder is not None and processes.is_main else nullcontext():
        state = _resume(folder, header)
        keeps = folder if processes.is_main else None
        for _ in builder.segments(state, processes, progress):
            if keeps is not None:
                state.save(keeps / (FILE if state.seen == len(dataset) else PARTIAL))
        if keeps is not None:  # also after a build that was killed before it could do so
            (keeps / PARTIAL).unlink(missing_ok=True)
    return state.atlas()


def _resume(folder: Path | None, header: Header) -> BuildState:
    """The state that `folder` has, finished or not; else an empty one."""
    for path in () if folder is None else (folder / FILE, folder / PARTIAL):
        if path.is_file():
            with suppress(DamagedAtlasError):  # the build replaces it
                state = BuildState.load(path)
                if difference := header.difference(state.header):
                    raise AtlasError(
                        f"{path} is of {difference}; name another folder, or remove that file"
                    )
                return state
    return BuildState.empty(header)


class _Builder:
    """The network over the data, a segment at a time."""

    def __init__(
        self, bundle: Bundle, net: Deconvnet, dataset: Dataset, layers: Sequence[str]
    ) -> None:
        self.bundle, self.net, self.dataset = bundle, net, dataset
        weight = weight_of(bundle.model)
        self.device, self.dtype = weight.device, weight.dtype
        first = net.stream(self._images(0, 1), layers)
        self.sizes = {layer: (maps.shape[1], maps.shape[2], maps.shape[3]) for layer, maps in first}
        floats = sum(channels * height * width for channels, height, width in self.sizes.values())
        fitting = takewhile(
            lambda size: 4 * floats * size <= _MAX_BATCH_BYTES,
            (2**power for power in range(_MAX_BATCH_SIZE.bit_length())),
        )
        self.batch_size = max(fitting, default=1)

    def header(self, k: int, statistics: bool) -> Header:
        """The header of the finished atlas."""
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
            batch_size=self.batch_size,
            device=self.device.type,
            dtype=str(self.dtype).removeprefix("torch."),  # type: ignore[arg-type]  # it is checked
            versions=versions(),
            source=self.dataset.source,
        )

    def segments(
        self, state: BuildState, processes: ProcessGroup, progress: Progress | None
    ) -> Iterator[None]:
        """Continue the build; in each step every process adds one segment."""
        length, total = _BATCHES_PER_SEGMENT * self.batch_size, len(self.dataset)
        while state.seen < total:
            start = state.seen
            mine = range(start + processes.rank * length, total)[:length]
            part = BuildState.empty(state.header, self.device)
            for first in range(mine.start, mine.stop, self.batch_size):
                self._add(part, first, min(self.batch_size, mine.stop - first))
                if progress and processes.is_main:
                    progress("pictures", min(start + processes.size * part.seen, total), total)
            for other in processes.all_gather(part.to_cpu()):
                state.merge(other)
            yield

    def _add(self, part: BuildState, first: int, count: int) -> None:
        labels = self.dataset.labels[first : first + count].to(self.device)
        for layer, maps in self.net.stream(self._images(first, count), tuple(self.sizes)):
            part.accumulators[layer].add(maps, first, labels)
        part.class_sizes += torch.bincount(labels, minlength=len(part.class_sizes))
        part.seen += count

    def _images(self, first: int, count: int) -> Tensor:
        pictures = self.dataset.images[first : first + count].to(self.device)
        return self.bundle.preprocessing.normalised(pictures).to(self.dtype)
