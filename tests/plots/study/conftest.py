"""Reports of made-up runs."""

import pytest

from tests.plots.study.drawn import arm
from tests.study.samples import helps, sweep


@pytest.fixture
def compared():
    return helps(arm("A") + arm("R-all", shift=0.02) + arm("A", 4000) + arm("C", seeds=1))


@pytest.fixture
def swept():
    made = [*arm("kernel=3"), *arm("kernel=5", shift=0.01), *arm("lr=0.01"), *arm("lr=0.1")]
    made += [*arm("lr=1.0"), *arm("classifier", 500), *arm("classifier", 4000), *arm("pool=max")]
    made += arm("pool=mean", parameters=400_000)
    return sweep(made, [("kernel=3", 1000), ("kernel=5", 1000), ("kernel=7", 1000)])
