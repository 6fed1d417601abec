"""Where a call is made: its client's project, the home directory, and what paths really lead to."""

from __future__ import annotations

from functools import lru_cache

from pktui.policy.call_place import Place
from pktui.real_path import home_directory, real_path


@lru_cache(maxsize=64)
def place_of(project: str) -> Place:
    """Return the place of a client; `project` is its directory, empty where none is known.

    Over stdio that is the directory the gateway was started in, over HTTP the grant's; never one
    that a client tells.
    """
    return Place(project if project.startswith("/") else "", home_directory(), real_path)
