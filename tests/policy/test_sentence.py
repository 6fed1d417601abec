"""Rules from what happened: what is proposed for a call, and what it would have answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pktui.policy.argument_check import UNKNOWN
from pktui.policy.call_place import Place
from pktui.policy.predicate import read_predicate
from pktui.policy.sentence import Choice, answered, conditions_of, holes_of

PROJECT = "/home/ada/shop"
PLACE = Place(PROJECT, "/home/ada", lambda path: path)


def proposed(arguments: dict[str, Any]) -> list[tuple[str, str, Any]]:
    return [
        (one["path"], one["op"], one["value"])
        for one in json.loads(conditions_of(holes_of(arguments, PROJECT)))
    ]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"command": "pytest -q tests", "cwd": "x"}, [("args.command", "command", "pytest *")]),
        ({"command": "git push origin"}, [("args.command", "command", "git push *")]),
        ({"command": "ls"}, [("args.command", "eq", "ls")]),
        ({"command": "pytest; rm x"}, [("args.command", "eq", "pytest; rm x")]),
        ({"path": "src/auth.py", "text": "a b"}, [("args.path", "within", ["${project}"])]),
        ({"path": f"{PROJECT}/a.py"}, [("args.path", "within", ["${project}"])]),
        ({"path": "/etc/passwd"}, [("args.path", "eq", "/etc/passwd")]),
        ({"path": "../other/a.py"}, [("args.path", "eq", "../other/a.py")]),
        ({"path": "~/notes/a.md"}, [("args.path", "eq", "~/notes/a.md")]),
        ({"url": "https://a.org/x?y"}, [("args.url", "regex", r"^https://a\.org/")]),
        ({"amount": 12, "note": "thanks"}, [("args.amount", "lte", 12)]),
        ({"force": True}, [("args.force", "eq", True)]),
        ({"query": "login fails"}, [("args.query", "eq", "login fails")]),
        ({"a.b": 1}, [(r"args.a\.b", "lte", 1)]),
        ({"list": [1, 2]}, []),
    ],
)
def test_what_is_proposed_reaches_no_further_than_a_reader_would_think(
    arguments: dict[str, Any], wanted: list[tuple[str, str, Any]]
) -> None:
    assert proposed(arguments) == wanted
    if wanted:
        predicate = read_predicate(conditions_of(holes_of(arguments, PROJECT)))
        assert predicate.holds(arguments, UNKNOWN, PLACE)


@pytest.mark.parametrize(
    "address", ["https://a.org.evil.org/", "http://a.org/", "https://a.org@evil.org/x"]
)
def test_a_proposed_address_stays_on_its_host(address: str) -> None:
    predicate = read_predicate(conditions_of(holes_of({"url": "https://a.org/x"})))
    assert not predicate.holds({"url": address}, UNKNOWN, PLACE)


def test_a_person_chooses_otherwise() -> None:
    (hole,) = holes_of({"command": "pytest -q"})
    assert [choice.words for choice in hole.choices] == [
        "any",
        "starts with",
        "is",
        "one of",
        "matches",
    ]
    assert hole.choice.shown == "pytest *"
    assert conditions_of([hole.choose(0)]) == "[]"
    assert hole.choose(5).choice.words == "any"
    own = hole.put(Choice("starts with", "command", "pytest -q *"))
    assert json.loads(conditions_of([own]))[0]["value"] == "pytest -q *"


def test_what_a_rule_would_have_answered_is_counted_with_one_near_miss() -> None:
    asks = [{"command": f"pytest tests/{number}"} for number in range(38)]
    asks += [{"command": "make all"}, {"command": "pytest && curl x"}]
    found = answered(conditions_of(holes_of(asks[0])), asks)
    assert (found.count, found.of, found.examples[0]) == (38, 40, asks[0])
    assert json.loads(found.near) == {"command": "pytest tests/0; rm x"}
    assert found.why == "chained"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"path": "src/a.py"}, "outside"),
        ({"amount": 5}, "over"),
        ({"url": "https://a.org/x"}, "another beginning"),
        ({"name": "abc"}, "another value"),
    ],
)
def test_a_near_miss_is_made_for_every_kind_of_condition(
    arguments: dict[str, Any], why: str
) -> None:
    conditions = conditions_of(holes_of(arguments, PROJECT))
    found = answered(conditions, [arguments], place=PLACE)
    assert (found.count, found.why) == (1, why)
    near = {**arguments, **json.loads(found.near)}
    assert not read_predicate(conditions).holds(near, UNKNOWN, PLACE)


def test_without_a_condition_everything_is_answered() -> None:
    assert answered("[]", [{"a": 1}, {}]).count == 2


def test_where_nothing_fits_a_call_that_was_asked_stands_beside_it() -> None:
    conditions = conditions_of(holes_of({"name": "abc"}))
    assert json.loads(answered(conditions, [{"name": "other"}]).near) == {"name": "other"}
