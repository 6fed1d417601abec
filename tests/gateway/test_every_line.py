"""The promise for any line at all: it is refused, or policed, or it passes byte for byte."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.enforcement.decision import Decision, Ruling, ToolCall
from pktui.gateway.protocol.jsonrpc import Limits, Refused
from pktui.gateway.relay.held_calls import Pace
from pktui.gateway.relay.in_flight import Pending
from pktui.gateway.relay.relay_session import RelaySession
from pktui.gateway.relay.server_context import SessionContext
from pktui.ledger.records import Caller

NAMES = st.sampled_from(
    ["jsonrpc", "id", "method", "params", "name", "arguments", "_meta", "Method", "NAME", "x",
     "param\u017f", "result", "error", "requestId", "requestState"]
)  # fmt: skip
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["2.0", "tools/call", "tools/list", "danger", "notifications/cancelled"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
CALLS = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0"), "method": st.just("tools/call")},
    optional={
        "id": LEAVES,
        "params": st.fixed_dictionaries(
            {"name": LEAVES}, optional={"arguments": VALUES, "_meta": VALUES, "Name": LEAVES}
        )
        | VALUES,
        "METHOD": LEAVES,
        "result": VALUES,
    },
)
MANGLES = st.sampled_from(
    [
        lambda line: line,
        lambda line: line.replace(b",", b",\r"),
        lambda line: line[:-1],
        lambda line: line + b"\r",
        lambda line: b" " + line,
        lambda line: line + line,
        lambda line: b"[" + line + b"]",
        lambda line: line.replace(b'"method"', b'"m\\u0065thod"'),
        lambda line: line.replace(b"{", b'{"method":"ping",', 1),
        lambda line: line.replace(b"o", b"\xf6"),
        lambda line: line.replace(b"2.0", b"2.0\\u0000"),
    ]
)
LINES = (
    st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b""))
    | st.builds(lambda value, mangle: mangle(json.dumps(value).encode()), VALUES, MANGLES)
    | st.builds(lambda value, mangle: mangle(json.dumps(value).encode()), CALLS, MANGLES)
)


class Unasked:
    """Lets every request pass."""

    def take(self, *_: object) -> str:
        return ""

    def asked_of_client(self, _line: bytes) -> tuple[()]:
        return ()


class Recorder:
    """Stands where the Enforcer is asked, and allows everything, so that asking is what shows."""

    redacts = False
    in_force = None

    def __init__(self) -> None:
        self.methods = Unasked()
        self.calls: list[ToolCall] = []
        self.refusals: list[Refused] = []

    def knows(self, _tool: str) -> bool:
        return True

    def hides(self, _tool: str) -> bool:
        return False

    def decide_all(self, calls: Sequence[ToolCall], *, room: int) -> list[Decision]:
        del room
        self.calls += calls
        return [Decision(call.call_id, call.tool, Ruling.FORWARD) for call in calls]

    def refused(self, _caller: Caller, refused: Refused, _line: bytes) -> None:
        self.refusals.append(refused)

    def settle_all(self, *_: object, **__: object) -> None:
        """Nothing to keep here."""


def is_call(line: bytes) -> bool:
    """Tell whether any reader might take the line for a tool call, the laxest one included."""

    def laxly(pairs: list[tuple[str, Any]]) -> Mapping[str, list[Any]]:
        members: dict[str, list[Any]] = {}
        for name, value in pairs:
            members.setdefault(name.casefold(), []).append(value)
        return members

    try:
        value = json.loads(line.decode(), object_pairs_hook=laxly)
    except ValueError:
        return False
    return isinstance(value, dict) and "tools/call" in value.get("method", [])


@settings(max_examples=600, derandomize=True, deadline=None)
@given(LINES)
def test_a_line_is_refused_or_policed_or_passes_byte_for_byte(line: bytes) -> None:
    recorder = Recorder()
    to_server: list[bytes] = []
    to_client: list[bytes] = []
    wiring = SessionContext(
        to_client=lambda *lines: to_client.extend(lines),
        to_server=lambda *lines: to_server.extend(lines),
        log=lambda _: None,
        named=lambda _: None,
        call_ids=itertools.repeat("call"),
        now_us=lambda: 0,
        ticks=lambda: 0,
    )
    pending = Pending.of(recorder, Pace(), lambda: 0)  # type: ignore[arg-type]
    relay = RelaySession(recorder, Caller(), wiring, Limits(), pending)  # type: ignore[arg-type]
    relay.from_client(line)
    assert to_server in ([], [line])
    if to_server:
        assert to_client == []
        assert is_call(line) == bool(recorder.calls)
        assert b"\r" not in line[:-1]
    else:
        assert recorder.refusals or not line.strip()
        assert recorder.calls == []
