"""A unit is one value, from a link to the engine."""

import pytest

from deconvviz.errors import SelectionError
from deconvviz.units import Unit


@pytest.mark.parametrize("unit", [Unit("conv1", 0, 3, 5), Unit("a.b.relu@2", 12, 0, 0)])
def test_its_text_is_read_again_and_selects_it(unit):
    assert Unit.parse(str(unit)) == unit
    assert Unit.rows(unit.selection) == (unit,)


@pytest.mark.parametrize("text", ["", "conv1", "conv1/7", "conv1/7/3", "c/-1/0/0", "c/1/2/x"])
def test_another_text_is_refused(text):
    with pytest.raises(SelectionError, match="LAYER/CHANNEL/Y/X"):
        Unit.parse(text)
