"""JSON as people write it for agents: with comments, trailing commas, a byte order mark.

The one reader for servers.json and for the agents' own configs.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pktui.policy.text.jsontext import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.policy.text.json import Node, Slip

# Characters: text with comments is read by Python, and no config by hand comes near this.
MAX_COMMENTED: Final = 1024 * 1024
_MARKS: Final = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))


class NotReadable(ValueError):
    """The text cannot be read; `line` and `column` count from 1, 0 where there is no place."""

    def __init__(self, what: str, cure: str, line: int = 0, column: int = 0) -> None:
        super().__init__(f"line {line}, column {column}: {what}" if line else what)
        self.what = what
        self.cure = cure
        self.line = line
        self.column = column


class Document:
    """A text that was read: its plain value, and where in the text what stands. Numbers are exact.

    `slips`: keys that occur twice in an object, numbers out of range and the like, which make what
    they stand in doubtful; of the keys, `value` has the last and `root` has both.
    """

    def __init__(self, text: str, value: Any, slips: Sequence[Slip] = (), root: Any = None) -> None:
        self._text = text
        self._root: Node | None = root
        self.value = value
        self.slips = slips

    @property
    def root(self) -> Node:
        """The value with its positions, which are looked for once they are asked for."""
        if self._root is None:
            from pktui.policy.text.json import scan  # few texts are asked for it

            self._root = scan(self._text, comments=True)[0]
        assert self._root is not None
        return self._root

    def nodes(self, path: Sequence[str]) -> list[Node]:
        """Return what stands at a path of keys: more than one where a key occurs twice."""
        nodes = [self.root]
        for key in path:
            nodes = [one.value for node in nodes for one in node.members if one.key == key]
        return nodes

    def line(self, offset: int) -> int:
        """Return the line of an offset, from 1."""
        return self._text.count("\n", 0, offset) + 1


def read(raw: bytes) -> Document:
    """Read a document; raises `NotReadable` with the place where it is no JSON at all."""
    text = decoded(raw)
    try:
        return Document(text, decode(text))
    except ValueError:
        pass
    from pktui.policy.text.json import line_column, scan

    root, slips = scan(text, comments=True)
    if root is None:
        last = slips[-1]
        raise NotReadable(last.what, last.cure, *line_column(text, last.offset))
    return Document(text, root.plain(), slips, root)


def plain(raw: bytes) -> Any:
    """Read a document that may be large; of a key that occurs twice the last value counts.

    Raises `NotReadable`.
    """
    text = decoded(raw)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if len(text) > MAX_COMMENTED:
            raise NotReadable(
                "it is no JSON, and too large to be read with comments", "Mend it"
            ) from None
    return read(raw).value


def decoded(raw: bytes) -> str:
    """Return text without its byte order mark; raises `NotReadable` where it is not UTF-8."""
    for mark, name in _MARKS:
        if raw.startswith(mark):
            raise NotReadable(f"it is {name}", "Save it as UTF-8")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise NotReadable(
            f"byte {raw[error.start]:#04x} is not UTF-8", "Save it as UTF-8", line, column
        ) from None
