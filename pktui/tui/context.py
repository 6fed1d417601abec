"""What views, screens and bars may ask of the app they are in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.screen import Screen

    from pktui.errors import PktuiError
    from pktui.tui.actions import Keymap
    from pktui.tui.drafts import Drafts
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.kept import Kept
    from pktui.tui.keyboard import Keyboard
    from pktui.tui.services import Services
    from pktui.tui.undo_history import UndoStack
    from pktui.tui.vitals import LedgerVitals, MemoryVitals

T = TypeVar("T")


class Context(Protocol):
    """The console as its parts see it."""

    services: Services
    glyphs: Glyphs
    keymap: Keymap
    keyboard: Keyboard
    undo_stack: UndoStack
    drafts: Drafts
    kept: Kept
    memory: MemoryVitals
    ledger: LedgerVitals

    @property
    def in_front(self) -> str:
        """The name of the view that is shown, "" before the first."""

    @property
    def project(self) -> str | None:
        """The project the person limited the views to, `None` for all."""

    @property
    def scope_name(self) -> str:
        """The scope in words."""

    def say(self, text: str, *, severity: str = "information", seconds: float = 5) -> None:
        """Show a notice; foreign text in it is made visible."""

    def say_error(self, error: PktuiError) -> None:
        """Show what went wrong and what to do."""

    def working(self, words: str) -> Callable[[], None]:
        """Say what is done, once that takes a moment; call what is returned when it is done."""

    def keep(self, **what: Any) -> None:
        """Remember these fields of `kept` for the next start."""

    def copy(self, text: str) -> object:
        """Copy a text and say by which way."""

    def ask(self, screen: Screen[T], answer: Callable[[T | None], None]) -> None:
        """Open a question over the views; `answer` gets what the person chose."""

    def refuse_read_only(self) -> bool:
        """Tell the person where the console may not change anything; true if it is so."""

    def refuse_a_run(self) -> bool:
        """Tell the person where a key came with others as pasted text does; true if it is so."""

    async def open_view(self, name: str, *names: str) -> None:
        """Bring a view to the front and its cursor to what the names stand for."""

    async def search_in(self, name: str, text: str) -> None:
        """Bring a view to the front and filter it by this text."""

    async def run_in_front(self, command: str) -> None:
        """Run an action of the view in front."""

    def beat(self) -> None:
        """Read the ledger's figures again."""


def context_of(node: DOMNode) -> Context:
    """Return the console that a widget or screen is in."""
    return cast("Context", node.app)
