"""Knowledge: adding, changing, removing and listing entries."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from pktui.errors import InvalidRequest, NotFound
from pktui.memory.records import Entry, EntryStats, Page, TagCount
from pktui.memory.store.loading import entry_document
from pktui.memory.store.requests import deletion_mark
from pktui.memory.store.schema import EntryRow
from pktui.text import one_line, storable
from pktui.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from pktui.memory.store.state import State


class Entries:
    """The verbs on knowledge; what one changes is kept when it returns."""

    def __init__(self, state: State) -> None:
        self._state = state

    def add(self, new: Sequence[Entry], request: str) -> tuple[Entry, ...]:
        """Commit entries in one go; each gets a new id, whatever id it bears.

        A request for one entry that was carried out already returns the entry it made.
        """
        state = self._state
        for entry in new:
            _check(entry.title)
        with state.writing:
            made = self._made_by(request)
            if made is not None:
                return (made,)
            entries = tuple(_storable(entry, state.next_id("entry")) for entry in new)
            state.rows.add("entry", [EntryRow(entry, request) for entry in entries])
            with state.lock:
                state.entries.update((entry.id, entry) for entry in entries)
                state.knowledge.add([entry_document(entry) for entry in entries])
                for entry in entries:
                    state.requests.remember("entry", request, entry.id)
        return entries

    def _made_by(self, request: str) -> Entry | None:
        with self._state.lock:
            entry_id = self._state.requests.find("entry", request)
            return None if entry_id is None else self._state.entries.get(entry_id)

    def get(self, entry_id: int) -> Entry:
        """Return an entry; raises `NotFound`."""
        with self._state.lock:
            try:
                return self._state.entries[entry_id]
            except KeyError:
                raise NotFound(
                    f"no knowledge entry has the id {entry_id}", "List or search the entries"
                ) from None

    def update(
        self,
        entry_id: int,
        title: str | None,
        content: str | None,
        source: str | None,
        tags: Sequence[str] | None,
    ) -> Entry:
        """Change the fields that are given; old vectors go before the new text is there."""
        state = self._state
        if title is not None:
            _check(title)
        with state.writing:
            known = self.get(entry_id)
            changed = msgspec.structs.replace(
                known,
                title=known.title if title is None else title,
                content=known.content if content is None else content,
                source=known.source if source is None else source,
                tags=known.tags if tags is None else tuple(tags),
                updated_at=state.clock(),
            )
            entry = _storable(changed, entry_id)
            state.vectors.delete(f"kind = 'entry' AND ref_id = {entry_id}")
            state.rows.add("entry", [EntryRow(entry, "")], new=False)
            with state.lock:
                state.knowledge.remove(entry_id)
                state.entries[entry_id] = entry
                state.knowledge.add([entry_document(entry)])
        return entry

    def delete(self, entry_id: int, request: str) -> None:
        """Remove an entry and its vectors, for good.

        A request that was carried out already changes nothing.
        """
        state = self._state
        with state.writing:
            if self._deleted_by(request) == entry_id:
                return
            self.get(entry_id)
            mark = deletion_mark("deleted entry", request, entry_id) if request else ""
            state.rows.flush()
            state.keep_marks(mark)
            state.entries_table.delete(f"id = {entry_id}")
            with state.lock:
                del state.entries[entry_id]
                state.knowledge.remove(entry_id)
                state.requests.remember("deleted entry", request, entry_id)
            state.vectors.delete(f"kind = 'entry' AND ref_id = {entry_id}")

    def _deleted_by(self, request: str) -> int | None:
        """Return the entry that the request removed; one that is there still it did not."""
        with self._state.lock:
            entry_id = self._state.requests.find("deleted entry", request)
            return None if entry_id in self._state.entries else entry_id

    def page(self, tags: Sequence[str], cursor: str, offset: int, limit: int) -> Page[Entry]:
        """Return entries that bear one of the tags (all, without tags), the latest change first."""
        wanted = {tag.casefold() for tag in tags}
        with self._state.lock:
            found = [
                entry
                for entry in self._state.entries.values()
                if not wanted or not wanted.isdisjoint(tag.casefold() for tag in entry.tags)
            ]
        found.sort(key=_key, reverse=True)
        total = len(found)
        if cursor:
            last = _read_cursor(cursor)
            found = [entry for entry in found if _key(entry) < last]
        found = found[offset:]
        part = found[:limit]
        more = len(found) > limit
        return Page(tuple(part), total, "{}.{}".format(*_key(part[-1])) if more and part else "")

    def made(self, times: Collection[datetime]) -> tuple[Entry, ...]:
        """Return the entries that were made at one of the times."""
        with self._state.lock:
            return tuple(one for one in self._state.entries.values() if one.created_at in times)

    def stats(self) -> EntryStats:
        """Return figures about all entries."""
        with self._state.lock:
            entries = list(self._state.entries.values())
            pending = len(self._state.knowledge.pending)
        tags = Counter(tag for entry in entries for tag in entry.tags)
        ordered = sorted(tags.items(), key=lambda pair: (-pair[1], pair[0]))
        return EntryStats(
            total=len(entries),
            pending_vectors=pending,
            tags=tuple(TagCount(tag, count) for tag, count in ordered),
            sources=len({entry.source for entry in entries if entry.source}),
            oldest=min((entry.created_at for entry in entries), default=None),
            newest=max((entry.created_at for entry in entries), default=None),
        )


def _storable(entry: Entry, entry_id: int) -> Entry:
    return msgspec.structs.replace(
        entry,
        id=entry_id,
        title=storable(entry.title),
        content=storable(entry.content),
        source=storable(entry.source),
        tags=tuple(dict.fromkeys(storable(tag) for tag in entry.tags)),
    )


def _check(title: str) -> None:
    if not title.strip():
        raise InvalidRequest("a knowledge entry needs a title", "Give it one")


def _key(entry: Entry) -> tuple[int, int]:
    return microseconds(entry.updated_at), entry.id


def _read_cursor(cursor: str) -> tuple[int, int]:
    try:
        changed, entry_id = (int(part) for part in cursor.split("."))
    except ValueError:
        raise InvalidRequest(
            f"cursor {one_line(cursor, 40)!r} is not one of this list", "Leave it out"
        ) from None
    return changed, entry_id
