"""The share of units' variance that the edges in their windows explain."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from deconvviz.deconv import Deconvnet, Layer
from deconvviz.io.bundle import Bundle
from deconvviz.io.data import Dataset

_ORIENTATIONS = 8  # directions, 45 degrees apart: light on one side is not light on the other
# Relative to the features' mean square: they overlap, so that their products are near singular.
_RIDGE = 1e-6
_BATCH = 32

Moments = tuple[Tensor, ...]


def explained_by_edges(
    net: Deconvnet, bundle: Bundle, dataset: Dataset, layers: Sequence[str]
) -> dict[str, Tensor]:
    """Share of each unit's variance that a linear function of oriented edges predicts.

    The features of a unit at a position are the means of the rectified brightness gradient in eight
    directions over the four quarters of its window (overlapping where it has an odd side), 32
    numbers and a constant. A ridge regression is fitted on every other picture and measured on the
    rest: R squared, the explained share of the activation's variance. A detector of a vertical edge
    on the left has about 1; a detector of a colour, a texture or an arrangement of edges has less,
    though not 0 where these go together with edges.

    The data set has at least two pictures of the network's input size. Layers whose units see the
    whole picture are left out.

    Returns:
        Layer -> (C,) float64 in [0, 1]; 0 for a unit that does not vary.
    """
    windowed = [layer for layer in layers if net.layers[layer].stride != (0, 0)]
    moments: list[dict[str, Moments]] = [{}, {}]
    for half, found in enumerate(moments):
        for rows in torch.split(torch.arange(half, len(dataset), 2), _BATCH):
            images = bundle.preprocessing.normalised(dataset.images[rows])
            edges = oriented_edges(images)
            for layer, maps in net.stream(images, windowed):
                pooled = _quarters(edges, net.layers[layer], (maps.shape[2], maps.shape[3]))
                sums = _moments(pooled, maps)
                if layer in found:
                    sums = tuple(map(torch.add, found[layer], sums))
                found[layer] = sums
    fitted, measured = moments
    return {layer: _explained(fitted[layer], measured[layer]) for layer in windowed}


def oriented_edges(images: Tensor) -> Tensor:
    """The brightness gradient in eight directions, each rectified: (N, C, H, W) -> (N, 8, H, W).

    Sobel's differences, of the mean over channels; the border is repeated beyond the edge.
    """
    grey = functional.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]).to(grey) / 8
    both = functional.conv2d(grey, torch.stack([across, across.T])[:, None])
    dx, dy = both[:, :1], both[:, 1:]
    turns = torch.arange(_ORIENTATIONS).to(grey) * (2 * math.pi / _ORIENTATIONS)
    cosines, sines = (turn.view(1, -1, 1, 1) for turn in (turns.cos(), turns.sin()))
    return functional.relu(dx * cosines + dy * sines)


def _quarters(edges: Tensor, layer: Layer, size: tuple[int, int]) -> Tensor:
    """The mean edges in the quarters of each unit's window: (N, 32, h, w)."""
    half = [-(-side // 2) for side in layer.receptive_field]
    starts = [(0, side - part) for side, part in zip(layer.receptive_field, half, strict=True)]
    parts = [
        _means(edges, layer, size, (top, left), (half[0], half[1]))
        for top in starts[0]
        for left in starts[1]
    ]
    return torch.cat(parts, dim=1)


def _means(
    edges: Tensor,
    layer: Layer,
    size: tuple[int, int],
    start: tuple[int, int],
    box: tuple[int, int],
) -> Tensor:
    """Means over a part of each unit's window; beyond the picture there are no edges."""
    pads = []
    for axis in (1, 0):  # from the last axis on, as torch counts padding
        first = layer.offset[axis] + start[axis]
        last = first + (size[axis] - 1) * layer.stride[axis] + box[axis]
        pads += [-first, last - edges.shape[2 + axis]]
    padded = functional.pad(edges, pads)  # negative: cut away
    return functional.avg_pool2d(padded, box, layer.stride)


def _moments(features: Tensor, maps: Tensor) -> Moments:
    """Sums over all positions, in float64: features x features, features x maps, maps squared."""
    x = features.double().permute(0, 2, 3, 1).flatten(0, 2)
    x = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
    y = maps.double().permute(0, 2, 3, 1).flatten(0, 2)
    return x.T @ x, x.T @ y, y.square().sum(0)


def _explained(fitted: Moments, measured: Moments) -> Tensor:
    gram, product, _ = fitted
    ridge = _RIDGE * gram.diagonal().mean() * torch.eye(len(gram)).to(gram)
    weights = torch.linalg.solve(gram + ridge, product)
    gram, product, squares = measured
    error = squares - 2 * (weights * product).sum(0) + (weights * (gram @ weights)).sum(0)
    spread = squares - product[-1].square() / gram[-1, -1]  # the constant's row holds the sums
    varies = spread > 1e-9 * squares
    share: Tensor = 1 - error / spread.where(varies, 1.0)
    return share.where(varies, 0.0).clamp(0, 1)
