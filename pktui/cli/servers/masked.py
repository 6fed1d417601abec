"""A server's entry as it may be shown: without what could be a secret."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from pktui.ledger.arguments.secrets import MASK, mask_text, names_secret

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry

_REFERENCE = re.compile(r"\$\{[^}]*\}")
_QUERY = re.compile(r"\?[^#]*")
_CREDENTIALS = re.compile(r"//[^/@]*@")


def values(given: Mapping[str, str]) -> dict[str, str]:
    """Return variables or headers with every value masked; references to variables stay."""
    return {name: _value(value) for name, value in given.items()}


def words(command: str, args: Sequence[str]) -> list[str]:
    """Return a command line with what looks like a secret masked: by its shape, or its option."""
    return list(_words((command, *args)))


def url(text: str) -> str:
    """Return a URL without user, password and query; references to variables stay."""
    without_user = _CREDENTIALS.sub(f"//{MASK}@", text)
    return _QUERY.sub(lambda found: f"?{_value(found[0][1:])}", without_user)


def runs(entry: ServerEntry) -> str:
    """Return what an entry runs or reaches, on one line."""
    if entry.builtin:
        return "built in"
    return url(entry.url) if entry.url else shlex.join(words(entry.command, entry.args))


def _words(command: Sequence[str]) -> Iterator[str]:
    secret = False
    for word in command:
        option, equals, value = word.partition("=")
        if secret and not word.startswith("-"):
            yield _value(word)
            secret = False
            continue
        named = option.startswith("-") and names_secret(option.lstrip("-"))
        secret = named and not equals
        yield f"{option}={_value(value)}" if named and equals else mask_text(word)


def _value(text: str) -> str:
    """Return the references in a value, and a mask for the rest of it."""
    references = _REFERENCE.findall(text)
    if not references:
        return MASK if text else ""
    rest = [part.strip() for part in _REFERENCE.split(text)]
    kept = all(not part or part.lower() in _SCHEMES for part in rest)
    return text if kept and not any(":-" in one for one in references) else MASK


_SCHEMES = ("bearer", "basic", "token")
