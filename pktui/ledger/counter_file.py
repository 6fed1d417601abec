"""The mapped file `counters`: its lock, its mark, its room, and the word that tells of changes.

All of it is 64-bit words in the machine's order. The first page is the header and never moves;
behind it lie the table of counters and their rings, which `pktui.ledger.counters` reads and writes
while it holds the lock (flock, which ends with its holder). Whoever changes them sets the mark
before and clears it after, so that a holder that died in between is noticed; such a file, or one
that is damaged or of another start of the machine, is made anew from what is on record.

The word is of another lock: whoever holds the right to write `ledger.db` makes it odd before a
change of approvals, standing answers, grants, pins or the stop, and even once that is committed. A
call that finds the even number it knows need not ask `ledger.db`.
"""

from __future__ import annotations

import errno
import mmap
import os
import threading
from functools import cache
from pathlib import Path
from typing import Final

from pktui.errors import LedgerUnavailable
from pktui.files import lock, make_private_directory, open_private, unlock
from pktui.times import boot_id

PAGE: Final = 4096
HEADER: Final = PAGE // 8
_MAGIC: Final = int.from_bytes(b"pktuicnt", "little")
_LAYOUT: Final = 1
# Words; half a tebibyte.
_MOST_WORDS: Final = 1 << 36
# Places in the header.
_MAGIC_AT, _LAYOUT_AT, MARK_AT, EPOCH_AT, _WORDS_AT, _TABLE_AT, _END_AT, _IN_USE_AT = range(8)
_BOOT_AT: Final = 8
_LONGEST_AT: Final = 10
_WORD_AT: Final = 64
BUSY_SECONDS: Final = 5.0
_WRAP: Final = 1 << 63


class CounterFile:
    """The mapped file, opened where it is missing; one lock holder at a time, in all processes.

    What `words` gives is valid while the lock is held: at `MARK_AT` whether a change is under way,
    at `EPOCH_AT` a number that is another once counters moved to another place of the table.
    Everything raises `LedgerUnavailable`.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path = path
        self.words = memoryview(bytearray(PAGE)).cast("Q")
        self._name = os.fspath(path)
        self._read_only = read_only
        self._threads = threading.RLock()
        self._depth = 0
        self._descriptor = -1
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._map: mmap.mmap | None = None
        self._page: memoryview | None = None
        self._was_odd = False

    # the lock

    def lock(self) -> bool:
        """Take the lock; tell whether what is in the file can be believed.

        Where it cannot, `begin_anew` before anything else. Waits for a holder, `BUSY_SECONDS` at
        most.
        """
        self._threads.acquire()
        self._depth += 1
        try:
            while self._depth == 1:
                if self._descriptor < 0:
                    self._open()
                if not lock(self._descriptor, shared=self._read_only, seconds=BUSY_SECONDS):
                    raise self._busy()  # noqa: TRY301
                if self._is_at_path():
                    break
                self._let_go()
            return self._is_whole()
        except OSError as error:
            self.unlock()
            raise self._unavailable(error) from error
        except BaseException:
            self.unlock()
            raise

    def unlock(self) -> None:
        """Let others have the lock."""
        self._depth -= 1
        try:
            if not self._depth and self._descriptor >= 0:
                unlock(self._descriptor)
        finally:
            self._threads.release()

    def _busy(self) -> LedgerUnavailable:
        return LedgerUnavailable(
            f"another process has kept {self.path} locked for {BUSY_SECONDS:.0f} seconds",
            "End the process that holds it, then try again",
        )

    def spoil(self) -> None:
        """Let nobody believe the file any more: what it says cannot be true."""
        self.words[_MAGIC_AT] = 0

    # what is where

    @property
    def table(self) -> int:
        """The slots of the table, a power of two; it begins at `HEADER`."""
        return self.words[_TABLE_AT]

    @property
    def in_use(self) -> int:
        """The slots in use."""
        return self.words[_IN_USE_AT]

    @in_use.setter
    def in_use(self, count: int) -> None:
        self.words[_IN_USE_AT] = count

    @property
    def longest(self) -> int:
        """The longest window that was ever in use, microseconds; 0: not known."""
        return self.words[_LONGEST_AT] if self.words[_MAGIC_AT] == _MAGIC else 0

    def reach_back(self, window_us: int) -> None:
        """Note that a window of this length is in use; a loss of power leaves that known."""
        if window_us > self.words[_LONGEST_AT] and self._map is not None:
            self.words[_LONGEST_AT] = window_us
            self._map.flush(0, PAGE)

    def allocate(self, count: int) -> int:
        """Return where so many words begin that were not in use; the file grows where it must."""
        start = self.words[_END_AT]
        if start + count > len(self.words):
            self._grow(start + count)
        self.words[_END_AT] = start + count
        return start

    def begin_anew(self, slots: int, count: int) -> None:
        """Empty the file for a table of that many slots in `count` words, marked as in change."""
        self.words[MARK_AT] = 1
        self.words[_MAGIC_AT] = 0
        if HEADER + count > len(self.words):
            self._grow(HEADER + count)
        words = self.words
        self._clear()
        words[EPOCH_AT] = int.from_bytes(os.urandom(7), "little")
        words[_LAYOUT_AT], words[_WORDS_AT] = _LAYOUT, len(words)
        words[_TABLE_AT], words[_IN_USE_AT], words[_END_AT] = slots, 0, HEADER + count
        words[_BOOT_AT], words[_BOOT_AT + 1] = _boot()
        if not words[_WORD_AT]:
            words[_WORD_AT] = int.from_bytes(os.urandom(7), "little") * 2
        words[_MAGIC_AT] = _MAGIC

    # the word

    def word(self) -> int | None:
        """Return a number that is another after each change that others made in `ledger.db`.

        None where it cannot be told: a change is under way, or the file is another one.
        """
        page = self._page
        try:
            found = os.stat(self._name)  # noqa: PTH116  a third of the time of Path.stat
            there = (found.st_dev, found.st_ino) == self._identity
        except OSError:
            there = False
        if page is None or not there:
            self.lock()
            self.unlock()
            return None
        word: int = page[_WORD_AT]
        return None if word & 1 else word

    def before_change(self) -> None:
        """Let nobody go by what is known of `ledger.db`; for its writer, before it changes that."""
        page = self._page
        while page is None or not self._is_at_path():
            self.lock()
            self.unlock()
            page = self._page
        self._was_odd = bool(page[_WORD_AT] & 1)
        page[_WORD_AT] = (page[_WORD_AT] | 1) % _WRAP

    def after_change(self, *, changed: bool = True) -> None:
        """Let what is read from now on be gone by; a word that was left odd is even by that.

        It is as it was before where nothing was changed.
        """
        page = self._page
        if page is not None:
            odd = page[_WORD_AT] | 1
            page[_WORD_AT] = (odd + 1 if changed or self._was_odd else odd - 1) % _WRAP

    # opening and closing

    def close(self) -> None:
        """Let go of the file; what is used after that opens it again."""
        with self._threads:
            self._let_go()

    def _open(self) -> None:
        if self._read_only:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        else:
            make_private_directory(self.path.parent)
            self._descriptor = open_private(self.path, os.O_RDWR)
        found = os.fstat(self._descriptor)
        self._identity, self._size = (found.st_dev, found.st_ino), found.st_size

    def _is_at_path(self) -> bool:
        try:
            found = os.stat(self._name)  # noqa: PTH116  a third of the time of Path.stat
        except OSError:
            return False
        self._size = found.st_size
        return (found.st_dev, found.st_ino) == self._identity

    def _is_whole(self) -> bool:
        if self._size < PAGE and not self._read_only:
            _reserve(self._descriptor, PAGE)
            self._size = PAGE
        size = self._size // 8
        if size >= HEADER and (size != len(self.words) or self._map is None):
            self._map_all(size)
        words = self.words
        whole: bool = (
            words[_MAGIC_AT] == _MAGIC
            and words[_LAYOUT_AT] == _LAYOUT
            and not words[MARK_AT]
            and HEADER < words[_END_AT] <= words[_WORDS_AT] <= size
            and (words[_BOOT_AT], words[_BOOT_AT + 1]) == _boot()
        )
        if not whole and self._read_only:
            raise LedgerUnavailable(
                f"{self.path} is not whole", "The next call through a gateway makes it anew"
            )
        return whole

    def _grow(self, needed: int) -> None:
        """Make room for so many words."""
        if needed > _MOST_WORDS:
            raise LedgerUnavailable(f"{self.path} would be too large", "Lower the limits")
        size = len(self.words)
        while size < needed:
            size *= 2
        try:
            _reserve(self._descriptor, size * 8)
            self._map_all(size)
        except OSError as error:
            raise self._unavailable(error) from error
        self.words[_WORDS_AT], self._size = size, size * 8

    def _map_all(self, words: int) -> None:
        access = mmap.ACCESS_READ if self._read_only else mmap.ACCESS_WRITE
        fresh = mmap.mmap(self._descriptor, words * 8, access=access)
        self.words.release()
        if self._map is not None:
            self._map.close()
        self._map, self.words = fresh, memoryview(fresh).cast("Q")
        if self._page is None:
            page = mmap.mmap(self._descriptor, PAGE, access=access)
            self._page = memoryview(page).cast("Q")

    def _clear(self) -> None:
        assert self._map is not None
        zeros = bytes(1 << 16)
        for at in range(PAGE, len(self._map), len(zeros)):
            end = min(at + len(zeros), len(self._map))
            self._map[at:end] = zeros[: end - at]

    def _let_go(self) -> None:
        """Close what was opened; the page with the word goes when its last reader does."""
        if self._map is not None:
            self.words.release()
            self._map.close()
            self._map = None
            self.words = memoryview(bytearray(PAGE)).cast("Q")
        self._page = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._identity = None

    def _unavailable(self, error: OSError) -> LedgerUnavailable:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        cause = "the disk is full" if full else error.strerror or str(error)
        cure = "Free some space" if full else "Check its owner and mode, and its directory's"
        return LedgerUnavailable(f"{self.path} cannot be used: {cause}", cure)


def _reserve(descriptor: int, size: int) -> None:
    """Let the disk keep room for so many bytes; raises `OSError` where it has none.

    A write to mapped bytes that the disk has no room for would end the process.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    held = os.fstat(descriptor).st_size  # not every system has it
    while held < size:
        held += os.pwrite(descriptor, bytes(min(1 << 16, size - held)), held)


@cache
def _boot() -> tuple[int, int]:
    """Return which start of the machine this is: what was mapped before may have been lost."""
    number = int(boot_id().replace("-", "") or "0", 16)
    return number >> 64, number & (1 << 64) - 1
