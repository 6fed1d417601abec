"""What is kept here of anchors that were published elsewhere: each with what came back for it.

A receipt that is lost makes no anchor elsewhere disappear. One that was put in place of another
shows: what came back names the hash of the line.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.errors import LedgerError
from pktui.files import lock, make_private_directory, open_private
from pktui.ledger.chain.anchors.anchor import Anchor, decode_anchor
from pktui.ledger.chain.anchors.anchor_file import append_line, newest_line, whole_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """An anchor's line, and what the other side gave for it."""

    line: str
    proof: str = ""
    """Base64 of a time stamp's response."""
    until_us: int = 0
    """Until when an object cannot be removed."""


class Numbered(msgspec.Struct, frozen=True):
    """A receipt, and its line in the file, from 1."""

    number: int
    receipt: Receipt


_BEGINS: Final = b'{"line":'
_decode = msgspec.json.Decoder(Receipt, strict=True).decode


def are_receipts(file: Path) -> bool:
    """Tell whether a file has receipts rather than anchors."""
    with suppress(OSError), file.open("rb") as opened:
        return opened.read(len(_BEGINS)) == _BEGINS
    return False


class Receipts:
    """The receipts of one store, in a file that is made with the first."""

    def __init__(self, path: Path, store: str) -> None:
        self.path = path
        self._store = store

    @classmethod
    def beside(cls, directory: Path, store: str) -> Receipts:
        """Return those that a ledger keeps in its directory."""
        kind = store.partition(":")[0]
        slug = hashlib.sha256(store.encode()).hexdigest()[:16]
        return cls(directory / "anchors" / f"{kind}-{slug}.jsonl", store)

    def add(self, receipt: Receipt) -> None:
        """Keep one; raises `LedgerError`."""
        try:
            make_private_directory(self.path.parent)
            append_line(self.path, msgspec.json.encode(receipt))
        except OSError as error:
            raise self._unusable(error) from error

    def read(self) -> list[Numbered]:
        """Return all, oldest first; raises `LedgerError` where one is none."""
        try:
            found = whole_lines(self.path, _decode, "receipts")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unusable(error) from error
        return [Numbered(number, receipt) for number, _, receipt in found]

    def last(self) -> Anchor | None:
        """Return the anchor of the newest, None where there is none. Raises `LedgerError`."""
        try:
            return newest_line(self.path, lambda line: decode_anchor(_decode(line).line))
        except OSError as error:
            raise self._unusable(error) from error

    @contextmanager
    def locked(self, seconds: float = 0) -> Iterator[bool]:
        """Let nobody else publish meanwhile; False where somebody does for so long.

        Raises `LedgerError`.
        """
        try:
            make_private_directory(self.path.parent)
            descriptor = open_private(self.path.with_suffix(".lock"), os.O_RDWR)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield lock(descriptor, seconds=seconds)
        finally:
            os.close(descriptor)

    def _unusable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"the receipts {self.path} of {self._store} cannot be used: {error.strerror or error}",
            "Check their owner and mode, and the disk",
        )
