"""What the units of a layer contribute to a class score, and what the scores are without them."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from deconvviz.analysis.scores import score_maps
from deconvviz.deconv import Deconvnet
from deconvviz.errors import SelectionError

_AT_ONCE = 64  # pictures in one pass, of a network without one unit each; fewer of large layers
_ACTIVATIONS = 2**24  # of the largest layer in one pass


class ClassScores:
    """A network's class scores, with the units of its layers open.

    The scores are what it returns, or the values before the softmax that it ends in.

    Attributes:
        net: The network.

    Args:
        net: The network.
        images: (N, C, H, W) normalised; others may be of their size.

    Raises:
        SelectionError: The model returns no single score for each class, or none of its operations
            that can be followed gives them.
    """

    def __init__(self, net: Deconvnet, images: Tensor) -> None:
        self.net = net
        self._scores = score_maps(net, images)

    def contributions(
        self, images: Tensor, layer: str, label: int | Tensor, against: int | Tensor | None = None
    ) -> Tensor:
        """The activation of each unit times the gradient of a class score, or of a difference.

        Where everything between the layer and the score is linear but for an added constant, the
        sum over all units is the score less that constant, and one unit's contribution is what the
        score loses when the unit is set to zero. Elsewhere it is so to first order.

        Args:
            images: (N, C, H, W) normalised.
            layer: A layer below the scores.
            label: Number of the class; (N,) one for each image.
            against: Number of the class whose score is subtracted, likewise.

        Returns:
            (N, channels, H, W), float32; H and W are 1 for a layer without maps.

        Raises:
            UnknownLayerError: There is no such layer.
            SelectionError: The scores do not depend on the layer.
        """
        maps, scores = self._opened(images, layer)
        value = _of_class(scores, label).sum()
        if against is not None:
            value = value - _of_class(scores, against).sum()
        (gradient,) = torch.autograd.grad(value, maps)
        return _with_places(maps * gradient)

    def of_classes(
        self, images: Tensor, layer: str, units: Sequence[int], labels: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The activations of some units, and their contributions to several class scores.

        As `contributions`, with one forward pass for all classes.

        Returns:
            (N, units, H, W) activations, and (N, classes, units, H, W) contributions, float32.
        """
        maps, scores = self._opened(images, layer)
        chosen = maps[:, list(units)]
        found = []
        for label in labels:
            (gradient,) = torch.autograd.grad(scores[:, label].sum(), maps, retain_graph=True)
            found.append(_with_places(chosen * gradient[:, list(units)]))
        return _with_places(chosen), torch.stack(found, dim=1)

    def _opened(self, images: Tensor, layer: str) -> tuple[Tensor, Tensor]:
        """A layer's maps, and the (N, classes) scores as a function of them."""
        kept: list[Tensor] = []

        def keep(maps: Tensor) -> Tensor:
            kept.append(maps.detach().requires_grad_())
            return kept[-1]

        with torch.enable_grad():
            scores = self._scores(images, {layer: keep}).flatten(1)
        if not kept or not scores.requires_grad:
            raise SelectionError(f"the class scores do not depend on `{layer}`")
        return kept[0], scores

    def without(self, images: Tensor, off: Mapping[str, Tensor | Sequence[int]]) -> Tensor:
        """The scores when units of some layers are zero at all places.

        Args:
            images: (N, C, H, W) normalised.
            off: Layer -> numbers of the units; or bool (N, channels), for each image its own.

        Returns:
            (N, classes), float32.

        Raises:
            UnknownLayerError: There is no such layer.
            SelectionError: The layer has no such unit, or the scores do not depend on it.
        """
        reached: set[str] = set()

        def edit(layer: str) -> Callable[[Tensor], Tensor]:
            def switched(maps: Tensor) -> Tensor:
                reached.add(layer)
                mask = _mask(off[layer], maps, layer)
                return maps.masked_fill(mask.reshape(*mask.shape, *[1] * (maps.dim() - 2)), 0)

            return switched

        with torch.no_grad():
            scores = self._scores(images, {layer: edit(layer) for layer in off})
        for layer in off:
            if layer not in reached:
                raise SelectionError(f"the class scores do not depend on `{layer}`")
        return scores.flatten(1).float()

    def effects(
        self,
        image: Tensor,
        layer: str,
        label: int,
        against: int | None = None,
        units: Sequence[int] | None = None,
    ) -> Tensor:
        """What a score, or a difference, loses when each unit alone is zero at all places.

        The slow counterpart of `contributions`, one pass for each unit; same arguments, but one
        image (1, C, H, W), and the numbers of the units, by default all.

        Returns:
            (units,), float32.
        """
        each = torch.eye(self.net.layers[layer].channels).bool()
        each = each if units is None else each[list(units)]
        whole = self.without(image, {})
        found = [
            self.without(image.expand(len(off), -1, -1, -1), {layer: off})
            for off in each.split(self._at_once())  # type: ignore[no-untyped-call]
        ]
        lost = whole - torch.cat(found)
        return lost[:, label] if against is None else lost[:, label] - lost[:, against]

    def _at_once(self) -> int:
        """Pictures in one pass, so that the maps of a large network fit in memory."""
        largest = max(one.channels * one.size[0] * one.size[1] for one in self.net.layers.values())
        return max(1, min(_AT_ONCE, _ACTIVATIONS // largest))


def _with_places(maps: Tensor) -> Tensor:
    """(N, channels, H, W) float32; of a layer without maps, H and W are 1."""
    values = maps.detach().float()
    return values if values.dim() == 4 else values[:, :, None, None]


def _of_class(scores: Tensor, label: int | Tensor) -> Tensor:
    """(N, classes) -> (N,) the score of a class, or of each image's own."""
    numbers = torch.as_tensor(label, device=scores.device).expand(len(scores))
    return scores.gather(1, numbers[:, None])[:, 0]


def _mask(off: Tensor | Sequence[int], maps: Tensor, layer: str) -> Tensor:
    """(N or 1, channels) where units are switched off."""
    count = maps.shape[1]
    if isinstance(off, Tensor):
        return off.to(maps.device)
    if wrong := [unit for unit in off if not 0 <= unit < count]:
        raise SelectionError(f"`{layer}` has no unit {wrong[0]}; it has 0 to {count - 1}")
    mask = torch.zeros(1, count, dtype=torch.bool, device=maps.device)
    mask[0, list(off)] = True
    return mask
