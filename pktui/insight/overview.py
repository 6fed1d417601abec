"""Policies as they stand: every server, its tools, what each may do and what is left of its limits.

A look costs by what changed since the last one: a policy file is parsed again only where its stat
moved, a server's tools are read again only where its line in the catalogue did, and the counters of
a server come in one statement.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pktui.errors import PktuiError
from pktui.policy.document.policy import parse_policy, read_bytes
from pktui.policy.effective import EffectiveAction, EffectiveRule, ceiling_of, effective
from pktui.policy.globs import is_glob
from pktui.policy.limits import plain, window_words
from pktui.policy.live import LivePolicy
from pktui.policy.managed import Also, Ceiling, Managed, in_force
from pktui.policy.risk import Risk, classify
from pktui.policy.selection import EVERYTHING, Selection
from pktui.policy.text.problems import PolicyInvalid
from pktui.policy.wording import describe_limit
from pktui.settings import bundled, is_server_name

if TYPE_CHECKING:
    from pktui.ledger.feed.rollup import ToolUse
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import CounterInUse, ServerSeen, ToolSeen
    from pktui.policy.document.policy import Policy
    from pktui.policy.rules import LimitRule
    from pktui.settings import Paths, Settings

# `shipped`: the memory's own policy, not yet copied; `none`: the server has no policy yet.
Origin = Literal["file", "shipped", "none", "broken"]
Mark = Literal["", "new", "flagged", "changed", "pattern"]

MEMORY: Final = "memory"
ALL: Final = "*"
_DAY_US: Final = 86_400_000_000
# Calls of the last day are counted again after this long.
_COUNTS_US: Final = 10_000_000
_BYTES_A_TOKEN: Final = 4

Definitions = Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit in words, and how much of it is left for the client that used most of it."""

    words: str
    left: int
    most: str
    used: int = 0

    @property
    def shown(self) -> str:
        """What is left, such as `12/30 left`."""
        return f"{self.left}/{self.most} left"


@dataclass(frozen=True, slots=True)
class ToolState:
    """One tool, or a pattern of the policy, and what it may do.

    `action`: what would happen to its next call, None while the policy cannot be read; `ruled`:
    what the policy says by itself, looser where the definition changed or the server's entry leaves
    the tool out. `words`: the reason its author gave. `own_limit`: such as `30/minute`. `calls`: of
    the last day. `seen`: as its server defines it, where that is on record; `tokens`: about how
    many that costs the model.
    """

    name: str
    action: EffectiveAction | None
    because: str
    rule: str
    ruled: EffectiveAction | None = None
    words: str = ""
    conditions: tuple[str, ...] = ()
    limits: tuple[LimitState, ...] = ()
    own_limit: str = ""
    calls: int = 0
    mark: Mark = ""
    risk: Risk | None = None
    seen: ToolSeen | None = None
    server: str = ""
    tokens: int = 0
    # When it was last called, 0 where no call is on record.
    last_us: int = 0
    # The managed file that decides, empty where the person's own policy does.
    layer: str = ""
    # What managed policies alone make of it, None where there are none for its server.
    ceiling: EffectiveRule | None = None


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server in the list. `changed`: tools defined otherwise than they were accepted."""

    name: str
    tools: int
    origin: Origin
    changed: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """One server's policy as it is now, or the tools of every server where `server` is `*`.

    `digest` is the SHA-256 of the file's bytes, in hex.
    """

    server: str
    path: Path
    origin: Origin
    digest: str = ""
    default: EffectiveAction | None = None
    description: str = ""
    problems: tuple[str, ...] = ()
    tools: tuple[ToolState, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """The whole view at a moment."""

    servers: tuple[ServerState, ...] = ()
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class _Ruled:
    """What holds of a server until its policy or its tools change.

    `page` has the tools without figures, `limits` what applies to each of them.
    """

    policy: Policy | PktuiError
    tools: ServerSeen | None
    page: Page
    limits: tuple[tuple[LimitRule, ...], ...]
    changed: int


class PolicyOverview:
    """Puts together what may happen (policy), what is there (catalogue) and what did (sums).

    `builtin` gives the definitions of the memory's own tools. Reading blocks and raises
    `LedgerUnavailable`.
    """

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        ledger: Ledger,
        clock: Callable[[], int],
        builtin: Definitions,
        starts: Callable[[str], str] = lambda _server: "",
        configured: Callable[[], Iterable[str]] = lambda: (),
        selects: Callable[[str], Selection] = lambda _server: EVERYTHING,
    ) -> None:
        """`starts` gives the name that what a server's entry starts has by itself, `selects` which
        tools the entry leaves in, `configured` the names of servers that are set up somewhere,
        started or not.
        """
        self._configured = configured
        self._selects = selects
        self._starts = starts
        self._paths = paths
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._builtin = builtin
        self._files: dict[str, _PolicyFile] = {}
        self._ruled: dict[str, _Ruled] = {}
        self._counted_us = 0
        self._uses: Mapping[tuple[str, str], ToolUse] = {}

    def shown(self, server: str) -> Shown:
        """Return the servers and the page of one of them, of all (`*`), else of the first."""
        seen = {one.server: one for one in self._ledger.catalogue.summary()}
        names = self._server_names(seen)
        ruled = {name: self._rules_of(name, seen.get(name)) for name in names}
        servers = tuple(
            ServerState(name, len(one.page.tools), one.page.origin, one.changed)
            for name, one in ruled.items()
        )
        if server == ALL:
            used = self._used("")
            tools = (tool for name in names for tool in self._with_figures(ruled[name], used).tools)
            return Shown(servers, Page(ALL, self._paths.policies_dir, "file", tools=tuple(tools)))
        chosen = server if server in names else names[0]
        policy = ruled[chosen].policy
        managed = not isinstance(policy, PktuiError) and policy.over  # its limits count for files
        return Shown(
            servers, self._with_figures(ruled[chosen], self._used("" if managed else chosen))
        )

    def _server_names(self, seen: Iterable[str]) -> tuple[str, ...]:
        """Return every server known by a policy, by an entry or by its tools; the memory first."""
        named = {self._path(name): name for name in self._settings.servers}
        files = {named.get(path, path.stem) for path in self._paths.policies_dir.glob("*.json")}
        others = {name for name in files if not name.startswith("_")}.union(seen)
        others |= {name for name in self._configured() if is_server_name(name)}
        others.discard(MEMORY)
        return (MEMORY, *sorted(others))

    def _path(self, server: str) -> Path:
        return self._settings.policy_file(self._paths, server)

    def _rules_of(self, server: str, seen: ServerSeen | None) -> _Ruled:
        file = self._files.get(server)
        if file is None:
            starts = partial(self._starts, server)
            file = self._files[server] = _PolicyFile(
                *(server, self._path(server), starts, self._paths.bundle_file)
            )
        policy = file.current(self._selects(server))
        known = self._ruled.get(server)
        if known is None or known.policy is not policy or known.tools != seen:
            builtin = self._builtin() if server == MEMORY else ()
            tools = self._ledger.catalogue.tools(server)
            known = self._ruled[server] = _ruled(file, policy, seen, tools, builtin)
        return known

    def _used(self, server: str) -> Mapping[tuple[str, ...], int]:
        """Return how much the client that used most has used of each counter."""
        most: dict[tuple[str, ...], int] = {}
        for one in self._ledger.counters.in_use(server):
            key = _counter_key(one)
            most[key] = max(most.get(key, 0), int(one.used))
        return most

    def _with_figures(self, ruled: _Ruled, used: Mapping[tuple[str, ...], int]) -> Page:
        uses, server = self._tool_uses(), ruled.page.server
        tools = []
        for tool, limits in zip(ruled.page.tools, ruled.limits, strict=True):
            use = uses.get((server, tool.name))
            tools.append(
                replace(
                    tool,
                    limits=tuple(_limit_state(limit, server, used) for limit in limits),
                    calls=use.calls if use else 0,
                    last_us=use.last_us if use else 0,
                )
                if limits or use
                else tool
            )
        return replace(ruled.page, tools=tuple(tools))

    def _tool_uses(self) -> Mapping[tuple[str, str], ToolUse]:
        now = self._clock()
        if not self._counted_us or now - self._counted_us > _COUNTS_US:
            rollup = self._ledger.rollup
            rollup.catch_up(seconds=0.5)
            self._uses = {(use.server, use.tool): use for use in rollup.tools(now - _DAY_US)}
            self._counted_us = now
        return self._uses


class _PolicyFile:
    """A server's policy, parsed again where its file changed; a missing file has a default."""

    def __init__(self, server: str, path: Path, starts: Also, fetched: Path) -> None:
        self.server = server
        self.path = path
        self._managed = Managed(server, starts, fetched)
        self._live: LivePolicy | None = None
        self._default: Policy | None = None
        self._in_force: tuple[Policy, Selection, Ceiling, Policy] | None = None

    @property
    def origin(self) -> Origin:
        """Where a policy that can be read comes from."""
        if self._live is not None:
            return "file"
        return "shipped" if self.server == MEMORY else "none"

    def current(self, selection: Selection) -> Policy | PktuiError:
        """Return the policy in force, managed ones laid over it, or what is wrong with it."""
        policy, ceiling = self._own(), self._managed.current()
        if isinstance(policy, PktuiError):
            return policy
        kept = self._in_force
        if kept is None or not (kept[0] is policy and kept[1] == selection and kept[2] is ceiling):
            whole = in_force(policy, selection, ceiling)
            kept = self._in_force = policy, selection, ceiling, whole
        return kept[3]

    def _own(self) -> Policy | PktuiError:
        """Return the policy as the file has it now, or what is wrong with it."""
        if not self.path.exists():
            self._live = None
            if self._default is None:
                self._default = parse_policy(read_policy(self.path, self.server)[0], self.path)
            return self._default
        if self._live is None:
            self._live = LivePolicy(self.path)
        policy = self._live.current()
        problem = self._live.problem
        if problem is not None:
            return problem
        assert policy is not None
        return policy


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


def _ruled(
    file: _PolicyFile,
    policy: Policy | PktuiError,
    summary: ServerSeen | None,
    listed: Iterable[ToolSeen],
    builtin: Iterable[Mapping[str, Any]],
) -> _Ruled:
    server, definitions = file.server, {str(tool["name"]): tool for tool in builtin}
    seen = dict.fromkeys(definitions) | {tool.name: tool for tool in listed}
    changed = sum(tool is not None and tool.changed for tool in seen.values())
    if isinstance(policy, PktuiError):
        tools = tuple(_unread(server, name, tool, definitions) for name, tool in seen.items())
        page = Page(
            server,
            file.path,
            "broken",
            _digest(file.path),
            problems=_problems(policy),
            tools=tools,
        )
        return _Ruled(policy, summary, page, ((),) * len(tools), changed)
    found = [
        _tool(policy, server, name, seen.get(name), definitions) for name in _names(policy, seen)
    ]
    page = Page(
        server,
        file.path,
        file.origin,
        policy.own.digest if file.origin == "file" else "",
        policy.default.value,
        policy.description,
        tools=tuple(tool for tool, _ in found),
    )
    return _Ruled(policy, summary, page, tuple(limits for _, limits in found), changed)


def _tool(
    policy: Policy,
    server: str,
    name: str,
    seen: ToolSeen | None,
    builtin: Mapping[str, Mapping[str, Any]],
) -> tuple[ToolState, tuple[LimitRule, ...]]:
    rule = effective(policy, name, changed=seen is not None and seen.changed)
    authored = policy.tools.get(name)
    pattern = is_glob(name) and authored is not None
    definition = _definition(name, seen, builtin)
    state = ToolState(
        name=name,
        action=rule.action,
        because=rule.because,
        rule=rule.rule,
        ruled=effective(policy.own.selecting(EVERYTHING), name).action,
        words=authored.words if authored else "",
        conditions=rule.conditions,
        own_limit=_own_limit(authored.limits if authored else ()),
        mark="pattern" if pattern else _mark(seen),
        risk=None if pattern else _risk(definition, seen),
        seen=seen,
        server=server,
        tokens=_tokens(definition, seen),
        layer=rule.layer,
        ceiling=ceiling_of(policy, name),
    )
    return state, rule.limits


def _unread(
    server: str, name: str, seen: ToolSeen | None, builtin: Mapping[str, Mapping[str, Any]]
) -> ToolState:
    definition = _definition(name, seen, builtin)
    return ToolState(
        name,
        None,
        "the policy file cannot be used",
        "",
        mark=_mark(seen),
        risk=_risk(definition, seen),
        seen=seen,
        server=server,
        tokens=_tokens(definition, seen),
    )


def _counter_key(one: CounterInUse) -> tuple[str, ...]:
    kind = one.holder.partition(":")[0]
    return one.server, kind, one.counter, str(one.window_us), one.align


def _limit_state(limit: LimitRule, server: str, used: Mapping[tuple[str, ...], int]) -> LimitState:
    key = limit.counted_for or server, limit.scope, limit.counter, str(limit.window_us), limit.align
    drawn = used.get(key, 0)
    left = max(0, int(limit.max) - drawn)
    return LimitState(describe_limit(limit), left, plain(limit.max), drawn)


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
    named = [name for name in policy.names if name not in seen]
    exact = [name for name in named if not is_glob(name)]
    patterns = [name for name in policy.tools if is_glob(name)]
    return tuple(dict.fromkeys((*seen, *exact, *patterns)))


def _mark(seen: ToolSeen | None) -> Mark:
    if seen is None:
        return ""
    if seen.changed:
        return "changed"
    return "flagged" if seen.flags else "new" if seen.is_new else ""


def _definition(
    name: str, seen: ToolSeen | None, builtin: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any]:
    if seen is None:
        return builtin.get(name, {"name": name})
    value: Any = json.loads(seen.definition)
    first: Mapping[str, Any] = value[0] if isinstance(value, list) else value
    return first


def _risk(definition: Mapping[str, Any], seen: ToolSeen | None) -> Risk:
    return classify(definition, sorted({flag.kind for flag in seen.flags}) if seen else ())


def _tokens(definition: Mapping[str, Any], seen: ToolSeen | None) -> int:
    """Return about how many tokens a definition takes of a model's context."""
    if seen is None and len(definition) < 2:  # known by its name alone
        return 0
    text = seen.definition if seen else json.dumps(definition, ensure_ascii=False)
    return -(-len(text.encode(errors="replace")) // _BYTES_A_TOKEN)


def _own_limit(limits: Iterable[LimitRule]) -> str:
    for limit in limits:
        if not limit.increment_from and limit.rule.startswith("/tools/"):
            words = window_words(limit.window_us)
            window = words if " " not in words else words.split(" ")[0]
            return f"{plain(limit.max)}/{window}"
    return ""
