"""One unit in one picture, projected by each rule."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image
from torch import Tensor

from deconvviz.analysis.result import Result
from deconvviz.deconv import Box, Deconvnet
from deconvviz.deconv.projection import Start
from deconvviz.deconv.rules import RULES, Rule
from deconvviz.io.bundle import Bundle
from deconvviz.io.preprocess import Pixels
from deconvviz.units import Unit


@dataclass(frozen=True, eq=False)
class UnitInPicture(Result):
    """What one unit responds to in one picture.

    Attributes:
        network: Name of the network.
        picture_name: Name of the picture.
        picture: uint8 (H, W, 3), the network's input before it was normalised.
        unit: The unit and its place.
        activation: Its activation.
        share: Its activation over the layer's largest in the picture.
        box: Its window in the picture: top, left, bottom, right.
        projections: Rule -> (C, h, w) signed, in normalised input units.
        start: Value that the projections start from.
    """

    network: str
    picture_name: str
    picture: Pixels
    unit: Unit
    activation: float
    share: float
    box: Box
    projections: Mapping[Rule, Tensor]
    start: Start
    name = "unit"
    omitted = ("picture", "projections")


def unit_in_picture(
    bundle: Bundle,
    picture: Image.Image,
    unit: Unit,
    *,
    name: str = "picture",
    start: Start = "activation",
    net: Deconvnet | None = None,
) -> UnitInPicture:
    """Project one unit of a picture by all three rules.

    Args:
        bundle: The network.
        picture: Its input, as `bundle.preprocessing.view` makes it; it is not resized.
        unit: The unit and its place; `Unit.at_peak` finds that of a feature map.
        name: Name of the picture, for people.
        start: Value that the projections start from.
        net: Deconvnet of the network, where there is one already.

    Raises:
        UnknownLayerError: The network has no such layer.
        SelectionError: The layer has no such unit or place.
        UnsupportedOperationError: It cannot be projected by one of the rules.
    """
    net = net or Deconvnet(bundle.model, bundle.input_size)
    recording = net.record(bundle.preprocess(picture, size=None)[None], [unit.layer])
    projections = {
        rule: net.project(recording, unit.selection, rule=rule, start=start) for rule in RULES
    }
    top, left, bottom, right = projections["deconvnet"].boxes[0].tolist()
    value, largest = float(recording.values(unit.selection)[0]), float(recording[unit.layer].max())
    return UnitInPicture(
        network=bundle.name,
        picture_name=name,
        picture=np.asarray(picture.convert("RGB")),
        unit=unit,
        activation=value,
        share=value / largest if largest > 0 else 0.0,
        box=(top, left, bottom, right),
        projections={rule: one.pixels[0] for rule, one in projections.items()},
        start=start,
    )
