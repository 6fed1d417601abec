"""What glibc does with memory that was freed. Where the C library is another, nothing happens."""

from __future__ import annotations

import ctypes
import sys

# What glibc's `mallopt` knows its parameters by.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# What glibc comes to by itself once a block of 32 MB was freed.
_KEPT_BYTES, _LARGEST_BYTES = 64 << 20, 32 << 20


def keep_freed_memory() -> None:
    """Give blocks of up to 32 MB, once freed, to whoever asks next, not back to the system.

    A model and a search make and drop arrays of some 100 kB to some MB all the time: 4 ms of a
    search among 100,000 messages went into pages that the system had to blank again.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)


def give_back() -> None:
    """Give what was freed but kept back to the system; some milliseconds.

    After ten thousand vectors it is hundreds of megabytes.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
