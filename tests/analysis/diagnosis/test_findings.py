"""Each finding on a layer that has it, and none on a healthy one."""

import pytest
import torch
from torch import Tensor

from deconvviz.analysis.diagnosis.findings import (
    DiagnosisOptions,
    LayerStats,
    findings,
    table_row,
)
from deconvviz.analysis.kernels import Kernels
from deconvviz.atlas import Units
from deconvviz.plots.diagnosis import KINDS, sentence

CHANNELS = 20


def smooth_kernels():
    """Random kernels without high frequencies, all of one size."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(CHANNELS, 30, 1, 1, generator=generator)
    weights = weights / weights.square().sum((1, 2, 3), keepdim=True).sqrt()
    return weights.expand(-1, -1, 3, 3).clone()


def layer(
    weights: Tensor | None = None,
    stride: int = 1,
    depth: float = 0.4,
    edges: float | None = 0.2,
    is_labelled: bool = True,
    **statistics: Tensor,
) -> LayerStats:
    """A healthy layer, but for what is given."""
    everywhere = torch.ones(CHANNELS, dtype=torch.float64)
    known = {
        "mean": everywhere,
        "active": everywhere / 2,
        "activation_frequency": everywhere / 2,
        "class_mean": everywhere[:, None].expand(-1, 4),
        "histogram": torch.zeros(CHANNELS, 66, dtype=torch.int64),
    } | statistics
    picture = known.pop("picture", torch.zeros(CHANNELS, 9, dtype=torch.int64))
    units = Units(torch.ones(CHANNELS, 9), picture, picture, picture, **known)
    weights = smooth_kernels() if weights is None else weights
    return LayerStats(
        "stage2.relu1",
        depth,
        units,
        ("a", "b", "c", "d"),
        is_labelled,
        Kernels(weights, "stage2.conv1", None, (stride, stride)),
        None if edges is None else torch.full((CHANNELS,), edges),
    )


def with_(tensor: Tensor, values: dict[int, object]) -> Tensor:
    changed = tensor.clone()
    for place, value in values.items():
        changed[place] = torch.as_tensor(value, dtype=changed.dtype)
    return changed


def test_a_healthy_layer_has_no_findings():
    look = layer()
    assert list(findings(look)) == []
    row = table_row(look)
    assert (row["dead"], row["rare"], row["dominant"], row["duplicates"]) == (0, 0, 0, 0)


ONES = torch.ones(CHANNELS, dtype=torch.float64)
CHECKERBOARD = torch.tensor([[1.0, -1, 1], [-1, 1, -1], [1, -1, 1]])


@pytest.mark.parametrize(
    ("look", "kind", "units", "says"),
    [
        (
            layer(picture=with_(torch.zeros(CHANNELS, 9, dtype=torch.int64), {3: -1, 7: -1})),
            "dead",
            (3, 7),
            "2 of 20 units are never above zero",
        ),
        (
            layer(activation_frequency=with_(ONES, {5: 0.002, 2: 0.004})),
            "rare",
            (5, 2),
            "2 of 20 units are above zero in fewer than 1%",
        ),
        (
            layer(smooth_kernels() * with_(ONES.float(), {4: 10.0})[:, None, None, None]),
            "dominant",
            (4,),
            "1 of 20 units has kernels more than 3 times as large as the median; they hold 84%",
        ),
        (
            layer(mean=with_(ONES, {9: 19.0})),
            "loud",
            (9,),
            "they make 50% of the layer's activity",
        ),
        (
            layer(smooth_kernels() * CHECKERBOARD),
            "high_frequency",
            None,
            "random kernels have 44%",
        ),
        (
            layer(smooth_kernels() * CHECKERBOARD, stride=4),
            "aliased",
            None,
            "a stride of 4 x 4 aliases; random kernels have 94%",
        ),
        (
            layer(with_(smooth_kernels(), {6: 2 * smooth_kernels()[1]})),
            "duplicate",
            (1, 6),
            "2 of 20 units have a duplicate",
        ),
        (
            layer(depth=0.8, edges=0.75),
            "edges",
            tuple(range(CHANNELS)),
            "75% of the variance of its median unit",
        ),
        (
            layer(class_mean=with_(ONES[:, None].expand(-1, 4), {8: [0, 0, 1, 0.01]})),
            "class_specific",
            (8,),
            "1 of 20 units answers to one class alone (selectivity above 0.9), the clearest, 8, to",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value in KINDS else "",
)
def test_each_finding_is_made_and_alone(look, kind, units, says):
    (found,) = findings(look)
    assert (found.kind, found.layer) == (kind, "stage2.relu1")
    assert says in sentence(found, DiagnosisOptions())
    assert kind in KINDS
    if units is not None:
        assert found.units == units


def test_what_is_right_where_it_stands_is_no_finding():
    """Edges low down, classes at the top, photographs' names, a kernel's negative."""
    one_class = with_(ONES[:, None].expand(-1, 4), {8: [0, 0, 1, 0]})
    for look in (
        layer(depth=0, edges=0.9),
        layer(depth=1, class_mean=one_class),
        layer(class_mean=one_class, is_labelled=False),
        layer(with_(smooth_kernels(), {6: -smooth_kernels()[1]})),
        layer(edges=None, depth=1),
    ):
        assert list(findings(look)) == []
