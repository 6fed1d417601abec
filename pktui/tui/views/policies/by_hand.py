"""A policy read as it is written, and edited by hand: what comes back is shown before it counts.

The editor has a copy, as of visudo: no half of a policy is ever in the file, and what is written
passes the guard, the record and the undo that every other edit passes.
"""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING

from pktui.errors import PktuiError
from pktui.insight.overview import ALL
from pktui.text import one_line
from pktui.tui import own_editor
from pktui.tui.views.policies.document_screen import DocumentScreen, read

if TYPE_CHECKING:
    from collections.abc import Callable

    from pktui.tui.context import Context
    from pktui.tui.views.base import View
    from pktui.tui.views.policies.controller import Drafting, Pane
    from pktui.tui.views.policies.document_screen import Reading


class ByHand:
    """Shows documents and hands them to the person's own editor, for the Policies view."""

    def __init__(self, view: View, pane: Pane, drafting: Drafting) -> None:
        self._view, self._pane, self._drafting = view, pane, drafting
        self._left: dict[str, tuple[bytes, bytes]] = {}
        """What was edited and not written, with what it was made of, by server."""

    @cached_property
    def _console(self) -> Context:
        return self._view.console

    def show(self) -> None:
        """Show the document of the server, or of the tool's where all are listed."""
        server = self._server()
        if server:
            services, edits = self._view.services, self._drafting.edits
            self._show(server, lambda: read(services, server, edits.text_of(server)))

    def edit(self) -> None:
        """Open the document in the editor."""
        server = self._server()
        if server and not self._console.refuse_read_only() and not self._console.refuse_a_run():
            self._begin(server)

    def _server(self) -> str:
        page, tool = self._pane.page, self._pane.current
        if page is None or self._pane.page_to_come:
            self._console.say("a moment: the tools of that server are being read")
            return ""
        if page.server != ALL:
            return page.server
        return tool.server if tool is not None else ""

    def _show(self, server: str, make: Callable[[], Reading]) -> None:
        def answer(edit: bool | None) -> None:
            if edit and not self._console.refuse_read_only() and not self._console.refuse_a_run():
                self._begin(server)

        self._console.ask(DocumentScreen(server, make), answer)

    def _begin(self, server: str) -> None:
        edits = self._drafting.edits
        self._view.in_thread(
            partial(edits.text_of, server), partial(self._open, server), self._console.say_error,
            group="by-hand",
        )  # fmt: skip

    def _open(self, server: str, before: bytes) -> None:
        if not self._view.is_on_screen or self._view.app.screen.is_modal:
            return
        made_of, begun = self._left.get(server, (b"", b""))
        begun = begun if made_of == before else before
        services = self._view.services
        name = services.settings.policy_file(services.paths, server).name
        try:
            after = own_editor.edit(self._view.app, name, begun)
        except PktuiError as error:
            self._console.say_error(error)
            return
        if after == before:
            self._left.pop(server, None)
            self._console.say(
                "nothing was changed; an editor that comes back at once has an option to wait, such"
                " as code --wait"
            )
            return
        self._left[server] = before, after
        work = partial(read, services, server, after, edited=True)
        self._view.in_thread(
            work, partial(self._look_at, server, before, after), self._console.say_error,
            group="by-hand",
        )  # fmt: skip

    def _look_at(self, server: str, before: bytes, after: bytes, reading: Reading) -> None:
        if reading.review.policy is None:
            self._show(server, lambda: reading)
            return
        edits = self._drafting.edits
        what = f"what you edited for {one_line(server, 60)}"
        propose = partial(edits.propose_text, server, before, after)
        self._drafting.ask_to_write(reading.path, what, lambda _page: propose())
