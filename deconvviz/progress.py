"""Progress of long work: callbacks, and bars in a terminal."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


class Progress(Protocol):
    """A callback that is called after each step of long work."""

    def __call__(self, title: str, done: int, total: int, /) -> None:
        """`done` of `total` steps of `title` are done; each title counts from 0."""


class TerminalBars:
    """A `Progress` that draws a bar for each title, from its first step on."""

    def __init__(self) -> None:
        self._title = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "TerminalBars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, title: str, done: int, total: int, /) -> None:
        """Update the bar of this title."""
        if self._bar is None or title != self._title:
            self.close()
            self._title, self._bar = title, tqdm(total=total, desc=title)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """End the current bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def track(items: Sequence[Item], title: str, progress: Progress | None) -> Iterator[Item]:
    """Iterate over items and report each one done."""
    for done, item in enumerate(items, 1):
        yield item
        if progress:
            progress(title, done, len(items))
