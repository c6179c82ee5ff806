"""The C library's allocator: keep freed memory for the next step."""

import ctypes
import sys

_TRIM, _PAD, _MMAP = -1, -2, -3  # M_TRIM_THRESHOLD, M_TOP_PAD and M_MMAP_THRESHOLD of malloc.h


def keep_memory() -> bool:
    """Keep large blocks in the process when they are freed, up to 2 GB, until it ends.

    glibc maps large blocks anew each time, and the system clears each of their pages at first
    touch; a training step on the CPU frees and allocates the same maps again and again.

    Returns:
        Whether the C library supports it; only glibc does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    mapped = any(mallopt(_MMAP, size) for size in (2**30, 2**25))  # before glibc 2.35 32 MB at most
    return bool(mapped and mallopt(_TRIM, 2**31 - 1) and mallopt(_PAD, 2**26))
