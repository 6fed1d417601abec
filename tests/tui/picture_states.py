"""What the console is pictured in: each state fills a house as people, agents and faults do."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from pktui.insight.spending import local_day
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.records import Caller
from pktui.ledger.usage import UsageSum
from pktui.memory.records import Call, Outcome
from tests.support.memory import MemoryInProcess
from tests.tui.house import HOSTILE, House

SECOND = 1_000_000
DAY = 86_400 * SECOND
ODD = HOSTILE.encode("utf-8", "replace").decode()
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
ANSWER = "The TTL is set to `60` instead of **3600**.\n\n```python\nTTL = 60\n```\n"
WORK = (
    ("debugging auth", "The JWT token expires too fast after a login."),
    ("migrate postgres", "Move the shop to pg16, without a window for it."),
    ("checkout is slow", "Why does the checkout take four seconds?"),
    ("rounding of invoices", "An invoice is a cent off where it has more than one tax rate."),
    ("the login page on phones, its keyboard and what a password manager fills in", "See 418."),
    ("flaky test", "test_redirect fails one time in nine."),
)


def empty(house: House) -> None:
    """Nothing was ever called, and nothing said."""
    house.memory = MemoryInProcess()


def full(house: House, odd: str = "") -> None:
    """Policies, tools, sessions, an hour of calls by three agents, and two that wait."""
    for server, tools in TOOLS.items():
        house.paths.policy_file(server).write_text(json.dumps(POLICY))
        house.other.catalogue.saw(
            server,
            [
                {"name": tool, "description": f"{tool} {odd}".strip()}
                for tool in (*tools, *odd.split())
            ],
        )
    house.memory = _sessions(datetime.fromtimestamp(house.now_us / SECOND, UTC), odd)
    _tokens(house, odd)
    callers = [*CALLERS, Caller(f"cursor {odd}".strip(), "", "s4", f"/home/me/docs{odd}")]
    here = [
        house.other.presence.announce(
            "gateway", server="files", agent=one.agent, project=one.project
        )
        for one in callers[:3]
    ]
    for number in range(160):
        house.now_us += (7 * number % 40 + (90 if number % 50 > 44 else 1)) * SECOND
        at = 3 if number < 12 else number % 7 % 3
        call_id = f"{here[at] if at < len(here) else 'gone'}-{number}"
        call(house, number, odd, caller=callers[at], call_id=call_id)
    _asked(house, odd)


def _asked(house: House, odd: str) -> None:
    """Let two calls wait: one for a while, one since a moment."""
    new = {"path": "src/auth/redirect.py", "content": f"TTL = 3600\nKEEP = True\n{odd}"}
    house.ask(
        "write_file", new, server="files", caller=CALLERS[0], reason=f"Writes need you. {odd}"
    )
    house.now_us += 34 * SECOND
    pays = {"amount": 12_000, "to": f"ACME {odd}".strip()}
    house.ask("pay", pays, server="billing", caller=CALLERS[1], reason=f"Over your 10,000. {odd}")
    house.now_us += 8 * SECOND


def hostile(house: House) -> None:
    """The same from agents and servers that write what a terminal would obey."""
    full(house, ODD)


def loading(house: House) -> None:
    """The memory and the ledger are there and have not answered yet."""
    full(house)
    house.memory = Late(house.memory)  # type: ignore[assignment]
    house.ledger = Late(house.ledger)  # type: ignore[assignment]


def ledger_lost(house: House) -> None:
    full(house)
    house.paths.ledger_file.unlink()


def memory_lost(house: House) -> None:
    full(house)
    house.memory.down = True  # type: ignore[union-attr]


def policy_broken(house: House) -> None:
    full(house)
    house.paths.policy_file("files").write_text('{"version": "1", "tools": {')


def agents(house: House, odd: str = "") -> None:
    """Nothing is configured, and four coding agents are on the machine."""
    empty(house)
    home = Path.home()
    files = {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"]}
    shell = {
        "command": "shell-server",
        "env": {"TOKEN": "not shown", **({odd: odd} if odd else {})},
    }
    servers = {"files": files, f"shell {odd}".strip(): shell}
    (home / ".claude.json").write_text(json.dumps({"mcpServers": servers}, indent=2))
    (home / ".claude" / "projects").mkdir(parents=True)
    _written(home / ".codex" / "config.toml", '[mcp_servers.files]\ncommand = "files-server"\n')
    _written(home / ".cursor" / "mcp.json", json.dumps({"mcpServers": servers}, indent=2))
    _written(home / ".gemini" / "settings.json", '{"mcpServers": {\n')


def hostile_agents(house: House) -> None:
    """The same with configs that write what a terminal would obey."""
    agents(house, ODD)


STATES: dict[str, Callable[[House], None]] = {
    "empty": empty, "full": full, "hostile": hostile, "loading": loading,
    "ledger-lost": ledger_lost, "memory-lost": memory_lost, "policy-broken": policy_broken,
}  # fmt: skip
FIRST_STATES: dict[str, Callable[[House], None]] = {
    "agents": agents, "hostile-agents": hostile_agents,
}  # fmt: skip


class Late:
    """A room that answers no thread until its gate opens; the event loop asks it nothing."""

    gate = threading.Event()

    def __init__(self, room: Any) -> None:
        self._room = room

    def __getattr__(self, name: str) -> Any:
        if threading.current_thread() is not threading.main_thread():
            self.gate.wait()
        return getattr(self._room, name)


def _written(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def call(house: House, number: int, odd: str, *, caller: Caller, call_id: str) -> None:
    server = ("files", "files", "shell", "billing")[number % 4]
    tool = TOOLS[server][number % len(TOOLS[server])]
    effect = "deny" if tool.startswith("delete") else "allow"
    arguments = {"path": f"src/module_{number // 3}.py {odd}".strip(), "limit": number}
    told: dict[str, Any] = {
        "caller": caller, "server": server, "tool": tool, "call_id": call_id
    }  # fmt: skip
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


def _tokens(house: House, odd: str) -> None:
    models = ("opus-5", "gpt-6-codex", f"local {odd}".strip())
    sums = [
        UsageSum(local_day(house.now_us - back * DAY), caller.agent, caller.project, model,
                 1_200_000 // (back + 1), 48_000 * (at + 1), 9_400_000 // (at + 1))
        for back in range(7)
        for at, (caller, model) in enumerate(zip(CALLERS, models, strict=True))
    ]  # fmt: skip
    house.other.usage.write(tuple(sums), house.now_us)
    prices = '[models."opus-*"]\nin = 5.0\nout = 25.0\n[models."gpt-*"]\nin = 1.25\nout = 10.0\n'
    house.paths.config_dir.joinpath("prices.toml").write_text(prices)


def _sessions(now: datetime, odd: str) -> MemoryInProcess:
    """Return weeks of sessions, three of them of the last days, and two pieces of knowledge."""
    memory = MemoryInProcess()
    for number in range(48):
        title, first = WORK[number % len(WORK)]
        caller = CALLERS[number % 3]
        memory.add(
            f"{title} {odd}".strip() if number % 4 else title,
            ("user", f"{first} {odd}".strip()),
            ("agent", f"{ANSWER}{odd}"),
            ("tool", "memory.store_knowledge approved"),
            ("user", "Keep the login redirect."),
            ("agent", "Done: the login keeps its target, and a test holds it."),
            agent=caller.agent,
            project=caller.project,
            status="active" if number > 44 else "ended",
        )  # fmt: skip
        _moved(memory, number + 1, now - timedelta(hours=9 * (47 - number)))
    _calls_of(memory, 48, odd)
    memory.add_entry(
        f"How the login redirect works {odd}".strip(),
        f"The target is kept in a signed cookie for ten minutes.\n\n- set by `/login`\n{odd}",
        tags=("auth", "web"),
    )
    memory.add_entry("Rounding", "Taxes are rounded per rate and not per line.", tags=("billing",))
    return memory


def _moved(memory: MemoryInProcess, number: int, began: datetime) -> None:
    """Let a session begin at another time."""
    change, kept = msgspec.structs.replace, memory.kept[number]
    by = began - kept.started_at
    rows = [change(row, created_at=row.created_at + by) for row in memory.written[number]]
    memory.written[number] = rows
    memory.kept[number] = change(kept, started_at=began, last_activity=rows[-1].created_at)


def _calls_of(memory: MemoryInProcess, number: int, odd: str) -> None:
    """Give a session the calls that an agent made in its first turn."""
    began = memory.written[number][0].created_at
    made: tuple[tuple[str, dict[str, Any], Outcome, str], ...] = (
        *(("mcp__files__read_file", {"path": f"src/auth/{name}.py"}, "ok", f"TTL = 60\n{odd}")
          for name in ("token", "redirect", "cookies", "login")),
        ("search_code", {"query": "TTL", "path": "src"}, "ok", "src/auth/token.py:12"),
        ("mcp__files__write_file", {"path": "src/auth/token.py", "content": "TTL = 3600"}, "ok",
         "written"),
        ("mcp__shell__run_shell", {"command": "rm -rf build"}, "denied", "denied by a person"),
        ("mcp__shell__run_tests", {"path": f"tests/auth {odd}".strip()}, "error", "1 failed"),
    )  # fmt: skip
    memory.made[number] = [
        Call(at, number, at, tool, json.dumps(arguments), outcome, result,
             began + timedelta(seconds=4 * at))
        for at, (tool, arguments, outcome, result) in enumerate(made, 1)
    ]  # fmt: skip
