"""Other attributions of the same unit, beside its projection on one scale."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from deconvviz.analysis.registry import Analysis
from deconvviz.analysis.result import Result
from deconvviz.analysis.trust.checks import Similarity, similarity
from deconvviz.analysis.trust.insertion import InsertionDeletion, insertion_and_deletion
from deconvviz.analysis.trust.target import Target, find_target
from deconvviz.deconv import Deconvnet, Selection
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.unit_activation import UnitActivation, layer_below
from deconvviz.errors import UnsupportedOperationError
from deconvviz.schema import Positive, validated
from deconvviz.units import Unit

_OCCLUDERS = 8  # times the occluding square fits into the window's shorter side
_POINTS = 32  # of an integral; also images in one forward pass


@validated
class AttributionOptions:
    """Options of attributions of a unit."""

    rule: Rule = "deconvnet"
    """Backward rule of the projection."""
    repeats: Annotated[int, Field(ge=2)] = 8
    """Number of random pixel orders, and for `trust` also of random starts and switches."""
    points: Positive = 16
    """Number of points of the insertion and deletion curves."""


@dataclass(frozen=True, eq=False)
class Attribution:
    """One method's attribution of the unit.

    Attributes:
        pixels: (C, h, w) signed, in the unit's window, in units of the method.
        scores: (h, w) score of each pixel, which orders insertion and deletion.
        curves: Insertion and deletion in the order of the scores.
    """

    method: str
    pixels: Tensor
    scores: Tensor
    curves: InsertionDeletion
    similarity: Similarity


@dataclass(frozen=True, eq=False)
class Attributions(Result):
    """Several methods on one unit in one picture, the projection first.

    Attributes:
        units: Attributed units; several start together.
        map_size: Height and width of their layer's feature maps.
        activation: Summed activation of the units.
        patch: (C, h, w) picture in the unit's window, normalised.
        methods: The projection, integrated gradients, occlusion, and guided Grad-CAM.
        missing: Method -> why it is missing.
    """

    name = "attributions"
    omitted = ("pixels", "scores", "patch", "random")

    units: tuple[Unit, ...]
    map_size: tuple[int, int]
    activation: float
    rule: Rule
    patch: Tensor
    methods: tuple[Attribution, ...]
    missing: Mapping[str, str]
    seed: int


def compare_attributions(
    net: Deconvnet,
    image: Tensor,
    selection: Selection,
    options: AttributionOptions | None = None,
    *,
    seed: int = 0,
) -> Attributions:
    """Attribute one unit's activation by other methods, beside its projection.

    Integrated gradients, occlusion and Grad-CAM are captum's, on a function that runs the network's
    operations one by one; so they are right however a network writes its ReLUs. The guided part of
    guided Grad-CAM is ours, because captum's is the plain gradient wherever a rectifier is not an
    `nn.ReLU` module.

    The image is (C, H, W), or (N, C, H, W) as recorded; the selection is one unit, or several of
    one group.

    Raises:
        SelectionError: The selection makes several projections, or the projection is zero.
    """
    chosen = options or AttributionOptions()
    target = find_target(net, image, selection, chosen.rule)
    missing: dict[str, str] = {}
    found = dict(_attributed(target, missing))
    generator = torch.Generator().manual_seed(seed)
    scores = [score for _, score in found.values()]
    curves = insertion_and_deletion(target, scores, chosen.points, chosen.repeats, generator)
    methods = [
        Attribution(name, pixels.cpu(), score.cpu(), one, similarity(pixels[None], target.pixels))
        for (name, (pixels, score)), one in zip(found.items(), curves, strict=True)
    ]
    return Attributions(
        units=Unit.rows(selection),
        map_size=net.layers[selection.layer].size,
        activation=target.activation,
        rule=chosen.rule,
        patch=target.patch.cpu(),
        methods=tuple(methods),
        missing=missing,
        seed=seed,
    )


def _attributed(
    target: Target, missing: dict[str, str]
) -> Iterator[tuple[str, tuple[Tensor, Tensor]]]:
    """Name -> (C, h, w) pixels and (h, w) scores of each method; reasons go into `missing`."""
    yield target.rule, (target.pixels, (target.pixels * target.patch).sum(0))
    tape, model = target.recording.tape, target.net.model
    unit = UnitActivation(model, tape, target.selection)
    sign = math.copysign(1, target.activation)  # what makes a negative activation scores high
    gradients = target.cut(_integrated_gradients(unit, target.image))
    yield "integrated gradients", (gradients, sign * gradients.sum(0))
    side = max(1, min(target.patch.shape[1:]) // _OCCLUDERS)
    covered = target.cut(_occlusion(unit, target.image, side, max(1, side // 2)))
    yield "occlusion", (covered, sign * covered.sum(0))
    through = layer_below(tape, target.layer, target.net.default_layers)
    if through is None:
        missing["guided Grad-CAM"] = f"there are no feature maps below {target.layer}"
        return
    try:
        guided = target.net.project(target.recording, target.selection, "guided", start="one")
    except UnsupportedOperationError as error:
        missing["guided Grad-CAM"] = str(error)
        return
    unit = UnitActivation(model, tape, target.selection, through)
    where = _grad_cam(unit, unit.maps, target.image)
    both = target.cut(guided.full()[0] * where)
    if not bool(both.any()):
        missing["guided Grad-CAM"] = f"the maps of {through} have no positive share in the unit"
        return
    yield "guided Grad-CAM", (both, both.abs().sum(0))


# captum is imported when it is used: that takes a second. It sets hooks on the module that it is
# given, so that is always a function made for one unit, images (N, C, H, W) -> activations (N,),
# never a loaded model, which other threads may be reading.


def _integrated_gradients(unit: nn.Module, image: Tensor) -> Tensor:
    """(C, H, W) integrated gradients from a blank to (1, C, H, W).

    Sundararajan et al. (2017), arXiv:1703.01365.
    """
    from captum.attr import IntegratedGradients

    image = image.detach().clone().requires_grad_()
    credit: Tensor = IntegratedGradients(unit).attribute(
        image, image.detach() * 0, n_steps=_POINTS, internal_batch_size=_POINTS
    )
    return credit[0].detach()


def _occlusion(unit: nn.Module, image: Tensor, side: int, stride: int) -> Tensor:
    """(C, H, W) mean fall of the activation as a blank square covers places of (1, C, H, W).

    Zeiler & Fergus (2014), section 4.2, arXiv:1311.2901.
    """
    from captum.attr import Occlusion

    channels, height, width = image.shape[1:]
    square = (channels, min(side, height), min(side, width))
    steps = (channels, min(stride, square[1]), min(stride, square[2]))
    credit: Tensor = Occlusion(unit).attribute(
        image.detach(), square, steps, baselines=0, perturbations_per_eval=_POINTS
    )
    return credit[0].detach()


def _grad_cam(unit: nn.Module, maps: nn.Module, image: Tensor) -> Tensor:
    """(H, W) Grad-CAM (Selvaraju et al. 2017, arXiv:1610.02391) of a part `maps` of the unit."""
    from captum.attr import LayerGradCam

    image = image.detach().clone().requires_grad_()
    coarse: Tensor = LayerGradCam(unit, maps).attribute(image, relu_attributions=True)
    size = tuple(image.shape[2:])
    return functional.interpolate(coarse.detach(), size, mode="bilinear")[0, 0]


ANALYSIS = Analysis(
    title="Attributions",
    question="From which pixels does a unit's activation come? Integrated gradients, occlusion and "
    "guided Grad-CAM beside the unit's projection, compared by insertion and deletion.",
    source="captum; RISE, arXiv:1806.07421",
    needs=("network", "picture", "unit"),
    function=compare_attributions,
)
