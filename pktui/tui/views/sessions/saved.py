"""Searches that are kept by a name, in one file of the config directory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import SettingsError
from pktui.files import lock, make_private_directory, write_whole
from pktui.memory.records import Mode

if TYPE_CHECKING:
    from pathlib import Path

MOST = 200
_PATIENCE_SECONDS = 5.0


class SavedSearch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was searched for, and how."""

    name: str
    query: str
    mode: Mode = "hybrid"


def load(file: Path) -> tuple[SavedSearch, ...]:
    """Return the searches in the file, in their order; none where it is not there.

    Raises `SettingsError` where it can't be read.
    """
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(file, error.strerror or str(error)) from error
    try:
        return msgspec.json.decode(raw, type=tuple[SavedSearch, ...])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(file, str(error)) from error


def keep(file: Path, search: SavedSearch) -> None:
    """Keep a search as the first, in place of one of its name; raises `SettingsError`."""
    with _changing(file):
        others = [one for one in load(file) if one.name != search.name]
        if len(others) >= MOST:
            raise SettingsError(f"{MOST} searches are kept already", "Take some out with ' and x")
        _write(file, (search, *others))


def drop(file: Path, name: str) -> None:
    """Keep the search of that name no longer; raises `SettingsError`."""
    with _changing(file):
        _write(file, [one for one in load(file) if one.name != name])


@contextmanager
def _changing(file: Path) -> Iterator[None]:
    """Hold the lock of the file's directory: another console may change it, too.

    What cannot be read or written raises `SettingsError`.
    """
    try:
        handle = os.open(make_private_directory(file.parent), os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not lock(handle, seconds=_PATIENCE_SECONDS):
                raise SettingsError(f"another program keeps {file.parent} locked", "End it")
            yield
        finally:
            os.close(handle)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be written: {error.strerror or error}", "Make it writable"
        ) from error


def _write(file: Path, searches: object) -> None:
    data = msgspec.json.format(msgspec.json.encode(searches), indent=2)
    write_whole(file, data + b"\n")


def _unreadable(file: Path, why: str) -> SettingsError:
    return SettingsError(f"{file} cannot be read: {why}", "Mend it, or move it away")
