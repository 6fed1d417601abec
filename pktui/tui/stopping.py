"""Stop every agent, or one of them, and let them go on: each is asked once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pktui.text import one_line
from pktui.tui.background import in_thread
from pktui.tui.screens.ask import AskScreen
from pktui.tui.screens.confirm import ConfirmScreen
from pktui.tui.services import BY

if TYPE_CHECKING:
    from textual.app import App

    from pktui.tui.context import Context

T = TypeVar("T")

EVERYTHING = ""


class Stopping:
    """Asks, then flips the switch in the ledger."""

    def __init__(self, app: App[int], console: Context) -> None:
        self._app, self._console = app, console
        self._asking = False

    def stop_or_release(
        self, whom: str = EVERYTHING, name: str = "everything", *, stopped: bool
    ) -> None:
        """Stop, or where it is `stopped` go on. `whom` is an agent as a stop names it."""
        if not self._asking and not self._console.refuse_read_only():
            self._ask_release(whom, name) if stopped else self._ask_stop(whom, name)

    def _ask_stop(self, whom: str, name: str) -> None:
        approvals = self._console.services.ledger.approvals
        who = f"every call of {name}" if whom else "every call of every agent"
        screen = ConfirmScreen(
            f"Stop {name}?",
            f"All that waits is denied, and {who} is refused until you release it. What a server"
            " works on already goes on.",
            yes=f"Stop {name}",
        )
        self._confirm(
            screen,
            lambda: self._run(
                lambda: approvals.stop(by=BY, whom=whom), lambda _: self._tell(f"{name} is stopped")
            ),
        )

    def _ask_release(self, whom: str, name: str) -> None:
        ledger = self._console.services.ledger

        def release(pin: str | None) -> None:
            if pin is not None:
                self._run(
                    lambda: ledger.approvals.release(by=BY, pin=pin, whom=whom),
                    lambda _: self._tell("released: policies decide"),
                )

        def go_on(pin_set: bool) -> None:
            if pin_set:
                about = "The PIN for decisions:"
                screen = AskScreen("Release", about, enter="release", password=True)
                self._console.ask(screen, release)
            else:
                release("")

        screen = ConfirmScreen(
            f"Let {one_line(name, 60)} go on?",
            "Policies decide again, and standing approvals hold again.",
            yes="Release",
        )
        self._confirm(screen, lambda: self._run(ledger.pin.is_set, go_on))

    def _confirm(self, screen: ConfirmScreen, then: Callable[[], object]) -> None:
        def answer(yes: bool | None) -> None:
            self._asking = False
            if yes:
                then()

        self._asking = True
        self._console.ask(screen, answer)

    def _run(self, work: Callable[[], T], done: Callable[[T], object]) -> None:
        in_thread(self._app, work, done, self._console.say_error, group="stop")

    def _tell(self, sentence: str) -> None:
        self._console.say(sentence, seconds=3)
        self._console.beat()
