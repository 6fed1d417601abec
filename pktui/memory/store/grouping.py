"""Searches grouped by session: true totals, pages that go on, each session with its best hits.

Entries of the knowledge stand among the sessions as groups of their own, with negative ids.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.errors import InvalidRequest
from pktui.memory.records import BANDS, EntryHits, GroupedAnswer, SessionHits
from pktui.memory.search.filters import session_filter
from pktui.memory.search.forms import folded
from pktui.memory.store.orders import Key, after_cursor, cursor_of, sort_key
from pktui.memory.store.scope import entries_in_scope
from pktui.memory.store.session_catalogue import facets_of
from pktui.text import one_line
from pktui.times import microseconds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pktui.memory.records import Facets, SessionSort
    from pktui.memory.search.question import Question
    from pktui.memory.store.finding import Finding, Found, Search
    from pktui.memory.store.state import State

_GROUP = np.dtype(
    [
        ("id", np.int64),
        ("total", np.int64),
        ("score", np.float32),
        ("latest", np.int64),
        ("band", np.int8),
    ]
)
_WEEK = np.dtype([("id", np.int64), ("week", np.int64)])
Groups = npt.NDArray[np.void]
_WORDS, _MEANING = BANDS.index("words"), BANDS.index("meaning")


class Grouping:
    """The search of sessions by what is in them."""

    def __init__(self, state: State, finding: Finding) -> None:
        self._state = state
        self._finding = finding

    def sessions(
        self,
        query: str,
        mode: str,
        limit: int,
        most_hits: int,
        cursor: str,
        project: str | None,
        waited: float,
        *,
        bands: bool = False,
        sort: SessionSort | None = None,
    ) -> GroupedAnswer:
        """Find sessions, in the order of their best hit, each with up to `most_hits` of its own.

        With `bands` one band after the other, those first whose title holds the query, and the
        knowledge among them.
        """
        search, found = self._finding.in_sessions(query, mode, project, waited, knowledge=bands)
        groups = self._grouped(search, found, project, bands=bands)
        if sort is not None:
            page, following = self._sorted(groups, sort, cursor, limit)
        else:
            left = _after(groups, cursor, banded=bands) if cursor else groups
            page = left[:limit]
            following = _cursor(page[-1]) if len(left) > limit else ""
        sessions: list[SessionHits] = []
        entries: list[EntryHits] = []
        for row in page:
            if row["id"] > 0:
                sessions += self._session(search, found, row, most_hits)
            else:
                entries += self._entry(search, found, row, len(sessions))
        of_sessions = groups["id"] > 0
        return GroupedAnswer(
            sessions=tuple(sessions),
            total=int(np.count_nonzero(of_sessions)),
            total_hits=int(groups["total"][of_sessions].sum()),
            mode=search.mode,
            asked_mode=search.asked_mode,
            cursor=following,
            note=search.note,
            awaits_meaning=self._finding.awaits(search, not len(groups)),
            bands=tuple(np.bincount(groups["band"], minlength=len(BANDS)).tolist())
            if bands
            else (),
            entries=tuple(entries),
            total_entries=int(np.count_nonzero(~of_sessions)),
        )

    def _grouped(
        self, search: Search, found: Sequence[Found], project: str | None, *, bands: bool
    ) -> Groups:
        """Return all that was found, best first."""
        knowledge = self._state.knowledge
        with self._state.lock:
            parts = [
                _groups(one, sign=-1 if one.source.corpus is knowledge else 1) for one in found
            ]
            if bands:
                parts.append(self._called(search.question, project))
                parts.append(self._titled(search.question, project))
            return _joined(parts, banded=bands)

    def _sorted(
        self, groups: Groups, sort: SessionSort, cursor: str, limit: int
    ) -> tuple[Groups, str]:
        """Return the page behind the cursor in the order of a column, and the next one's cursor."""
        state = self._state
        places: dict[Key, int] = {}
        with state.lock:
            for at, row in enumerate(groups):
                number, count = int(row["id"]), int(row["total"])
                if state.catalogue.has(number):
                    session = state.catalogue.get(number).session
                    places[sort_key(sort, session, count)] = at
                elif (entry := state.entries.get(-number)) is not None:
                    latest = -microseconds(entry.updated_at)
                    by: dict[str, str | int] = {
                        "title": folded(entry.title),
                        "count": -count,
                        "age": latest,
                    }
                    places[by.get(sort, ""), latest, number] = at
        order = sorted(places)
        first = after_cursor(order, cursor)
        keys = order[first : first + limit]
        more = len(order) > first + limit
        return groups[[places[key] for key in keys]], cursor_of(keys[-1]) if more else ""

    def facets(
        self, query: str, mode: str, project: str | None, edges_us: Sequence[int], waited: float
    ) -> Facets:
        """Count the sessions that a search finds; of a time are those with a hit in it."""
        search, found = self._finding.in_sessions(query, mode, project, waited)
        groups = self._grouped(search, found, project, bands=True)
        edges = np.asarray(edges_us, np.int64)
        with self._state.lock:
            ids = groups["id"][groups["id"] > 0].tolist()
            kinds = self._state.catalogue.kinds(ids)
            pairs = [_weeks(one, edges) for one in found]
            titled = self._called(search.question, project)
        made = np.zeros(len(titled), _WEEK)
        made["id"], made["week"] = titled["id"], edges.searchsorted(titled["latest"], "right")
        every = np.unique(np.concatenate([made, *pairs]))
        counts = np.bincount(every["week"], minlength=len(edges) + 1)
        return facets_of(kinds, counts.tolist())

    def _called(self, question: Question, project: str | None) -> Groups:
        """Return the sessions whose title holds all that is asked; the caller holds the lock."""
        filters = question.filters
        texts = [folded(text) for text in (*question.words, *question.phrases)]
        within = filters.roles is not None or filters.calls
        if not texts or within or not {"message", "call"} <= filters.kinds:
            return np.zeros(0, _GROUP)
        fits = session_filter(filters, project)
        unwanted = [folded(text) for text in question.unwanted]
        catalogue = self._state.catalogue
        ids = catalogue.called(texts, fits)
        for text in unwanted:
            ids -= catalogue.called([text], fits)
        return _by_title(
            {
                one: microseconds(session.last_activity or session.started_at)
                for one, session in ((one, catalogue.get(one).session) for one in ids)
            }
        )

    def _titled(self, question: Question, project: str | None) -> Groups:
        """Return the entries whose title holds all that is asked; the caller holds the lock."""
        texts = [folded(text) for text in (*question.words, *question.phrases)]
        if not texts or project is not None or "entry" not in question.filters.kinds:
            return np.zeros(0, _GROUP)
        state, unwanted = self._state, [folded(text) for text in question.unwanted]
        fits = entries_in_scope(state, question.filters)
        found = {}
        for entry in state.entries.values():
            title = folded(entry.title)
            if all(text in title for text in texts) and not any(one in title for one in unwanted):
                at = state.knowledge.position(entry.id)
                if at is not None and fits[at]:
                    found[-entry.id] = microseconds(entry.updated_at)
        return _by_title(found)

    def _entry(
        self, search: Search, found: Sequence[Found], row: np.void, after: int
    ) -> list[EntryHits]:
        """Return the entry of a row, none where it was deleted since it was ranked."""
        number, corpus = -int(row["id"]), self._state.knowledge
        with self._state.lock:
            entry, at = self._state.entries.get(number), corpus.position(number)
        if entry is None or at is None:
            return []
        fits = [
            (one, at)
            for one in found
            if one.source.corpus is corpus and at < len(one.fitting) and one.fitting[at]
        ]
        hit = next(iter(self._finding.hits(search, fits)), None)
        score = float(np.clip(row["score"], 0, 1))
        return [EntryHits(entry, score, after, hit, BANDS[row["band"]])]

    def _session(
        self, search: Search, found: Sequence[Found], row: np.void, most_hits: int
    ) -> list[SessionHits]:
        """Return the session of a row, none where it was deleted since it was ranked."""
        number = int(row["id"])
        best: list[tuple[float, int, int, Found]] = []
        with self._state.lock:
            if not self._state.catalogue.has(number):
                return []
            session = self._state.catalogue.get(number).session
            for one in found:
                corpus = one.source.corpus
                if corpus is self._state.knowledge:
                    continue
                its = np.asarray(corpus.members(number), np.int64)
                its = its[its < len(one.fitting)]
                its = its[one.fitting[its]]
                times = corpus.facts["times"][its]
                order = np.lexsort((-corpus.facts["ids"][its], -times, -one.scores[its]))
                best += [
                    (-float(one.scores[its[at]]), -int(times[at]), int(its[at]), one)
                    for at in order[:most_hits].tolist()
                ]
        best.sort(key=lambda hit: hit[:2])
        hits = self._finding.hits(search, [(one, at) for _, _, at, one in best[:most_hits]])
        score = float(np.clip(row["score"], 0, 1))
        return [SessionHits(session, score, int(row["total"]), tuple(hits), BANDS[row["band"]])]


def _by_title(latest: Mapping[int, int]) -> Groups:
    """Return what was found by its title, by ids with the time that each is of."""
    groups = np.zeros(len(latest), _GROUP)
    groups["id"] = sorted(latest)
    groups["score"] = -1
    groups["latest"] = [latest[one] for one in sorted(latest)]
    return groups


def _weeks(found: Found, edges: npt.NDArray[np.int64]) -> Groups:
    """Return the sessions of hits with the spans of time these are in, each once."""
    corpus = found.source.corpus
    fitting = found.fitting & corpus.facts["alive"][: len(found.fitting)]
    positions = np.flatnonzero(fitting)
    made = np.zeros(len(positions), _WEEK)
    made["id"] = corpus.groups["ids"][corpus.facts["slots"][positions].astype(np.intp)]
    made["week"] = edges.searchsorted(corpus.facts["times"][positions], "right")
    return np.unique(made)


def _groups(found: Found, sign: int) -> Groups:
    """Return the groups with hits of one kind; the caller holds the lock."""
    corpus = found.source.corpus
    fitting = found.fitting & corpus.facts["alive"][: len(found.fitting)]
    positions = np.flatnonzero(fitting)
    slots = corpus.facts["slots"][positions].astype(np.intp)
    groups = np.zeros(len(corpus.groups), _GROUP)
    groups["id"] = sign * corpus.groups["ids"]
    groups["total"] = np.bincount(slots, minlength=len(groups))
    score = np.full(len(groups), -1, np.float32)
    np.maximum.at(score, slots, found.scores[positions])
    groups["score"] = score
    latest = np.full(len(groups), np.iinfo(np.int64).min)
    np.maximum.at(latest, slots, corpus.facts["times"][positions])
    groups["latest"] = latest
    worded = np.bincount(slots, found.worded[positions], len(groups)) > 0
    groups["band"] = np.where(worded, _WORDS, _MEANING)
    return groups[groups["total"] > 0]


def _joined(parts: Sequence[Groups], *, banded: bool) -> Groups:
    """Return each group once, best first; equal ones by the time of their last hit.

    `banded`: those of a band before those of the next.
    """
    every = np.concatenate([np.zeros(0, _GROUP), *parts])
    ids, at = np.unique(every["id"], return_inverse=True)
    joined = np.zeros(len(ids), _GROUP)
    joined["id"] = ids
    joined["total"] = np.bincount(at, every["total"], len(ids)).astype(np.int64)
    for field, least in (("score", -1), ("latest", np.iinfo(np.int64).min)):
        highest = np.full(len(ids), least, _GROUP[field])
        np.maximum.at(highest, at, every[field])
        joined[field] = highest
    joined["band"] = len(BANDS)
    np.minimum.at(joined["band"], at, every["band"])
    keys = [-joined["id"], -joined["latest"], -joined["score"]]
    if banded:
        keys.append(joined["band"])
    order = np.lexsort(keys)
    return joined[order]


def _cursor(last: np.void) -> str:
    place = (float(last["score"]).hex(), int(last["latest"]), int(last["id"]), int(last["band"]))
    return "_".join(map(str, place))


def _after(groups: Groups, cursor: str, *, banded: bool) -> Groups:
    """Return the sessions that come after the one that the cursor names."""
    try:
        score_text, latest_text, id_text, band_text = cursor.split("_")
        score, latest, number = float.fromhex(score_text), int(latest_text), int(id_text)
        band = int(band_text)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"cursor {one_line(cursor, 40)!r} is not one of this list", "Leave it out"
        ) from None
    later = (groups["latest"] < latest) | ((groups["latest"] == latest) & (groups["id"] < number))
    after = (groups["score"] < score) | ((groups["score"] == score) & later)
    if banded:
        after = (groups["band"] > band) | ((groups["band"] == band) & after)
    kept: Groups = groups[after]
    return kept
