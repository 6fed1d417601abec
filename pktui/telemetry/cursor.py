"""How far the record was sent: the last row of each segment that the receiver has acknowledged.

The file is written behind each batch, so that after any end the next sender goes on there, and at
most one batch is sent twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pktui.errors import LedgerUnavailable
from pktui.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path


class Cursor(msgspec.Struct, frozen=True):
    """`reached` is the last number by segment; `rows` and `at_us`: how many, and when last.

    `problem` is why the last try failed, empty where it did not.
    """

    reached: dict[int, int] = {}
    rows: int = 0
    at_us: int = 0
    problem: str = ""


_decode = msgspec.json.Decoder(Cursor).decode


def read_cursor(file: Path) -> Cursor:
    """Return what is kept in the file, the beginning where there is none.

    Raises `LedgerUnavailable` where it cannot be read: to begin anew would send everything again.
    """
    try:
        return _decode(file.read_bytes())
    except FileNotFoundError:
        return Cursor()
    except (OSError, msgspec.DecodeError) as error:
        raise LedgerUnavailable(
            f"{file}, which says how far the record was sent, cannot be read: {error}",
            "Remove it to send the whole record again",
        ) from error


def write_cursor(file: Path, cursor: Cursor) -> None:
    """Keep it, on the disk before this returns; raises `OSError`."""
    write_whole(file, msgspec.json.encode(cursor))
