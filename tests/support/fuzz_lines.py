"""Lines made from good messages by every trick that makes two readers disagree.

A message is written out by hand rather than by a JSON library, so that members can be there twice
or in another case, letters be escapes, numbers be huge, and objects never end. `Random` is
Hypothesis' or Python's own: each choice is one draw, so that a failure shrinks.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

TOOLS = (
    *("fine",) * 6,
    *("danger",) * 4,
    *("secret", "Danger", "danger ", "dang\u0435r", "fine\0danger", "", "x" * 300),
)
METHODS = (
    *("tools/call",) * 12,
    *("tools/list", "ping", "initialize", "server/discover", "resources/read", "prompts/get"),
    *("completion/complete", "notifications/cancelled", "notifications/initialized", "x/own"),
    *(
        "Tools/Call",
        "tools/call ",
        " tools/call",
        "tools\\/call",
        "tools/call\0",
        "tools\uff0fcall",
    ),
)
FROM_SERVER = (
    "sampling/createMessage",
    "elicitation/create",
    "roots/list",
    "notifications/message",
)
NUMBERS = (
    *("0", "1", "-1", "1.0", "1e0", "-0", "0.1e1", "1e400", "-1e999", "1E5", "9007199254740993"),
    *("18446744073709551616", "9" * 400, "1" + "0" * 5000, "NaN", "Infinity", "-Infinity"),
    *("01", "+1", ".5", "1.", "0x10", "1_000", "1e", "٣"),
)
IDS = (
    *map(str, range(10, 26)),
    "1",
    "2",
    "3",
    '"a"',
    '"1"',
    "1.0",
    "1e0",
    "null",
    "true",
    "[1]",
    "{}",
    '""',
    '"\\u0061"',
)
SPACES = ("", " ", "  ", "\t", "\r", "\u00a0", "\u2028", "\ufeff", "\0", "\x0b", "/**/", "//\n")
FOLDS = {"k": "\u212a", "s": "\u017f"}


class Writer:
    """Writes values with tricks; `tricks` is how many more it may play."""

    def __init__(self, random: Random, tricks: int) -> None:
        self._random = random
        self._tricks = tricks

    def value(self, value: Any) -> str:
        """Write a value."""
        if self._plays(12):
            return self._odd()
        if isinstance(value, dict):
            return self._object(value)
        if isinstance(value, list):
            return f"[{','.join(map(self.value, value))}]"
        return self.text(value) if isinstance(value, str) else json.dumps(value)

    def text(self, text: str) -> str:
        """Write a text."""
        if not self._plays(4):
            return json.dumps(text, ensure_ascii=self._random.random() < 0.5)
        trick = self._random.choice(_TEXT_TRICKS)
        return trick(self._random, text)

    def _object(self, value: dict[str, Any]) -> str:
        members = [(name, self.value(inner)) for name, inner in value.items()]
        if members and self._plays(5):
            members = self._random.choice(_MEMBER_TRICKS)(self._random, members)
        gap = self._random.choice(SPACES) if self._plays(8) else ""
        colon = f"{gap}:"
        return "{" + f",{gap}".join(f"{self.text(n)}{colon}{v}" for n, v in members) + "}"

    def _odd(self) -> str:
        odd = ("null", "true", "[]", "{}", '""', self._random.choice(NUMBERS), _deep(self._random))
        return self._random.choice(odd)

    def _plays(self, one_in: int) -> bool:
        played = self._tricks > 0 and self._random.randrange(one_in) == 0
        self._tricks -= played
        return played


def _deep(random: Random) -> str:
    depth = random.choice((3, 62, 64, 65, 400, 2000))
    opened, closed = random.choice((("[", "]"), ('{"a":', "}"), ("[", "")))
    return opened * depth + "1" + closed * depth


def _escape_one(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    inside = "".join(f"\\u{ord(c):04x}" if c < "\uffff" else c for c in text[at : at + 1])
    return f'"{json.dumps(text[:at])[1:-1]}{inside}{json.dumps(text[at + 1 :])[1:-1]}"'


_TEXT_TRICKS: tuple[Callable[[Random, str], str], ...] = (
    _escape_one,
    lambda _, text: '"' + "".join(f"\\u{ord(c) & 0xFFFF:04X}" for c in text) + '"',
    lambda _, text: json.dumps(text).replace("/", "\\/"),
    lambda _, text: "'" + text.replace("'", "\\'") + "'",
    lambda _, text: text,
    lambda random, text: f'"{text[:1]}{random.choice(SPACES)}{text[1:]}"',
    lambda random, text: f'"{text}{random.choice((chr(92) + "ud800", chr(92) + "x61", chr(92)))}"',
    lambda _, text: json.dumps(text.upper()),
    lambda _, text: json.dumps("".join(FOLDS.get(c, c) for c in text)),
    lambda random, text: json.dumps(text + random.choice(SPACES)),
    lambda _, text: json.dumps(text * 2000),
    lambda _, text: f'"{text}',
)

Written = list[tuple[str, str]]


def _again(random: Random, members: Written) -> Written:
    name, _ = random.choice(members)
    other = random.choice(('"danger"', '"fine"', '"tools/call"', '"ping"', "{}", "null", "2"))
    twin = random.choice(
        (name, name.upper(), name.capitalize(), f"{name} ", name.replace("s", FOLDS["s"]))
    )
    members.insert(random.randrange(len(members) + 1), (twin, other))
    return members


def _other_case(random: Random, members: Written) -> Written:
    at = random.randrange(len(members))
    name, value = members[at]
    members[at] = (random.choice((name.upper(), name.capitalize(), name.swapcase())), value)
    return members


def _shuffled(random: Random, members: Written) -> Written:
    random.shuffle(members)
    return members


def _without(random: Random, members: Written) -> Written:
    del members[random.randrange(len(members))]
    return members


_MEMBER_TRICKS: tuple[Callable[[Random, Written], Written], ...] = (
    _again, _again, _other_case, _shuffled, _without,
    lambda random, members: [*members, ("result", "{}")],
    lambda random, members: [*members, ("__proto__", '{"method":"tools/call"}')],
)  # fmt: skip


def client_line(random: Random) -> bytes:
    """Return one line as a client, or somebody who wants past the policy, may send it."""
    tricks = random.choice((0, 0, 0, 1, 1, 1, 2, 5))
    if random.randrange(40) == 0:
        return bytes(random.randrange(256) for _ in range(random.randrange(40))).replace(b"\n", b"")
    writer = Writer(random, tricks)
    line = writer.value(_client_message(random))
    line = line.replace('"@id"', random.choice(IDS))
    return _mangled(random, line) if random.randrange(6) == 0 else _bytes(line)


def _client_message(random: Random) -> dict[str, Any]:
    message: dict[str, Any] = {"jsonrpc": "2.0", "id": "@id", "method": random.choice(METHODS)}
    if message["method"].startswith("notifications") or random.randrange(12) == 0:
        del message["id"]
    params: dict[str, Any] = {"name": random.choice(TOOLS), "arguments": {"a": 1, "text": "x"}}
    if random.randrange(5) == 0:
        params["_meta"] = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    if random.randrange(8) == 0:
        params |= {"requestState": "s", "requestId": 1, "cursor": "c", "uri": "file:///x"}
    message["params"] = random.choice((*(params,) * 12, [params], "danger", None))
    return message


def _mangled(random: Random, line: str) -> bytes:
    return random.choice(_LINE_TRICKS)(random, line).replace(b"\n", b"")


def _insert(random: Random, line: str, what: Sequence[str]) -> bytes:
    at = random.randrange(len(line) + 1)
    return _bytes(line[:at] + random.choice(what) + line[at:])


_LINE_TRICKS: tuple[Callable[[Random, str], bytes], ...] = (
    lambda random, line: _insert(random, line, SPACES),
    lambda random, line: _insert(random, line, ("{", "}", "[", "]", '"', ",", ":", "\\")),
    lambda random, line: _bytes(line[: random.randrange(len(line) + 1)]),
    lambda random, line: _bytes(line + random.choice(("}", "x", ",", "\0", "\r", "\x1a", "//"))),
    lambda random, line: _bytes(line + random.choice(("", " ", "\r", "\u2028")) + line),
    lambda random, line: _bytes(f"[{line}]"),
    lambda random, line: _bytes(f"[[{line}],{line}]"),
    lambda random, line: _bytes('{"jsonrpc":"2.0","method":"ping","id":7}\r' + line),
    lambda random, line: _bytes(f'{{"jsonrpc":"2.0","method":"x","params":{line}}}'),
    lambda random, line: b"\xef\xbb\xbf" + _bytes(line),
    lambda random, line: line.encode("utf-16", "surrogatepass"),
    lambda random, line: line.encode("utf-32", "surrogatepass"),
    lambda random, line: _bytes(line).replace(b"/", b"\xc0\xaf"),
    lambda random, line: _bytes(line).replace(b"o", bytes([random.randrange(128, 256)]), 1),
    lambda random, line: _bytes("data: " + line),
    lambda random, line: b"Content-Length: 99\r\r" + _bytes(line),
    lambda random, line: _bytes(line[:-1] + random.choice((',"id":2}', ',"\\u0069d":2}'))),
    lambda random, line: _bytes(line[:-1] + random.choice((',"x":NaN}', ',"x":-Infinity}', ",}"))),
    lambda random, line: _bytes(line[:-1] + ',"x":"cut \\ud83d"}'),
    lambda random, line: _bytes(line[:-1] + ',"x":"caf').replace(b"caf", b"caf\xe9") + b'"}',
    lambda random, line: _bytes(line) + _bytes(line).replace(b"1", b"2"),
    lambda random, line: b'{"x":"' + b"x" * 70_000 + b'",' + _bytes(line)[1:],
)  # fmt: skip


def _bytes(line: str) -> bytes:
    return line.replace("\n", "").encode("utf-8", "surrogatepass")


def server_line(random: Random) -> bytes:
    """Return one line as a server, or one that wants past the switches, may send it."""
    kind = random.randrange(6)
    writer = Writer(random, random.choice((0, 1, 2, 4)))
    if kind == 0:
        message: dict[str, Any] = {"id": "@id", "method": random.choice(FROM_SERVER), "params": {}}
    elif kind == 1:
        tools = [{"name": name, "description": "d"} for name in ("fine", "secret", "danger")]
        message = {"id": "@id", "result": {"tools": tools, "nextCursor": "c"}}
    elif kind == 2:
        asks = {"k": {"method": random.choice(FROM_SERVER), "params": {}}}
        result = {"resultType": "input_required", "inputRequests": asks, "requestState": "s"}
        message = {"id": "@id", "result": result}
    elif kind == 3:
        message = {"id": "@id", "error": {"code": -32042, "data": {"elicitations": []}}}
    else:
        message = {"id": "@id", "result": {"content": [{"type": "text", "text": "ok"}]}}
    line = writer.value({"jsonrpc": "2.0", **message}).replace('"@id"', random.choice(IDS))
    return _mangled(random, line) if random.randrange(6) == 0 else _bytes(line)
