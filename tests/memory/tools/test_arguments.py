"""Arguments of tool calls: what is taken, and what is refused with a word on what to do."""

from __future__ import annotations

import pytest

from pktui.errors import InvalidRequest
from pktui.memory.tools.arguments import Arguments
from pktui.memory.tools.definitions import definitions

BY_NAME = {definition["name"]: definition for definition in definitions()}


@pytest.mark.parametrize(("given", "read"), [(1, 1), (1.0, 1), (7, 7), (2**53, 2**53)])
def test_whole_numbers_from_one_are_taken(given: float, read: int) -> None:
    number = Arguments(BY_NAME["get_session"], {"sessionId": given}).number("sessionId")
    assert number == read
    assert isinstance(number, int)


@pytest.mark.parametrize(
    "given",
    [0, -1, 1.5, "1", True, [1], {}, 2**53 + 2, 1e300, float("inf"), float("-inf"), float("nan")],
)
def test_other_numbers_are_refused(given: object) -> None:
    arguments = Arguments(BY_NAME["get_session"], {"sessionId": given})
    with pytest.raises(InvalidRequest, match=r"get_session: sessionId must be a whole number from"):
        arguments.number("sessionId")


def test_an_offset_may_be_zero() -> None:
    assert Arguments(BY_NAME["list_knowledge"], {"offset": 0}).number("offset") == 0


def test_what_is_not_given_takes_its_default() -> None:
    arguments = Arguments(BY_NAME["list_sessions"], {"limit": None})
    assert arguments.number("limit") == 20
    assert arguments.flag("activeOnly") is False


def test_what_is_optional_may_be_null() -> None:
    arguments = Arguments(
        BY_NAME["log_message"], {"role": "user", "content": "", "sessionId": None}
    )
    assert arguments.optional_number("sessionId") is None
    assert arguments.text("content") == ""


@pytest.mark.parametrize(
    ("tool", "given", "words"),
    [
        ("log_message", {"role": "user"}, "content is missing. Give content: The full message"),
        ("log_message", {"role": "robot", "content": "x"}, "role cannot be 'robot'. Use one of:"),
        ("log_message", {"role": 1, "content": "x"}, "role must be text, not 1"),
        ("store_knowledge", {"title": "t", "content": "c", "tags": "a"}, "must be a list of texts"),
        ("store_knowledge", {"title": "t", "content": "c", "tags": [1]}, "must be a list of texts"),
        ("list_sessions", {"activeOnly": "yes"}, "activeOnly must be true or false, not 'yes'"),
        ("search_session", {"session_id": 1, "query": "x"}, "Did you mean sessionId?"),
        ("list_sessions", {"ActiveOnly": True}, "Did you mean activeOnly?"),
    ],
)
def test_a_refusal_says_what_to_do(tool: str, given: dict[str, object], words: str) -> None:
    readers = {"tags": "texts", "activeOnly": "flag"}
    with pytest.raises(InvalidRequest) as caught:  # noqa: PT012  either step may refuse
        arguments = Arguments(BY_NAME[tool], given)
        for name in given:
            getattr(arguments, readers.get(name, "text"))(name)
    assert words in str(caught.value)


def test_unknown_arguments_that_resemble_nothing_are_ignored() -> None:
    arguments = Arguments(BY_NAME["get_session"], {"sessionId": 3, "verbose": True})
    assert arguments.number("sessionId") == 3
