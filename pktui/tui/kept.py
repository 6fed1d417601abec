"""What the console remembers from one run to the next, in `console.json` of the data directory.

It holds no setting: without the file everything stands as it does at the first start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pktui.errors import SettingsError
from pktui.files import make_private_directory, write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.settings import Paths

NAME = "console.json"


class Kept(msgspec.Struct, frozen=True):
    """What is remembered."""

    # Shares of the width, by the ids of the panes beside each other, joined with "+".
    panes: dict[str, tuple[int, ...]] = {}
    # Ids of the actions that were run from the palette, the latest first.
    recent: tuple[str, ...] = ()


def read_kept(data_dir: Path) -> Kept:
    """Return what was remembered; nothing where that is not to be read."""
    try:
        return msgspec.json.decode((data_dir / NAME).read_bytes(), type=Kept)
    except (OSError, msgspec.DecodeError):
        return Kept()


def write_theme(paths: Paths, name: str) -> None:
    """Set `console.theme` in settings.toml, whose comments stay. Blocks.

    Raises `SettingsError` where the file cannot be edited.
    """
    from pktui.agents.adopting.document import NotEditable, TomlDocument

    file = paths.settings_file
    try:
        document = TomlDocument(file.read_bytes() if file.exists() else b"")
        document.set(("console", "theme"), name)
        make_private_directory(file.parent)
        write_whole(file, document.encoded())
    except NotEditable as error:
        raise SettingsError(f"{file} cannot be edited: {error}", "Mend it") from error
    except OSError as error:
        why = error.strerror or str(error)
        raise SettingsError(f"{file} cannot be written: {why}", "Check its owner") from error


def write_kept(data_dir: Path, kept: Kept) -> None:
    """Remember it. Blocks; raises `OSError`."""
    write_whole(data_dir / NAME, msgspec.json.encode(kept), sync=False)
