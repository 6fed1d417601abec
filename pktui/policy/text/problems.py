"""What is wrong with a policy document, where it stands, and how to mend it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import msgspec

from pktui.errors import PolicyError
from pktui.suggest import did_you_mean

# A place in a document: keys and list indexes from the root.
Steps = tuple[str | int, ...]

# How a suggested word is written.
QUOTED = '"{}"'
_SHOWN = 10
_QUOTE_LIMIT = 120


class Problem(msgspec.Struct, frozen=True):
    """One mistake in a document. Lines and columns count from 1, columns in characters."""

    line: int
    column: int
    path: str
    what: str
    cure: str

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}"
        where = f"{place}, {self.path}" if self.path else place
        cure = self.cure if self.cure.endswith(("?", ".")) else f"{self.cure}."
        return f"{where}: {self.what}. {cure}" if self.cure else f"{where}: {self.what}."


class PolicyInvalid(PolicyError):
    """The document breaks rules; `problems` holds every one, in the order of the text."""

    def __init__(self, problems: Collection[Problem], source: Path | None = None) -> None:
        self.problems = tuple(sorted(problems, key=lambda p: (p.line, p.column, p.path)))
        self.source = source
        name = str(source) if source else "the policy"
        count = len(self.problems)
        shown = " ".join(str(problem) for problem in self.problems[:_SHOWN])
        rest = f" ({count - _SHOWN} more)" if count > _SHOWN else ""
        plural = "problem" if count == 1 else "problems"
        super().__init__(f"{name} has {count} {plural}: {shown}{rest}")


class BadOperand(ValueError):
    """The value does not suit the operator; the message says what it wants, `cure` how."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(what)
        self.cure = cure


class Fault(msgspec.Struct, frozen=True):
    """A mistake at a place in the decoded document, before its line is known."""

    steps: Steps
    what: str
    cure: str = ""
    on_key: bool = False


class Faults:
    """Collects mistakes, so that all are told at once."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, steps: Steps, what: str, cure: str = "", *, on_key: bool = False) -> None:
        """Note a mistake; `on_key` points at the key instead of its value."""
        self.found.append(Fault(steps, what, cure, on_key))

    def unknown_keys(self, steps: Steps, keys: Collection[str], known: Collection[str]) -> None:
        """Note every key that is not known here, with the nearest one that is."""
        for key in keys:
            if key not in known:
                what = f"unknown key {quote(key)}"
                self.add((*steps, key), what, did_you_mean(key, known, QUOTED), on_key=True)


def dotted(steps: Steps) -> str:
    """Write a place as `tools.create_charge.limits[0].max`."""
    parts: list[str] = []
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif step and not any(c in step for c in '.[]" ') and step.isprintable():
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f"[{quote(step)}]")
    return "".join(parts)


def pointer(*steps: str | int) -> str:
    """Write a rule's name as a JSON pointer (RFC 6901)."""
    return "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in steps)


def quote(text: str, limit: int = _QUOTE_LIMIT) -> str:
    """Return the text in double quotes, everything that does not print escaped, cut at `limit`."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    escaped = cut.replace("\\", "\\\\").replace('"', '\\"')
    if escaped.isprintable():
        return f'"{escaped}"'
    return f'"{"".join(map(_escape, escaped))}"'


def _escape(character: str) -> str:
    if character.isprintable():
        return character
    named = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}.get(character)
    code = ord(character)
    wide = f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return named or (f"\\x{code:02x}" if code < 0x80 else wide)
