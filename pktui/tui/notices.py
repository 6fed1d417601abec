"""Being told while looking elsewhere: what is worth a notice, and how it reaches a person.

Only an edge is told: the first call that waits, a minute before one expires, something odd. No
agent is told of twice within a minute, and nothing in quiet hours; a call that still waits then is
told of afterwards. Texts of agents are made visible first.
"""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from pktui.agent_names import friendly
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.insight.now import Odd
    from pktui.ledger.records import Approval
    from pktui.settings import NoticeSettings

_MINUTE_US: Final = 60_000_000
COMMAND_SECONDS: Final = 10.0
TITLE: Final = "pktui"


class Notice(msgspec.Struct, frozen=True):
    """One thing to tell; a command gets it as JSON. `kind`: `waiting`, `expiring`, `odd`."""

    kind: str
    text: str
    agent: str = ""
    approval: str = ""
    at_us: int = 0


class Edges:
    """Finds what is new since the last look; the first one only learns what is odd already."""

    def __init__(self, quiet: str = "") -> None:
        """`quiet` is a span of local time, such as `22:00-07:00`; empty: none."""
        begin, _, end = quiet.partition("-")
        self._quiet = (time.fromisoformat(begin), time.fromisoformat(end)) if quiet else None
        self._waited = False
        self._warned: set[str] = set()
        self._odd: frozenset[tuple[str, str]] | None = None
        self._told: dict[str, int] = {}

    def look(self, now_us: int, waiting: Sequence[Approval], odd: Iterable[Odd]) -> list[Notice]:
        """Return what to tell now."""
        found = [*self._waiting(waiting), *self._expiring(now_us, waiting), *self._oddities(odd)]
        told = []
        for notice in found:
            last = self._told.get(notice.agent, -_MINUTE_US)
            if now_us - last < _MINUTE_US or self._is_quiet(now_us):
                self._put_off(notice)
                continue
            self._told[notice.agent] = now_us
            told.append(msgspec.structs.replace(notice, at_us=now_us))
        return told

    def _put_off(self, notice: Notice) -> None:
        """Find it again with the next look, as long as the call waits."""
        if notice.kind == "waiting":
            self._waited = False
        self._warned.discard(notice.approval)

    def _waiting(self, waiting: Sequence[Approval]) -> Iterable[Notice]:
        before, self._waited = self._waited, bool(waiting)
        if waiting and not before:
            yield _asks(waiting[0], "waiting", "waits for you")

    def _expiring(self, now_us: int, waiting: Sequence[Approval]) -> Iterable[Notice]:
        ids = {one.id for one in waiting}
        soon = [one for one in waiting if one.expires_us - now_us <= _MINUTE_US]
        new = [one for one in soon if one.id not in self._warned]
        self._warned = (self._warned & ids) | {one.id for one in soon}
        return [_asks(one, "expiring", "expires within a minute") for one in new]

    def _oddities(self, odd: Iterable[Odd]) -> Iterable[Notice]:
        found = {(one.kind, f"{one.server}.{one.tool} {one.agent}"): one for one in odd}
        known, self._odd = self._odd, frozenset(found)
        if known is None:
            return []
        return [
            Notice("odd", one_line(one.words, 200), one_line(one.agent, 60))
            for key, one in found.items()
            if key not in known
        ]

    def _is_quiet(self, now_us: int) -> bool:
        if self._quiet is None:
            return False
        begin, end = self._quiet
        now = datetime.fromtimestamp(now_us / 1_000_000).astimezone().time()
        return begin <= now < end if begin <= end else now >= begin or now < end


def _asks(approval: Approval, kind: str, what: str) -> Notice:
    agent = one_line(friendly(approval.agent), 40) or "an agent"
    tool = f"{one_line(approval.server, 40)}.{one_line(approval.tool, 80)}"
    return Notice(kind, f"{agent}: {tool} {what}", one_line(approval.agent, 60), approval.id)


def terminal_sequence(text: str, environment: Mapping[str, str]) -> str:
    """Return what makes a terminal show a notice, as far as its environment says which it knows.

    OSC 99 for kitty, 777 for foot and urxvt, 9 for all others; through tmux where that is between.
    """
    text = one_line(text, 250)
    program = environment.get("TERM", "") + environment.get("LC_TERMINAL", "")
    if "KITTY_WINDOW_ID" in environment or "kitty" in program:
        data = base64.b64encode(text.encode()).decode()
        sequence = f"\x1b]99;e=1;{data}\x1b\\"
    elif "foot" in program or "rxvt" in program:
        sequence = f"\x1b]777;notify;{TITLE};{text.replace(';', ',')}\x1b\\"
    else:
        sequence = f"\x1b]9;{TITLE}: {text}\x1b\\"
    if "TMUX" in environment:
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence


class Outside:
    """Tells by the desktop or a command; one that still runs at the end is ended."""

    def __init__(self, settings: NoticeSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._over = False

    def tell(self, notice: Notice) -> str:
        """Tell; return why that failed, else "". Blocks."""
        by, command = self._settings.by, self._settings.command
        words = _desktop(notice.text) if by == "desktop" else command
        if not words:
            return "there is no notify-send or osascript here, and no command is set"
        name = Path(words[0]).name
        try:
            process = self._start(words)
        except (OSError, ValueError) as error:
            return f"{words[0]}: {error}"
        if process is None:
            return ""
        try:
            process.communicate(msgspec.json.encode(notice), COMMAND_SECONDS)
        except subprocess.TimeoutExpired:
            _kill(process)
            process.communicate()
            return f"{name} took more than {COMMAND_SECONDS:.0f} s and was ended"
        finally:
            with self._lock:
                self._running.discard(process)
        return f"{name} ended with status {process.returncode}" if process.returncode else ""

    def _start(self, words: Sequence[str]) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._over:
                return None
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            self._running.add(process)
            return process

    def end(self) -> None:
        """End what still runs, and start nothing more."""
        with self._lock:
            self._over = True
            for process in self._running:
                if process.poll() is None:
                    _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program that was not waited for yet, and what it has started."""
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)


def _desktop(text: str) -> tuple[str, ...]:
    if shutil.which("notify-send"):
        body = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return ("notify-send", "--app-name", TITLE, "--", TITLE, body)
    if shutil.which("osascript"):
        script = (
            "on run argv",
            f'display notification (item 1 of argv) with title "{TITLE}"',
            "end run",
        )
        lines = (part for line in script for part in ("-e", line))
        return ("osascript", *lines, f" {text}" if text.startswith("-") else text)
    return ()
