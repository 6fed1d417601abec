"""The person's part in the headless demo, through the functions the console uses."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pktui.cli.demo.stage import wait_for
from pktui.errors import PktuiError
from pktui.ledger.feed.filter import FeedFilter
from pktui.ledger.ledger import Ledger
from pktui.memory.client import MemoryClient
from pktui.policy.editor import PolicyEditor
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.ledger.records import Approval, CallRow
    from pktui.settings import Paths

# Who decides, as the ledger has it.
NAME = "demo"


class Unmet(PktuiError):
    """Something in the story did not happen as it should."""


def expect(met: bool, what: str) -> None:
    """Raise `Unmet` with what should have been, where it is not."""
    if not met:
        raise Unmet(what)


class Person:
    """Somebody at a console: sees what waits and what was called, decides, edits, searches."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.ledger = Ledger.open(paths.ledger_file)
        self.memory = MemoryClient(paths)

    def __enter__(self) -> Self:
        """Be at the console: gateways hold calls only while somebody is."""
        self._token = self.ledger.presence.announce("console", detail="headless demo")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        self.memory.close()
        self.ledger.presence.leave(self._token)
        self.ledger.close()

    def asked(self, server: str, tool: str, seconds: float) -> Approval:
        """Wait until a call of the tool waits for a decision; return it."""

        def waiting() -> list[Approval]:
            pending = self.ledger.approvals.pending()
            return [one for one in pending if (one.server, one.tool) == (server, tool)]

        expect(
            wait_for(lambda: bool(waiting()), seconds),
            f"{server}.{tool} should wait for a decision, and does not after {seconds:g} s",
        )
        return waiting()[0]

    def decide(self, approval: Approval, *, allow: bool, words: str = "") -> Approval:
        """Allow or deny what was shown."""
        return self.ledger.approvals.decide(
            approval.id, allow, by=NAME, words=words, args_hash=approval.args_hash
        )

    def last_call(self, server: str, tool: str, *, settled: bool, seconds: float = 5.0) -> CallRow:
        """Return the newest call of a tool in the feed; `settled` waits for its outcome."""
        wanted, _ = FeedFilter.parse(f"server:{server} tool:{tool}", now_us=now_us())

        def rows() -> tuple[CallRow, ...]:
            return self.ledger.feed.page(wanted, limit=1)

        wait_for(lambda: bool(rows()) and (not settled or bool(rows()[0].outcome)), seconds)
        expect(bool(rows()), f"{server}.{tool} should be in the feed")
        return rows()[0]

    def policy(self, server: str) -> PolicyEditor:
        """Open a server's policy to edit it."""
        return PolicyEditor(self.policy_file(server))

    def policy_file(self, server: str) -> Path:
        """Return a server's policy file."""
        return self.paths.policy_file(server)
