"""Reads policies, catalogue and counters for the view; blocks, so it is called from threads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pktui.errors import PktuiError, PolicyError
from pktui.ledger.feed.filter import FeedFilter, exactly
from pktui.ledger.records import grant_identity
from pktui.memory.tools.catalogue import definitions
from pktui.policy.document.policy import parse_policy, read_bytes
from pktui.policy.effective import effective
from pktui.policy.evaluate import Call, charge_for
from pktui.policy.globs import is_glob
from pktui.policy.limits import plain, window_words
from pktui.policy.risk import Risk, classify
from pktui.policy.text.problems import PolicyInvalid
from pktui.policy.wording import describe_limit
from pktui.settings import bundled
from pktui.tui.moments import DAY
from pktui.tui.views.policies.model import LimitState, Origin, Page, ServerState, Shown, ToolState

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.ledger.records import ToolSeen
    from pktui.policy.document.policy import Policy
    from pktui.policy.rules import LimitRule
    from pktui.tui.services import Services

MEMORY = "memory"
CALLERS = 200
"""Recent calls whose callers are asked what they have left."""
COUNTS_US = 10_000_000
"""Calls of the last day are counted again after this long."""


@dataclass(frozen=True, slots=True)
class _Client:
    identity: str
    session: str


class PoliciesReader:
    """Puts together what may happen (policy), what is there (catalogue) and what did (feed)."""

    def __init__(self, services: Services) -> None:
        self._paths = services.paths
        self._settings = services.settings
        self._ledger = services.ledger
        self._clock = services.clock
        self._counts: dict[str, tuple[int, Mapping[str, int]]] = {}
        self._risks: dict[tuple[str, str], Risk] = {}

    def shown(self, server: str) -> Shown:
        """Return the servers and the page of one of them, else of the first."""
        names = self.server_names()
        if not names:
            return Shown()
        chosen = server if server in names else names[0]
        page = self.page(chosen)
        return Shown(tuple(self._server(name, page) for name in names), page)

    def server_names(self) -> tuple[str, ...]:
        """Return every server known by a policy or by its tools; the memory first."""
        named = {self._path(name): name for name in self._settings.servers}
        found = self._paths.policies_dir.glob("*.json")
        files = {named.get(path, path.stem) for path in found}
        others = files.union(self._ledger.catalogue.servers()) - {MEMORY}
        return (MEMORY, *sorted(others))

    def _path(self, server: str) -> Path:
        return self._settings.policy_file(self._paths, server)

    def page(self, server: str) -> Page:
        """Return a server's policy and tools."""
        path = self._path(server)
        seen = self._seen(server)
        try:
            raw, origin = read_policy(path, server)
            policy = parse_policy(raw, path)
        except PolicyError as error:
            digest = _digest(path)
            tools = tuple(self._unread(server, name, tool) for name, tool in seen.items())
            return Page(server, path, "broken", digest, problems=_problems(error), tools=tools)
        names = _names(policy, seen)
        clients = self._clients(server)
        calls = self._calls(server)
        return Page(
            server=server,
            path=path,
            origin=origin,
            digest=policy.digest if origin == "file" else "",
            default=policy.default.value,
            description=policy.description,
            tools=tuple(
                self._tool(policy, server, name, seen.get(name), clients, calls) for name in names
            ),
        )

    def _server(self, name: str, page: Page) -> ServerState:
        if name == page.server:
            changed = sum(tool.mark == "changed" for tool in page.tools)
            return ServerState(name, len(page.tools), page.origin, changed)
        path = self._path(name)
        try:
            raw, origin = read_policy(path, name)
            parse_policy(raw, path)
        except PolicyError:
            origin = "broken"
        seen = self._seen(name)
        changed = sum(tool is not None and tool.changed for tool in seen.values())
        return ServerState(name, len(seen), origin, changed)

    def _seen(self, server: str) -> Mapping[str, ToolSeen | None]:
        found: dict[str, ToolSeen | None] = {}
        if server == MEMORY:
            found = {str(tool["name"]): None for tool in definitions()}
        return found | {tool.name: tool for tool in self._ledger.catalogue.tools(server)}

    def _tool(
        self,
        policy: Policy,
        server: str,
        name: str,
        seen: ToolSeen | None,
        clients: tuple[_Client, ...],
        calls: Mapping[str, int],
    ) -> ToolState:
        rule = effective(policy, name, changed=seen is not None and seen.changed)
        authored = policy.tools.get(name)
        pattern = is_glob(name) and authored is not None
        return ToolState(
            name=name,
            action=rule.action,
            because=rule.because,
            rule=rule.rule,
            ruled=effective(policy, name).action,
            words=authored.words if authored else "",
            conditions=rule.conditions,
            limits=tuple(self._limit(limit, server, name, clients) for limit in rule.limits),
            own_limit=_own_limit(authored.limits if authored else ()),
            calls=calls.get(name, 0),
            mark="pattern" if pattern else _mark(seen),
            risk=None if pattern else self._risk(server, name, seen),
            seen=seen,
        )

    def _unread(self, server: str, name: str, seen: ToolSeen | None) -> ToolState:
        because = "the policy file cannot be used"
        risk = self._risk(server, name, seen)
        return ToolState(name, None, because, "", mark=_mark(seen), risk=risk, seen=seen)

    def _limit(
        self, limit: LimitRule, server: str, tool: str, clients: tuple[_Client, ...]
    ) -> LimitState:
        used = max((self._used(limit, server, tool, client) for client in clients), default=0)
        left = max(0, int(limit.max) - used)
        return LimitState(describe_limit(limit), left, plain(limit.max))

    def _used(self, limit: LimitRule, server: str, tool: str, client: _Client) -> int:
        charge = charge_for(limit, Call(server, tool, {}, client.identity, client.session))
        if charge is None:
            return 0
        return int(self._ledger.counters.usage(charge)[0])

    def _clients(self, server: str) -> tuple[_Client, ...]:
        """Return who called lately; without any, one that has used nothing."""
        wanted = FeedFilter(
            (exactly("server", server),),
            since_us=self._clock() - DAY,
        )
        rows = self._ledger.feed.page(wanted, limit=CALLERS)
        keys = {one.name: one.key for one in self._ledger.grants.list() if not one.revoked_us}
        found = dict.fromkeys(
            _Client(
                grant_identity(row.grant, keys.get(row.grant, "")) or f"{row.agent}@{row.project}",
                row.session,
            )
            for row in rows
        )
        return (*found, _Client("", ""))

    def _calls(self, server: str) -> Mapping[str, int]:
        now = self._clock()
        at, counts = self._counts.get(server, (0, {}))
        if now - at > COUNTS_US or not at:
            counts = self._ledger.feed.tool_counts(server, now - DAY)
            self._counts[server] = (now, counts)
        return counts

    def _risk(self, server: str, name: str, seen: ToolSeen | None) -> Risk | None:
        key = (server, f"{name} {seen.hash if seen else ''}")
        if key not in self._risks:
            kinds = sorted({flag.kind for flag in seen.flags}) if seen else ()
            self._risks[key] = classify(_definition(server, name, seen), kinds)
        return self._risks[key]


def read_policy(path: Path, server: str) -> tuple[bytes, Origin]:
    """Return the bytes a server's policy is read from, and where they come from.

    Raises `PolicyError` where a file is there and cannot be read.
    """
    if path.exists():
        return read_bytes(path), "file"
    if server == MEMORY:
        return shipped_memory_policy(), "shipped"
    return b'{"version":"1","default":"approve"}', "none"


def shipped_memory_policy() -> bytes:
    """Return the memory's policy as it comes with pktui."""
    return bundled("config", "policies", "memory.json").read_bytes()


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _problems(error: PktuiError) -> tuple[str, ...]:
    if isinstance(error, PolicyInvalid):
        return tuple(map(str, error.problems))
    return (str(error),)


def _names(policy: Policy, seen: Iterable[str]) -> tuple[str, ...]:
    """Return tools seen, tools only the policy names, and its patterns, in this order."""
    named = [name for name in (*policy.tools, *policy.hide) if name not in seen]
    exact = [name for name in named if not is_glob(name)]
    patterns = [name for name in policy.tools if is_glob(name)]
    return tuple(dict.fromkeys((*seen, *exact, *patterns)))


def _mark(seen: ToolSeen | None) -> Any:
    if seen is None:
        return ""
    if seen.changed:
        return "changed"
    return "flagged" if seen.flags else "new" if seen.is_new else ""


def _definition(server: str, name: str, seen: ToolSeen | None) -> Mapping[str, Any]:
    if seen is not None:
        value: Any = json.loads(seen.definition)
        first: Mapping[str, Any] = value[0] if isinstance(value, list) else value
        return first
    known = {str(tool["name"]): tool for tool in definitions()} if server == MEMORY else {}
    return known.get(name, {"name": name})


def _own_limit(limits: Iterable[LimitRule]) -> str:
    for limit in limits:
        if not limit.increment_from and limit.rule.startswith("/tools/"):
            words = window_words(limit.window_us)
            window = words if " " not in words else words.split(" ")[0]
            return f"{plain(limit.max)}/{window}"
    return ""
