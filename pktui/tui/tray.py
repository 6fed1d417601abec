"""The approvals tray: one line under every view that says what waits, and never takes the focus.

Where nothing can be asked, or nothing is, it says what is wrong with the ledger or a policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.reactive import reactive

from pktui.agent_names import friendly
from pktui.text import one_line
from pktui.tui.actions import BY_ID
from pktui.tui.cells import fit
from pktui.tui.context import context_of
from pktui.tui.moments import countdown
from pktui.tui.theme import Ink, ink_of
from pktui.tui.widgets.bar import Bar, Part, width_of

if TYPE_CHECKING:
    from pktui.ledger.records import Approval
    from pktui.tui.services import Services

OPEN = "app.view('approvals')"
# Cells kept for a countdown and the gap after it.
COUNTDOWN = 10
# Cells; in a narrower line only the tool that is asked for is named.
NARROW = 72


class Tray(Bar):
    """The tray; not there while nothing waits and nothing is wrong. The bell rings once a call."""

    waiting: reactive[tuple[Approval, ...]] = reactive(())
    trouble: reactive[str] = reactive("")
    lost: reactive[bool] = reactive(False)
    """Whether the trouble is that nothing can be read, not that one policy is broken."""

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.services = services
        self._known: frozenset[str] | None = None

    def on_mount(self) -> None:
        """Stay away until something waits."""
        self.display = False
        self.watch(self.app, "front", self._view_changed, init=False)

    def _view_changed(self) -> None:
        self.refresh()

    def ledger_moved(
        self, waiting: tuple[Approval, ...], trouble: str = "", *, lost: bool = False
    ) -> None:
        """Show what waits now, else what is wrong; ring where something new waits."""
        ids = frozenset(approval.id for approval in waiting)
        new = ids - self._known if self._known is not None else frozenset()
        self._known = ids | (self._known or frozenset())
        paths = self.services.paths
        for directory in (paths.policies_dir, paths.data_dir):  # the line has no room for them
            trouble = trouble.replace(f"{directory}/", "")
        self.waiting, self.trouble, self.lost = waiting, trouble, lost
        self.display = bool(waiting or trouble)
        if new and self.services.settings.console.bell:
            self.app.bell()

    def tick(self) -> None:
        """Count down."""
        if self.waiting:
            self.refresh()

    async def action_show(self, approval_id: str) -> None:
        """Open the queue at an approval; for clicks."""
        await context_of(self).open_view("approvals", approval_id)

    def left(self) -> Sequence[Part]:
        """Say how many wait, and who asks for what, the first to expire first."""
        ink, console = ink_of(self.app), context_of(self)
        glyphs = console.glyphs
        if not self.waiting:
            sign, style = (glyphs.denied, ink.bad) if self.lost else (glyphs.waiting, ink.wait)
            return [Part(f" {sign} ", style), Part(one_line(self.trouble, 600), style, cut=True)]
        now = self.services.clock()
        parts = [Part(f" {glyphs.waiting} {len(self.waiting)} waiting: ", ink.wait, OPEN)]
        soonest = sorted(self.waiting, key=lambda item: item.expires_us)
        if self.size.width < NARROW:
            taken = width_of(parts) + width_of(self.right()) + COUNTDOWN
            room = max(8, self.size.width - taken)
            return parts + [part for item in soonest[:1] for part in _tool(item, room, now, ink)]
        for place, approval in enumerate(soonest):
            parts += _asks(approval, f" {glyphs.dot} " if place else "", glyphs.into, now, ink)
        return parts

    def right(self) -> Sequence[Part]:
        """Name the key that opens the queue."""
        console, ink = context_of(self), ink_of(self.app)
        if console.in_front == "approvals" or not self.waiting:
            return ()
        keys = console.keymap.shown(BY_ID["app.approvals"])
        return (Part(f" {keys} ", ink.accent, OPEN), Part("open ", ink.dim, OPEN))


def _tool(approval: Approval, room: int, now_us: int, ink: Ink) -> list[Part]:
    left = approval.expires_us - now_us
    show = f"show('{approval.id}')"
    return [
        Part(f"{fit(one_line(approval.tool, 64), room).rstrip()} ", ink.text, show),
        Part(countdown(left), ink.wait, show),
    ]


def _asks(approval: Approval, before: str, into: str, now_us: int, ink: Ink) -> list[Part]:
    left = approval.expires_us - now_us
    agent = one_line(friendly(approval.agent), 24) or "unnamed agent"
    where = f"on {one_line(str(approval.seat), 24)} " if approval.machine else ""
    tool = f"{one_line(approval.server, 24)}.{one_line(approval.tool, 32)}"
    show = f"show('{approval.id}')"
    return [
        Part(before, ink.faint, show),
        Part(f"{agent} ", ink.info, show),
        Part(where, ink.dim, show),
        Part(f"{into} ", ink.faint, show),
        Part(f"{tool} ", ink.text, show),
        Part(countdown(left), ink.wait, show),
    ]
