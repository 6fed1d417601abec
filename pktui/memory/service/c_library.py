"""What glibc does with memory that was freed. Where the C library is another, nothing happens."""

from __future__ import annotations

import ctypes
import sys

# What glibc's `mallopt` knows its parameters by.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENAS = -1, -3, -8
# What glibc comes to by itself once a block of 32 MB was freed.
_KEPT_BYTES, _LARGEST_BYTES = 64 << 20, 32 << 20

# Each thread would get one of its own, up to eight a processor.
_MOST_ARENAS = 2


def share_arenas() -> None:
    """Let threads take memory from the same two places; call it before there are any.

    What one thread freed of its own place no other can use: of an import of 90,000 messages and
    calls 50 MB more remained, and its peak was 60 MB higher, at the same processor time.
    """
    _set(_ARENAS, _MOST_ARENAS)


def keep_freed_memory() -> None:
    """Give blocks of up to 32 MB, once freed, to whoever asks next, not back to the system.

    A model and a search make and drop arrays of some 100 kB to some MB all the time: 4 ms of a
    search among 100,000 messages went into pages that the system had to blank again.
    """
    _set(_MMAP_THRESHOLD, _LARGEST_BYTES)
    _set(_TRIM_THRESHOLD, _KEPT_BYTES)


def _set(parameter: int, value: int) -> None:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(parameter, value)


def give_back() -> None:
    """Give what was freed but kept back to the system; some milliseconds.

    After ten thousand vectors it is hundreds of megabytes.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
