"""A ledger with a call that waits in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pktui.ledger import Approval, Caller, Ledger, NewApproval, args_hash, now_us

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pktui.settings import Paths

ARGUMENTS = {"title": "Shop \x1b[31m", "content": "a\u202eb", "n": 2**70}
CALLER = Caller("claude-code", "", "s1", "/home/ada/shop")
TOOL = {"name": "store_knowledge", "description": "Store."}


@pytest.fixture(autouse=True)
def _cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pktui.ledger.approvals.pin.COST", 1 << 11)


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    opened = Ledger.open(paths.ledger_file)
    yield opened
    opened.close()


@pytest.fixture
def waiting(ledger: Ledger) -> Approval:
    ledger.catalogue.saw("memory", [TOOL])
    return ask(ledger)


def ask(ledger: Ledger, *, once: bool = False) -> Approval:
    return ledger.approvals.open(
        NewApproval(
            caller=CALLER,
            server="memory",
            tool="store_knowledge",
            arguments=ARGUMENTS,
            args_hash=args_hash(ARGUMENTS),
            expires_us=now_us() + 600_000_000,
            reason="Writes are asked for.",
            once=once,
        )
    )


class Typist:
    """Types PINs where they are asked for, in this order."""

    def __init__(self) -> None:
        self.answers: list[str] = []
        self.asked: list[str] = []

    def __call__(self, prompt: str, stream: object = None) -> str:
        self.asked.append(prompt)
        return self.answers.pop(0)


@pytest.fixture
def typist(monkeypatch: pytest.MonkeyPatch) -> Typist:
    """Sit a person down at a terminal."""
    hands = Typist()
    monkeypatch.setattr("getpass.getpass", hands)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    return hands
