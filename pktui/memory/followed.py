"""Which agents' stores the memory service follows: a small file in the data directory."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import SettingsError
from pktui.files import make_private_directory, write_whole

if TYPE_CHECKING:
    from pktui.settings import Paths


def followed(paths: Paths) -> dict[str, str]:
    """Return the stores by their agent, absolute paths; raises `SettingsError`."""
    file = paths.followed_file
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError) as error:
        raise SettingsError(
            f"{file} cannot be read: {error}", "Remove it and run pktui adopt again"
        ) from error


def is_followed_any(paths: Paths) -> bool:
    """Tell whether some store is followed, without reading the file."""
    return paths.followed_file.exists()


def follow(paths: Paths, stores: Mapping[str, Path | None]) -> None:
    """Follow these stores from now on, and those with None no more; raises `SettingsError`."""
    known = followed(paths)
    for agent, store in stores.items():
        if store is None:
            known.pop(agent, None)
        else:
            known[agent] = str(store)
    make_private_directory(paths.data_dir)
    if known:
        write_whole(paths.followed_file, msgspec.json.encode(known))
    else:
        paths.followed_file.unlink(missing_ok=True)
