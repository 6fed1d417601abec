"""The tables, as migrations forward only: step N takes a file from version N to N + 1."""

from __future__ import annotations

# `pktu`: marks the file as a ledger of pktui in its header.
APPLICATION_ID = 0x706B7475

# `pkti`: marks the index of a journal.
INDEX_ID = 0x706B7469

# What the feed shows.
CALLS = "kind IN ('decision', 'refused')"

# What an older program is told; one that knows no better shows SQLite's words, which are these.
MOVED_ON = "a newer pktui has moved this ledger on; update this one"

# Stands between server and tool in `call_tool`; no server's name holds it.
BETWEEN = "\x1f"

# What a row of the record says, in the log of the first edition and in the index of the journal.
_SAID = """at_us INTEGER NOT NULL,
        kind TEXT NOT NULL,
        call_id TEXT NOT NULL,
        ref_seq INTEGER NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        agent TEXT NOT NULL,
        grant_name TEXT NOT NULL,
        session TEXT NOT NULL,
        project TEXT NOT NULL,
        effect TEXT NOT NULL,
        rule TEXT NOT NULL,
        reason TEXT NOT NULL,
        args_hash TEXT NOT NULL,
        arguments TEXT NOT NULL,
        outcome TEXT NOT NULL,
        duration_us INTEGER NOT NULL,
        approval_id TEXT NOT NULL,
        detail TEXT NOT NULL"""

# `call_us` and `call_tool` repeat time, server and tool of what the feed shows and are null in all
# other rows: an index on columns of its own answers without a look at the rows.
_FIRST = (
    f"""CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        {_SAID},
        hash BLOB NOT NULL,
        call_us INTEGER,
        call_tool TEXT
    ) STRICT""",
    "CREATE INDEX events_call ON events (call_id) WHERE call_id <> ''",
    "CREATE INDEX events_tool ON events (call_tool) WHERE call_tool IS NOT NULL",
    "CREATE INDEX events_time ON events (call_us) WHERE call_us IS NOT NULL",
    f"CREATE INDEX events_effect ON events (effect) WHERE {CALLS} AND effect <> 'allow'",
    """CREATE INDEX events_failed ON events (outcome, ref_seq)
        WHERE kind = 'outcome' AND outcome <> 'ok'""",
    "CREATE INDEX events_rare ON events (kind) WHERE kind NOT IN ('decision', 'outcome')",
    """CREATE TABLE chain (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        base_seq INTEGER NOT NULL,
        base_hash BLOB NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL
    ) STRICT""",
    "INSERT INTO chain VALUES (1, 0, zeroblob(32), 0, zeroblob(32))",
    """CREATE TRIGGER events_are_never_edited BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
        WHEN OLD.seq > (SELECT base_seq FROM chain)
        BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
    """CREATE TABLE charges (
        key TEXT NOT NULL,
        at_us INTEGER NOT NULL,
        n INTEGER NOT NULL,
        amount INTEGER NOT NULL,
        total INTEGER NOT NULL,
        call_id TEXT NOT NULL,
        expires_us INTEGER NOT NULL,
        PRIMARY KEY (key, at_us, n)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX charges_call ON charges (call_id)",
    """CREATE TABLE approvals (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL,
        status TEXT NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        arguments TEXT NOT NULL,
        masked TEXT NOT NULL,
        args_hash TEXT NOT NULL,
        definition_hash TEXT NOT NULL,
        rule TEXT NOT NULL,
        reason TEXT NOT NULL,
        once INTEGER NOT NULL,
        identity TEXT NOT NULL,
        agent TEXT NOT NULL,
        grant_name TEXT NOT NULL,
        session TEXT NOT NULL,
        project TEXT NOT NULL,
        call_id TEXT NOT NULL,
        decided_by TEXT NOT NULL,
        decided_us INTEGER NOT NULL,
        words TEXT NOT NULL
    ) STRICT""",
    "CREATE INDEX approvals_open ON approvals (status) WHERE status IN ('pending', 'allowed')",
    "CREATE INDEX approvals_same ON approvals (args_hash, tool, server, identity)",
    """CREATE TABLE switches (
        name TEXT PRIMARY KEY,
        by_whom TEXT NOT NULL,
        at_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE presence (
        token TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        pid INTEGER NOT NULL,
        born TEXT NOT NULL,
        server TEXT NOT NULL,
        agent TEXT NOT NULL,
        project TEXT NOT NULL,
        started_us INTEGER NOT NULL,
        detail TEXT NOT NULL
    ) STRICT, WITHOUT ROWID""",
    """CREATE TABLE tools (
        server TEXT NOT NULL,
        name TEXT NOT NULL,
        position INTEGER NOT NULL,
        definition TEXT NOT NULL,
        hash TEXT NOT NULL,
        pinned_definition TEXT NOT NULL,
        pinned_hash TEXT NOT NULL,
        first_seen_us INTEGER NOT NULL,
        last_seen_us INTEGER NOT NULL,
        is_new INTEGER NOT NULL,
        PRIMARY KEY (server, name)
    ) STRICT""",
)

_REQUESTS_AND_FLAGS = (
    """CREATE TABLE requests (
        server TEXT NOT NULL,
        method TEXT NOT NULL,
        n INTEGER NOT NULL,
        denied INTEGER NOT NULL,
        last_us INTEGER NOT NULL,
        PRIMARY KEY (server, method)
    ) STRICT, WITHOUT ROWID""",
    "ALTER TABLE tools ADD COLUMN flags TEXT NOT NULL DEFAULT '[]'",
)

_STANDING_AND_PIN = (
    """CREATE TABLE standing (
        n INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        created_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL,
        server TEXT NOT NULL,
        tool TEXT NOT NULL,
        args_hash TEXT NOT NULL,
        arguments TEXT NOT NULL,
        definition_hash TEXT NOT NULL,
        identity TEXT NOT NULL,
        agent TEXT NOT NULL,
        grant_name TEXT NOT NULL,
        project TEXT NOT NULL,
        session TEXT NOT NULL,
        approval_id TEXT NOT NULL,
        made_by TEXT NOT NULL,
        uses INTEGER NOT NULL,
        used_us INTEGER NOT NULL,
        ended TEXT NOT NULL,
        ended_by TEXT NOT NULL,
        ended_us INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX standing_live ON standing (server) WHERE ended = ''",
    """CREATE TABLE pin (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        salt BLOB NOT NULL,
        hash BLOB NOT NULL,
        n INTEGER NOT NULL,
        r INTEGER NOT NULL,
        p INTEGER NOT NULL,
        set_us INTEGER NOT NULL,
        tries INTEGER NOT NULL,
        locked_until_us INTEGER NOT NULL
    ) STRICT""",
)

_GRANTS = (
    """CREATE TABLE grants (
        n INTEGER PRIMARY KEY,
        key BLOB NOT NULL,
        digest BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        servers TEXT NOT NULL,
        policy TEXT NOT NULL,
        created_us INTEGER NOT NULL,
        expires_us INTEGER NOT NULL,
        revoked_us INTEGER NOT NULL
    ) STRICT""",
    "CREATE INDEX grants_key ON grants (key)",
    "CREATE UNIQUE INDEX grants_name ON grants (name) WHERE revoked_us = 0",
)

# The schema of the pktui that wrote a row: what the guard below asks for. In no hash.
_WRITERS = ("ALTER TABLE events ADD COLUMN schema INTEGER NOT NULL DEFAULT 0",)

_ANCHORED = (
    """CREATE TABLE anchored (
        file TEXT PRIMARY KEY,
        lines INTEGER NOT NULL,
        seq INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
)

# What stands beside a call's arguments, and the key of the grant that asks. Grants of the first
# schemas were known by their names: what their clients were allowed and have used stays theirs.
_BESIDE_AND_GRANT_KEYS = (
    *(
        f"ALTER TABLE approvals ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
        for name in ("beside", "masked_beside", "meta", "grant_key")
    ),
    "ALTER TABLE standing ADD COLUMN grant_key TEXT NOT NULL DEFAULT ''",
    *(
        f"""UPDATE {table} SET grant_key = lower(hex(g.key)),
                identity = g.name || '#' || lower(hex(g.key))
            FROM grants g WHERE g.name = {table}.grant_name AND g.revoked_us = 0
            AND g.created_us <= {table}.created_us AND {table}.project = ''"""  # noqa: S608
        for table in ("approvals", "standing")
    ),
    """INSERT INTO charges
        SELECT replace(c.key, '"grant:' || g.name || '"',
                '"grant:' || g.name || '#' || lower(hex(g.key)) || '"'),
            c.at_us, c.n, c.amount, c.total, c.call_id, c.expires_us
        FROM charges c JOIN grants g
            ON g.revoked_us = 0 AND instr(c.key, '"grant:' || g.name || '"') > 0""",
)

_CONDITIONS = ("ALTER TABLE standing ADD COLUMN conditions TEXT NOT NULL DEFAULT ''",)

# The directory that relative paths and `${project}` mean for the clients of a grant.
_GRANT_PROJECTS = ("ALTER TABLE grants ADD COLUMN project TEXT NOT NULL DEFAULT ''",)

# One row: the clock of the processes at this ledger, and up to when its age is believed.
_CLOCK = (
    """CREATE TABLE clock (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        boot TEXT NOT NULL,
        offset_us INTEGER NOT NULL,
        astray_us INTEGER NOT NULL,
        astray_since_us INTEGER NOT NULL,
        trusted_us INTEGER NOT NULL,
        witnessed_us INTEGER NOT NULL
    ) STRICT""",
    "INSERT INTO clock VALUES (1, '', 0, 0, 0, 0, 0)",
)

# What is kept of refusals, and how much of the log is what happened and how much is beside it; of
# older rows only the whole is known.
_REFUSALS = (
    """CREATE TABLE refusals (
        who TEXT PRIMARY KEY,
        hour INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        more INTEGER NOT NULL DEFAULT 0,
        digest BLOB NOT NULL DEFAULT x'',
        since_us INTEGER NOT NULL DEFAULT 0,
        said_us INTEGER NOT NULL DEFAULT 0
    ) STRICT, WITHOUT ROWID""",
    "ALTER TABLE chain ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE chain ADD COLUMN beside_bytes INTEGER NOT NULL DEFAULT 0",
    """UPDATE chain SET bytes = CASE seq WHEN base_seq THEN 0 ELSE
        (SELECT page_count FROM pragma_page_count()) * (SELECT page_size FROM pragma_page_size())
        END""",
)

# What decides names the event that says so: its segment, its number, where its line begins, and
# which change of all it is. The log of before is carried over into the journal when the ledger is
# opened; until then no older program adds to it.
_JOURNAL = (
    *(
        f"ALTER TABLE {table} ADD COLUMN event TEXT NOT NULL DEFAULT ''"
        for table in ("approvals", "standing", "grants", "tools", "pin", "switches")
    ),
    """CREATE TABLE changes (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        schema INTEGER NOT NULL,
        n INTEGER NOT NULL
    ) STRICT""",
    "INSERT INTO changes VALUES (1, 12, 0)",
    """CREATE TABLE applied (
        segment INTEGER PRIMARY KEY,
        number INTEGER NOT NULL,
        offset INTEGER NOT NULL
    ) STRICT""",
    "DROP TABLE refusals",
    """CREATE TABLE asked (
        who TEXT PRIMARY KEY,
        hour INTEGER NOT NULL,
        rows INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID""",
    "ALTER TABLE anchored RENAME COLUMN seq TO joint",
    "UPDATE anchored SET joint = 0",
    "DROP TRIGGER IF EXISTS events_are_of_this_schema",
    f"""CREATE TRIGGER events_are_in_the_journal BEFORE INSERT ON events
        BEGIN SELECT RAISE(FAIL, '{MOVED_ON}'); END""",
)

# What a person made of a call's arguments on allowing it, and the hash of the call with them.
_CHANGED_ARGUMENTS = (
    *(
        f"ALTER TABLE approvals ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
        for name in ("changed", "masked_changed", "changed_hash")
    ),
    "CREATE INDEX approvals_changed ON approvals (changed_hash) WHERE changed_hash <> ''",
)

# How many people have to allow a call, where it is more than one, and who has.
_APPROVERS = tuple(
    f"ALTER TABLE approvals ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
    for name in ("approvers", "agreed")
)

# Results have segments of their own in the journal, which older programs do not know: they would
# add joints as if those were not there.
_RESULTS: tuple[str, ...] = ()

# On which of a team's machines it was asked, and whose that is.
_SEATS = tuple(
    f"ALTER TABLE approvals ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
    for name in ("person", "machine")
)

# What a look showed that a call would change, and what is kept of it once it was decided.
_LOOK = tuple(
    f"ALTER TABLE approvals ADD COLUMN {name} TEXT NOT NULL DEFAULT ''"
    for name in ("look", "masked_look")
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _FIRST,
    _REQUESTS_AND_FLAGS,
    _STANDING_AND_PIN,
    _GRANTS,
    _WRITERS,
    _ANCHORED,
    _BESIDE_AND_GRANT_KEYS,
    _CONDITIONS,
    _GRANT_PROJECTS,
    _CLOCK,
    _REFUSALS,
    _JOURNAL,
    _CHANGED_ARGUMENTS,
    _APPROVERS,
    _RESULTS,
    _SEATS,
    _LOOK,
)
# The schema this pktui writes, kept in the file as `user_version`.
VERSION = len(MIGRATIONS)

# Made anew by every migration: a program that was started before one, and would write rows as it
# knows them, is refused by the file itself. Whatever changes the ledger for good is counted in its
# transaction, so that goes, too.
_GUARD = (
    "DROP TRIGGER IF EXISTS changes_are_of_this_schema",
    f"UPDATE changes SET schema = {VERSION}",  # noqa: S608
    f"""CREATE TRIGGER changes_are_of_this_schema BEFORE UPDATE ON changes
        WHEN NEW.schema <> {VERSION}
        BEGIN SELECT RAISE(FAIL, '{MOVED_ON}'); END""",
)


def migration_from(version: int) -> tuple[str, ...]:
    """Return the statements that take a file of that version to this one, its guard included."""
    return (*(statement for step in MIGRATIONS[version:] for statement in step), *_GUARD)


# The tables below, as `user_version` of the index: one of another version is made anew.
INDEX_VERSION = 6

# The index: `seq` is the order rows came in, `decision_seq` an outcome's decision there. Of each
# result it has where its line begins in the journal, so that it is kept once and not twice.
INDEX_TABLES = (
    f"""CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        segment INTEGER NOT NULL,
        number INTEGER NOT NULL,
        {_SAID},
        charges TEXT NOT NULL,
        hash BLOB NOT NULL,
        call_us INTEGER,
        call_tool TEXT,
        agent_session TEXT,
        decision_seq INTEGER NOT NULL
    ) STRICT""",
    "CREATE UNIQUE INDEX events_key ON events (segment, number)",
    """CREATE INDEX events_agent_session ON events (agent_session, call_us)
        WHERE agent_session IS NOT NULL""",
    *_FIRST[1:4],
    _FIRST[4],
    """CREATE INDEX events_failed ON events (outcome, decision_seq)
        WHERE kind = 'outcome' AND outcome <> 'ok'""",
    _FIRST[6],
    """CREATE INDEX events_session ON events (session, call_us)
        WHERE call_us IS NOT NULL AND session <> ''""",
    """CREATE TABLE results (
        call_id TEXT NOT NULL,
        segment INTEGER NOT NULL,
        offset INTEGER NOT NULL,
        PRIMARY KEY (call_id, segment, offset)
    ) STRICT, WITHOUT ROWID""",
    "CREATE TABLE counters (key TEXT PRIMARY KEY) STRICT, WITHOUT ROWID",
    """CREATE TABLE machines (
        n INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        person TEXT NOT NULL
    ) STRICT""",
    "CREATE TABLE others (team TEXT PRIMARY KEY, reached INTEGER NOT NULL) STRICT",
    """CREATE TABLE segments (
        n INTEGER PRIMARY KEY,
        first_hash BLOB NOT NULL,
        offset INTEGER NOT NULL,
        number INTEGER NOT NULL
    ) STRICT""",
)
