"""How long work tells how far it is, to whoever wants to know: a terminal, a page, a test."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

from tqdm import tqdm

__all__ = ["Progress", "TerminalBars", "track"]

Item = TypeVar("Item")


class Progress(Protocol):
    """Told again and again what is being done, and how many of how many steps of it are done."""

    def __call__(self, title: str, done: int, total: int, /) -> None:
        """`done` of `total` steps of `title` are done; each title starts anew."""


class TerminalBars:
    """A `Progress` that draws a bar for each title, once there is something to tell.

    A refusal before the first step stands alone on the screen.
    """

    def __init__(self) -> None:
        self._title = ""
        self._bar: tqdm[Any] | None = None

    def __enter__(self) -> "TerminalBars":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __call__(self, title: str, done: int, total: int, /) -> None:
        """Move the bar of this title."""
        if self._bar is None or title != self._title:
            self.close()
            self._title, self._bar = title, tqdm(total=total, desc=title)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def track(items: Sequence[Item], title: str, progress: Progress | None) -> Iterator[Item]:
    """The items one after the other, telling after each that it is done."""
    for done, item in enumerate(items, 1):
        yield item
        if progress:
            progress(title, done, len(items))
