"""Many pictures through a network, in batches that fit the memory whatever their size."""

from collections.abc import Iterator

from deconvviz.progress import Progress

__all__ = ["batches"]

_PIXELS = 2**18  # in one pass: 256 pictures of 32 x 32, 5 of 224 x 224


def batches(
    count: int, size: tuple[int, int], title: str = "", *, progress: Progress | None = None
) -> Iterator[slice]:
    """The rows of `count` pictures of `size`, one slice after the other.

    Args:
        count: How many pictures there are.
        size: Their height and width, in pixels.
        title: What is done to them.
        progress: Told after each slice how many pictures are done.
    """
    at_once = max(1, _PIXELS // (size[0] * size[1]))
    for first in range(0, count, at_once):
        rows = slice(first, min(first + at_once, count))
        yield rows
        if progress:
            progress(title, rows.stop, count)
