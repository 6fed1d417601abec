"""What an anchor is: the heads of the journal at one time, as one line of JSON.

An anchor names the last joint and the last row of every segment that is open. Lines of the first
edition name a row of its one chain, and go on to hold.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec

from pktui.errors import LedgerError
from pktui.ledger.records import Proven

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence


class Head(msgspec.Struct, frozen=True, array_like=True):
    """The last row of a segment."""

    segment: int
    number: int
    hash: str


class Anchor(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was the last joint, and the last row of each open segment, at that time.

    `rows` is how many there were in all. One of the first edition has `seq`, a row of its chain,
    and that one's hash. `key` and `signature` are base64, of Ed25519; see `signing`.
    """

    at_us: int
    hash: str
    joint: int = 0
    heads: tuple[Head, ...] = ()
    rows: int = 0
    seq: int = 0
    key: str = ""
    signature: str = ""

    def named(
        self, carried: Callable[[int], int] = lambda _seq: 0
    ) -> Iterator[tuple[int, int, str]]:
        """Give the segment, number and hash of all it names; a joint's segment is 0.

        `carried` gives the segment that a row of the first edition is in.
        """
        if self.seq:
            yield carried(self.seq), self.seq, self.hash
        elif self.joint:
            yield 0, self.joint, self.hash
        for head in self.heads:
            yield head.segment, head.number, head.hash


class Found(msgspec.Struct, frozen=True):
    """An anchor as it was found in a store."""

    anchor: Anchor
    line: bytes
    """As it was written."""
    where: str
    """Its place there, as a person is told of it."""
    store: str = ""
    proven_us: int = 0
    """When it was there already, by whoever keeps or signs it."""


class Read(msgspec.Struct, frozen=True):
    """The anchors of a store, oldest first, and what is wrong with it."""

    found: tuple[Found, ...] = ()
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    """What a person should know of them that is no fault."""


class AnchorStore(Protocol):
    """Where anchors are published, and read again to be checked."""

    name: str
    """As `audit.anchors` names it."""

    def publish(self, line: bytes, anchor: Anchor) -> None:
        """Publish a line, which is that anchor; raises `LedgerError`."""

    def last(self) -> Anchor | None:
        """Return the newest that was published from here; raises `LedgerError`."""

    def read(self) -> Read:
        """Return what is there; raises `LedgerError` where that cannot be told."""


@contextmanager
def needing_extra(store: str) -> Iterator[None]:
    """Raise `LedgerError` where what is imported inside is not installed."""
    try:
        yield
    except ImportError as error:
        raise LedgerError(
            f"{store} needs {error.name}, which is not installed",
            "Install it with: pip install 'pktui[anchors]'",
        ) from error


def proven(anchors: Sequence[Found], agreed: Collection[int]) -> tuple[Proven, ...]:
    """Return what each store proves by those of its anchors that agree."""
    found: dict[str, list[int]] = {}
    for at in agreed:
        found.setdefault(anchors[at].store, []).append(anchors[at].proven_us)
    stores = dict.fromkeys(one.store for one in anchors if one.store in found)
    return tuple(Proven(by, max(found[by]), len(found[by])) for by in stores)


decode_anchor = msgspec.json.Decoder(Anchor, strict=True).decode
