"""Heat maps show the numbers that they are of."""

import pytest
import torch

from deconvviz.plots.study.gradients import norm_maps
from deconvviz.study.gradients import Condition
from tests.study.gradients.made import result


def test_all_panels_have_one_scale_and_show_the_norms():
    found = result((0.1, 1e-9), (0.1, 1e-8))
    panels = [axes for axes in norm_maps(found, "#123456").axes if axes.images]
    assert len(panels) == 8
    low, high = zip(*(axes.images[0].get_clim() for axes in panels), strict=True)
    assert (min(low), max(high)) == (max(low), min(high)) == pytest.approx((-9.0, 9.0))
    shown = torch.as_tensor(panels[0].images[0].get_array().data)
    assert torch.equal(shown, found.log_norms(Condition("plain", 6, norm=False)))


def test_a_ratio_above_ten_is_told_in_plain_digits():
    titles = [
        axes.get_title(loc="left") for axes in norm_maps(result((12.3, 1e-9), (0.2, 1.0))).axes
    ]
    reply = [title.split("first/last ")[1].split("\n")[0] for title in titles if "first" in title]
    assert {"12, then 12", "1e-09, then 1e-09", "0.2, then 0.2"} < set(reply)
