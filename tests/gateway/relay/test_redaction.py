"""Secrets in what tools return are masked where that is set, and nothing else changes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.gateway.relay.redaction import redacted
from tests.gateway.wired import Wired

if TYPE_CHECKING:
    from tests.gateway.conftest import House

TOKEN = "ghp_0123456789abcdefghijABCDEFGHIJ012345"


def masked(**members: Any) -> Any:
    line = redacted(json.dumps({"jsonrpc": "2.0", "id": 1, **members}).encode())
    assert line is not None
    return json.loads(line)


def result(**members: Any) -> Any:
    return masked(result=members)["result"]


def test_text_and_structured_content_are_masked_alike() -> None:
    text = json.dumps({"user": "ada", "password": "hunter2!", "n": [1, 2.5]})
    found = result(
        content=[{"type": "text", "text": f"use {TOKEN} now"}, {"type": "text", "text": text}],
        structuredContent={"user": "ada", "password": "hunter2!", "n": [1, 2.5]},
    )
    assert found["content"][0]["text"] == "use [masked 40 characters] now"
    assert json.loads(found["content"][1]["text"]) == found["structuredContent"]
    assert found["structuredContent"] == {
        "user": "ada",
        "password": "[masked 8 characters]",
        "n": [1, 2.5],
    }


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({"pin": 1234}, {"pin": 0}),
        ({"token": None, "secret": True}, {"token": None, "secret": True}),
        ({"secrets": ["a", {"n": 2}]}, {"secrets": ["[masked 1 character]", {"n": 0}]}),
        ({TOKEN: 1}, {"[masked 40 characters]": 1}),
        (
            {"url": "postgres://ada:s3cret!@db/shop"},
            {"url": "postgres://[masked 11 characters]@db/shop"},
        ),
        ({"password": ""}, {"password": ""}),
    ],
)
def test_what_a_name_calls_secret_keeps_its_type(value: Any, kept: Any) -> None:
    assert result(structuredContent=value)["structuredContent"] == kept


def test_the_bytes_of_files_stay() -> None:
    image = {"type": "image", "mimeType": "image/png", "data": f"aa/{TOKEN}/"}
    blob = {"type": "resource", "resource": {"uri": "x", "mimeType": "a/b", "blob": TOKEN}}
    text = {"type": "resource", "resource": {"uri": "x", "mimeType": "a/b", "text": TOKEN}}
    found = result(content=[image, blob, text])["content"]
    assert found[:2] == [image, blob]
    assert found[2]["resource"]["text"] == "[masked 40 characters]"


def test_an_error_is_masked_and_so_is_the_result_of_a_task() -> None:
    found = masked(error={"code": -1, "message": f"no {TOKEN}", "data": {"token": "abcdefgh"}})
    assert found["error"] == {
        "code": -1,
        "message": "no [masked 40 characters]",
        "data": {"token": "[masked 8 characters]"},
    }
    task = result(status="completed", result={"content": [{"type": "text", "text": TOKEN}]})
    assert task["result"]["content"][0]["text"] == "[masked 40 characters]"


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0", "id":1.50,"result":{"content":[{"text":"plain \\u00e4"}],"x":1e2}}',
        b'{"id":1,"result":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}',
        b'{"id":1,"result":{"requestState":"ghp_0123456789abcdefghijABCDEFGHIJ012345"}}',
    ],
)
def test_what_holds_no_secret_keeps_its_bytes(line: bytes) -> None:
    assert redacted(line) == line


def test_what_surrounds_a_secret_keeps_its_bytes() -> None:
    line = b'{"id":1.50,"result":{"x":1e2,"content":[{"type":"text","text":"%s"}]}}'
    assert redacted(line % TOKEN.encode()) == line % b"[masked 40 characters]"


def test_odd_numbers_and_letters_survive() -> None:
    value = {"big": 2**80, "small": 1e-7, "pair": "\U0001f600", "token": "abcdefgh"}
    found = result(structuredContent=value)["structuredContent"]
    assert found == {**value, "token": "[masked 8 characters]"}


def test_text_that_is_json_stays_laid_out() -> None:
    text = json.dumps({"api_key": "0123-4567"}, indent=2)
    assert result(content=[{"text": text}])["content"][0]["text"] == text.replace(
        "0123-4567", "[masked 9 characters]"
    )


NUMBERS = (
    *("1e400", "-1E-400", "1.0", "-0", "0.12345678901234567890", "2047948614742839297"),
    *("12345678901234567890123", "1.50", "6.02e+23", "100E0"),
)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["id", "rate", "a\\u00e4", "password", "nextPageToken", "x"]),
            st.sampled_from(
                [*NUMBERS, '"plain \\u00e4\\/"', "true", "null", "[ ]", "{ }", "[1.0 ,2]"]
            ),
            st.sampled_from(["", " ", "\t"]),
        ),
        max_size=6,
    ),
    st.booleans(),
)
def test_every_byte_outside_of_what_is_hidden_stays(
    members: list[tuple[str, str, str]], as_text: bool
) -> None:
    """Numbers, escapes, white space, members that are there twice: in structure and in text."""

    def written(hide: bool) -> str:
        shown = ""
        for name, value, space in members:
            if hide and name == "password":
                value = {**dict.fromkeys(NUMBERS, "0"), "[1.0 ,2]": "[0 ,0]"}.get(value, value)
                value = '"[masked 8 characters]"' if value.startswith('"') else value
            shown += f'{space}"{name}"{space}:{value}{space},'
        return f'{{{shown}"last": [1e400 , 1.0]}}'

    def line(hide: bool) -> bytes:
        inner = written(hide)
        if as_text:
            return json.dumps({"id": 1, "result": {"content": [{"text": inner}]}}).encode()
        return f'{{"id":1.0, "result":{{"structuredContent":{inner} }} }}\n'.encode()

    assert redacted(line(False)) == line(True)


def test_what_would_act_on_a_terminal_is_shown() -> None:
    text = "a\x1b[31mred\x9b2J\x07\r\nok\tb\rc \u200d\N{SNOWMAN}"
    shown = "a␛[31mred⟨U+009B⟩2J␇\r\nok\tb␍c \u200d\N{SNOWMAN}"
    found = result(content=[{"type": "text", "text": text}], structuredContent={text: [text]})
    assert found["content"][0]["text"] == shown
    assert found["structuredContent"] == {shown: [shown]}
    inner = json.dumps({"a": text})
    assert json.loads(result(content=[{"text": inner}])["content"][0]["text"]) == {"a": shown}


def test_only_what_is_set_to_be_redacted_is(house: House) -> None:
    house.policy()
    wired = Wired(house)
    for redacts in (False, True):
        house.enforcer.redacts = redacts
        wired.call("echo")
        wired.answer(result={"content": [{"type": "text", "text": TOKEN}]})
        wired.request("tools/list")
        wired.answer(result={"tools": [{"name": "echo", "description": TOKEN}]})
        assert TOKEN.encode() in wired.client.lines[-1]
    assert [TOKEN.encode() in line for line in wired.client.lines] == [True, True, False, True]


def test_a_late_answer_to_a_cancelled_call_is_masked_too(house: House) -> None:
    house.policy()
    house.enforcer.redacts = True
    wired = Wired(house)
    wired.answer(5, result={"content": [{"type": "text", "text": TOKEN}]})
    assert TOKEN.encode() not in wired.client.lines[0]


def test_an_answer_that_cannot_be_looked_into_becomes_an_error(house: House) -> None:
    house.policy()
    house.enforcer.redacts = True
    wired = Wired(house)
    wired.call("echo", request_id="x")
    deep = b"[" * 700 + b"]" * 700
    wired.relay.from_server(b'{"id":"x","result":{"structuredContent":' + deep + b"}}")
    assert len(wired.client.lines) == 1
    assert wired.client.next()["id"] == "x"
