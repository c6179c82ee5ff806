"""The garbage collector, kept from what is never garbage.

Streamlit collects garbage after every run of a page, and each time Python looks at every object
that an imported module holds: 0.1 to 0.3 s in which the server does nothing else. Modules stay, so
their objects are set aside once they are imported. Networks and results, which go, need no
collector: nothing in them refers back to its owner.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_MANY = 200  # modules, which are worth a look
_known = 0  # modules of which the objects are set aside


@contextmanager
def importing() -> Iterator[None]:
    """Nothing is collected while modules are imported, which takes a sixth of the time less."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def set_modules_aside() -> None:
    """Set aside what is in memory, if many modules were imported since the last time.

    What refers to itself and is garbage later stays in memory: a few objects of the sessions at
    work, a few times in the life of a server.
    """
    global _known
    if len(sys.modules) < _known + _MANY:
        return
    if _known:
        gc.collect()  # so that what is garbage now is not kept
    gc.freeze()
    _known = len(sys.modules)
