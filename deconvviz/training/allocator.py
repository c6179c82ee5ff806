"""Freed memory that stays with the process, because the next step wants it again."""

import ctypes
import sys

__all__ = ["keep_memory"]

_TRIM, _PAD, _MMAP = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of malloc.h


def keep_memory() -> bool:
    """Tell the C library not to give large blocks back to the system when they are freed.

    glibc maps large blocks anew each time, and the system clears each of their pages when it is
    first touched. A step of training on the CPU frees and takes the same maps again and again. For
    the whole process, until it ends: it then holds on to the most that it has needed (up to 2 GB of
    what is free).

    Returns:
        Whether the C library took it; another than glibc is left as it is.
    """
    if sys.platform != "linux":
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    mapped = any(mallopt(_MMAP, size) for size in (2**30, 2**25))  # before glibc 2.35 32 MB at most
    return bool(mapped and mallopt(_TRIM, 2**31 - 1) and mallopt(_PAD, 2**26))
