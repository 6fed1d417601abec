"""`pktui audit export`, and `pktui audit verify FILE`: the record outside the ledger."""

from __future__ import annotations

import sys
from codecs import BOM_UTF8
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from pktui.cli import backends, output
from pktui.cli.time_options import typed_us
from pktui.errors import PktuiError, UsageError

if TYPE_CHECKING:
    from pktui.ledger.chain.anchors.anchor import Found, Read
    from pktui.ledger.records import Verification

STDIN = Path("-")


def run_export(to: Path | None, since: str, until: str, machine: str) -> None:
    """Write the events of that time to a file, which is whole or not there, or to stdout.

    `machine`: those of a team's machine of that name; empty: this one's.
    """
    since_us, until_us = (
        typed_us(option, text) if text else 0
        for option, text in (("--since", since), ("--until", until))
    )
    with backends.ledger() as ledger:
        if not machine:
            lines = ledger.framed(since_us=since_us, until_us=until_us)
        elif ledger.team is not None:
            lines = ledger.team.framed(machine, since_us=since_us, until_us=until_us)
        else:
            raise UsageError(
                "--machine is for a team", "Share a ledger: ledger.uri in settings.toml"
            )
        if to is None:
            for line in lines:
                sys.stdout.buffer.write(line)
            return
        from pktui.files import new_file
        from pktui.ledger.chain.export import EVENT

        written = 0
        with new_file(to) as file:
            for line in lines:
                file.write(line)
                written += line.startswith(EVENT)
    output.note(f"{written:,} events are in {to}.")


def verify_export(
    file: Path, anchors: str, roots: Path | None, keys: Sequence[str]
) -> Verification:
    """Verify exported lines; `-` is standard input. Raises `PktuiError` where they are unreadable.

    `anchors` is where those are that it is compared with, see `read_elsewhere`; `keys` are the
    public keys that may have signed them.
    """
    there = _anchors(anchors, roots, keys)
    found = _verify_lines(file, there.found)
    found = msgspec.structs.replace(found, notes=(*found.notes, *there.notes))
    findings = list(there.findings)
    if anchors and not there.found and not findings:
        findings.append(f"there is no anchor in {anchors}")
    if found.ok and findings:
        return msgspec.structs.replace(found, ok=False, problem="; ".join(findings))
    return found


def _anchors(place: str, roots: Path | None, keys: Sequence[str]) -> Read:
    """Return the anchors that hold by themselves, and what is wrong with others."""
    from pktui.cli.anchoring import read_elsewhere
    from pktui.ledger.chain.anchors.anchor import Read

    there = read_elsewhere(place, roots) if place else Read()
    if not keys and not any(one.anchor.signature for one in there.found):
        return there
    from pktui.ledger.chain.anchors.signing import checked

    return checked(there, keys)


def _verify_lines(file: Path, known: Sequence[Found]) -> Verification:
    from pktui.ledger.chain.export import verify_lines

    if file == STDIN:
        return verify_lines(_lines(sys.stdin.buffer), known)
    try:
        with file.open("rb") as opened:
            return verify_lines(_lines(opened), known)
    except OSError as error:
        raise PktuiError(f"{file} cannot be read: {error.strerror or error}") from error


def _lines(opened: BinaryIO) -> Iterator[bytes]:
    from pktui.ledger.chain.export import LONGEST_LINE

    mark = BOM_UTF8
    while line := opened.readline(LONGEST_LINE):
        yield line.removeprefix(mark)
        mark = b""
