"""The strict parse: every doubt is a refusal, everything else passes as it came."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Limits, Message, Refused, parse
from tests.gateway.test_every_line import CALLS

LIMITS = Limits(size=4096, depth=8)


def call(params: str, *, extra: str = "") -> bytes:
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}{extra}}}'.encode()


def refusal(line: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        parse(line, LIMITS)
    return caught.value


DEEP = '{"a":' * 9 + "1" + "}" * 9

NOT_JSON = {
    "words": b"hello",
    "cut short": b'{"jsonrpc":"2.0","id":1',
    "two messages": b'{"jsonrpc":"2.0","method":"a"}{"jsonrpc":"2.0","method":"b"}',
    "latin-1": '{"jsonrpc":"2.0","method":"ä"}'.encode("latin-1"),
    "utf-16": '{"jsonrpc":"2.0","method":"a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"jsonrpc":"2.0","method":"a"}',
    "overlong utf-8": b'{"jsonrpc":"2.0","method":"\xc0\xafa"}',
    "NaN": call('{"name":"t","arguments":{"x":NaN}}'),
    "Infinity": call('{"name":"t","arguments":{"x":Infinity}}'),
    "-Infinity": call('{"name":"t","arguments":{"x":-Infinity}}'),
    "number out of range": call('{"name":"t","arguments":{"x":1e400}}'),
    "number without end": call('{"name":"t","arguments":{"x":' + "9" * 4000 + "9" * 400 + "}}"),
    "control character": call('{"name":"t","arguments":{"x":"\x01"}}'),
    "trailing comma": call('{"name":"t",}'),
    "comment": call('{"name":"t"/* x */}'),
    "half a surrogate pair": call('{"name":"t","arguments":{"x":"\\ud800"}}'),
    "member twice": call('{"name":"t"}', extra=',"method":"ping"'),
    "member twice, escaped": call('{"name":"t"}', extra=',"m\\u0065thod":"ping"'),
    "name twice": call('{"name":"t","name":"u"}'),
    "argument twice": call('{"name":"t","arguments":{"a":1,"a":2}}'),
    "argument twice, far below": call('{"name":"t","arguments":{"a":[{"b":{"c":1,"c":1}}]}}'),
    "carriage return inside": b'{"jsonrpc":"2.0","id":1,\r"method":"ping"}',
}


@pytest.mark.parametrize("line", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_not_json_without_doubt_is_a_parse_error(line: bytes) -> None:
    limits = Limits(size=10_000, depth=8)
    with pytest.raises(Refused) as caught:
        parse(line, limits)
    assert caught.value.code == jsonrpc.PARSE_ERROR


NOT_A_REQUEST = {
    "batch": b'[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t"}}]',
    "text": b'"hello"',
    "number": b"1",
    "null": b"null",
    "too deep": call('{"name":"t","arguments":' + DEEP + "}"),
    "too large": call('{"name":"' + "t" * 5000 + '"}'),
    "no version": b'{"id":1,"method":"tools/call","params":{"name":"t"}}',
    "version 1.0": b'{"jsonrpc":"1.0","id":1,"method":"ping"}',
    "no method": b'{"jsonrpc":"2.0","id":1}',
    "method no text": b'{"jsonrpc":"2.0","id":1,"method":7}',
    "method with NUL": b'{"jsonrpc":"2.0","id":1,"method":"tools/call\\u0000"}',
    "request and response": call('{"name":"t"}', extra=',"result":{}'),
    "id null": b'{"jsonrpc":"2.0","id":null,"method":"ping"}',
    "id a list": b'{"jsonrpc":"2.0","id":[1],"method":"ping"}',
    "id true": b'{"jsonrpc":"2.0","id":true,"method":"ping"}',
    "METHOD": b'{"jsonrpc":"2.0","id":1,"METHOD":"tools/call","PARAMS":{"NAME":"t"}}',
    "method and Method": call('{"name":"t"}', extra=',"Method":"ping"'),
    "Name beside name": call('{"name":"t","Name":"u"}'),
    "long s folds to s": call('{"name":"t","argument\u017f":{}}'),
    "Arguments of another method": b'{"jsonrpc":"2.0","id":1,"method":"x","params":{"ID":1}}',
}


@pytest.mark.parametrize(
    "method",
    ["Tools/Call", "TOOLS/CALL", "tool\u017f/call", "Prompts/Get", "sampling/createmessage"],
)
def test_a_method_that_a_lax_server_takes_for_a_policed_one_is_refused(method: str) -> None:
    line = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": "t"}})
    refused = refusal(line.encode())
    assert (refused.code, refused.request_id) == (jsonrpc.INVALID_REQUEST, b"1")


@pytest.mark.parametrize("line", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST)
def test_what_is_no_single_message_is_an_invalid_request(line: bytes) -> None:
    assert refusal(line).code == jsonrpc.INVALID_REQUEST


UNREADABLE = {
    "no params": b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}',
    "params a list": call('["t"]'),
    "params null": call("null"),
    "no name": call('{"arguments":{}}'),
    "name no text": call('{"name":7}'),
    "name empty": call('{"name":""}'),
    "name too long": call('{"name":"' + "n" * 1025 + '"}'),
    "name with NUL": call('{"name":"danger\\u0000"}'),
    "name with a zero-width space": call('{"name":"danger\\u200b"}'),
    "arguments a list": call('{"name":"t","arguments":[1]}'),
    "arguments text": call('{"name":"t","arguments":"x"}'),
    "_meta a list": call('{"name":"t","_meta":[]}'),
}


@pytest.mark.parametrize("line", UNREADABLE.values(), ids=UNREADABLE)
def test_a_tool_call_that_cannot_be_read_has_invalid_params(line: bytes) -> None:
    refused = refusal(line)
    assert refused.code == jsonrpc.INVALID_PARAMS
    assert refused.request_id == b"1"


@pytest.mark.parametrize(
    "written", [b"1", b"1.0", b"1e0", b'"1"', b'"\\u0031"', b"-0", b"12345678901234567890123"]
)
def test_a_refusal_echoes_the_id_as_it_was_written(written: bytes) -> None:
    line = b'{"jsonrpc":"2.0","id":' + written + b',"method":"tools/call","params":[]}'
    assert refusal(line).request_id == written


@pytest.mark.parametrize(
    ("line", "request_id"),
    [
        (b"hello", b"null"),
        (b'{"jsonrpc":"2.0","id":7,"method":"a","method":"b"}', b"7"),
        (b'{"jsonrpc":"2.0","id":7,"id":8,"method":"a"}', b"null"),
        (b'{"method":"a","params":{"t":"cut \\ud83d","id":8},"jsonrpc":"2.0","id":7}', b"7"),
        (b'{"method":"a","params":{"t":"caf\xe9"},"jsonrpc":"2.0","id":"x"}', b'"x"'),
        (b'{"jsonrpc":"2.0","id":7,"method":"a","params":{"a":NaN,},}', b"7"),
        (b'{"jsonrpc":"2.0","id":7,"method":"a","params":{"a":[', b"7"),
        (b'\xef\xbb\xbf{"jsonrpc":"2.0","id":7,"method":"a"}', b"7"),
        (b'{"method":"a","params":{"t":"' + b"x" * 5_000_000 + b'"},"id":7}', b"7"),
        (b'{"method":"a","params":' + b'{"a":' * 70 + b"1" + b"}" * 71 + b',"id":7}', b"null"),
        (b'{"method":"a","params":' + b'{"a":' * 70 + b"1" + b"}" * 70 + b',"id":7}', b"7"),
        (b'[{"jsonrpc":"2.0","id":7,"method":"a"}]', b"7"),
        (b'[{"jsonrpc":"2.0","id":7,"method":"a"},{"id":8}]', b"null"),
        (b'{"id":7}{"id":8}', b"null"),
        (b'{"jsonrpc":"2.0","id":{"a":1},"method":"a"}', b"null"),
    ],
)
def test_a_refusal_names_an_id_only_where_there_is_one(line: bytes, request_id: bytes) -> None:
    assert refusal(line).request_id == request_id


@pytest.mark.parametrize("written", [b"1.5", b"1.0", b"1e0", b"null", b"true", b"{}", b"[1]"])
def test_the_id_of_a_request_is_text_or_a_whole_number(written: bytes) -> None:
    refused = refusal(b'{"jsonrpc":"2.0","id":' + written + b',"method":"ping"}')
    assert refused.code == jsonrpc.INVALID_REQUEST
    assert "text or a whole number" in refused.why
    echoed = written if written[:1] == b"1" else b"null"
    assert refused.request_id == echoed


def test_an_answer_may_have_whatever_number_its_server_asked_with() -> None:
    line = b'{"jsonrpc":"2.0","id":1.5,"result":{}}'
    assert parse(line, Limits()).id == 1.5


def test_arguments_that_are_null_are_none() -> None:
    message = parse(call('{"name":"t","arguments":null}'), Limits())
    assert message.params == {"name": "t", "arguments": {}}
    assert message.raw == call('{"name":"t","arguments":null}')


PASSES = {
    "call": call('{"name":"t","arguments":{"a":1}}'),
    "call without arguments": call('{"name":"t"}'),
    "spaces": b'  {"jsonrpc": "2.0", "id": 1, "method": "ping"}  ',
    "windows line end": b'{"jsonrpc":"2.0","id":1,"method":"ping"}\r',
    "unknown members": b'{"jsonrpc":"2.0","id":1,"method":"x/y","extra":{"NAME":1},"z":[]}',
    "a list as params of another method": b'{"jsonrpc":"2.0","id":1,"method":"x","params":[1]}',
    "a whole surrogate pair": call('{"name":"t","arguments":{"x":"\\ud83d\\ude00"}}'),
    "an argument named like a member": call('{"name":"t","arguments":{"Name":1,"METHOD":2}}'),
    "as deep as allowed": call('{"name":"t","arguments":' + '{"a":' * 6 + "1" + "}" * 6 + "}"),
    "many brackets side by side": call(
        '{"name":"t","arguments":{"a":' + json.dumps([[]] * 20) + "}}"
    ),
    "brackets in text": call('{"name":"t","arguments":{"a":"' + "{[" * 20 + '"}}'),
}


@pytest.mark.parametrize("line", PASSES.values(), ids=PASSES)
def test_a_good_request_keeps_its_bytes(line: bytes) -> None:
    message = parse(line, LIMITS)
    assert message.raw is line
    assert message.kind == "request"


def test_a_message_without_id_is_a_notification() -> None:
    message = parse(b'{"jsonrpc":"2.0","method":"notifications/initialized"}', LIMITS)
    assert (message.kind, message.id) == ("notification", None)


@pytest.mark.parametrize("answer", [b'"result":{}', b'"error":{"code":1,"message":"no"}'])
def test_an_answer_to_the_server_is_a_response(answer: bytes) -> None:
    assert parse(b'{"jsonrpc":"2.0","id":5,' + answer + b"}", LIMITS).kind == "response"


def test_a_message_that_names_its_protocol_version_is_of_the_modern_era() -> None:
    meta = '{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}'
    assert parse(call('{"name":"t","_meta":' + meta + "}"), LIMITS).modern
    assert not parse(call('{"name":"t","_meta":{}}'), LIMITS).modern


def test_four_megabytes_of_brackets_end_in_a_refusal() -> None:
    with pytest.raises(Refused) as caught:
        parse(b"[" * (4 * 1024 * 1024), Limits())
    assert caught.value.code == jsonrpc.INVALID_REQUEST


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.dictionaries(st.text(), JSON_VALUES, max_size=3), st.booleans())
def test_compact_and_spaced_lines_mean_the_same(
    arguments: dict[str, Any], ascii_only: bool
) -> None:
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    message["params"] = {"name": "echo", "arguments": arguments}

    def arguments_of(**layout: Any) -> Any:
        try:
            text = json.dumps(message, ensure_ascii=ascii_only, allow_nan=False, **layout)
        except ValueError:
            return "infinite"
        return repr(parse(text.encode(), Limits()).params["arguments"])

    assert arguments_of(separators=(",", ":")) == arguments_of()


@pytest.mark.parametrize(
    ("value", "good"),
    [("", True), (0, True), (1.5, True), (True, False), (None, False), ([], False)],
)
def test_an_id_is_text_or_a_number(value: object, good: bool) -> None:
    assert jsonrpc.is_id(value) is good


@pytest.mark.parametrize(
    ("token", "read"), [('"t"', "t"), ("7", 7), ("7.5", None), ("true", None), ("null", None)]
)
def test_a_progress_token_is_text_or_a_whole_number(token: str, read: object) -> None:
    params = f'{{"_meta":{{"progressToken":{token}}}}}'
    line = f'{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}'
    assert jsonrpc.progress_token(parse(line.encode(), Limits())) == read


@settings(derandomize=True, max_examples=600, deadline=None)
@given(
    CALLS,
    st.sampled_from(["ping", "echo", "\n", "x" * 1025]),
    st.integers(0, 9),
    st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]),
)
def test_a_plain_call_is_read_as_the_careful_look_reads_it(
    members: dict[str, Any], name: str, depth: int, separators: tuple[str, str]
) -> None:
    if isinstance(members.get("params"), dict):
        members["params"]["name"] = name
    members.setdefault("id", 1)
    text = json.dumps(members, separators=separators, ensure_ascii=False)
    line = text.encode(errors="replace")
    limits = Limits(size=4096, depth=depth)

    def read(by: Callable[[bytes, Limits], Message]) -> tuple[Message | None, str]:
        try:
            return by(line, limits), ""
        except Refused as refused:
            return None, refused.why

    if len(line) <= limits.size:
        assert read(parse) == read(jsonrpc._parse_carefully)


def test_a_call_that_a_compact_writer_wrote_needs_no_careful_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[bytes] = []
    careful = jsonrpc._parse_carefully

    def look(line: bytes, limits: Limits, value: Any) -> Message:
        looked.append(line)
        return careful(line, limits, value)

    monkeypatch.setattr(jsonrpc, "_parse_carefully", look)
    for params in ('{"name":"t"}', '{"name":"t","arguments":{"a":[1.5]},"_meta":{"x":1}}'):
        parse(call(params), LIMITS)
        parse(json.dumps(json.loads(call(params))).encode(), LIMITS)
    assert looked == []
    parse(call('{"name":"t","x":1}'), LIMITS)
    assert len(looked) == 1
