"""How many threads the arithmetic may use."""

from __future__ import annotations

import os


def half_the_processors() -> int:
    """Return half of them: the other half is for those who wait for an answer meanwhile."""
    return max(1, (os.cpu_count() or 1) // 2)
