"""`pktui audit anchor`, `status` and `key`: the heads of the record, kept elsewhere and signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pktui.cli import backends, output
from pktui.errors import PktuiError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.ledger.chain.anchors.anchor import Read
    from pktui.ledger.chain.anchors.anchoring import Published, Standing
    from pktui.ledger.records import Gap, Verification

_SET_KEY = 'Set it in settings.toml, [audit]: key = "/a/path/apart/from/the/data"'


def run_anchor(*, due: bool, json: bool) -> None:
    """Publish the head to every store that is set, or to those that are due, and print it."""
    with backends.ledger(write=backends.used_before()) as ledger:
        done = ledger.anchors.publish(due=due)
        written = [one.anchor for one in done if one.anchor is not None]
        head = written[0] if written else ledger.anchors.head()
        stores = ledger.anchors.stores
    if json:
        output.json(head)
    elif not due:
        output.line(f"{head.joint} {head.hash} {output.moment(head.at_us)}")
    if not stores:
        output.note(
            "audit.anchors is not set, so it is kept nowhere: keep it where agents can't write."
        )
    elif not head.rows and not due:
        output.note("Nothing is on record yet, so nothing was published.")
    _tell_published(done, quiet=due)


def _tell_published(done: Sequence[Published], *, quiet: bool) -> None:
    """Say what became of each; raises `PktuiError` with the last one that failed."""
    failed = [one.error for one in done if one.error is not None]
    for one in done:
        place = one.store.removeprefix("file:")
        if one.error is None and not quiet:
            output.note(f"{'Written to' if one.anchor else 'In'} {place}.")
    for error in failed[:-1]:
        output.note(str(error))
    if failed:
        raise failed[-1]


def run_status(*, json: bool) -> None:
    """Print how each store of anchors stands, and the keys that sign."""
    from pktui.settings import Paths, load_settings

    key = load_settings(Paths.from_environment()).audit.key
    with backends.ledger() as ledger:
        standings = ledger.anchors.standings()
    keys: tuple[str, ...] = ()
    if key:
        from pktui.ledger.chain.anchors.signing import public_halves

        keys = public_halves(Path(key).expanduser())
    if json:
        output.json({"stores": standings, "keys": keys})
        return
    output.table(
        ("STORE", "LAST", "ROWS SINCE", "STATE"),
        [
            (one.store, output.moment(one.last_us or None), f"{one.behind:,}", _state(one))
            for one in standings
        ],
        empty="audit.anchors is not set: the record is anchored nowhere.",
    )
    # Below the table, which cuts its cells.
    for one in standings:
        if one.problem:
            named = one.store in one.problem
            output.line(one.problem if named else f"{one.store}: {one.problem}")
    for public in keys:
        output.line(f"Signed by {public}")


def _state(standing: Standing) -> str:
    if standing.problem:
        return "fails"
    return "late" if standing.late else "ok"


def run_key(file: Path | None) -> None:
    """Print the public key that signs anchors; make the key where there is none."""
    from pktui.ledger.chain.anchors.signing import SigningKey, is_apart
    from pktui.settings import Paths, load_settings

    paths = Paths.from_environment()
    named = load_settings(paths).audit.key
    if file is None and not named:
        raise UsageError("audit.key is not set", _SET_KEY)
    path = file or Path(named).expanduser()
    if not is_apart(path, paths.data_dir):
        raise PktuiError(
            f"{path} is in {paths.data_dir}, beside what it signs", "Name a place of its own"
        )
    there = path.exists()
    key = SigningKey.load(path) if there else SigningKey.make(path)
    output.line(key.public)
    if not there:
        output.note(f"Made {path}: keep that for yourself, and give auditors the line above.")
    if not named:
        output.note(f'Anchors are signed once audit.key = "{path}" is in settings.toml.')


def read_elsewhere(place: str, roots: Path | None) -> Read:
    """Return the anchors that an auditor names: a file of them or of receipts, or `s3-lock:…`.

    Raises `PktuiError` where they cannot be read.
    """
    from pktui.ledger.chain.anchors.anchor import Read
    from pktui.ledger.chain.anchors.anchor_file import read_anchors
    from pktui.ledger.chain.anchors.receipts import Receipts, are_receipts
    from pktui.times import now_us

    if place.startswith("s3-lock:"):
        from pktui.ledger.chain.anchors.s3_lock import LockedObjects

        nothing = Receipts(Path("/nonexistent"), place)
        return LockedObjects(place, place.partition(":")[2], 1, nothing, now_us).read()
    file = Path(place)
    if are_receipts(file):
        from pktui.ledger.chain.anchors.rfc3161 import TimeStamps

        return TimeStamps(f"rfc3161:{file}", "", roots, Receipts(file, f"rfc3161:{file}")).read()
    return Read(read_anchors(file, f"file:{file}"))


def tell_proven(found: Verification) -> None:
    """Say until when each store of anchors proves the record, and when a gateway was silent."""
    for one in found.proven:
        many = "1 anchor" if one.anchors == 1 else f"{one.anchors:,} anchors"
        output.line(f"Proven until {output.moment(one.until_us)} by {one.by} ({many}).")
    for gap in found.gaps:
        who = f"gateway {gap.server or 'over HTTP'} (pid {gap.pid})"
        then = f"; the next one opened at {output.moment(gap.next_us)}" if gap.next_us else ""
        output.line(f"Gap after {output.moment(gap.since_us)}: {who} {_silence(gap)}{then}.")


def _silence(gap: Gap) -> str:
    if gap.how == "silent":
        until = output.moment(gap.until_us)
        return f"wrote nothing until {until}: the machine slept, or the process was stopped"
    if gap.how == "killed":
        found = output.moment(gap.until_us)
        return f"was ended by force (kill -9, a crash, no power), which was found at {found}"
    return "neither closed nor went on: ended by force, or what it wrote then was cut off"
