"""The inputs of analyses: checks, batches that fit the memory, strongest activations."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from deconvviz.atlas.accumulator import Accumulator
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.layers import unknown_layer
from deconvviz.deconv.randomization import untrained
from deconvviz.errors import SelectionError, SettingError
from deconvviz.io.bundle import Bundle, check_dataset
from deconvviz.io.data import Dataset
from deconvviz.io.zoo import load
from deconvviz.progress import Progress

_PIXELS = 2**18  # in one pass: 256 pictures of 32 x 32, 5 of 224 x 224
_MISSING: Any = None


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of an analysis; None where it does not need one.

    An analysis is a function; each of its parameters gets the field of its name.

    Attributes:
        bundle: The network; with earlier epochs where "snapshots" are needed.
        net: Deconvnet of the network, where there is one already.
        dataset: Pictures at the network's size.
        training: Pictures to fit on.
        test: Pictures to measure on.
        image: (C, H, W) one picture, normalised.
        selection: One unit at one place in `image`.
        seed: Seed of all random choices.
        folder: Folder for results, for analyses that keep more than a result there.
        progress: Called with the number of steps done.
    """

    bundle: Bundle = _MISSING
    net: Deconvnet | None = None
    dataset: Dataset | None = None
    training: Dataset | None = None
    test: Dataset | None = None
    image: Tensor | None = None
    selection: Selection | None = None
    seed: int = 0
    folder: Path | None = None
    progress: Progress | None = None


def batches(
    count: int, size: Sequence[int], title: str = "", *, progress: Progress | None = None
) -> Iterator[slice]:
    """The rows of `count` pictures of `size`, one slice after the other.

    `size` is their height and width in pixels; `progress` is called after each slice.
    """
    at_once = max(1, _PIXELS // (size[0] * size[1]))
    for first in range(0, count, at_once):
        rows = slice(first, min(first + at_once, count))
        yield rows
        if progress:
            progress(title, rows.stop, count)


def chosen_layers(
    net: Deconvnet, chosen: Sequence[str], default: Sequence[str], owner: str = "this model"
) -> tuple[str, ...]:
    """The chosen layers, each once, or the default where none is chosen.

    Raises:
        UnknownLayerError: The network has no such layer.
        SettingError: None is chosen, and there is no default.
    """
    for name in chosen:
        if name not in net.layers:
            raise unknown_layer(name, net.layers, owner)
    if not chosen and not default:
        raise SettingError("no default layer; name a layer that `deconvviz layers` lists")
    return tuple(dict.fromkeys(chosen or default))


def projected_layers(net: Deconvnet) -> tuple[str, ...]:
    """The default layers that can be projected, lowest first; all if none can."""
    found = tuple(name for name in net.default_layers if name in net.projectable)
    return found or net.default_layers


def class_names(bundle: Bundle, output: Tensor) -> tuple[str, ...]:
    """Names of the classes of a network's output (N, classes, 1, 1); numbers if they have none.

    Raises:
        SettingError: The output is not one logit for each class.
    """
    count = output.shape[1]
    known = bundle.classes or tuple(map(str, range(count)))
    if any(side != 1 for side in output.shape[2:]) or len(known) != count or count < 2:
        raise SettingError(
            f"`{bundle.name}` is not a classifier at this size of picture: its output has shape "
            f"{tuple(output.shape[1:])}, expected a logit for each class"
        )
    return known


def class_number(classes: Sequence[str], label: str | int) -> int:
    """The number of a class, given by name or number.

    Raises:
        SettingError: There is no class of this name.
        SelectionError: The number is too large.
    """
    if label in classes:
        return classes.index(str(label))
    if not str(label).isdecimal():
        near = get_close_matches(str(label), classes, n=3, cutoff=0.4) or classes[:10]
        raise SettingError(f"no class `{label}`; the network has {', '.join(near)}")
    if int(label) >= len(classes):
        raise SelectionError(f"no class {label}; the network has {len(classes)}, counted from 0")
    return int(label)


def compared(
    bundle: Bundle,
    net: Deconvnet | None,
    others: Sequence[str],
    *,
    random_weights: bool,
    seed: int,
) -> list[tuple[Bundle, Deconvnet]]:
    """A network, others of its input size, and the same one with random weights.

    Args:
        bundle: The network.
        net: Deconvnet of the network, where there is one already.
        others: Names or checkpoints of other networks.
        random_weights: Whether the one with random weights comes last.
        seed: Seed of the random weights.

    Raises:
        SettingError: Another network takes pictures of another size.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    found = [(bundle, net)]
    for name in others:
        other = load(name)
        if other.input_size != bundle.input_size:
            raise SettingError(
                f"`{name}` takes pictures of {other.input_size}, `{bundle.name}` of "
                f"{bundle.input_size}; compare networks of one input size"
            )
        found.append((other, Deconvnet(other.model, other.input_size)))
    if random_weights:
        model = untrained(bundle.model, torch.Generator().manual_seed(seed))
        twin = replace(bundle, name=f"{bundle.name}, random weights", model=model)
        found.append((twin, net.with_model(model)))
    return found


def title_of(dataset: Dataset) -> str:
    """The number of pictures and the data set's title."""
    return f"{len(dataset)} pictures ({dataset.title})"


def peaks(
    net: Deconvnet,
    bundle: Bundle,
    dataset: Dataset,
    layers: Sequence[str],
    *,
    title: str = "",
    progress: Progress | None = None,
) -> dict[str, Accumulator]:
    """The strongest activation of every unit over a data set, with its picture and position.

    `net` is of the bundle's network, or of an earlier epoch of it.

    Returns:
        Layer -> accumulator with k = 1; value 0 and picture -1 where a unit is never above zero.

    Raises:
        DataError: There are no pictures, or the number of channels differs.
        UnknownLayerError: The network has no such layer.
    """
    check_dataset(bundle, dataset)
    found: dict[str, Accumulator] = {}
    for rows in batches(len(dataset), dataset.images.shape[2:], title, progress=progress):
        images = bundle.preprocessing.normalised(dataset.images[rows])
        for layer, maps in net.stream(images, layers):
            if layer not in found:
                found[layer] = Accumulator.empty(maps.shape[1], 1, maps.dtype, device=maps.device)
            found[layer].add(maps, rows.start, dataset.labels[rows])
    return {layer: found[layer] for layer in layers}
