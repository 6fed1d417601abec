"""Memory that was freed stays with the process: asked for anew, each page of it costs a fault."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""What glibc's `mallopt` knows its parameters by."""
_KEPT_BYTES, _LARGEST_BYTES = 64 << 20, 32 << 20
"""What glibc comes to by itself once a block of 32 MB was freed."""


def keep_freed_memory() -> None:
    """Give blocks of up to 32 MB, once freed, to whoever asks next, not back to the system.

    A model and a search make and drop arrays of some 100 kB to some MB all the time: 4 ms of a
    search among 100,000 messages went into pages that the system had to blank again. Where the C
    library is not glibc, nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
        mallopt(_TRIM_THRESHOLD, _KEPT_BYTES)
