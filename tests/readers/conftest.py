"""What holds for every reader: bounded memory, and a cache of its own."""

import resource

import pytest

GROWTH = 700 * 2**20  # bytes of the process's peak over all examples of one reader


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.fixture(autouse=True)
def _memory_is_bounded():
    before = peak()
    yield
    assert peak() - before < GROWTH


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
