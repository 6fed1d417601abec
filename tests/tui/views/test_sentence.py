from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from pktui.ledger.arguments.canonical import args_hash
from pktui.policy.sentence import Choice, Hole, conditions_of
from pktui.text import has_hidden
from pktui.tui.screens.ask import AskScreen
from pktui.tui.views.approvals.detail import Detail
from pktui.tui.views.policies import rule
from pktui.tui.views.policies.sentence import SentenceScreen, with_value
from tests.tui.house import AGENT, HOSTILE, LARGE, SMALL, Desk, House, desk

if TYPE_CHECKING:
    from pktui.settings import Paths
    from pktui.tui.services import Services

BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])
POLICY = {"version": "1", "default": "deny", "tools": {"run_shell": {"action": "approve"}}}


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    paths.policy_file("shell").write_text(json.dumps(POLICY, indent=2))
    house.other.catalogue.saw("shell", [{"name": "run_shell"}])
    yield house
    house.close()


def ran(house: House, *commands: str) -> None:
    """Put calls on record that a person was asked about."""
    for number, command in enumerate(commands):
        arguments = {"command": command}
        house.now_us += 1_000_000
        house.other.events.append(
            "decision", caller=AGENT, call_id=f"c{number}", server="shell", tool="run_shell",
            effect="approve", arguments=arguments, args_hash=args_hash(arguments),
            approval_id=f"a{number}",
        )  # fmt: skip


def rules(house: House) -> list[object]:
    document = json.loads(house.paths.policy_file("shell").read_text())
    return list(document["tools"]["run_shell"].get("allow_if", ()))


async def opened(at: Desk, *keys: str) -> SentenceScreen:
    await at.press(*keys)
    screen = at.app.screen
    assert isinstance(screen, SentenceScreen)
    return screen


@BOTH
async def test_a_call_in_the_feed_becomes_a_rule_with_its_reach_shown(
    house: House, size: tuple[int, int]
) -> None:
    ran(house, "rm -rf build", "pytest tests/a", "pytest -q")
    async with desk(house, "feed", size) as at:
        await opened(at, "p")
        text = at.screen_text()
        assert "Allow shell.run_shell when" in text
        assert "starts with" in text
        assert "pytest *" in text
        assert "would have answered 2 of the last 3 asks" in text
        assert "pytest -q; rm x" in text
        assert "(chained)" in text
        assert rules(house) == []
        await at.answer("w")
        assert rules(house) == [
            {"conditions": [{"path": "args.command", "op": "command", "value": "pytest *"}]}
        ]
        await at.press("u")
        assert rules(house) == []


async def test_holes_are_changed_and_written_by_hand(house: House) -> None:
    ran(house, "pytest -q")
    async with desk(house, "feed") as at:
        await opened(at, "p")
        await at.press("e")
        assert isinstance(at.app.screen, AskScreen)
        await at.press("-", "q", "space", "*", "enter")
        await at.until(lambda: isinstance(at.app.screen, SentenceScreen))
        await at.settle()
        assert "-q *" in at.screen_text()
        assert "would have answered 0 of the last 1 asks" in at.screen_text()
        await at.answer("w")
        assert "no such rule can be made" in at.notices()
        await at.press("space")
        assert "would have answered 1 of the last 1 asks" in at.screen_text()


async def test_a_rule_of_policies_starts_from_the_newest_ask(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.app.open_view("policies", "shell", "run_shell")
        await at.settle()
        await at.press("c")
        assert "nobody was asked about shell.run_shell yet" in at.notices()
        ran(house, "git status --short")
        await opened(at, "c")
        assert "git status *" in at.screen_text()
        await at.press("f")
        assert "only a call that waits" in at.notices()


async def test_a_waiting_call_is_answered_for_its_agent_and_a_time(house: House) -> None:
    asked = house.ask("run_shell", {"command": "pytest -q"}, server="shell")
    async with desk(house, "approvals") as at:
        detail = at.app.query_one(Detail)
        await at.until(lambda: detail.guard.waiting(detail.clock()) <= 0)
        await opened(at, "p")
        await at.press("f")
        assert "this agent, for one hour" in at.screen_text()
        await at.answer("w")
        assert house.status(asked) == "allowed"
        assert rules(house) == []
        [stands] = house.other.standing.live()
        assert json.loads(stands.conditions) == [
            {"path": "args.command", "op": "command", "value": "pytest *"}
        ]


async def test_escape_decides_nothing_and_a_read_only_console_asks_nothing(house: House) -> None:
    ran(house, "pytest -q")
    async with desk(house, "feed") as at:
        await opened(at, "p")
        await at.press("escape")
        assert rules(house) == []


async def test_hostile_arguments_are_text(house: House) -> None:
    ran(house, f"echo {HOSTILE}".replace("\ud800", ""))
    async with desk(house, "feed") as at:
        await opened(at, "p")
        assert not has_hidden(at.screen_text().replace("\n", ""))


async def test_no_rule_is_made_of_what_no_policy_can_hold(house: House) -> None:
    ran(house, f"echo {HOSTILE}")
    async with desk(house, "feed") as at:
        await at.press("p")
        assert not isinstance(at.app.screen, SentenceScreen)
        assert "no rule can be made from this call" in at.notices()


@pytest.mark.parametrize(
    "text", ["NaN", "1e999", "[" * 100_000, '"\\ud800"', '{"a": 1, "a": 2}', "[1, 2"]
)
@pytest.mark.parametrize("choice", [Choice("one of", "in", [1]), Choice("at most", "lte", 1)])
def test_what_is_typed_and_is_no_plain_json_is_a_text(choice: Choice, text: str) -> None:
    value = with_value(choice, text).value
    assert value == ([text] if choice.op == "in" else text)
    assert conditions_of([Hole("n", "args.n", 1, (replace(choice, value=value),))])


async def test_what_was_worked_out_for_other_words_is_never_written(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran(house, "pytest -q")
    gates = [threading.Event(), threading.Event()]
    begun: list[str] = []
    figure = rule.figure

    def slow(services: Services, example: rule.Example, conditions: str) -> rule.Figured:
        begun.append(conditions)
        assert gates[len(begun) - 1].wait(60)
        return figure(services, example, conditions)

    monkeypatch.setattr(rule, "figure", slow)
    async with desk(house, "feed") as at:
        await at.key("p")
        await at.until(lambda: len(begun) == 1)
        await at.key("space")
        gates[0].set()
        await at.until(lambda: len(begun) == 2)
        await at.key("w")
        await at.until(lambda: "there is nothing to write yet" in at.notices())
        assert rules(house) == []
        gates[1].set()
        await at.settle()
        assert "would have answered" in at.screen_text()
