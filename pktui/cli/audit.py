"""`pktui audit`: read the record of what happened, and verify that nobody has edited it."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pktui.agent_names import friendly
from pktui.cli import backends, output
from pktui.cli.anchoring import tell_proven
from pktui.cli.commands import Argument, Exit, Option, group
from pktui.cli.time_options import WHEN_HELP
from pktui.errors import LedgerUnavailable, UsageError

if TYPE_CHECKING:
    from pktui.ledger.feed.filter import FeedFilter
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.postgres.verifying import TeamVerified
    from pktui.ledger.records import CallRow, Event, Verification

audit_app = group()

_LOOK_SECONDS = 0.2
_CALL_KINDS = frozenset({"decision", "outcome", "request"})
# Digests, and what the line says already.
_NOT_TOLD = frozenset({"digest", "hash", "sha256", "old", "new", "status"})
_PAGE = 500
_SET_ANCHORS = "Name in settings.toml where they are, or an export and --anchors here"


@audit_app.verb()
def tail(
    query: Annotated[
        list[str] | None,
        Argument(
            metavar="QUERY",
            help='Only calls that match: words, -"not this", tool:fs_*, effect:denied, since:2h.',
        ),
    ] = None,
    number: Annotated[
        int, Option("--number", "-n", min=0, max=100_000, help="How many to begin with.")
    ] = 20,
    follow: Annotated[bool, Option("--follow", "-f", help="Go on printing what happens.")] = False,
    json: Annotated[bool, Option("--json", help="Print JSON Lines.")] = False,
) -> None:
    """Print the newest events, oldest first; with a QUERY the newest calls that match it."""
    wanted = _filter(" ".join(query or ()))
    if not follow and not backends.used_before():
        output.note("Nothing is on record yet.")
        return
    found = False
    with backends.ledger() as ledger:
        for record in _records(ledger, wanted, number, follow=follow):
            found = True
            if json:
                output.json_line(_whole(ledger, record))
            else:
                output.line(_line(record))
            if follow:
                sys.stdout.flush()
    if wanted is not None and not found:
        output.note("No call matches.")


def feed(
    words: Annotated[
        str, Option("--filter", metavar="QUERY", help="Words, tool:fs_*, effect:denied, since:2h.")
    ] = "",
    json: Annotated[bool, Option("--json", help="Print the newest calls as JSON Lines.")] = False,
) -> None:
    """Open the console at the feed of calls; where there is no terminal, print the newest."""
    from pktui.cli.console import can_open, open_console

    wanted = _filter(words)
    if json:
        _print_calls(wanted)
        return
    if not can_open():
        tail([words] if words else None)
        return
    raise Exit(open_console(read_only=False, view="feed", words=words))


@audit_app.verb()
def verify(
    file: Annotated[
        Path | None,
        Argument(metavar="FILE", help="Exported events, - for standard input; else the ledger."),
    ] = None,
    anchors: Annotated[
        str,
        Option(metavar="PLACE", help="Anchors to compare an export with: a file, or s3-lock:…"),
    ] = "",
    roots: Annotated[
        Path | None, Option(metavar="PEM", help="With --anchors of time stamps: who signs them.")
    ] = None,
    key: Annotated[
        list[str] | None,
        Option("--key", metavar="KEY", help="The public key that signs anchors; may be repeated."),
    ] = None,
    json: output.JsonFlag = False,
) -> None:
    """Follow the chain from its first row to its head; exit 1 where a row is at fault."""
    _check_fit(file, anchors, roots, key or [])
    team, keys = None, _public_keys(key or [])
    if file is None:
        found, team = _verified(keys, quiet=json)
    else:
        from pktui.cli.exporting import verify_export

        found = verify_export(file, anchors, roots, keys)
    if json:
        output.json(found if team is None else {"here": found, "team": team})
    elif found.ok:
        some = "1 anchor agrees" if found.anchors == 1 else f"{found.anchors:,} anchors agree"
        agreed = f", and {some}" if found.anchors else ""
        rows = "1 row" if found.rows == 1 else f"{found.rows:,} rows"
        output.line(f"The chain holds: {rows}{agreed}.")
        if file is not None and found.hash:
            output.line(f"It ends with joint {found.joint}, {found.hash}.")
        tell_proven(found)
    elif found.segment or found.row:
        output.line(f"The chain is broken after {found.rows:,} good rows: {found.problem}.")
    else:
        output.line(f"The chain holds {found.rows:,} rows, but {found.problem}.")
    for note in found.notes if not json else ():
        output.note(f"{note[0].upper()}{note[1:]}.")
    if team is not None and not json:
        _tell_team(team)
    raise Exit(0 if found.ok and (team is None or team.ok) else 1)


def _check_fit(file: Path | None, anchors: str, roots: Path | None, keys: Sequence[str]) -> None:
    """Raise `UsageError` where an option would check nothing."""
    if file is None and (anchors or roots):
        raise UsageError(
            f"{'--anchors' if anchors else '--roots'} goes with a FILE",
            "The ledger's own are named by audit.anchors and audit.anchor_roots",
        )
    if file is not None and not anchors and (roots or keys):
        raise UsageError(
            f"{'--key' if keys else '--roots'} checks anchors, and none are named",
            "Say where they are with --anchors",
        )


def _tell_team(team: TeamVerified) -> None:
    """Say what was found of the record that all machines share."""
    for one in team.machines:
        rows = f"{one.rows:,} rows hold" if one.rows != 1 else "1 row holds"
        broken = f"broken after {one.rows:,} good rows: {one.problem}"
        output.line(f"Machine {one.machine}: {broken if one.problem else rows}.")
    if team.problem:
        output.line(f"The team's ledger: {team.problem}.")
    else:
        output.line(f"The team's ledger holds: {team.checkpoints:,} checkpoints agree.")


@audit_app.verb()
def reindex(json: output.JsonFlag = False) -> None:
    """Make what is read of the record anew from its journal; nothing of the record changes."""
    with backends.ledger() as ledger:
        rows = ledger.index.rebuild()
    if json:
        output.json({"rows": rows})
    else:
        output.line(f"The index was made anew: {rows:,} rows.")


@audit_app.verb()
def export(
    to: Annotated[
        Path | None,
        Option("--output", "-o", metavar="FILE", help="A new file; else standard output."),
    ] = None,
    since: Annotated[str, Option(metavar="WHEN", help=WHEN_HELP)] = "",
    until: Annotated[str, Option(metavar="WHEN", help="The same; events before it.")] = "",
    machine: Annotated[
        str,
        Option(metavar="NAME", help="Those of a team's machine, as the team's ledger has them."),
    ] = "",
) -> None:
    """Write the events as JSON Lines with their hashes, for anyone to verify."""
    from pktui.cli.exporting import run_export

    run_export(to, since, until, machine)


@audit_app.verb()
def anchor(
    due: Annotated[
        bool, Option("--due", help="Only where it is time, as gateways do; say only what fails.")
    ] = False,
    json: output.JsonFlag = False,
) -> None:
    """Print the head of the chain, and publish it wherever `audit.anchors` says."""
    from pktui.cli.anchoring import run_anchor

    run_anchor(due=due, json=json)


@audit_app.verb()
def status(json: output.JsonFlag = False) -> None:
    """Say how far each store of anchors is, and what is wrong with it."""
    from pktui.cli.anchoring import run_status

    run_status(json=json)


@audit_app.verb()
def key(
    file: Annotated[
        Path | None, Argument(metavar="FILE", help="The private key; default: audit.key.")
    ] = None,
) -> None:
    """Print the public key that signs anchors; make the key where there is none."""
    from pktui.cli.anchoring import run_key

    run_key(file)


@audit_app.verb()
def send(
    follow: Annotated[bool, Option("--follow", "-f", help="Go on sending what happens.")] = False,
    until_eof: Annotated[
        bool, Option("--until-eof", help="The same, until standard input ends.")
    ] = False,
) -> None:
    """Send the record on to telemetry.endpoint (OTLP), from where it was sent last.

    Gateways do so by themselves; this is for machines where only hooks run.
    """
    from pktui.cli.telemetry import run_send

    run_send(follow=follow, until_eof=until_eof)


@audit_app.verb()
def prune(
    keep_days: Annotated[
        float | None,
        Option(
            min=0,
            metavar="DAYS",
            help="Remove events older than this; 0: none for their age. Default: audit.keep_days.",
        ),
    ] = None,
    max_megabytes: Annotated[
        float | None,
        Option(
            min=0,
            metavar="MB",
            help="Remove the oldest beyond this size; 0: no limit. Default: audit.max_megabytes.",
        ),
    ] = None,
    dry_run: Annotated[bool, Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Annotated[bool, Option("--yes", "-y", help="Do not ask.")] = False,
    json: output.JsonFlag = False,
) -> None:
    """Remove the oldest events, as the settings or options say; the chain stays verifiable."""
    from pktui.cli.pruning import run_prune

    run_prune(keep_days, max_megabytes, dry_run=dry_run, yes=yes, json=json)


def _verified(keys: Sequence[str], *, quiet: bool) -> tuple[Verification, TeamVerified | None]:
    """Verify the ledger, and that of a team; on a terminal, say how far it is."""

    def progress(done: int, of: int) -> None:
        share = f"{done / 1_000_000:,.0f} of {of / 1_000_000:,.0f} MB"
        print(f"\r{share}", end="", file=sys.stderr, flush=True)

    watched = sys.stderr.isatty() and not quiet
    with backends.ledger() as ledger:
        if keys and not ledger.anchors.stores:
            raise UsageError("--key checks anchors, and audit.anchors is not set", _SET_ANCHORS)
        found = ledger.verify(progress if watched else None, keys)
        team = ledger.team.verify() if ledger.team is not None else None
    if watched:
        print(file=sys.stderr)
    return found, team


def _public_keys(named: Sequence[str]) -> tuple[str, ...]:
    """Return the public keys that are named, or that files of these names have, one a line."""
    if not named:
        return ()
    from pktui.ledger.chain.anchors.signing import read_public

    def halves(text: str) -> list[str]:
        file = Path(text)
        return file.read_text(errors="replace").split() if file.is_file() else [text]

    return tuple(read_public(half) for text in named for half in halves(text))


def _filter(text: str) -> FeedFilter | None:
    """Return the filter of a query, None where there is no query."""
    from pktui.ledger.feed.filter import FeedFilter
    from pktui.times import now_us

    wanted, problems = FeedFilter.parse(text, now_us=now_us())
    if problems:
        first = problems[0]
        typed = text[first.start : first.end]
        raise UsageError(
            f"{typed} cannot be used: {first.why}", "Put it in quotes to find its text"
        )
    return wanted or None


def _print_calls(wanted: FeedFilter | None, number: int = 20) -> None:
    from pktui.ledger.feed.filter import FeedFilter

    if not backends.used_before():
        output.note("Nothing is on record yet.")
        return
    with backends.ledger() as ledger:
        _look_at_team(ledger)
        for row in ledger.feed.page(wanted or FeedFilter(), limit=number):
            output.json_line(_whole(ledger, row))


def _whole(ledger: Ledger, record: Event | CallRow) -> object:
    """Return a call with its result, as far as that is on record by now; an event as it is."""
    import msgspec

    from pktui.ledger.records import CallRow

    if not isinstance(record, CallRow):
        return record
    found = ledger.results.of([record.call_id]).get(record.call_id)
    return {**msgspec.structs.asdict(record), "result": found}


def _records(
    ledger: Ledger, wanted: FeedFilter | None, number: int, *, follow: bool
) -> Iterator[Event | CallRow]:
    """Give the newest records, then, while following, each as it comes."""
    away = _look_at_team(ledger)
    version = ledger.state()
    last = ledger.events.last_seq()
    newest = _newest(ledger, wanted, number)
    yield from newest
    last = newest[-1].seq if newest and wanted is None else last
    while follow:
        news = _after(ledger, wanted, last)
        yield from news
        if news:
            last = news[-1].seq
            continue
        while ledger.state() == version:
            time.sleep(_LOOK_SECONDS)
            away = _look_at_team(ledger, away)
        version = ledger.state()


def _look_at_team(ledger: Ledger, said: str = "") -> str:
    """Take in what a team's other machines have put on record.

    Where the team's ledger is away this machine's record is read all the same. Returns why it is
    away, which is told where it was not `said` before.
    """
    try:
        if ledger.team is not None:
            ledger.team.take_in(ledger.index)
    except LedgerUnavailable as error:
        if error.what != said:
            output.note(f"Of this machine alone: {error}")
        return error.what
    return ""


def _newest(
    ledger: Ledger, wanted: FeedFilter | None, number: int
) -> tuple[Event, ...] | tuple[CallRow, ...]:
    if wanted is None:
        return ledger.events.newest(number)
    return ledger.feed.page(wanted, limit=number)


def _after(
    ledger: Ledger, wanted: FeedFilter | None, seq: int
) -> tuple[Event, ...] | tuple[CallRow, ...]:
    if wanted is None:
        return ledger.events.tail(seq, _PAGE)
    return ledger.feed.page(wanted, after_seq=seq, limit=_PAGE)


def _line(record: Event | CallRow) -> str:
    """Return a record on one line: time, what, who, tool, how it ended, why."""
    from pktui.ledger.journal.segment import shown_key
    from pktui.text import one_line

    kind = getattr(record, "kind", "decision")
    where = f"{record.server}.{record.tool}" if record.tool else record.server
    took = f"{record.outcome} {record.duration_us / 1000:.0f} ms" if record.outcome else ""
    why = " ".join(part for part in (record.rule, record.reason) if part)
    parts = (
        f"{shown_key(record.seq):>7}",
        output.moment(record.at_us),
        str(getattr(record, "seat", "")),
        f"{kind:<8}",
        f"{record.effect:<9}",
        record.grant or friendly(record.agent) or "-",
        where or "-",
        took,
        why,
        record.arguments,
        _facts(record.detail) if kind not in _CALL_KINDS else "",
    )
    return one_line("  ".join(part for part in parts if part), 400)


def _facts(detail: str) -> str:
    """Return what an event that is no call says besides: who did it, what was edited, why."""
    try:
        members = json_text.loads(detail or "{}")
    except ValueError:
        return ""
    told = (
        f"{name}: {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in members.items()
        if isinstance(value, str | int)
        and value != ""
        and name not in _NOT_TOLD
        and not name.endswith("_us")
    )
    return ", ".join(told)
