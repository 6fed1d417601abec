"""Where a call is made, as far as that is handed in: this room asks no disk and no process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

RealPath = Callable[[str], str | None]


class Place(msgspec.Struct, frozen=True):
    """The caller's project and home: absolute directories, empty where none is known.

    `real_path` follows every symbolic link of an absolute path, also of one that does not exist
    yet, and gives None where that can't be done.
    """

    project: str = ""
    home: str = ""
    real_path: RealPath = lambda _path: None


NOWHERE: Final = Place()
