"""What was adopted, so that it can be taken back: one file in the data directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from pktui.errors import SettingsError
from pktui.files import make_private_directory, write_whole

if TYPE_CHECKING:
    from pktui.settings import Paths


class Entry(msgspec.Struct, frozen=True):
    """A value that was put in place of another at a path of keys.

    `original` is None where nothing stood there. `item`: a value that was appended to the list
    there instead.
    """

    path: tuple[str, ...]
    ours: Any
    original: Any = None
    item: bool = False


class AdoptedFile(msgspec.Struct, frozen=True):
    """A file that was changed.

    `before` is the name of its backup, empty where there was no file; `after` the SHA-256 of what
    was written.
    """

    agent: str
    before: str
    after: str
    entries: tuple[Entry, ...] = ()
    servers: tuple[str, ...] = ()
    """Names in servers.json that entries of the file refer to."""


class Adopted(msgspec.Struct):
    """Every file by its path, and the entries that were added to servers.json."""

    files: dict[str, AdoptedFile] = {}
    servers: dict[str, Any] = {}

    @classmethod
    def load(cls, paths: Paths) -> Adopted:
        """Read the record; raises `SettingsError`."""
        file = paths.adopted_file
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()
        except (OSError, msgspec.MsgspecError) as error:
            raise SettingsError(
                f"{file} cannot be read: {error}",
                f"Backups of what was changed are in {paths.backups_dir}",
            ) from error

    def save(self, paths: Paths) -> None:
        """Write the record; raises `SettingsError`, `OSError`."""
        make_private_directory(paths.data_dir)
        if self.files or self.servers:
            write_whole(paths.adopted_file, msgspec.json.encode(self))
        else:
            paths.adopted_file.unlink(missing_ok=True)
