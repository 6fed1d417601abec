"""What a page of the sessions takes: `python -m tests.bench.memory_sessions [SESSIONS]`.

Lists of made-up sessions, by default 100,000: the first page of all, of those whose title, summary
or directory hold one word, two words, and not a word. Printed: the processor time at p50, at best
and at most.
"""

from __future__ import annotations

import argparse
import random
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from pktui.memory.records import Session
from pktui.memory.store.session_catalogue import Catalogue, Listed, Wanted
from tests.bench.memory_texts import texts

if TYPE_CHECKING:
    from collections.abc import Callable

_PAGES = 40
_START = datetime(2020, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("sessions", nargs="?", type=int, default=100_000)
    size = parser.parse_args().sessions
    chance = random.Random(1)
    lines = list(texts(2 * size, seed=3, words=10))
    catalogue = Catalogue()
    catalogue.fill(Listed(session(n, lines, chance), "", _START) for n in range(size))
    catalogue.read_words(size)
    words = [word for line in lines[:2000] for word in line.split()]

    def terms(*negated: bool) -> Wanted:
        return Wanted(terms=tuple((chance.choice(words), one) for one in negated))

    measure(catalogue, "plain", Wanted)
    measure(catalogue, "one word", lambda: terms(False))
    measure(catalogue, "two words", lambda: terms(False, False))
    measure(catalogue, "not a word", lambda: terms(True))


def session(number: int, lines: list[str], chance: random.Random) -> Session:
    """Return an ended session; each third has a summary."""
    return Session(
        number + 1,
        "",
        "ended",
        _START,
        _START + timedelta(minutes=number),
        summary=lines[2 * number] if number % 3 == 0 else "",
        agent=chance.choice(["claude-code", "codex"]),
        project=f"/home/ada/project{chance.randrange(40)}",
        last_activity=_START + timedelta(minutes=number),
        title=lines[2 * number + 1][:80],
    )


def measure(catalogue: Catalogue, what: str, wanted: Callable[[], Wanted]) -> None:
    """Print what the first page takes."""
    times = []
    for _ in range(_PAGES):
        asked, before = wanted(), time.thread_time()
        catalogue.page(asked, "", 50)
        times.append(1000 * (time.thread_time() - before))
    print(
        f"{what:12} p50 {np.median(times):6.2f} ms, best {min(times):6.2f} ms, "
        f"most {max(times):6.2f} ms of processor"
    )


if __name__ == "__main__":
    main()
