"""A report and a sweep of made-up runs."""

import pytest

from deconvviz.study import report, sweep
from tests.plots.study.drawn import arm


@pytest.fixture
def told():
    return report(arm("A") + arm("R-all", shift=0.02) + arm("A", 4000) + arm("C", seeds=1))


@pytest.fixture
def levers():
    made = [*arm("kernel=3"), *arm("kernel=5", shift=0.01), *arm("rate=0.01"), *arm("rate=0.1")]
    made += [*arm("rate=1.0"), *arm("classifier", 500), *arm("classifier", 4000), *arm("pool=max")]
    made += arm("pool=mean", parameters=400_000)
    return sweep(made, [("kernel=3", 1000), ("kernel=5", 1000), ("kernel=7", 1000)])
