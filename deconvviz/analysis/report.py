"""Everything that a network sees in one picture: its answer, its units layer by layer, and why."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from deconvviz.analysis.inputs import class_names
from deconvviz.analysis.scores import probabilities
from deconvviz.analysis.why import Why, why
from deconvviz.deconv import Box, Coverage, Deconvnet, Layer, Projection, Verification
from deconvviz.deconv.rules import Rule
from deconvviz.deconv.verification import checked_line
from deconvviz.errors import DeconvvizError, SelectionError, SettingError, UnsupportedOperationError
from deconvviz.io.bundle import Bundle
from deconvviz.io.checkpoint import versions
from deconvviz.io.images import MAX_SIDE, MIN_SIDE, Picture, limit_side
from deconvviz.io.preprocess import Pixels
from deconvviz.schema import validated
from deconvviz.units import Unit


@validated
class ReportOptions:
    """Options of the report of one picture."""

    units: Annotated[int, Field(ge=1, le=24)] = 3
    """Strongest units of each layer."""
    rule: Rule = "deconvnet"
    """Backward rule."""
    size: Annotated[int, Field(ge=MIN_SIDE, le=MAX_SIDE)] | None = None
    """Longest side in pixels, uncropped, of the picture whose units are shown; else as in
    training. The answer is always as in training."""


@dataclass(frozen=True, eq=False)
class LayerReport:
    """The strongest units of one layer.

    Attributes:
        name: Name of the layer.
        layer: Its size and receptive field.
        units: The K units, each where its activation is highest, the highest first.
        values: Their K activations.
        shares: The same over the layer's largest.
        projection: K windows; None if the layer cannot be projected.
        refused: Why not, in a sentence.
    """

    name: str
    layer: Layer
    units: tuple[Unit, ...]
    values: tuple[float, ...]
    shares: tuple[float, ...]
    projection: Projection | None
    refused: str = ""


@dataclass(frozen=True, eq=False)
class Report:
    """What a network sees in a picture.

    Attributes:
        network: Name of the network.
        sha256: Digest of its checkpoint or weights.
        is_untrained: Whether its weights are known to be random.
        picture: The picture as it was opened.
        crop: The part of it that the units see: top, left, bottom, right.
        image: uint8 (H, W, 3), the network's input before it was normalised.
        answer: Class -> probability, falling; empty if the network has no names of classes.
        layers: The default layers, lowest first.
        why: The answer against the second class; None if that cannot be said.
        why_not: The reason, in a sentence.
        coverage: How each operation is reversed.
        checked: A line on what was compared with the network's own values.
        versions: Versions that made it.
    """

    network: str
    sha256: str
    is_untrained: bool
    options: ReportOptions
    picture: Picture
    crop: Box
    image: Pixels
    answer: Mapping[str, float]
    layers: tuple[LayerReport, ...]
    why: Why | None
    why_not: str
    coverage: Coverage
    checked: str
    versions: Mapping[str, str]


def report(
    bundle: Bundle,
    picture: Picture,
    options: ReportOptions | None = None,
    *,
    net: Deconvnet | None = None,
    verification: Verification | None = None,
) -> Report:
    """Say what a network sees in a picture; `deconvviz.plots.report.page` is its HTML.

    Without a `verification`, one projection of each layer is compared with autograd.

    Raises:
        SelectionError: The network has no default layers.
        PictureError: The network does not take a picture of this size.
    """
    options = options or ReportOptions()
    net = net or Deconvnet(bundle.model, bundle.input_size, check=True)
    if not net.default_layers:
        raise SelectionError(f"`{bundle.name}` has no feature maps, so nothing to project")
    answered = bundle.preprocess(picture.image)
    image, crop = bundle.preprocessing.view(picture.image), bundle.box(picture.image)
    if options.size is not None:
        image = bundle.preprocessing.view(limit_side(picture.image, options.size), size=None)
        crop = (0, 0, picture.image.height, picture.image.width)
    shown = bundle.preprocess(image, size=None)
    answer, found, refused = dict[str, float](), None, ""
    try:
        probabilities = _probabilities(bundle, answered)
        if bundle.classes:
            pairs = zip(bundle.classes, probabilities, strict=True)
            answer = dict(sorted(pairs, key=lambda pair: -pair[1]))
        found = why(bundle, answered, net=net)
    except DeconvvizError as error:
        refused = str(error)
    return Report(
        network=bundle.name,
        sha256=bundle.sha256,
        is_untrained=bundle.is_untrained,
        options=options,
        picture=picture,
        crop=crop,
        image=np.asarray(image.convert("RGB")),
        answer=answer,
        layers=tuple(_layers(net, shown, options)),
        why=found,
        why_not=refused,
        coverage=net.coverage,
        checked=checked_line(net.checked, verification or net.verify(units=1)),
        versions=versions(),
    )


def _probabilities(bundle: Bundle, pixels: Tensor) -> list[float]:
    """The probability of each class; a `SettingError` where the output is another thing."""
    with torch.inference_mode():
        scores = bundle.model(pixels[None])
    if not isinstance(scores, Tensor):
        raise SettingError(
            f"`{bundle.name}` is not a classifier: its output is no tensor of scores"
        )
    class_names(bundle, scores if scores.dim() == 4 else scores.flatten(1)[..., None, None])
    return [float(one) for one in probabilities(scores.flatten(1))[0]]


def _layers(net: Deconvnet, pixels: Tensor, options: ReportOptions) -> Iterator[LayerReport]:
    for name in net.default_layers:  # one by one: the maps of all are large in a deep network
        recording = net.record(pixels[None], [name])
        selection = recording.strongest(name, options.units)
        values, largest = recording.values(selection).tolist(), float(recording[name].max())
        projection, refused = None, ""
        try:
            projection = net.project(recording, selection, options.rule)
        except UnsupportedOperationError as error:
            refused = str(error)
        shares = tuple(value / largest for value in values)
        units = Unit.rows(selection)
        yield LayerReport(name, net.layers[name], units, tuple(values), shares, projection, refused)
