"""Heat maps show the numbers that they are of."""

import pytest
import torch

from deconvviz.study.gradients import Arm
from tests.study.gradients.made import result


def test_all_panels_have_one_scale_and_show_the_norms():
    found = result((0.1, 1e-9), (0.1, 1e-8))
    panels = [axes for axes in found.figure("#123456").axes if axes.images]
    assert len(panels) == 8
    low, high = zip(*(axes.images[0].get_clim() for axes in panels), strict=True)
    assert (min(low), max(high)) == (max(low), min(high)) == pytest.approx((-9.0, 9.0))
    shown = torch.as_tensor(panels[0].images[0].get_array().data)
    assert torch.equal(shown, found.log_norms(Arm("plain", 6, norm=False)))
