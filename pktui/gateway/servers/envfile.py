"""Files of `NAME=value` lines, which an entry may name as its `envFile`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pktui.errors import SettingsError

_LARGEST: Final = 1024 * 1024
_LINE: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*?)\s*")
_COMMENT: Final = re.compile(r"\s+#.*")
_ESCAPES: Final = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\"}
_ESCAPE: Final = re.compile(r'\\[nt"\\]')


def read_env_file(file: Path, server: str) -> dict[str, str]:
    """Return the variables of a file; raises `SettingsError` with the line that is not one.

    Blank lines and lines that begin with `#` are skipped. A value in double quotes knows the
    escapes n, t, " and backslash, one in single quotes is taken as it is; no value refers to
    another.
    """
    try:
        with file.open("rb") as opened:
            raw = opened.read(_LARGEST + 1)
    except OSError as error:
        raise SettingsError(
            f"server {server}: envFile {file} cannot be read: {error.strerror or error}",
            "Check its path, owner and mode",
        ) from error
    if len(raw) > _LARGEST:
        raise SettingsError(
            f"server {server}: envFile {file} is larger than {_LARGEST} bytes",
            "Name a file of NAME=value lines",
        )
    return dict(_variables(raw.decode("utf-8-sig", errors="replace"), file, server))


def _variables(text: str, file: Path, server: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise SettingsError(
                f"server {server}: envFile {file}, line {number} is not NAME=value",
                "Mend that line",
            )
        yield found[1], _value(found[2])


def _value(text: str) -> str:
    for quote in "\"'":
        end = text.rfind(quote)
        if text.startswith(quote) and end > 0 and not _COMMENT.sub("", text[end + 1 :]):
            inner = text[1:end]
            return _ESCAPE.sub(lambda found: _ESCAPES[found[0]], inner) if quote == '"' else inner
    return _COMMENT.sub("", text)
