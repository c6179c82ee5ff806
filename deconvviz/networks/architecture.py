"""What an architecture declares, and the layers that several share."""

from collections import OrderedDict
from typing import Annotated, ClassVar

from pydantic import Field
from torch import nn

Width = Annotated[int, Field(ge=1, le=1024)]
Depth = Annotated[int, Field(ge=0, le=64)]
# Names may come from anyone's checkpoint, so widths and depths are bounded.


class Architecture:
    """Options of a network, and how it is made: a subclass is a validated dataclass."""

    multiple: ClassVar[int] = 1
    """Height and width of its input must be multiples of this."""

    @property
    def enlarges(self) -> int:
        """Height and width of the output over those of the input."""
        return 1

    @property
    def reach(self) -> int:
        """How far from a pixel of the input its influence on the output ends, in input pixels."""
        raise NotImplementedError

    def network(self, channels: int, classes: int, size: int) -> nn.Module:
        """An untrained network; see `networks.build`."""
        raise NotImplementedError


def named(**layers: nn.Module) -> nn.Sequential:
    """Layers one after the other, by name."""
    return nn.Sequential(OrderedDict(layers))
