"""What was said so far, and the ends of the logs: `!`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from pktui.errors import PktuiError
from pktui.text import one_line, visible
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.document import Line, Tone
from pktui.tui.focus import focus_now
from pktui.tui.moments import clock_time
from pktui.tui.theme import ink_of
from pktui.tui.widgets.document import DocumentView

if TYPE_CHECKING:
    from textual.app import ComposeResult

LOG_BYTES = 32_768
_TONES: dict[str, Tone] = {"warning": "warning", "error": "removed"}


# When something was said (microseconds), the words, and how grave they are.
Notice = tuple[int, str, str]


class Notices(ModalScreen[None]):
    """Shows notices, the latest first, over what the logs end with."""

    BINDINGS: ClassVar = [Binding("escape,q,exclamation_mark", "leave", "leave")]

    def __init__(self, notices: Iterable[Notice], logs: Path) -> None:
        super().__init__()
        self._notices, self._logs = tuple(notices), logs

    def compose(self) -> ComposeResult:
        """Lay out the lines over their key."""
        with Vertical(id="notices"):
            yield DocumentView()
            foot = Text("esc closes", style=ink_of(self.app).dim)
            yield Static(foot, classes="foot", markup=False)

    def on_mount(self) -> None:
        """Show what was said; the logs follow when they are read."""
        document = self.query_one(DocumentView)
        focus_now(document)
        document.show("notices", _said(self._notices))
        in_thread(self, lambda: _logged(self._logs), self._add_logs, self._failed, group="logs")

    def _add_logs(self, lines: tuple[Line, ...]) -> None:
        self.query_one(DocumentView).show("notices", (*_said(self._notices), *lines))

    def _failed(self, error: PktuiError) -> None:
        context_of(self).say_error(error)

    def action_leave(self) -> None:
        """Back to the view."""
        self.dismiss(None)


def _said(notices: tuple[Notice, ...]) -> tuple[Line, ...]:
    head = Line("Notices", "heading")
    if not notices:
        return (head, Line("nothing was said since the console was opened", "note"))
    lines = (
        Line(one_line(text, 1_000), _TONES.get(severity, "text"), f"{clock_time(at_us)}  ")
        for at_us, text, severity in reversed(notices)
    )
    return (head, *lines)


def _logged(logs: Path) -> tuple[Line, ...]:
    """Return the ends of the logs, the latest written first. Blocks."""
    found: list[Line] = []
    try:
        files = sorted(logs.glob("*.log"), key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files:
            found += (Line(""), Line(file.name, "heading"), *_end_of(file))
    except OSError as error:
        raise PktuiError(f"{logs} cannot be read: {error.strerror}", "Check its owner") from error
    return tuple(found)


def _end_of(file: Path) -> Iterator[Line]:
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, size - LOG_BYTES))
        text = stream.read(LOG_BYTES).decode(errors="replace")
    lines = text.splitlines()[1 if size > LOG_BYTES else 0 :]
    if not lines:
        yield Line("empty", "note")
    for line in lines:
        yield Line(visible(line).replace("\t", "    "), "note")
