"""`pktui doctor`: everything a person could need, looked at, with what to do where it fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.cli import output
from pktui.cli.commands import Exit

if TYPE_CHECKING:
    from pktui.cli.doctor_check import Check

_GLYPHS = {"ok": "✓", "warn": "!", "fail": "✗"}


def doctor(json: output.JsonFlag = False) -> None:
    """Check that everything pktui needs is there; exit with 1 where something fails."""
    from pktui.cli.doctor_checks import examine
    from pktui.settings import Paths

    found: list[Check] = []
    for check in examine(Paths.from_environment()):
        found.append(check)
        if not json:
            output.line(f"{_GLYPHS[check.state]} {check.state:<4}  {check.what}: {check.found}")
            if check.cure and check.state != "ok":
                output.line(f"        → {check.cure}")
    if json:
        output.json(found)
    if any(check.state == "fail" for check in found):
        raise Exit(1)
