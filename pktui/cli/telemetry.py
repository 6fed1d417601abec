"""`pktui audit send`: the record, sent on to an OpenTelemetry receiver."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

from pktui.cli import output
from pktui.cli.doctor_check import Check, failed
from pktui.errors import PktuiError, UsageError
from pktui.settings import Paths, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import TelemetrySettings

_OLD_US = 300_000_000


def run_send(*, follow: bool, until_eof: bool) -> None:
    """Send what was not sent yet; go on until interrupted, or until standard input ends."""
    from pktui.lasting import to_stderr
    from pktui.telemetry.cursor import read_cursor
    from pktui.telemetry.sender import keep_sending, open_otlp

    paths = Paths.from_environment()
    settings = load_settings(paths).telemetry
    if not settings.endpoint:
        raise UsageError(
            "there is nowhere to send the record",
            'Set telemetry.endpoint in settings.toml, for example "http://localhost:4318"',
        )
    if not paths.ledger_file.exists():
        output.note("Nothing is on record yet.")
        return
    ending = threading.Event()
    if until_eof:
        threading.Thread(target=_wait_for_eof, args=(ending,), daemon=True).start()
    elif not follow:
        ending.set()
    said = to_stderr if until_eof else output.note
    try:
        alone = keep_sending(paths, open_otlp(settings), ending, said)
    except KeyboardInterrupt:
        return
    if until_eof:
        return
    if not alone:
        output.note("Another process sends the record already.")
        return
    cursor = read_cursor(paths.telemetry_file)
    output.note(f"{cursor.rows:,} rows sent in all.")
    if cursor.problem:
        raise PktuiError(cursor.problem)


def _wait_for_eof(ending: threading.Event) -> None:
    while sys.stdin.buffer.read(4096):
        pass
    ending.set()


def telemetry(paths: Paths, settings: TelemetrySettings) -> Iterator[Check]:
    """Check that the record arrives where it is to be sent; says nothing where it is not."""
    if not settings.endpoint:
        return
    from pktui.telemetry.cursor import read_cursor
    from pktui.telemetry.sender import open_otlp
    from pktui.times import now_us

    try:
        otlp = open_otlp(settings)
        otlp.try_out()
        cursor = read_cursor(paths.telemetry_file)
    except PktuiError as error:
        yield failed("telemetry", error)
        return
    otlp.close()
    if cursor.problem:
        yield Check("telemetry", "warn", cursor.problem, "It answers now; gateways try again")
        return
    late = cursor.at_us and now_us() - cursor.at_us > _OLD_US
    when = f", the last at {output.moment(cursor.at_us)}" if late else ""
    yield Check("telemetry", "ok", f"{settings.endpoint} answers; {cursor.rows:,} rows sent{when}")
