"""Long work on a page: a progress bar, and its turn."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import streamlit as st

from deconvviz.progress import Progress
from deconvviz.ui.memory import RESULTS, long_work

Value = TypeVar("Value")


def long_result(key: Any, text: str, make: Callable[[Progress], Value]) -> Value:
    """What was made under a key, or is made now, with a progress bar."""
    found: Value | None = RESULTS.get(key)
    if found is None:
        with bar(text) as progress:
            found = RESULTS.put(key, make(progress))
    return found


@contextmanager
def bar(text: str) -> Iterator[Progress]:
    """A progress bar, with a text until the first step is done; it goes when the work ends.

    The block is one of the server's long computations: it waits for its turn.
    """
    element = st.progress(0.0, text=text)

    def progress(title: str, done: int, total: int, /) -> None:
        element.progress(done / total, text=f"{title}: {done} of {total} …")

    def wait() -> None:
        element.progress(0.0, text="Waiting for the work of others …")

    try:
        with long_work(wait):
            element.progress(0.0, text=text)
            yield progress
    finally:
        element.empty()
