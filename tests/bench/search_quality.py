"""How well search finds: `python -m tests.bench.search_quality FOLDER`.

FOLDER holds conversations with questions and the turns that answer them, one JSON file each:
`{"sessions": [{"started", "turns": [{"id", "speaker", "text", "image_caption"?}]}],
"questions": [{"question", "evidence": [turn ids], "answerable"}]}`. Each conversation becomes a
store of its own. Printed for each mode, over all answerable questions: turn recall@10 (the share
of the evidence among the first ten messages), session recall@5 and @10 (sessions in the order of
their best message), and what is left of session recall@10 where fewer messages are asked for.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

from pktui.memory.embed import load_embedder
from pktui.memory.records import MODES, QUERY_KEYS, Identity, NewMessage
from pktui.memory.store import Store
from pktui.query import as_words
from tests.bench.memory_texts import MODELS

if TYPE_CHECKING:
    from collections.abc import Iterator

HITS = (500, 100, 50, 20)
"""Messages asked for: the first so many that ten sessions are among them, the rest to compare."""

Figures = tuple[float, ...]
"""Turn recall@10, session recall@5 and @10, session recall@10 of fewer messages."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--modes", nargs="*", default=list(MODES[:3]))
    parser.add_argument("--undated", action="store_true", help="messages without their times")
    options = parser.parse_args()
    embedder = load_embedder("", MODELS)
    figures: dict[str, list[Figures]] = {mode: [] for mode in options.modes}
    for file in sorted(options.folder.glob("*.json")):
        conversation = json.loads(file.read_text())
        with tempfile.TemporaryDirectory() as directory:
            before = time.perf_counter()
            with Store.open(Path(directory), embedder) as store:
                turns = fill(store, conversation, dated=not options.undated)
                print(f"{file.name}: {len(turns)} turns in {time.perf_counter() - before:.1f} s")
                for mode in options.modes:
                    figures[mode] += ask(store, conversation, turns, mode)
    for mode, found in figures.items():
        turn, five, ten, *fewer = (mean(column) for column in zip(*found, strict=True))
        of_fewer = ", ".join(
            f"{value:.3f} of {hits}" for value, hits in zip(fewer, HITS[1:], strict=True)
        )
        print(
            f"{mode}: turn recall@10 {turn:.3f}, session recall@5 {five:.3f}, "
            f"@10 {ten:.3f} ({of_fewer} messages; {len(found)} questions)"
        )


def fill(store: Store, conversation: dict[str, Any], *, dated: bool) -> dict[str, tuple[int, int]]:
    """Import a conversation; returns the message's and session's id of each turn."""
    turns: dict[str, tuple[int, int]] = {}
    for part in conversation["sessions"]:
        started = datetime.strptime(part["started"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        session = store.start_session(
            identity=Identity(agent="bench"), started_at=started if dated else None
        )
        messages = [
            NewMessage(
                session.id,
                "user",
                _text(turn),
                created_at=started + timedelta(seconds=at) if dated else None,
            )
            for at, turn in enumerate(part["turns"])
        ]
        for turn, message in zip(part["turns"], store.append(messages), strict=True):
            turns[turn["id"]] = (message.id, session.id)
    while store.embed_pending(256):
        pass
    return turns


def _text(turn: dict[str, Any]) -> str:
    caption = turn.get("image_caption")
    return f"{turn['speaker']}: {turn['text']}" + (f"\n{caption}" if caption else "")


def ask(
    store: Store, conversation: dict[str, Any], turns: dict[str, tuple[int, int]], mode: str
) -> Iterator[Figures]:
    """Yield the recalls of each answerable question, asked as the tools ask."""
    for question in conversation["questions"]:
        evidence = [turns[turn] for turn in question["evidence"] if turn in turns]
        if not question["answerable"] or not evidence:
            continue
        answer = store.search(as_words(question["question"], QUERY_KEYS), mode, limit=HITS[0])
        found = [hit.message for hit in answer.hits if hit.message is not None]
        messages = {message.id for message in found[:10]}
        tens = [
            set(list(dict.fromkeys(message.session_id for message in found[:hits]))[:10])
            for hits in HITS
        ]
        fives = set(list(dict.fromkeys(message.session_id for message in found))[:5])
        wanted = {session_id for _, session_id in evidence}
        yield (
            mean(message_id in messages for message_id, _ in evidence),
            len(wanted & fives) / len(wanted),
            *(len(wanted & ten) / len(wanted) for ten in tens),
        )


if __name__ == "__main__":
    main()
