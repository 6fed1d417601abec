"""Searches grouped by session: true totals, pages that go on, each session with its best hits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pktui.errors import InvalidRequest
from pktui.memory.records import GroupedAnswer, SessionHits
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.memory.store.finding import Asked, Finding, Found
    from pktui.memory.store.state import State

_GROUP = np.dtype(
    [("id", np.int64), ("total", np.int64), ("score", np.float32), ("latest", np.int64)]
)
Groups = npt.NDArray[np.void]


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
    ) -> GroupedAnswer:
        """Find sessions, in the order of their best hit, each with up to `most_hits` of its own."""
        asked, found = self._finding.in_sessions(query, mode, project, waited)
        with self._state.lock:
            groups = _joined([_groups(one) for one in found])
        left = _after(groups, cursor) if cursor else groups
        page = left[:limit]
        made = [self._session(asked, found, row, most_hits) for row in page]
        return GroupedAnswer(
            sessions=tuple(one for one in made if one is not None),
            total=len(groups),
            total_hits=int(groups["total"].sum()),
            mode=asked.mode,
            asked_mode=asked.asked_mode,
            cursor=_cursor(page[-1]) if len(left) > limit else "",
            note=asked.note,
            awaits_meaning=self._finding.awaits(asked, not len(groups)),
        )

    def _session(
        self, asked: Asked, found: Sequence[Found], row: np.void, most_hits: int
    ) -> SessionHits | None:
        number = int(row["id"])
        best: list[tuple[float, int, int, Found]] = []
        with self._state.lock:
            if not self._state.catalogue.has(number):
                return None  # deleted since it was ranked
            session = self._state.catalogue.get(number).session
            for one in found:
                corpus = one.source.corpus
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
        hits = self._finding.hits(asked, [(one, at) for _, _, at, one in best[:most_hits]])
        score = float(np.clip(row["score"], 0, 1))
        return SessionHits(session, score, int(row["total"]), tuple(hits))


def _groups(found: Found) -> Groups:
    """Return the sessions with hits of one kind; the caller holds the lock."""
    corpus = found.source.corpus
    fitting = found.fitting & corpus.facts["alive"][: len(found.fitting)]
    positions = np.flatnonzero(fitting)
    slots = corpus.facts["slots"][positions].astype(np.intp)
    groups = np.zeros(len(corpus.groups), _GROUP)
    groups["id"] = corpus.groups["ids"]
    groups["total"] = np.bincount(slots, minlength=len(groups))
    score = np.full(len(groups), -1, np.float32)
    np.maximum.at(score, slots, found.scores[positions])
    groups["score"] = score
    latest = np.full(len(groups), np.iinfo(np.int64).min)
    np.maximum.at(latest, slots, corpus.facts["times"][positions])
    groups["latest"] = latest
    return groups[groups["total"] > 0]


def _joined(parts: Sequence[Groups]) -> Groups:
    """Return each session once, best first; equal ones by the time of their last hit."""
    every = np.concatenate([np.zeros(0, _GROUP), *parts])
    ids, at = np.unique(every["id"], return_inverse=True)
    joined = np.zeros(len(ids), _GROUP)
    joined["id"] = ids
    joined["total"] = np.bincount(at, every["total"], len(ids)).astype(np.int64)
    for field, least in (("score", -1), ("latest", np.iinfo(np.int64).min)):
        highest = np.full(len(ids), least, _GROUP[field])
        np.maximum.at(highest, at, every[field])
        joined[field] = highest
    order = np.lexsort((-joined["id"], -joined["latest"], -joined["score"]))
    return joined[order]


def _cursor(last: np.void) -> str:
    return f"{float(last['score']).hex()}_{int(last['latest'])}_{int(last['id'])}"


def _after(groups: Groups, cursor: str) -> Groups:
    """Return the sessions that come after the one that the cursor names."""
    try:
        score_text, latest_text, id_text = cursor.split("_")
        score, latest, number = float.fromhex(score_text), int(latest_text), int(id_text)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"cursor {one_line(cursor, 40)!r} is not one of this list", "Leave it out"
        ) from None
    later = (groups["latest"] < latest) | ((groups["latest"] == latest) & (groups["id"] < number))
    kept: Groups = groups[(groups["score"] < score) | ((groups["score"] == score) & later)]
    return kept
