"""A policy's document as it is written: its problems marked, searched, and edited by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from pktui.errors import PolicyError
from pktui.policy.lint import Review, review
from pktui.policy.text.problems import Problem
from pktui.text import one_line
from pktui.tui.actions import bindings
from pktui.tui.background import in_thread
from pktui.tui.context import context_of
from pktui.tui.document import Line
from pktui.tui.focus import focus_now
from pktui.tui.theme import ink_of
from pktui.tui.views.policies.draw import WORDS
from pktui.tui.views.policies.marked import Marked, marked
from pktui.tui.widgets.document import DocumentView
from pktui.tui.widgets.filter_box import FilterBox
from pktui.tui.widgets.key_line import keys_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.errors import PktuiError
    from pktui.tui.services import Services

_KEYS = ("document.next", "document.search", "document.edit", "document.leave")


@dataclass(frozen=True, slots=True)
class Reading:
    """A document with what is said of it. `edited`: it is not in the file."""

    path: Path
    text: str
    review: Review
    edited: bool = False
    missing: bool = False

    @property
    def told(self) -> str:
        """What it comes to, in a few words."""
        found, parts = self.review, []
        if self.edited:
            parts.append("as you left it, not written; V goes on with it")
        elif self.missing:
            parts.append("there is no file yet; the first change writes this one")
        if found.policy is None:
            parts.append(_count(len(found.problems), "problem"))
            if not self.edited:
                parts.append("gateways keep the last good one, and deny all where there is none")
        else:
            default = WORDS[found.policy.default.value]
            parts.append(f"{_count(len(found.policy.tools), 'rule')}, any other tool: {default}")
        if found.warnings:
            parts.append(f"{len(found.warnings)} to look at")
        return " · ".join(parts)


def read(services: Services, server: str, raw: bytes, *, edited: bool = False) -> Reading:
    """Read a server's policy from bytes that need not be in its file. Blocks."""
    path = services.settings.policy_file(services.paths, server)
    layers = services.layers_of(server)
    try:
        found = review(raw, path, layers.definitions, layers.ceiling)
    except PolicyError as error:
        found = Review(None, (Problem(1, 1, "", error.what, error.cure),))
    return Reading(path, raw.decode(errors="replace"), found, edited, missing=not path.exists())


class DocumentScreen(ModalScreen["bool | None"]):
    """Shows a document; gives true where it is to be edited."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("document")]

    def __init__(self, server: str, make: Callable[[], Reading]) -> None:
        """`make` reads it; it blocks."""
        super().__init__()
        self._server, self._make = server, make
        self._marked = self._found = Marked(())
        self._told = ""
        self._at = -1

    def compose(self) -> ComposeResult:
        """Lay the document out between what it comes to and its keys."""
        with Vertical(classes="edit", id="document"):
            yield Static(id="document-title", markup=False)
            yield Static(id="document-about", markup=False)
            yield FilterBox(placeholder="words in the document", id="document-search")
            yield DocumentView()
            yield Static(keys_of(self, _KEYS), classes="foot", markup=False)

    @property
    def _document(self) -> DocumentView:
        return self.query_one(DocumentView)

    def on_mount(self) -> None:
        """Read it."""
        focus_now(self._document)
        self._document.show("", (Line("reading…", "note"),), whole=False)

        def work() -> tuple[Reading, Marked]:
            reading = self._make()
            return reading, marked(reading.text, reading.review, context_of(self).glyphs)

        in_thread(self, work, self._take, self._failed, group="document")

    def _take(self, found: tuple[Reading, Marked]) -> None:
        reading, self._marked = found
        self._told, ink = reading.told, ink_of(self.app)
        title = Text(no_wrap=True, overflow="ellipsis")
        title.append(f"The policy of {one_line(self._server, 60)}  ", style=ink.bold)
        title.append(one_line(str(reading.path), 300), style=ink.dim)
        self.query_one("#document-title", Static).update(title)
        self._say("")
        self._find("")
        if self._marked.marks:
            self.call_after_refresh(self._step, 1)

    def _failed(self, error: PktuiError) -> None:
        self._document.show("", (Line(one_line(str(error), 600), "removed"),))

    def _say(self, more: str) -> None:
        about = Text(more or self._told, style=ink_of(self.app).dim)
        self.query_one("#document-about", Static).update(about)

    def _find(self, words: str) -> None:
        self._found, self._at = self._marked.with_words(words), -1
        self._document.show("document", self._found.lines)

    def _step(self, by: int) -> None:
        marks = self._found.marks
        if not marks:
            words = self.query_one(FilterBox).value
            self._say("nothing in it has these words" if words else "no problem is marked in it")
            return
        self._at = by - 1 if self._at < 0 and by > 0 else (self._at + by) % len(marks)
        self._document.go_to(marks[self._at])
        if self._found is not self._marked or len(marks) > 1:
            self._say(f"{self._at + 1} of {len(marks)} · {self._told}")

    def action_next(self) -> None:
        """Go to the next problem or hit; after the last to the first."""
        self._step(1)

    def action_before(self) -> None:
        """Go to the one before."""
        self._step(-1)

    def action_search(self) -> None:
        """Type words to find."""
        self.query_one(FilterBox).type_here()

    @on(Input.Changed, "#document-search")
    def _search(self, message: Input.Changed) -> None:
        message.stop()
        self._find(message.value)
        if message.value.strip():
            self._step(1)
        else:
            self._say("")

    @on(FilterBox.Left)
    def _leave_search(self, message: FilterBox.Left) -> None:
        message.stop()
        focus_now(self._document)

    def action_edit(self) -> None:
        """Edit it by hand."""
        self.dismiss(True)

    def action_leave(self) -> None:
        """Drop the search, else leave."""
        if not self.query_one(FilterBox).drop():
            self.dismiss(None)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + "s" * (number != 1)
