"""Agents' stores while they are being written: what is new is taken in within a second or two.

The system tells which files change, so that a store that is still costs nothing. A file is read
again as a whole; one that takes long to read is read less often.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.memory.importers.agent_stores import is_transcript, open_store

if TYPE_CHECKING:
    from pktui.memory.importers.calls import Masks
    from pktui.memory.importers.source import Source

# Milliseconds in which changes are gathered, and after which directories that were missing are
# looked for again.
_GATHER_MS: Final = 300
_TURN_MS: Final = 1_000
_LOOK_AGAIN_MS: Final = 30_000
# A file that takes a second to read is read every fifth second at most.
_SHARE: Final = 5
# Seconds before the last look at a database from which on it is read again.
_OVERLAP_S: Final = 60.0

Take = Callable[["Source"], object]


class Follower:
    """Follows stores, by their agents, until it is told to stop.

    `stores` is asked again whenever directories are looked for. `take` takes in a source's records
    and raises `PktuiError` where it can't; `say` takes a sentence.
    """

    def __init__(
        self,
        stores: Callable[[], Mapping[str, Path]],
        masks: Masks,
        take: Take,
        say: Callable[[str], None],
        stop: threading.Event,
    ) -> None:
        self._stores = stores
        self._masks = masks
        self._take = take
        self._say = say
        self._stop = stop
        self._known: dict[str, Path] = {}
        self._due: dict[tuple[str, Path], float] = {}
        """When a changed file may be read again, on the monotonic clock."""
        self._read_at: dict[str, float] = {}

    def run(self) -> None:
        """Take in what there is, then what comes."""
        while not self._stop.is_set():
            with lasting.Survived("following agents' sessions", self._say):
                self._follow()
            self._stop.wait(1.0)

    def _follow(self) -> None:
        """Follow the directories that are there now, until there are others."""
        roots = self._roots()
        if not roots:
            self._stop.wait(_LOOK_AGAIN_MS / 1000)
            return
        first = True
        for changed in self._changes(roots):
            if first:
                self._catch_up()
                first = False
            self._note(changed)
            self._read_due()
            if not changed and self._roots() != roots:
                return

    def _roots(self) -> dict[Path, str]:
        """Return the directories to watch, each with its agent."""
        self._known = dict(self._stores())
        roots: dict[Path, str] = {}
        for agent, store in self._known.items():
            place = store if store.is_dir() else store.parent
            if place.is_dir():
                roots[place] = agent
        return roots

    def _changes(self, roots: Mapping[Path, str]) -> Iterator[set[Path]]:
        """Yield sets of changed files: an empty one at first, and when it is time to look."""
        from watchfiles import watch

        yielded = False
        waiting = watch(
            *roots,
            watch_filter=None,
            debounce=_GATHER_MS,
            step=_GATHER_MS // 3,
            stop_event=self._stop,
            rust_timeout=_TURN_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        )
        looked = time.monotonic()
        for changes in waiting:
            now = time.monotonic()
            look = now - looked >= _LOOK_AGAIN_MS / 1000
            if changes or self._due or look or not yielded:
                looked = now if look else looked
                yielded = True
                yield {Path(path) for _, path in changes}

    def _catch_up(self) -> None:
        """Take in what was written while nobody followed."""
        for agent, store in self._known.items():
            if store.exists() and not self._stop.is_set():
                self._read(agent, store)

    def _note(self, changed: set[Path]) -> None:
        # What is written to a directory before the system watches that is told of by nothing else.
        below = {file for path in changed if path.is_dir() for file in path.rglob("*")}
        for path in changed | below:
            for agent, store in self._known.items():
                place = store if store.is_dir() else store.parent
                if path.is_relative_to(place) and is_transcript(agent, path):
                    self._due.setdefault((agent, store if agent == "opencode" else path), 0.0)

    def _read_due(self) -> None:
        now = time.monotonic()
        for (agent, path), due in list(self._due.items()):
            if due > now or self._stop.is_set():
                continue
            begun = time.monotonic()
            if path.exists():
                self._read(agent, path)
            took = time.monotonic() - begun
            if took > _GATHER_MS / 1000:
                self._due[agent, path] = time.monotonic() + took * _SHARE
            else:
                del self._due[agent, path]

    def _read(self, agent: str, path: Path) -> None:
        since = self._read_at.get(agent, 0.0) - _OVERLAP_S
        begun = time.time()
        with lasting.Survived(f"following {agent}", self._say):
            try:
                self._take(open_store(agent, path, self._masks, since=max(0.0, since)))
            except OSError as error:  # it was moved away meanwhile
                self._say(f"{agent}: {error}")
            else:
                self._read_at[agent] = begun
