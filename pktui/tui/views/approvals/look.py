"""What a look showed that a call would change, above the call's arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.insight.looked import headline, shown_lines
from pktui.text import one_line, visible
from pktui.tui.document import Line, Tone
from pktui.tui.moments import clock_time

if TYPE_CHECKING:
    from pktui.ledger.records import Approval

_TONES: dict[str, Tone] = {"+": "added", "-": "removed"}


def look_lines(approval: Approval) -> tuple[Line, ...]:
    """Lay out what was shown, and when; nothing where no look was wanted."""
    looked = approval.looked
    if looked is None:
        return ()
    told: Tone = "warning" if looked.why or looked.anew or looked.failed else "strong"
    said = f"{one_line(headline(looked), 400)}, {clock_time(looked.at_us)}"
    lines = [Line(said, told, "look   ", "heading")]
    for line in shown_lines(looked):
        tone = _TONES.get(line[:1], "text")
        text = visible(line[1:]).replace("\t", "    ")
        lines.append(Line(text, tone, f"{line[:1]} ", tone if line[:1] in _TONES else "key"))
    return (*lines, Line(""))
