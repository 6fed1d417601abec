"""Pictures of the whole console, to be looked at: `python -m tests.tui.pictures DIR [WORD…]`.

Writes an SVG for each view and screen at each size, look and state whose name has all the words,
such as `feed 80x24 light full`; without words all of them, which takes some minutes. To see them:
`for f in DIR/*.svg; do rsvg-convert -o ${f%.svg}.png $f; done`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Caller
from pktui.settings import ConsoleSettings, Paths, Settings
from tests.tui.house import HOSTILE, Desk, House, desk
from tests.tui.views.sessions.room import NOW_US, shop_memory

SIZES = {"80x24": (80, 24), "120x36": (120, 36), "200x60": (200, 60)}
LOOKS = ("dark", "light", "contrast", "nocolor")
THEMES = {"dark": "pktui-dark", "light": "pktui-light", "contrast": "pktui-contrast"}
SECOND = 1_000_000
# The width of a cell in the pictures.
CELL = 12.2
# What is opened, in which view, by which keys.
SHOTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "now": ("now", ()),
    "sessions": ("sessions", ("G",)),
    "timeline": ("sessions", ("G", "enter")),
    "search": ("sessions", ("slash", *"login", "enter")),
    "feed": ("feed", ()),
    "call": ("feed", ("k", "enter")),
    "policies": ("policies", ("enter",)),
    "chooser": ("policies", ("enter", "j", "space")),
    "draft": ("policies", ("enter", "j", "space", "d")),
    "approvals": ("approvals", ()),
    "sentence": ("feed", ("k", "k", "p")),
    "insight": ("insight", ()),
    "help": ("feed", ("question_mark",)),
    "palette": ("feed", ("ctrl+p",)),
    "notices": ("feed", ("exclamation_mark",)),
}
CALLERS = (
    Caller("claude-code", "", "s1", "/home/me/storefront"),
    Caller("opencode", "", "s2", "/home/me/billing"),
    Caller("codex", "", "s3", "/home/me/ingest"),
)
TOOLS = {
    "files": ("read_file", "write_file", "list_directory", "move_file", "delete_file"),
    "shell": ("run_shell", "run_tests"),
    "billing": ("pay", "refund", "list_invoices"),
}
POLICY = {
    "version": "1",
    "default": "allow",
    "tools": {
        "write_file": {"action": "approve", "reason": "Writes need a person."},
        "run_shell": {"action": "approve"},
        "delete_*": {"action": "deny", "reason": "Nothing is deleted here."},
        "read_file": {"limits": [{"counter": "reads", "window": "minute", "max": 300}]},
    },
}


def empty(house: House) -> None:
    """Nothing was ever called."""


def full(house: House, odd: str = "") -> None:
    """Policies, tools, an hour of calls by three agents, and two that wait."""
    for server, tools in TOOLS.items():
        house.paths.policy_file(server).write_text(json.dumps(POLICY))
        house.other.catalogue.saw(
            server,
            [
                {"name": tool, "description": f"{tool} {odd}".strip()}
                for tool in (*tools, *odd.split())
            ],
        )
    for number in range(160):
        house.now_us += 20 * SECOND
        _call(house, number, odd)
    new = {"path": "src/auth/redirect.py", "content": f"TTL = 3600\nKEEP = True\n{odd}"}
    house.ask("write_file", new, server="files", caller=CALLERS[0])
    house.now_us += 34 * SECOND
    pays = {"amount": 12_000, "to": f"ACME {odd}".strip()}
    house.ask("pay", pays, server="billing", caller=CALLERS[1], reason=f"Over your 10,000. {odd}")
    house.now_us += 8 * SECOND


def hostile(house: House) -> None:
    """The same from agents and servers that write what a terminal would obey."""
    full(house, HOSTILE.encode("utf-8", "replace").decode())


def _call(house: House, number: int, odd: str) -> None:
    caller = CALLERS[number % 7 % 3]
    server = ("files", "files", "shell", "billing")[number % 4]
    tool = TOOLS[server][number % len(TOOLS[server])]
    effect = "deny" if tool.startswith("delete") else "allow"
    arguments = {"path": f"src/module_{number // 3}.py {odd}".strip(), "limit": number}
    told: dict[str, Any] = {"caller": caller, "server": server, "tool": tool}
    told["call_id"] = f"c{number}"
    house.other.events.append(
        "decision", **told, effect=effect, rule=f"/tools/{tool}", arguments=arguments,
        reason="Nothing is deleted here." if effect == "deny" else "",
        args_hash=args_hash(arguments),
    )  # fmt: skip
    if effect == "allow" and number < 158:
        failed = "tool_error" if number % 31 == 0 else "ok"
        house.other.events.append(
            "outcome", **told, outcome=failed, duration_us=1_200 + number * 7_919 % 900_000
        )


def ledger_lost(house: House) -> None:
    full(house)
    house.paths.ledger_file.unlink()


def memory_lost(house: House) -> None:
    full(house)
    house.memory.down = True  # type: ignore[union-attr]


def policy_broken(house: House) -> None:
    full(house)
    house.paths.policy_file("files").write_text('{"version": "1", "tools": {')


STATES: dict[str, Callable[[House], None]] = {
    "empty": empty, "full": full, "hostile": hostile, "ledger-lost": ledger_lost,
    "memory-lost": memory_lost, "policy-broken": policy_broken,
}  # fmt: skip


def main(target: Path, words: list[str]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for names in itertools.product(SHOTS, SIZES, LOOKS, STATES):
        if set(words) <= set(names):
            with _house(*names[2:]) as house:
                picture = asyncio.run(shot(house, *SHOTS[names[0]], SIZES[names[1]]))
            (target / f"{'-'.join(names)}.svg").write_text(picture)


@contextmanager
def _house(look: str, state: str) -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="pktui-pictures-") as directory:
        root = Path(directory)
        os.environ["HOME"] = directory
        os.environ.pop("NO_COLOR", None)
        if look == "nocolor":
            os.environ["NO_COLOR"] = "1"
        theme = THEMES.get(look, "pktui-dark")
        settings = Settings(console=ConsoleSettings(bell=False, theme=theme))
        house = House(Paths.at(root / "config", root / "data"), settings, now_us=NOW_US)
        house.memory.close()
        house.memory = shop_memory()
        STATES[state](house)
        yield house


async def shot(house: House, view: str, keys: tuple[str, ...], size: tuple[int, int]) -> str:
    """Return what the console draws after the keys, as SVG."""
    async with desk(house, view, size) as at:
        await at.beat()
        for key in keys:
            await at.press(key)
        await _rest(at)
        return sturdy(at.app.export_screenshot(title=""))


def sturdy(picture: str) -> str:
    """Let no text of an SVG begin with spaces, which some programs that draw it leave out."""

    def moved(found: re.Match[str]) -> str:
        gap = CELL * found["spaces"].count("&#160;")
        x, length = float(found["x"]) + gap, float(found["length"]) - gap
        between = found["between"]
        return f'x="{x:g}"{between}textLength="{length:g}"{found["rest"]}>'

    return re.sub(
        r'x="(?P<x>[\d.]+)"(?P<between> y="[\d.]+" )textLength="(?P<length>[\d.]+)"'
        r"(?P<rest>[^>]*)>(?P<spaces>(?:&#160;)+)(?=[^<&]|&(?!#160;))",
        moved,
        picture,
    )


async def _rest(at: Desk) -> None:
    """Let what a key began be there, also what waits for a moment."""
    await at.pilot.pause(0.5)
    await at.settle()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
