"""An entry made ready for its server to be started: `${NAME}` filled in, its `envFile` read.

`${NAME}` and `${NAME:-default}` are what Claude Code takes, `${env:NAME}` what Cursor and VS Code
take; all of them work here, in command, args, env, cwd, url and headers. A bare `$NAME` stays as it
is, as it does there. `${workspaceFolder}` is the directory the gateway was started in, and
`${userHome}` the person's home. What is not set is refused: a server that is started with half a
token fails in ways that nobody understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import SettingsError

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry

_REFERENCE: Final = re.compile(r"\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_PLACES: Final = {"workspaceFolder": Path.cwd, "userHome": Path.home}
_EDITORS: Final = re.compile(r"\$\{(input:[^}]*|command:[^}]*|config:[^}]*)\}")


def prepared(entry: ServerEntry, environ: Mapping[str, str]) -> ServerEntry:
    """Return the entry with every reference replaced and the variables of its file in `env`.

    Values are put in as they are: what they hold is not read again. Raises `SettingsError` where
    the server is disabled, is of a kind that cannot be reached, or refers to what is not set.
    """
    if entry.disabled:
        raise SettingsError(
            f"server {entry.name} is disabled",
            'Remove its "disabled" or "enabled": false in servers.json to use it',
        )
    if entry.problem:
        raise SettingsError(f"server {entry.name}: {entry.problem}", entry.cure)
    reader = _Reader(entry.name, environ)
    given = {name: reader.text(value, f"env.{name}") for name, value in entry.env.items()}
    return msgspec.structs.replace(
        entry,
        command=reader.text(entry.command, "command"),
        args=tuple(reader.text(word, "args") for word in entry.args),
        env=reader.file(entry.env_file) | given,
        env_file=None,
        cwd=reader.path(entry.cwd, "cwd"),
        url=reader.text(entry.url, "url"),
        headers={
            name: reader.text(value, f"headers.{name}") for name, value in entry.headers.items()
        },
    )


class _Reader:
    """Replaces references in the texts of one entry."""

    def __init__(self, server: str, environ: Mapping[str, str]) -> None:
        self._server = server
        self._environ = environ

    def text(self, text: str, where: str) -> str:
        if "${" not in text:
            return text
        asked = _EDITORS.search(text)
        if asked is not None:
            raise SettingsError(
                f"server {self._server}: {where} holds ${{{asked[1]}}}, which only an editor can"
                " fill in",
                "Put the value into an environment variable NAME and write ${NAME}",
            )
        return _REFERENCE.sub(lambda found: self._value(found[1], found[2], where), text)

    def path(self, path: Path | None, where: str) -> Path | None:
        return Path(self.text(str(path), where)).expanduser() if path else None

    def file(self, path: Path | None) -> dict[str, str]:
        file = self.path(path, "envFile")
        if file is None:
            return {}
        from pktui.gateway.servers.envfile import read_env_file  # few entries have one

        return read_env_file(file, self._server)

    def _value(self, name: str, default: str | None, where: str) -> str:
        value = self._environ.get(name, default)
        if value is None and name in _PLACES:
            value = str(_PLACES[name]())
        if value is None:
            raise SettingsError(
                f"server {self._server}: {where} refers to {name}, which is not set",
                f"Set {name} where the agent starts, or write ${{{name}:-}} for nothing",
            )
        return value
