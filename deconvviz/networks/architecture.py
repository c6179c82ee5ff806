"""What an architecture declares, and the layers that several share."""

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

Width = Annotated[int, Field(ge=1, le=1024)]
Depth = Annotated[int, Field(ge=0, le=64)]
# Names may come from anyone's checkpoint, so widths and depths are bounded.


class Architecture(ABC):
    """Options of a network, and how it is made: a subclass is a validated dataclass."""

    multiple: ClassVar[int] = 1
    """Height and width of its input must be multiples of this."""

    @property
    def enlarges(self) -> int:
        """Height and width of the output over those of the input."""
        return 1

    @abstractmethod
    def network(self, channels: int, classes: int, size: int) -> nn.Module:
        """An untrained network; see `networks.build`."""


class PictureToPicture(Architecture):
    """Options of a network that makes a picture of any size from one, tile by tile if need be."""

    @property
    @abstractmethod
    def reach(self) -> int:
        """How far from a pixel of the input its influence on the output ends, in input pixels."""


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, by name."""
    return nn.Sequential(OrderedDict(layers))
