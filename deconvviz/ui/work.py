"""Long work on a page: a progress bar, and a cache for results computed under one.

Streamlit's own caches would replay a bar that is drawn inside a cached function, step by step.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

import streamlit as st

from deconvviz.progress import Progress

Value = TypeVar("Value")


class ResultCache(Generic[Value]):
    """The last `max_entries` results, shared by all sessions; the oldest is dropped first."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._results: dict[tuple[str, ...], Value] = {}
        self._lock = Lock()

    def get(self, key: tuple[str, ...]) -> Value | None:
        """The result of a key, or None."""
        return self._results.get(key)

    def put(self, key: tuple[str, ...], value: Value) -> Value:
        """Keep a result, and return it."""
        with self._lock:
            self._results[key] = value
            while len(self._results) > self._max_entries:
                del self._results[next(iter(self._results))]
        return value


@contextmanager
def bar(text: str) -> Iterator[Progress]:
    """A progress bar, with a text until the first step is done; it goes when the work ends."""
    element = st.progress(0.0, text=text)

    def progress(title: str, done: int, total: int, /) -> None:
        element.progress(done / total, text=f"{title}: {done} of {total} …")

    try:
        yield progress
    finally:
        element.empty()
