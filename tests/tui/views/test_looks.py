"""One picture of each view; what is in them is asserted beside each view's other tests."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from pktui.ledger.records import Caller
from pktui.settings import ConsoleSettings, Settings
from pktui.tui.console import Console
from pktui.tui.tray import Tray
from pktui.tui.views.approvals.detail import Detail
from tests.tui.house import AGENT, LARGE, SMALL, House

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from pktui.settings import Paths

Compare = Callable[..., bool]
SECOND = 1_000_000


@pytest.fixture(autouse=True)
def _universal_time(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def house(paths: Paths) -> Iterator[House]:
    house = House(paths)
    _policies(house)
    _calls(house)
    _approvals(house)
    yield house
    house.close()


def _policies(house: House) -> None:
    policy = {
        "version": "1",
        "default": "approve",
        "tools": {
            "read_file": {"rate_limit": "30/minute"},
            "list_directory": {},
            "write_file": {"action": "approve", "reason": "Writes need a person."},
            "delete_*": {"action": "deny", "reason": "Nothing is deleted by agents."},
        },
    }
    house.paths.policy_file("files").write_text(json.dumps(policy, indent=2))
    names = ("read_file", "list_directory", "write_file", "delete_file", "move_file")
    house.other.catalogue.saw("files", [{"name": name} for name in names])


def _calls(house: House) -> None:
    kinds: tuple[tuple[str, dict[str, Any], str, str, str], ...] = (
        ("read_file", {"path": "src/auth/token.py"}, "allow", "ok", ""),
        ("list_directory", {"path": "."}, "allow", "ok", ""),
        ("write_file", {"path": "a.py", "content": "x"}, "approve", "ok", "Writes need a person."),
        ("delete_file", {"path": "a.py"}, "deny", "", "Nothing is deleted by agents."),
        ("read_file", {"path": "README.md"}, "allow", "tool_error", ""),
        ("write_file", {"path": "b.py"}, "approve", "", "Writes need a person."),
        ("read_file", {"path": "src/app.py"}, "allow", "", ""),
    )
    callers = (AGENT, Caller("opencode", "", "77aa10", "/home/me/api"))
    for number in range(40):
        tool, arguments, effect, outcome, reason = kinds[number % len(kinds)]
        house.now_us += 3 * SECOND
        house.other.events.append(
            "decision", caller=callers[number % 2], call_id=f"c{number}", server="files",
            tool=tool, effect=effect, rule=f"/tools/{tool}", reason=reason, arguments=arguments,
        )  # fmt: skip
        if outcome:
            house.other.events.append(
                "outcome", call_id=f"c{number}", outcome=outcome, duration_us=1_700 * (number + 1)
            )


def _approvals(house: House) -> None:
    house.ask(
        "edit_file", {"path": "src/auth.py", "old_string": "ttl = 60", "new_string": "ttl = 3600"},
        server="files", reason="Writes need a person.",
    )  # fmt: skip
    content = "\n".join(f"{n}. check the token on page {n}" for n in range(1, 40))
    house.ask(
        arguments={"title": "JWT", "tags": ["auth"], "content": content},
        expires_us=house.now_us + 42 * SECOND,
        caller=Caller("opencode"),
    )
    denied = house.ask("run", {"command": "rm -rf build"}, server="shell")
    house.other.approvals.decide(
        denied.id, False, by="console", args_hash=denied.args_hash, words="use make clean"
    )
    house.now_us += 5 * SECOND


def _console(house: House, view: str, **console: Any) -> Console:
    house.settings = Settings(console=ConsoleSettings(bell=False, **console))
    return Console(house.services(), view=view)


def _press(*keys: str) -> Callable[[Pilot[int]], object]:
    async def run(pilot: Pilot[int]) -> None:
        while not pilot.app.query_one(Tray).display:
            await pilot.pause(0.05)
        for key in ("", *keys):
            if key:
                await pilot.press(key)
            for _ in range(6):
                await pilot.app.workers.wait_for_complete()
                await pilot.pause(0.05)
        for detail in pilot.app.query(Detail):
            while detail.guard.waiting(detail.clock()) > 0:
                await pilot.pause(0.05)
            await pilot.pause(0.1)

    return run


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_approvals(snap_compare: Compare, house: House, size: tuple[int, int]) -> None:
    app = _console(house, "approvals")
    keys = ("j", "enter") if size == SMALL else ()
    assert snap_compare(app, terminal_size=size, run_before=_press(*keys))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_feed(snap_compare: Compare, house: House, size: tuple[int, int]) -> None:
    app = _console(house, "feed")
    keys = ("k", "k") if size == SMALL else ("k", "k", "k", "enter")
    assert snap_compare(app, terminal_size=size, run_before=_press(*keys))


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_policies(
    snap_compare: Compare,
    house: House,
    size: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The directory of the test has another name each time.
    monkeypatch.setattr("pktui.tui.views.policies.draw._file", lambda _page: ())
    app = _console(house, "policies")
    keys = ("left", "j", "right", "space", "d", "j", "space")
    assert snap_compare(app, terminal_size=size, run_before=_press(*keys))


def test_approvals_in_high_contrast(snap_compare: Compare, house: House) -> None:
    app = _console(house, "approvals", theme="pktui-contrast", glyphs="ascii")
    assert snap_compare(app, terminal_size=LARGE, run_before=_press())
