"""What the ledger gives and takes: plain frozen records.

Times are integer microseconds since the epoch, UTC, in fields that end in `_us`; durations too.
Texts are as agents and servers sent them: make them visible before a person sees them.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from pktui.ledger.journal.segment import key_of
from pktui.times import SKEW_US
from pktui.times import now_us as now_us

EventKind = Literal[
    "decision",
    "outcome",
    "result",
    "refused",
    "request",
    "approval",
    "policy",
    "pin",
    "grant",
    "prune",
    "start",
    "end",
    "gateway",
    "note",
]
ApprovalStatus = Literal["pending", "allowed", "denied", "expired", "withdrawn", "spent"]
# `agent`: the process of an agent whose own tools a hook decides.
PresenceKind = Literal["console", "gateway", "agent"]
GrantStanding = Literal["valid", "expired", "revoked"]


# Stands between a grant's name and its key, and in no label.
KEY_MARK = "#"


def grant_identity(name: str, key: str) -> str:
    """Return what a grant is counted and answered by; a label, which has no key, is itself."""
    return f"{name}{KEY_MARK}{key}" if key else name


class Seat(msgspec.Struct, frozen=True):
    """One of a team's machines and whose it is there; both empty where this machine is alone."""

    person: str = ""
    """Who is logged in on it."""
    machine: str = ""

    def __str__(self) -> str:
        return f"{self.person}@{self.machine}" if self.person and self.machine else self.machine


class Caller(msgspec.Struct, frozen=True):
    """Who calls: the client's name, its grant's label, its connection and working directory."""

    agent: str = ""
    grant: str = ""
    session: str = ""
    project: str = ""
    key: str = ""
    """The grant's key, which no other grant of its name has; empty where the grant is a label."""

    @property
    def identity(self) -> str:
        """What outlives a connection: the grant, else the client in its directory."""
        return grant_identity(self.grant, self.key) or self.place

    @property
    def place(self) -> str:
        """The agent and where it works, which is how a person tells one from another."""
        return f"{self.agent}@{self.project}"


# The caller of events that no agent caused.
NOBODY = Caller()


class Event(msgspec.Struct, frozen=True):
    """One row of the journal, known by its segment and its number there; `hash` covers all else in
    it but the segment, and `prev`, the row before.
    """

    segment: int
    number: int
    at_us: int
    kind: EventKind
    call_id: str
    ref_seq: int
    """Of an outcome: the key of its decision; else 0."""
    server: str
    tool: str
    agent: str
    grant: str
    session: str
    project: str
    effect: str
    rule: str
    reason: str
    args_hash: str
    arguments: str
    """JSON text, masked and cut as the settings say; empty where there is none."""
    outcome: str
    duration_us: int
    approval_id: str
    detail: str
    """JSON text of an object; empty where there is none."""
    charges: str
    """JSON text of what it took from limits, or gave back; empty: nothing."""
    prev: str
    hash: str

    @property
    def seq(self) -> int:
        """Its key as one integer."""
        return key_of(self.segment, self.number)


class Proven(msgspec.Struct, frozen=True):
    """How far a store of anchors proves the record: until when, by how many that agree."""

    by: str
    until_us: int
    anchors: int


class Gap(msgspec.Struct, frozen=True):
    """A time of which a gateway put nothing on record.

    `silent`: it went on at `until_us`. `killed`: it was ended by force, found at `until_us`.
    `unclosed`: it neither went on nor closed, and does not run. `next_us` is when the next gateway
    of that server opened; both are 0 where nothing came.
    """

    how: Literal["silent", "killed", "unclosed"]
    server: str
    pid: int
    since_us: int
    until_us: int = 0
    next_us: int = 0


class Verification(msgspec.Struct, frozen=True):
    """What `audit verify` found; `segment` and `row` are the place at fault, 0 where none is."""

    ok: bool
    rows: int
    segment: int = 0
    row: int = 0
    problem: str = ""
    joint: int = 0
    """The last joint of the journal, and its hash; of an export of the first edition: its last
    row, and that one's."""
    hash: str = ""
    anchors: int = 0
    """How many anchors agree with what they name."""
    proven: tuple[Proven, ...] = ()
    """How far each store of anchors proves that no row was changed, removed or put in since."""
    notes: tuple[str, ...] = ()
    """What was found and is no fault: the torn end of a row that was set aside."""
    gaps: tuple[Gap, ...] = ()
    """Times of which a gateway put nothing on record, oldest first; no fault of the chain."""


class CallRow(msgspec.Struct, frozen=True):
    """A decision (or a refused message) with its outcome, once there is one.

    `seq` is its key: its segment and its number there in one integer.
    """

    seq: int
    call_id: str
    at_us: int
    agent: str
    grant: str
    session: str
    project: str
    server: str
    tool: str
    arguments: str
    effect: str
    """As decided: `allow`, `deny`, `approve`, `hide`; `refused` for a message never decided."""
    rule: str
    reason: str
    outcome: str
    """Empty while the call runs, and for a call that never went out."""
    duration_us: int
    approval_id: str
    detail: str
    """JSON text the decision carries."""
    outcome_detail: str
    """JSON text the outcome carries."""
    args_hash: str
    agent_session: str = ""
    """The agent's own session that made it, empty where that is not known for certain."""
    machine: str = ""
    """Which machine of a team it ran on; empty where this machine is alone."""
    person: str = ""
    """Whose that machine is."""

    @property
    def seat(self) -> Seat:
        """Where it ran."""
        return Seat(self.person, self.machine)


class Result(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a tool answered, as far as it is on record."""

    bytes: int
    """The size of the JSON text that went to the agent."""
    result: msgspec.Raw = msgspec.Raw()
    """That text, masked and cut; empty where the settings or its size kept it off the record. It is
    the result of the call, or the error where the server answered with one."""
    sha256: str = ""
    """Of that text as it was, where the settings let nothing else be kept."""

    @property
    def text(self) -> str:
        """What is kept of it, JSON text; empty: nothing."""
        return bytes(self.result).decode()


class Looked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a look at the thing showed that a call would change, or why there was none.

    `digest` is the SHA-256 of the whole answer, empty where there is none; texts are masked.
    """

    tool: str
    at_us: int = 0
    arguments: str = ""
    """What the tool was asked with, JSON text."""
    shown: str = ""
    """The answer's text, cut."""
    left_out: int = 0
    """Characters that were cut."""
    failed: bool = False
    """The tool answered that it failed."""
    why: str = ""
    """Why there is no answer, a sentence; empty where there is one."""
    digest: str = ""
    anew: str = ""
    """The approval that was taken back, as it had shown another answer."""
    before: str = ""
    """The text that was shown then."""

    def is_same(self, other: Looked | None) -> bool:
        """Tell whether another look found the same; where both found nothing, they did."""
        return other is not None and (self.tool, self.digest) == (other.tool, other.digest)


_LOOKED = msgspec.json.Decoder(Looked)


class NewApproval(msgspec.Struct, frozen=True):
    """A call that asks a person."""

    caller: Caller
    server: str
    tool: str
    arguments: Mapping[str, object]
    args_hash: str
    expires_us: int
    definition_hash: str = ""
    rule: str = ""
    reason: str = ""
    once: bool = False
    call_id: str = ""
    beside: Mapping[str, object] = msgspec.field(default_factory=dict)
    """What goes out beside the arguments; `args_hash` covers it."""
    meta: Mapping[str, object] = msgspec.field(default_factory=dict)
    """Its `_meta`, which no hash covers."""
    approvers: int = 1
    """How many people have to allow it."""
    looked: Looked | None = None
    """What it would change, where its policy has that looked at."""


class Approval(msgspec.Struct, frozen=True):
    """A question to a person and its answer; `status` counts the time it was read at.

    `expires_us` of an allowed one is when the permission lapses unused. `arguments` and `beside`
    are the full JSON text while the call can still run, and masked from then on.
    """

    id: str
    created_us: int
    expires_us: int
    status: ApprovalStatus
    server: str
    tool: str
    arguments: str
    args_hash: str
    definition_hash: str
    rule: str
    reason: str
    once: bool
    agent: str
    grant: str
    session: str
    project: str
    call_id: str
    decided_by: str
    decided_us: int
    words: str
    beside: str = ""
    """What goes out beside the arguments, a JSON object; empty where nothing does."""
    meta: str = ""
    """The call's `_meta` as it came, masked; empty where it has none."""
    grant_key: str = ""
    changed: str = ""
    """The arguments as the person changed them on allowing the call, kept like `arguments`; empty
    where they did not."""
    changed_hash: str = ""
    """The hash of the call with these arguments, which is what the permission is bound to."""
    approvers: str = ""
    """How many people have to allow it; empty: one."""
    agreed: str = ""
    """Who has allowed it so far where several have to, a name a line."""
    person: str = ""
    """Whose machine of a team it was asked on; empty where this machine is alone."""
    machine: str = ""
    look: str = ""
    """What a look showed that it would change, as JSON text of `Looked`; empty: none was wanted."""

    @property
    def seat(self) -> Seat:
        """Where it was asked."""
        return Seat(self.person, self.machine)

    @property
    def looked(self) -> Looked | None:
        """What a look showed that it would change, None where its policy wanted none."""
        return _LOOKED.decode(self.look) if self.look else None

    @property
    def needed(self) -> int:
        """How many people have to allow it."""
        return int(self.approvers or 1)

    @property
    def persons(self) -> tuple[str, ...]:
        """Who has allowed it so far, where several have to."""
        return tuple(self.agreed.splitlines())

    @property
    def people(self) -> str:
        """Say who has allowed it and who is missing; empty where one person is enough."""
        if self.needed == 1:
            return ""
        so_far = " and ".join(self.persons) or "nobody"
        return f"{self.needed} people have to allow it; so far {so_far}"

    @property
    def caller(self) -> Caller:
        """Who asks."""
        return Caller(self.agent, self.grant, self.session, self.project, self.grant_key)


class Question(msgspec.Struct, frozen=True):
    """What is counted of an approval: which tool asked, and how long for what answer it waited."""

    server: str
    tool: str
    agent: str
    status: ApprovalStatus
    created_us: int
    expires_us: int
    decided_by: str
    decided_us: int

    @property
    def allowed(self) -> bool:
        """Whether a person allowed it, used or not."""
        return bool(self.decided_by) and self.status != "denied"

    def waited_us(self, now_us: int) -> int:
        """Return how long the agent waited for an answer; 0 where it left, nobody knows when."""
        if self.status == "withdrawn" and not self.decided_us:
            return 0
        return max(0, min(self.decided_us or self.expires_us, now_us) - self.created_us)


class Grant(msgspec.Struct, frozen=True):
    """Which servers the holder of a token may reach, over HTTP."""

    name: str
    servers: tuple[str, ...]
    """Names; `*` stands for all."""
    policy: str
    """A policy file used instead of the servers' own; empty: theirs."""
    created_us: int
    expires_us: int = 0
    """0: never."""
    revoked_us: int = 0
    """0: not revoked."""
    key: str = ""
    """What tells it from every other grant that has had its name: the head of its token's hash."""
    project: str = ""
    """The directory its clients work in, absolute; empty: none is known."""

    @property
    def identity(self) -> str:
        """What its calls are counted and answered by."""
        return grant_identity(self.name, self.key)

    def standing(self, now_us: int) -> GrantStanding:
        """Tell whether its token counts at that time, and why not.

        One that ends, and was made later than now, was made by a clock that was wrong: when it
        was to end nobody knows.
        """
        if self.revoked_us:
            return "revoked"
        over = self.expires_us <= now_us or self.created_us > now_us + SKEW_US
        return "expired" if self.expires_us > 0 and over else "valid"

    def opens(self, server: str) -> bool:
        """Tell whether it is for that server."""
        return server in self.servers or "*" in self.servers


class Present(msgspec.Struct, frozen=True):
    """A console, a gateway or an agent that runs now; `detail` of an agent is its own session."""

    token: str
    kind: PresenceKind
    pid: int
    server: str
    agent: str
    project: str
    started_us: int
    detail: str
    machine: str = ""
    """Which machine of a team it runs on; empty: this one."""
    person: str = ""
    """Whose that machine is."""

    @property
    def seat(self) -> Seat:
        """Where it runs."""
        return Seat(self.person, self.machine)


# What hides in a definition: characters nobody sees, words to the model, a name like another.
FlagKind = Literal[
    "control",
    "invisible",
    "bidi",
    "tag",
    "padding",
    "instruction",
    "secret file",
    "other tool",
    "look-alike",
    "twice",
    "unread",
]


class Flag(msgspec.Struct, frozen=True):
    """Something in a tool's definition that a person should look at.

    `where` is a JSON Pointer into the definition; `shown` is safe to show.
    """

    kind: FlagKind
    where: str
    shown: str


# The key that stands in a definition instead of what was too long to keep.
NOT_KEPT = "…"


class ToolSeen(msgspec.Struct, frozen=True):
    """A tool as its server last defined it, and as it was pinned (SHA-256 of canonical JSON)."""

    server: str
    name: str
    definition: str
    hash: str
    pinned_hash: str
    pinned_definition: str
    first_seen_us: int
    last_seen_us: int
    is_new: bool = False
    """It came after the server was first seen and nobody has accepted it yet."""
    flags: tuple[Flag, ...] = ()
    """What a person should look at in its definition."""

    @property
    def changed(self) -> bool:
        """Whether the server now defines it otherwise than it was pinned."""
        return self.hash != self.pinned_hash

    @property
    def whole(self) -> bool:
        """Whether `definition` is all of it; one that is too long is not kept."""
        return f'"{NOT_KEPT}":' not in self.definition


class ServerSeen(msgspec.Struct, frozen=True):
    """A server's tools in figures; another record once any of them is other than it was."""

    server: str
    tools: int
    changed: int
    """How many are defined otherwise than they were pinned."""
    new: int
    last_seen_us: int


class Charged(msgspec.Struct, frozen=True, array_like=True, order=True):
    """What a row says of one counter: what a call took, or, negative, gave back.

    `key` is the counter's, `amount` in millionths; `at_us` is when it was taken, also of what is
    given back.
    """

    key: str
    amount: int
    at_us: int


class CounterInUse(msgspec.Struct, frozen=True):
    """What a limit's window holds now for one holder; `window_us` and `align` are the limit's."""

    server: str
    holder: str
    counter: str
    window_us: int
    align: str
    used: Decimal
