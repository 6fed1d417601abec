"""Memory that was freed but kept by the C library, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def give_back() -> None:
    """Give it back; some milliseconds. After ten thousand vectors it is hundreds of megabytes.

    Does nothing where the C library is not glibc.
    """
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
