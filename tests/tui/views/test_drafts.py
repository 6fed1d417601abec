"""Drafts in Policies: chosen on the row, shown, written as one edit, and never lost in silence."""

from __future__ import annotations

import json
import re
import threading
from typing import TYPE_CHECKING

import pytest

from pktui.errors import LedgerUnavailable
from pktui.policy.document.policy import load_policy
from pktui.policy.editor import PolicyEditor
from pktui.policy.evaluate import Call, Effect, evaluate
from pktui.policy.live import LivePolicy
from pktui.policy.memory_quota import MemoryQuota
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.confirm import ConfirmScreen
from pktui.tui.views.policies.chooser import ChooserScreen
from pktui.tui.views.policies.write_screen import WriteScreen
from pktui.tui.views.policies.writing import Edits
from tests.support.managing import manage
from tests.tui.house import LARGE, SMALL, Desk, House, desk
from tests.tui.views.test_policies import POLICY, action_of, at_tool, house, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.policy.editor import Edit

__all__ = ["house"]
BOTH = pytest.mark.parametrize("size", [SMALL, LARGE], ids=["80x24", "120x36"])


async def written(at: Desk) -> None:
    """Show the drafts and write them."""
    await at.press("w")
    assert isinstance(at.app.screen, WriteScreen)
    await at.answer("w")
    await at.until(lambda: not at.app.undo_stack.running)
    await at.settle()


def in_front(at: Desk) -> bool:
    return at.app.screen is at.app.screen_stack[0]


@BOTH
async def test_a_draft_that_would_loosen_a_managed_rule_is_refused(
    house: House, managed: Path, size: tuple[int, int]
) -> None:
    manage(managed, "files", tools={"read": {"action": "deny", "reason": "Not here."}})
    async with desk(house, "policies", size) as at:
        view = await at_tool(at, "files", "read")
        assert "✗ deny    read" in at.screen_text()
        assert "locked" in at.screen_text()
        assert "managed policy files.json" in at.screen_text()
        await at.press("space", "a")
        await at.settle()
        assert at.app.drafts.of("files") == ()
        assert "nothing set here loosens that" in at.notices()
        await at.press("space", "h")
        await at.until(lambda: len(at.app.drafts.of("files")) == 1)
        assert view.page is not None


async def test_the_number_of_drafts_stands_apart_from_the_number_of_tools(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "memory", "end_session")
        await at.press("space", "d")
        assert "→1 15" in at.screen_text()


@BOTH
async def test_a_choice_is_a_draft_until_it_is_written(house: House, size: tuple[int, int]) -> None:
    file = house.paths.policy_file("files")
    before = file.read_bytes()
    async with desk(house, "policies", size) as at:
        await at_tool(at, "files", "read")
        await at.press("space")
        assert isinstance(at.app.screen, ChooserScreen)
        text = at.screen_text()
        assert "now: runs at once" in text
        for line in ("a  ✓ allow", "s  ▲ ask", "d  ✗ deny", "h  ◌ hide"):
            assert line in text
        await at.press("d")
        assert in_front(at)
        assert "✓ allow → deny  read" in at.screen_text()
        assert "1 draft" in at.screen_text()
        assert re.search(r"files +→1 +7", at.screen_text())
        assert file.read_bytes() == before
        await at.press("w")
        text = at.screen_text()
        assert "Write this draft?" in text
        assert '"action": "deny"' in text
        assert file.read_bytes() == before
        await at.answer("w")
        await at.until(lambda: action_of(house, "read") == "deny")
        await at.settle()
        text = at.screen_text()
        assert "✗ deny    read" in text
        assert "written   read: deny" in text
        assert "draft" not in text
        assert load_policy(file).rule_for("read").limits


@pytest.mark.parametrize(
    ("key", "tool", "action"),
    [("a", "write", "allow"), ("s", "read", "approve"), ("d", "read", "deny"),
     ("h", "read", "hide"), ("a", "drop", "allow")],
)  # fmt: skip
async def test_each_letter_chooses_its_state(
    house: House, key: str, tool: str, action: str
) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", tool)
        await at.press("space", key)
        await written(at)
        assert action_of(house, tool) == action


@BOTH
async def test_letters_typed_with_the_space_reach_the_choice(
    house: House, size: tuple[int, int]
) -> None:
    async with desk(house, "policies", size) as at:
        await at_tool(at, "files", "read")
        await at.burst("space", "d", "j", "space", "a", "j", "space", "s", "space", "h")
        drafts = {draft.tool: draft.action for draft in at.app.drafts.of("files")}
        assert drafts == {"read": "deny", "write": "allow", "delete_all": "hide"}
        assert in_front(at)
        assert json.loads(house.paths.policy_file("files").read_text()) == POLICY


async def test_the_letters_mean_nothing_while_no_choice_is_open(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.burst("space", "escape", "d", "s", "h", "space", "space", "d")
        assert at.app.drafts.total == 0
        assert in_front(at)
        assert at.app.front == "policies"


async def test_no_choice_is_open_for_a_name_that_would_be_a_pattern(house: House) -> None:
    house.other.catalogue.saw("files", [{"name": "*"}])
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "*")
        await at.press("space", "l", "r")
        assert in_front(at)
        assert "it would be one for other tools" in at.notices()


async def test_drafts_of_a_server_are_written_as_one_edit_and_undone_as_one(house: House) -> None:
    file = house.paths.policy_file("files")
    before = file.read_bytes()
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d", "j", "space", "a", "l", *"5/m", "enter")
        await at.press("j", "r", *"Ask me.", "enter")
        assert at.app.drafts.total == 3
        assert "→ 5/minute" in at.screen_text()
        await written(at)
        assert at.app.drafts.total == 0
        policy = load_policy(file)
        assert policy.rule_for("read").action == "deny"
        assert policy.rule_for("write").action == "allow"
        (limit,) = policy.rule_for("write").limits
        assert (int(limit.max), limit.window_us) == (5, 60_000_000)
        assert policy.rule_for("delete_all").words == "Ask me."
        await at.press("u")
        assert file.read_bytes() == before
        assert "undone: 3 changes" in at.notices()


async def test_what_is_chosen_back_is_no_draft(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d")
        assert at.app.drafts.total == 1
        await at.press("space")
        assert "draft: is refused, and the agent is told why" in at.screen_text()
        await at.press("a")
        assert at.app.drafts.total == 0
        await at.press("w")
        assert "nothing is drafted here" in at.notices()


async def test_undo_takes_drafts_back_before_what_was_written(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d")
        await written(at)
        await at.press("space", "h", "space", "s")
        await at.press("u")
        assert at.app.drafts.get("files", "read").action == "hide"
        await at.press("u")
        assert at.app.drafts.total == 0
        assert action_of(house, "read") == "deny"
        await at.press("u")
        assert action_of(house, "read") == "allow"


async def test_escape_drops_the_drafts_says_which_and_u_brings_them_back(house: House) -> None:
    async with desk(house, "policies") as at:
        view = await at_tool(at, "files", "read")
        await at.press("space", "d", "j", "space", "a", "escape")
        assert at.app.drafts.total == 0
        assert "dropped, never written: read: deny; write: allow" in at.notices()
        assert view.tools.has_focus
        await at.press("u")
        assert {draft.tool for draft in at.app.drafts.of("files")} == {"read", "write"}
        await at.press("u", "escape", "escape")
        assert view.servers.has_focus


@BOTH
async def test_drafts_stay_where_another_server_or_view_is_looked_at(
    house: House, size: tuple[int, int]
) -> None:
    write(house, "mail", {"version": "1", "default": "approve", "tools": {"send": {}}})
    async with desk(house, "policies", size) as at:
        view = await at_tool(at, "files", "read")
        await at.press("space", "d")
        await at_tool(at, "mail", "send")
        assert "→1" in at.screen_text()
        assert "1 draft" in at.screen_text()
        await at.press("space", "d")
        await at.press("1")
        assert "2 drafts" in at.screen_text()
        assert action_of(house, "read") == "allow"
        await at.press("3")
        await written(at)
        assert action_of(house, "send", "mail") == "deny"
        assert action_of(house, "read") == "allow"
        assert [draft.tool for draft in at.app.drafts.of("files")] == ["read"]
        assert view.page is not None


async def test_leaving_with_drafts_is_asked_about(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d", "q")
        assert isinstance(at.app.screen, ConfirmScreen)
        assert "lose 1 draft" in at.screen_text()
        assert "files.read: deny" in at.screen_text()
        await at.answer("enter")
        assert at.app.is_running
        assert at.app.drafts.total == 1
        await at.press("ctrl+c")
        assert "1 draft would be lost" in at.notices()


async def test_a_file_changed_since_it_was_shown_is_not_written_over(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d")
        other = {**POLICY, "default": "deny"}
        file = write(house, "files", other)
        await at.press("w")
        assert in_front(at)
        assert "changed since it was shown" in at.notices()
        assert "your drafts are kept" in at.notices()
        assert json.loads(file.read_text()) == other
        assert at.app.drafts.total == 1
        await written(at)
        assert action_of(house, "read") == "deny"
        assert load_policy(file).default == "deny"


async def test_a_file_changed_while_the_change_is_shown_is_not_written_over(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d", "w")
        other = {**POLICY, "default": "deny"}
        file = write(house, "files", other)
        await at.answer("w")
        await at.until(lambda: not at.app.undo_stack.running)
        await at.settle()
        assert json.loads(file.read_text()) == other
        assert "nothing was written" in at.notices()
        assert at.app.drafts.total == 1
        assert "✓ allow → deny" in at.screen_text()


async def test_a_w_typed_ahead_does_not_write_what_was_not_shown(house: House) -> None:
    before = house.paths.policy_file("files").read_bytes()
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.burst("space", "d", "w", "w", "w")
        assert isinstance(at.app.screen, WriteScreen)
        assert house.paths.policy_file("files").read_bytes() == before


async def test_an_edit_elsewhere_is_not_undone(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d")
        await written(at)
        file = write(house, "files", {**POLICY, "default": "deny"})
        before = file.read_bytes()
        await at.press("u")
        assert file.read_bytes() == before
        assert "nothing was undone" in at.notices()


async def test_the_first_change_of_the_memory_starts_from_its_shipped_policy(
    house: House,
) -> None:
    file = house.paths.policy_file("memory")
    async with desk(house, "policies") as at:
        await at_tool(at, "memory", "store_knowledge")
        await at.press("space", "d", "w")
        assert not file.exists()
        await at.answer("w")
        await at.until(file.exists)
        assert action_of(house, "store_knowledge", "memory") == "deny"
        assert action_of(house, "delete_knowledge", "memory") == "hide"


async def test_the_first_change_of_a_server_without_a_policy_writes_one(house: House) -> None:
    house.other.catalogue.saw("mail", [{"name": "send"}, {"name": "list"}])
    async with desk(house, "policies") as at:
        await at_tool(at, "mail", "send")
        assert "no file yet" in at.screen_text()
        await at.press("space", "d")
        await written(at)
        assert action_of(house, "send", "mail") == "deny"
        assert action_of(house, "list", "mail") == "approve"


async def test_a_pattern_that_the_author_wrote_can_be_changed(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "delete_*")
        await at.press("r", "end", *" Ask me.", "enter")
        await written(at)
        rule = load_policy(house.paths.policy_file("files")).rule_for("delete_all")
        assert rule.words == "Nothing is deleted. Ask me."


async def test_a_limit_is_drafted_and_taken_away(house: House) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "other")
        await at.press("l", *"12/h", "enter")
        assert "→ 12/hour" in at.screen_text()
        await written(at)
        assert "12/12 left" in at.screen_text()
        await at.press("l", *["backspace"] * 7, "enter")
        assert "→ none" in at.screen_text()
        await written(at)
        assert "12/12 left" not in at.screen_text()


class Slow:
    """Holds a write until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.go = threading.Event(), threading.Event()
        save = PolicyEditor.save

        def slowly(editor: PolicyEditor, edit: Edit) -> Edit:
            self.reached.set()
            assert self.go.wait(120)
            return save(editor, edit)

        monkeypatch.setattr(PolicyEditor, "save", slowly)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    held = Slow(monkeypatch)
    yield held
    held.go.set()


async def held(at: Desk, slow: Slow) -> None:
    """Draft a denial of `read` and begin to write it."""
    await at_tool(at, "files", "read")
    await at.press("space", "d", "w")
    screen = at.app.screen
    assert isinstance(screen, WriteScreen)
    await at.until(lambda: not screen.quiet)
    at.type("w")
    await at.until(slow.reached.is_set)


def draft_of(at: Desk, tool: str) -> str | None:
    return at.app.drafts.get("files", tool).action


async def test_what_is_pressed_while_a_write_runs_is_drafted(house: House, slow: Slow) -> None:
    async with desk(house, "policies") as at:
        await held(at, slow)
        at.type("space", "h", "j", "space", "a")
        await at.until(lambda: draft_of(at, "write") == "allow")
        slow.go.set()
        await at.settle()
        assert action_of(house, "read") == "deny"
        drafts = {draft.tool: draft.action for draft in at.app.drafts.of("files")}
        assert drafts == {"read": "hide", "write": "allow"}
        assert "✗ deny → hide" in at.screen_text()
        await written(at)
        assert (action_of(house, "read"), action_of(house, "write")) == ("hide", "allow")


async def test_what_was_so_before_can_be_chosen_while_a_write_runs(
    house: House, slow: Slow
) -> None:
    async with desk(house, "policies") as at:
        await held(at, slow)
        at.type("space", "a")
        await at.until(lambda: draft_of(at, "read") == "allow")
        slow.go.set()
        await at.settle()
        assert action_of(house, "read") == "deny"
        assert at.app.drafts.get("files", "read").action == "allow"


async def test_w_while_a_write_runs_shows_what_is_left_once_it_is_done(
    house: House, slow: Slow
) -> None:
    async with desk(house, "policies") as at:
        await held(at, slow)
        at.type("j", "space", "a", "w")
        await at.until(lambda: isinstance(at.app.screen, WriteScreen))
        screen = at.app.screen
        assert isinstance(screen, WriteScreen)
        assert screen.quiet
        slow.go.set()
        await at.answer("w")
        await at.settle()
        assert (action_of(house, "read"), action_of(house, "write")) == ("deny", "allow")
        assert at.app.drafts.total == 0


async def test_u_while_a_write_runs_takes_that_write_back(house: House, slow: Slow) -> None:
    before = house.paths.policy_file("files").read_bytes()
    async with desk(house, "policies") as at:
        await held(at, slow)
        at.type("u")
        await at.until(lambda: bool(at.app.undo_stack._waiting))
        slow.go.set()
        await at.until(lambda: "undone: read: deny" in at.notices())
        assert house.paths.policy_file("files").read_bytes() == before


class Loop(threading.Thread):
    """An agent that calls one tool again and again, judged by the file as a gateway does."""

    def __init__(self, house: House, tool: str) -> None:
        super().__init__()
        self._live = LivePolicy(house.paths.policy_file("files"))
        self._call = Call("files", tool, {}, "agent", "s")
        self.over = threading.Event()
        self.effects: list[Effect] = []

    def run(self) -> None:
        quota = MemoryQuota(lambda: 0)
        while not self.over.wait(0.0005):
            self.effects.append(evaluate(self._live.current(), self._call, quota).effect)


@pytest.mark.parametrize(
    "keys",
    [
        ("space", "a", "space", "h", "space", "s"),
        ("space", "s"),
        ("space", "s", "space", "d", "space", "s"),
        ("space", "h", "escape", "space", "a", "escape", "space", "s"),
    ],
    ids=["over allow", "at once", "back and forth", "dropped between"],
)
async def test_nothing_runs_while_a_person_goes_from_deny_to_ask(
    house: House, keys: tuple[str, ...]
) -> None:
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "delete_all")
        agent = Loop(house, "delete_all")
        agent.start()
        try:
            await at.burst(*keys)
            await written(at)
            await at.until(lambda: agent.effects[-1] is Effect.APPROVE)
        finally:
            agent.over.set()
            agent.join()
        asked = agent.effects.index(Effect.APPROVE)
        assert asked > 0
        assert set(agent.effects[:asked]) == {Effect.DENY}
        assert set(agent.effects[asked:]) == {Effect.APPROVE}


async def test_a_write_that_is_not_on_record_is_told_and_can_be_undone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = house.paths.policy_file("files").read_bytes()
    async with desk(house, "policies") as at:
        await at_tool(at, "files", "read")
        await at.press("space", "d")
        with monkeypatch.context() as patch:
            patch.setattr(Edits, "_record", lambda *_: LedgerUnavailable("the ledger is gone"))
            await written(at)
        assert action_of(house, "read") == "deny"
        assert "the ledger is gone" in at.notices()
        assert at.app.drafts.total == 0
        await at.press("u")
        assert house.paths.policy_file("files").read_bytes() == before


PIN = "quite secret"


@pytest.fixture
def behind_pin(house: House, monkeypatch: pytest.MonkeyPatch) -> House:
    """Put what lets agents do more behind a PIN."""
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)
    house.other.pin.set(PIN, by="a person")
    return house


async def draft(at: Desk, key: str) -> None:
    """Draft what `write` may do, and write it."""
    await at_tool(at, "files", "write")
    await at.press("space", key, "w")
    await at.answer("w")


async def test_drafts_that_let_agents_do_more_ask_for_the_pin(behind_pin: House) -> None:
    file = behind_pin.paths.policy_file("files")
    before = file.read_bytes()
    async with desk(behind_pin, "policies") as at:
        await draft(at, "a")
        await at.until(lambda: isinstance(at.app.screen, AskScreen))
        assert file.read_bytes() == before
        await at.press(*"wrong one", "enter")
        await at.until(lambda: "wrong" in at.screen_text() and isinstance(at.app.screen, AskScreen))
        assert file.read_bytes() == before
        await at.press(*"quite", "space", *"secret", "enter")
        await at.until(lambda: file.read_bytes() != before)
        assert load_policy(file).rule_for("write").action == "allow"


async def test_without_the_pin_the_drafts_stay_and_nothing_is_written(behind_pin: House) -> None:
    file = behind_pin.paths.policy_file("files")
    before = file.read_bytes()
    async with desk(behind_pin, "policies") as at:
        await draft(at, "a")
        await at.until(lambda: isinstance(at.app.screen, AskScreen))
        await at.press("escape")
        await at.until(lambda: not at.app.undo_stack.running)
        assert file.read_bytes() == before
        assert at.app.drafts.total == 1


async def test_what_tightens_asks_for_no_pin_and_taking_it_back_does(behind_pin: House) -> None:
    file = behind_pin.paths.policy_file("files")
    before = file.read_bytes()
    async with desk(behind_pin, "policies") as at:
        await draft(at, "d")
        await at.until(lambda: file.read_bytes() != before)
        await at.until(lambda: not at.app.undo_stack.running)
        denied = file.read_bytes()
        await at.press("u")
        await at.until(lambda: isinstance(at.app.screen, AskScreen))
        await at.press("escape")
        await at.until(lambda: not at.app.undo_stack.running)
        assert file.read_bytes() == denied
        await at.press("u")
        await at.until(lambda: isinstance(at.app.screen, AskScreen))
        await at.press(*"quite", "space", *"secret", "enter")
        await at.until(lambda: file.read_bytes() == before)


async def test_writing_from_all_tools_goes_to_the_server_once(house: House) -> None:
    async with desk(house, "policies") as at:
        await at.press("asterisk", "space", "d", "w")
        assert isinstance(at.app.screen, WriteScreen)
        await at.press("escape", "asterisk")
        assert not isinstance(at.app.screen, WriteScreen)
        assert at.app.drafts.total == 1
