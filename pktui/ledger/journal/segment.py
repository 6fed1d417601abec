"""One file of the journal: rows that only ever follow each other, each bound to the one before.

A row is a line, a JSON array whose last member is its hash: SHA-256 over the hash of the row before
(32 bytes) and the array without that member, as it is written. The members are those of `CONTENT`,
and after them, where a call took from limits or gave back to them, what (`CHARGES`). A row's key is
its segment and its number there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from pktui.files import open_private
from pktui.text import storable

CONTENT: Final = (
    "number",
    "at_us",
    "kind",
    "call_id",
    "ref_seq",
    "server",
    "tool",
    "agent",
    "grant_name",
    "session",
    "project",
    "effect",
    "rule",
    "reason",
    "args_hash",
    "arguments",
    "outcome",
    "duration_us",
    "approval_id",
    "detail",
)
CHARGES: Final = len(CONTENT)
NO_HASH: Final = bytes(32)

# The same as an expression of SQL.
KEY_SQL: Final = "((segment - 1) << 32 | number)"
_NUMBER_BITS: Final = 32
# In the index the segments of a team's other machines have the machine's number above these bits.
MACHINE_BITS: Final = 20
MOST_MACHINES: Final = 1 << 10
_NUMBERS: Final = (1 << _NUMBER_BITS) - 1
# Of a line: the comma, the quotes, the hash and the bracket at its end; the bracket alone.
_SEAL: Final = 2 + 64 + 2
_TAIL_BYTES: Final = 8192
_READ_BYTES: Final = 1 << 20

# What SQLite holds as an integer; and what the counters' file does.
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_Amount = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_INTEGERS: Final = frozenset({"number", "at_us", "ref_seq", "duration_us"})
_MEMBERS: Final[tuple[Any, ...]] = tuple(_Whole if name in _INTEGERS else str for name in CONTENT)
_Plain: Any = tuple.__class_getitem__((*_MEMBERS, str))
_Charging: Any = tuple.__class_getitem__((*_MEMBERS, list[tuple[str, _Amount, _Time]], str))

_encode = msgspec.json.Encoder().encode
_decode_plain = msgspec.json.Decoder(_Plain).decode
_decode_charging = msgspec.json.Decoder(_Charging).decode


def key_of(segment: int, number: int) -> int:
    """Return a row's key as one integer; those of the first segment are its numbers."""
    return (segment - 1) << _NUMBER_BITS | number


def split_key(key: int) -> tuple[int, int]:
    """Return the segment and the number in it."""
    return (key >> _NUMBER_BITS) + 1, key & _NUMBERS


def shown_key(key: int) -> str:
    """Return a key as a person reads it: `segment:number`, of another machine `@machine/…`."""
    segment, number = split_key(key)
    machine, segment = segment >> MACHINE_BITS, segment & (1 << MACHINE_BITS) - 1
    return f"@{machine}/{segment}:{number}" if machine else f"{segment}:{number}"


def has_charges(line: bytes) -> bool:
    """Tell whether a row's line, without its end, says what was taken from limits."""
    return line.endswith(b"]", 0, -_SEAL)  # nothing else ends so before the hash


def decode_row(line: bytes) -> tuple[Any, ...]:
    """Return the members of a row's line, the last of them its hash.

    Raises `ValueError` where it is no row: someone has edited it, or the disk has.
    """
    row: tuple[Any, ...] = (_decode_charging if has_charges(line) else _decode_plain)(line)
    return row


def row_hash(previous: bytes, content: Sequence[Any]) -> bytes:
    """Return what binds a row to the row before."""
    return hashlib.sha256(previous + _encode(content)).digest()


def bind(content: list[Any], previous: bytes) -> tuple[bytes, bytes]:
    """Return a row's line and its hash; texts that cannot be stored as they are are changed."""
    try:
        body = _encode(content)
    except UnicodeEncodeError:
        content[:] = [storable(part) if isinstance(part, str) else part for part in content]
        body = _encode(content)
    digest = hashlib.sha256(previous + body).digest()
    return b'%b,"%b"]\n' % (body[:-1], digest.hex().encode()), digest


def follows(line: bytes, previous: bytes) -> bytes | None:
    """Return the hash of a line (without its end) that follows that hash; None: it does not."""
    digest = hashlib.sha256(previous + line[:-_SEAL] + b"]").digest()
    return digest if line[-_SEAL:] == b',"%b"]' % digest.hex().encode() else None


def number_of(line: bytes) -> int:
    """Return the number of a row's line, 0 where it has none."""
    digits = line[1 : line.find(b",")]
    return int(digits) if digits.isdigit() else 0


def hash_of(line: bytes) -> bytes:
    """Return the hash that a line ends with; of what is no line, zeros."""
    try:
        return bytes.fromhex(line[-_SEAL + 2 : -2].decode("ascii"))
    except ValueError:
        return NO_HASH


def file_of(directory: Path, segment: int) -> Path:
    """Return the file of a segment."""
    return directory / f"{segment:08d}.jsonl"


def lines_of(path: Path, offset: int = 0) -> Iterator[tuple[int, bytes]]:
    """Give the whole lines of a file from there on, each with where it begins, without its end.

    What stands behind the last line's end is left out: it is being written, or torn. Raises
    `OSError`.
    """
    with path.open("rb", buffering=_READ_BYTES) as file:
        file.seek(offset)
        for line in file:
            if not line.endswith(b"\n"):
                return
            yield offset, line[:-1]
            offset += len(line)


def line_at(path: Path, offset: int, length: int = _TAIL_BYTES) -> bytes:
    """Return the line that begins there, without its end; empty where none does."""
    with path.open("rb") as file:
        data = os.pread(file.fileno(), length, offset)
    end = data.find(b"\n")
    if end < 0 and len(data) == length:
        return line_at(path, offset, length * 8)
    return data[:end] if end >= 0 else b""


class Tail(msgspec.Struct, frozen=True):
    """Where a segment stands: its last whole row, and what is torn behind it."""

    number: int
    hash: bytes
    size: int
    at_us: int
    torn: int = 0


def tail_of(descriptor: int, first_number: int, first_hash: bytes) -> Tail:
    """Read where a segment stands; one without a row stands where it was opened."""
    size = os.fstat(descriptor).st_size
    length = _TAIL_BYTES
    while True:
        start = max(0, size - length)
        data = os.pread(descriptor, size - start, start)
        end = data.rfind(b"\n") + 1
        begin = data.rfind(b"\n", 0, end - 1) + 1 if end else 0
        if start == 0 or begin:
            break
        length *= 8
    if not end:
        return Tail(first_number, first_hash, 0, 0, size)
    line = data[begin : end - 1]
    return Tail(number_of(line), hash_of(line), start + end, _time_of(line), size - start - end)


def _time_of(line: bytes) -> int:
    at = line.split(b",", 2)[1:2]
    return int(at[0]) if at and at[0].isdigit() else 0


def set_aside(path: Path, descriptor: int, tail: Tail) -> None:
    """Move what is torn at a segment's end into a file beside it, and cut it off there."""
    torn = os.pread(descriptor, tail.torn, tail.size)
    aside = open_private(path.with_suffix(".torn"), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(aside, torn)
        os.fsync(aside)
    finally:
        os.close(aside)
    os.ftruncate(descriptor, tail.size)
