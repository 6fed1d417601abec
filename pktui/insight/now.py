"""What happens now: which agents are here, what needs a person, and what no eye would find."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Final, Literal

from pktui.agent_names import agent_id
from pktui.insight.spending import Purse, Spending
from pktui.ledger.records import Caller, Seat
from pktui.person import parent_of

if TYPE_CHECKING:
    from pktui.budget import Spent
    from pktui.ledger.feed.rollup import Connection, MinuteOfSession, Running, ToolUse
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.presence import Presence
    from pktui.ledger.records import Approval, CallRow, Present, Question

State = Literal["waiting", "running", "denied", "idle", "gone"]
OddKind = Literal["changed", "around", "insists", "burst", "again", "first"]

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
STEPS: Final = 12
_STEP_MINUTES: Final = 5
# Agents that left are shown for this long.
_GONE_US: Final = 2 * HOUR_US
# One without a gateway of its own (a hook) is here as long as it called not longer ago.
_HERE_US: Final = 15 * MINUTE_US
# Connections that began not further apart are of one visit.
_VISIT_US: Final = 30 * MINUTE_US
# Stands for the process above the gateways of an agent on another machine: nobody sees it here.
_ELSEWHERE: Final = 1
_MOST_ODD: Final = 3
# The newest calls that are looked through for what is odd, and how old they may be.
_RECENT: Final = 300
_ODD_US: Final = 15 * MINUTE_US
_BURST: Final = 5
_BURST_US: Final = 2 * MINUTE_US
_AGAIN: Final = 5
_INSISTS: Final = 3


@dataclass(frozen=True, slots=True)
class Need:
    """A call that waits for a person."""

    approval: Approval
    waits_us: int


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent at work: its connections taken together.

    `doing`: the tool that the state is about. `since_us`: when the state began. `calls`, `denied`
    and `asked` are those of these connections; `spark` the calls of the last hour in twelve steps.
    """

    agent: str
    project: str
    state: State
    doing: str = ""
    since_us: int = 0
    sessions: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()
    calls: int = 0
    denied: int = 0
    asked: int = 0
    first_us: int = 0
    last_us: int = 0
    spark: tuple[int, ...] = ()
    stopped: bool = False
    """A person has stopped it: each of its calls is refused."""
    person: str = ""
    """Whose machine of a team it works on; empty where this machine is alone."""
    machine: str = ""

    @property
    def seat(self) -> Seat:
        """Where it works."""
        return Seat(self.person, self.machine)

    @property
    def place(self) -> str:
        """How a stop of it names it."""
        return Caller(self.agent, project=self.project).place


@dataclass(frozen=True, slots=True)
class Hour:
    """The last hour: `calls` in twelve steps, oldest first, and what became of them."""

    calls: tuple[int, ...]
    total: int
    denied: int
    asked: int
    allowed: int
    median_wait_us: int
    new_tools: int


@dataclass(frozen=True, slots=True)
class Odd:
    """Something out of the ordinary; `words` says it without its time."""

    kind: OddKind
    words: str
    at_us: int = 0
    server: str = ""
    tool: str = ""
    agent: str = ""
    count: int = 0


@dataclass(frozen=True, slots=True)
class Now:
    """All of it at a moment. `stopped_by`: who stopped everything, empty where nobody has.

    `today`: the tokens of this day, as far as they are told; `budgets`: those that are set.
    """

    at_us: int
    needs: tuple[Need, ...]
    agents: tuple[Agent, ...]
    hour: Hour
    odd: tuple[Odd, ...]
    stopped_by: str = ""
    today: tuple[Spending, ...] = ()
    budgets: tuple[Spent, ...] = ()


class NowReader:
    """Reads it; costs by what happened since the last look. Raises `LedgerUnavailable`."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], int],
        purse: Purse = Purse(),  # noqa: B008  frozen
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._purse = purse
        self._parents: dict[int, int] = {}

    def read(self, around: Iterable[str] = ()) -> Now:
        """Return what happens now; `around` names agents' configs that go around pktui."""
        ledger, now = self._ledger, self._clock()
        ledger.rollup.catch_up(seconds=0.5)
        waiting = ledger.approvals.pending()
        tools = ledger.rollup.tools(now - HOUR_US)
        new = _new_tools(tools, now)
        minutes = ledger.rollup.minutes(now - HOUR_US)
        stop = ledger.approvals.stop_in_force()
        sums = ledger.usage.sums()
        return Now(
            at_us=now,
            needs=tuple(Need(one, max(0, now - one.created_us)) for one in waiting),
            agents=self._agents(now, waiting, minutes),
            hour=_hour(now, minutes, ledger.approvals.asked_since(now - HOUR_US), len(new)),
            odd=self._odd(now, new, around),
            stopped_by=stop.by if stop else "",
            today=self._purse.spending(sums, now),
            budgets=self._purse.budgets(sums, now),
        )

    def _agents(
        self, now: int, waiting: Sequence[Approval], minutes: Sequence[MinuteOfSession]
    ) -> tuple[Agent, ...]:
        rollup = self._ledger.rollup
        present = _Processes(self._ledger.presence)
        connections = rollup.connections(now - max(_GONE_US, _HERE_US))
        visits = _visits(connections, present, self._group_of, now, self._ledger.seat)
        running = {one.session: one for one in reversed(rollup.running())}
        asked = {one.session: one for one in reversed(waiting)}
        sparks = _sparks(minutes, now)
        stopped = self._ledger.approvals.stopped_agents()
        agents = [
            replace(agent, stopped=agent.place in stopped)
            for agent in (_agent(visit, running, asked, sparks, now) for visit in visits)
        ]
        return tuple(sorted(agents, key=lambda one: (one.state == "gone", -one.last_us)))

    def _group_of(self, present: Present) -> int:
        """Return the process of an agent: its own, or that which started its gateways."""
        if present.machine:
            return _ELSEWHERE
        if present.kind == "agent":
            return present.pid
        if present.pid not in self._parents:
            self._parents[present.pid] = parent_of(present.pid)
        return self._parents[present.pid]

    def _odd(self, now: int, new: Sequence[ToolUse], around: Iterable[str]) -> tuple[Odd, ...]:
        found = [*self._changed(), *(Odd("around", words) for words in around)]
        calls = [
            call for call in self._ledger.feed.page(limit=_RECENT) if call.at_us > now - _ODD_US
        ]
        found += _denied(calls)
        found += _repeated(calls)
        found += (
            Odd("first", f"first call ever of {tool.server}.{tool.tool}", tool.first_us,
                tool.server, tool.tool)
            for tool in new
        )  # fmt: skip
        return tuple(found[:_MOST_ODD])

    def _changed(self) -> Iterator[Odd]:
        for server in self._ledger.catalogue.summary():
            if server.changed:
                for tool in self._ledger.catalogue.tools(server.server):
                    if tool.changed:
                        yield Odd(
                            "changed",
                            f"{tool.server}.{tool.name} changed its definition",
                            self._ledger.feed.changed_at(tool.server, tool.name),
                            tool.server,
                            tool.name,
                        )


class _Processes:
    """Which gateways and hooked agents are here, and which agents have gone."""

    def __init__(self, presence: Presence) -> None:
        gateways, agents = presence.alive("gateway"), presence.alive("agent")
        self.here = tuple(one for one in (*gateways, *agents) if one.agent)
        self._gateways = {one.token: one for one in gateways}
        self._agents = {(one.server, one.detail): one for one in agents}
        self._gone = {(one.server, one.detail) for one in presence.dead("agent")}

    def behind(self, one: Connection) -> Present | None:
        """Return the gateway or the agent that a connection is of, None where it has gone."""
        return self._gateways.get(one.token) or self._agents.get((one.server, one.session))

    def may_be_here(self, one: Connection, now: int) -> bool:
        """Tell whether a hook answered lately for an agent whose process is not known."""
        # A hook answers under the agent's own name as that of a server, and has no gateway.
        hooked = one.server == agent_id(one.agent) and one.last_us > now - _HERE_US
        return hooked and (one.server, one.session) not in self._gone


@dataclass(slots=True)
class _Visit:
    """The connections of one agent that are shown as one row."""

    connections: list[Connection]
    processes: list[Present]
    agent: str
    project: str
    here: bool
    seat: Seat


def _visits(
    connections: Sequence[Connection],
    present: _Processes,
    group_of: Callable[[Present], int],
    now: int,
    own: Seat,
) -> list[_Visit]:
    """Group connections, the latest first: those here by their agent's process, others by visit.

    `own` is this machine's place in its team.
    """
    visits: dict[tuple[str, str, Seat, int], _Visit] = {}
    for process in present.here:
        seat = process.seat if process.machine else own
        key = process.agent, process.project, seat, group_of(process)
        visit = visits.setdefault(key, _Visit([], [], process.agent, process.project, True, seat))
        visit.processes.append(process)
    for one in connections:
        serving = present.behind(one)
        hooked = serving is None and present.may_be_here(one, now)
        group = group_of(serving) if serving is not None else 0 if hooked else -1
        seat = one.seat if one.seat.machine else own
        key = one.agent, one.project, seat, group
        visit = visits.setdefault(key, _Visit([], [], one.agent, one.project, group >= 0, seat))
        latest = visit.connections[0].last_us if visit.connections else one.last_us
        if visit.here or latest - one.last_us <= _VISIT_US:
            visit.connections.append(one)
    return list(visits.values())


def _agent(
    visit: _Visit,
    running: Mapping[str, Running],
    asked: Mapping[str, Approval],
    sparks: Mapping[str, Sequence[int]],
    now: int,
) -> Agent:
    connections = visit.connections
    sessions = tuple(dict.fromkeys(one.session for one in connections))
    servers = (
        *(one.server for one in connections), *(one.server for one in visit.processes)
    )  # fmt: skip
    started = min((one.started_us for one in visit.processes), default=now)
    state, doing, since_us = _state(visit, sessions, running, asked, started)
    return Agent(
        agent=visit.agent,
        project=visit.project,
        state=state,
        doing=doing,
        since_us=since_us,
        sessions=sessions,
        servers=tuple(sorted(set(servers))),
        calls=sum(one.calls for one in connections),
        denied=sum(one.denied for one in connections),
        asked=sum(one.asked for one in connections),
        first_us=min((one.first_us for one in connections), default=started),
        last_us=max((one.last_us for one in connections), default=started),
        spark=tuple(map(sum, zip(*(sparks.get(one, _NONE) for one in sessions), strict=True)))
        or _NONE,
        person=visit.seat.person,
        machine=visit.seat.machine,
    )


_NONE: Final = (0,) * STEPS


def _state(
    visit: _Visit,
    sessions: Iterable[str],
    running: Mapping[str, Running],
    asked: Mapping[str, Approval],
    started_us: int,
) -> tuple[State, str, int]:
    last = max(visit.connections, key=lambda one: one.last_seq, default=None)
    if not visit.here:
        return "gone", "", last.last_us if last else started_us
    for session in sessions:
        question = asked.get(session)
        if question is not None:
            return "waiting", f"{question.server}.{question.tool}", question.created_us
    for session in sessions:
        call = running.get(session)
        if call is not None:
            return "running", f"{call.server}.{call.tool}", call.at_us
    if last is None:
        return "idle", "", started_us
    refused = last.last_effect not in ("allow", "approve")
    return "denied" if refused else "idle", f"{last.server}.{last.last_tool}", last.last_us


def _sparks(minutes: Iterable[MinuteOfSession], now: int) -> dict[str, list[int]]:
    """Return the calls of each session in the steps of the last hour."""
    sparks: dict[str, list[int]] = {}
    for one in minutes:
        step = _step(one.minute, now)
        if step is not None:
            sparks.setdefault(one.session, [0] * STEPS)[step] += one.calls
    return sparks


def _step(minute: int, now: int) -> int | None:
    back = (now // MINUTE_US - minute) // _STEP_MINUTES
    return STEPS - 1 - back if 0 <= back < STEPS else None


def _hour(
    now: int, minutes: Sequence[MinuteOfSession], asked: Sequence[Question], new_tools: int
) -> Hour:
    calls, denied = [0] * STEPS, 0
    for one in minutes:
        step = _step(one.minute, now)
        if step is not None:
            calls[step] += one.calls
            denied += one.calls if one.effect not in ("allow", "approve") else 0
    waits = [one.waited_us(now) for one in asked if one.decided_by]
    return Hour(
        calls=tuple(calls),
        total=sum(calls),
        denied=denied,
        asked=len(asked),
        allowed=sum(one.allowed for one in asked),
        median_wait_us=int(median(waits)) if waits else 0,
        new_tools=new_tools,
    )


def _new_tools(tools: Sequence[ToolUse], now: int) -> list[ToolUse]:
    """Return the tools first called within the hour, of servers that were called before it."""
    known = {one.server for one in tools if one.first_us <= now - HOUR_US}
    return [one for one in tools if one.first_us > now - HOUR_US and one.server in known]


def _denied(calls: Sequence[CallRow]) -> Iterator[Odd]:
    """Find what an agent goes on trying though it is denied, and bursts of denials."""
    denials: dict[tuple[str, str, str], list[CallRow]] = {}
    for call in calls:
        if call.effect in ("deny", "hide"):
            denials.setdefault((call.agent, call.server, call.tool), []).append(call)
    for (agent, server, tool), rows in denials.items():
        same = max(Counter(row.args_hash for row in rows).values())
        last = rows[-1].at_us
        burst = [row for row in rows if row.at_us > last - _BURST_US]
        name = f"{server}.{tool}"
        if same >= _INSISTS:
            words = f"{agent} keeps trying {name}: the same call was denied {same}x"
            yield Odd("insists", words, last, server, tool, agent, same)
        elif len(burst) >= _BURST:
            words = f"{name} was denied to {agent} {len(burst)}x in 2 min"
            yield Odd("burst", words, last, server, tool, agent, len(burst))


def _repeated(calls: Sequence[CallRow]) -> Iterator[Odd]:
    """Find the same call made again and again, with no other of its connection between."""
    runs: dict[str, list[CallRow]] = {}
    longest: dict[tuple[str, str, str], list[CallRow]] = {}
    for call in calls:
        if call.effect != "allow" or not call.session:
            continue
        run = runs.get(call.session, [])
        same = run and (run[-1].server, run[-1].tool, run[-1].args_hash) == (
            call.server, call.tool, call.args_hash
        )  # fmt: skip
        runs[call.session] = run = [*run, call] if same else [call]
        if len(run) >= _AGAIN:
            longest[call.session, call.server, call.tool] = run
    for (_, server, tool), run in longest.items():
        last = run[-1]
        words = f"{last.agent} made the same call of {server}.{tool} {len(run)}x in a row"
        yield Odd("again", words, last.at_us, server, tool, last.agent, len(run))
