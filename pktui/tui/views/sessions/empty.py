"""What the list says while it has no rows: why, and what to do. Pairs of text and ink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING

from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.errors import PktuiError
    from pktui.memory.records import Mode
    from pktui.tui.vitals import MemoryVitals

Lines = Sequence[tuple[str, str]]

# Commands that are shown to be copied.
_DOCTOR = "pktui doctor"
_ADD = "claude mcp add memory -- pktui gateway memory"
READING: Lines = (("Reading the sessions…", "dim"),)


def command_in(lines: Lines) -> str:
    """Return the command that is shown to be copied, empty where none is."""
    return next((text for text, _ in lines if text in (_DOCTOR, _ADD)), "")


def no_memory(memory: MemoryVitals, error: PktuiError | None) -> Lines:
    """The service does not answer yet, or no more."""
    if memory.state == "down":
        cause = memory.problem or (str(error) if error else "")
        return (
            ("The memory is not there.", "bad"),
            (one_line(cause, 400), "dim"),
            ("", "dim"),
            ("The console keeps trying and shows the sessions when it is back.", "dim"),
            (_DOCTOR, "accent"),
            ("y copies it", "dim"),
        )
    return (
        ("Starting the memory…", "text"),
        ("The first start takes some seconds; the sessions appear by themselves.", "dim"),
    )


def failed(error: PktuiError) -> Lines:
    """The question could not be answered."""
    return ((one_line(error.what, 300), "bad"), (one_line(error.cure, 300), "dim"))


def no_hits(text: str, mode: Mode, project: str | None, near: Mapping[Mode, int]) -> Lines:
    """Nothing matches; `near` is how many sessions the other ways of searching find."""
    best = max(near, key=lambda other: near[other], default=None)
    if best is not None:
        rest = [f"{count:,} by {other}" for other, count in near.items() if other != best]
        also = f" ({', '.join(rest)})" if rest else ""
        others = f"0 by {mode}; {near[best]:,} by {best}: tab{also}"
    else:
        others = "tab tries the other ways of searching."
    if project is not None:
        others += " ctrl+g searches all projects."
    return (
        (f"Nothing matches “{one_line(text, 80)}” by {mode}.", "text"),
        ("", "dim"),
        (others, "accent" if best else "dim"),
    )


def not_yet(text: str) -> Lines:
    """Nothing matches by words, and the model is not there yet."""
    return (
        (f"No words match “{one_line(text, 80)}”.", "text"),
        ("", "dim"),
        ("The model that finds by meaning is being loaded; its hits appear by themselves.", "info"),
    )


def none_left(text: str) -> Lines:
    """The filters leave no session."""
    return (
        (f"No session fits “{one_line(text, 80)}”.", "text"),
        ("", "dim"),
        ("backspace drops the last filter, esc all.", "dim"),
    )


def no_sessions(project: str | None) -> Lines:
    """There is nothing yet."""
    if project is not None:
        return (
            (f"No sessions in {one_line(PurePath(project).name, 60)} yet.", "text"),
            ("", "dim"),
            ("ctrl+g shows all projects.", "dim"),
        )
    return (
        ("No sessions yet.", "text"),
        ("", "dim"),
        ("i brings in the sessions that your agents have kept themselves.", "dim"),
        ("Put an agent behind pktui, and what it logs appears here:", "dim"),
        (_ADD, "accent"),
        ("y copies it", "dim"),
        ("", "dim"),
        ("Or look around with sample data: pktui demo", "dim"),
    )
