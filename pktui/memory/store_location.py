"""Where a store is: a directory of this machine, or any other LanceDB URI with its options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.errors import SettingsError
from pktui.settings import filled_in
from pktui.text import one_line, storable

if TYPE_CHECKING:
    from pktui.settings import Paths, Settings

CLOUD = "db://"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_USER_INFO = re.compile(r"(?<=://)[^/@\s]*@")
_SECRET = re.compile(r"key|secret|token|password|sas|credential", re.IGNORECASE)
_SHORTEST_SECRET = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A directory or a URI. `options` are what its storage needs, secrets among them."""

    uri: str
    options: Mapping[str, str] = field(default_factory=dict, repr=False)
    shared: bool = False
    """Others may have the same place: a directory of pktui's own is guarded by its lock alone."""

    @property
    def directory(self) -> Path | None:
        """The directory, or None for a place that is none."""
        return None if _SCHEME.match(self.uri) else Path(self.uri)

    @property
    def shown(self) -> str:
        """The URI as it may be printed."""
        return self.without_secrets(_USER_INFO.sub("", self.uri.partition("?")[0]))

    def without_secrets(self, text: str) -> str:
        """Return the text with every secret among the options blotted out."""
        for name, value in self.options.items():
            if _SECRET.search(name) and len(value) >= _SHORTEST_SECRET:
                text = text.replace(value, "…")
        return text

    def connection(self) -> dict[str, Any]:
        """Return what lancedb wants beside the URI; a database of the cloud is reached by a key."""
        if not self.uri.startswith(CLOUD):
            return {"storage_options": dict(self.options)} if self.options else {}
        known = ("api_key", "region", "host_override")
        return {name: self.options[name] for name in known if name in self.options}


def place_of(paths: Paths, settings: Settings) -> Place:
    """Return the place that the settings name; raises `SettingsError`."""
    memory = settings.memory
    if not memory.uri:
        return Place(_utf8(str(paths.memory_dir)))
    scheme = _SCHEME.match(memory.uri)
    uri = memory.uri if scheme else str(Path(memory.uri).expanduser())
    if not scheme and not Path(uri).is_absolute():
        raise SettingsError(
            f"memory.uri {memory.uri!r} is neither a whole path nor a URI",
            "Begin it with / or ~/, or with s3://, gs://, az:// or db://",
        )
    options = {
        name: filled_in(value, f"memory.storage.{name}") for name, value in memory.storage.items()
    }
    return Place(uri, options, shared=True)


def _utf8(path: str) -> str:
    if storable(path) != path:
        raise SettingsError(
            f"the directory {one_line(path)} has a name that is not UTF-8, which the memory needs",
            "Set PKTUI_DATA_DIR to another directory, or memory.uri to one for the memory alone",
        )
    return path
