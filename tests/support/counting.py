"""Counts which of pktui's functions a program enters: put before it on the command line.

    python -m tests.support.counting FILE [--between FROM UNTIL] MODULE ARG…

Runs MODULE as `python -m` does. At each SIGUSR1 what was counted since the one before is written
to FILE as a line of JSON, `{"files": […], "calls": n, "changes": n, "sequence": […]}`, and counting
begins anew: the files entered, the function calls, how often a function is in another file than
the one entered before it, in its thread, and each call as `[thread, depth, file, function]`.

With two functions named only what is entered from a call of the first until the second returns, if
it does, is counted. Drawing, what runs by the clock, and what they call is not.
"""

from __future__ import annotations

import json
import runpy
import signal
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import pktui

_PACKAGE = str(Path(pktui.__file__).parent) + "/"
# What Textual asks a widget for when it draws it, and what runs by the clock.
_LEFT_OUT = frozenset(
    {"compose", "render", "render_line", "get_content_width", "get_content_height", "_laid_out"}
    | {"Keyboard._follow", "_emptied.<locals>.look", "Index.refresh", "RelaySession.look"}
    | {"Service._serve", "DocumentView.show", "EditScreen.quiet_changed"}
    | {"PoliciesView._show_rule", "PoliciesView._new_table"}
)


class Counter:
    """Functions entered by any thread, since it was read last."""

    def __init__(self, between: tuple[str, str] = ("", "")) -> None:
        """`between`: the functions, by qualified name, that counting begins and ends with."""
        self._first, self._last_one = between
        self._left_out_at: dict[int, int] = {}
        """The depth from which on a thread's calls are left out."""
        self._inside: dict[CodeType, str] = {}
        self._last: dict[int, str] = {}
        self._depth: dict[int, int] = {}
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self._open = not self._first
        self.files: set[str] = set()
        self.calls = 0
        self.changes = 0
        self.sequence: list[tuple[int, int, str, str]] = []

    def saw(self, frame: FrameType, event: str, _argument: Any) -> None:
        """Take an event of `sys.setprofile`."""
        if event not in {"call", "return"}:
            return
        name = self._file(frame.f_code)
        if not name:
            return
        thread = threading.get_ident()
        depth = self._depth.get(thread, 0)
        function = frame.f_code.co_qualname
        if event == "return":
            self._depth[thread] = depth - 1
            if self._left_out_at.get(thread) == depth - 1:
                del self._left_out_at[thread]
            self._open = self._open and function != self._last_one
            return
        self._depth[thread] = depth + 1
        self._open = self._open or function == self._first
        if frame.f_code.co_name in _LEFT_OUT or function in _LEFT_OUT:
            self._left_out_at.setdefault(thread, depth)
        if thread in self._left_out_at or not self._open:
            return
        self.calls += 1
        self.files.add(name)
        self.sequence.append((thread, depth, name, function))
        if self._last.get(thread) != name:
            self._last[thread] = name
            self.changes += 1

    def _file(self, code: CodeType) -> str:
        """Return the file below the package, empty for any other."""
        name = self._inside.get(code)
        if name is None:
            path = code.co_filename
            name = path.removeprefix(_PACKAGE) if path.startswith(_PACKAGE) else ""
            self._inside[code] = name
        return name


def main(file: str, *command: str) -> None:
    """Run the module with what it enters counted."""
    between = ("", "")
    if command[0] == "--between":
        between, command = (command[1], command[2]), command[3:]
    counter = Counter(between)

    def write(_number: int, _frame: FrameType | None) -> None:
        counted = {
            "files": sorted(counter.files),
            "calls": counter.calls,
            "changes": counter.changes,
            "sequence": counter.sequence,
        }
        with Path(file).open("a") as out:
            out.write(json.dumps(counted) + "\n")
        counter.clear()

    signal.signal(signal.SIGUSR1, write)
    threading.setprofile(counter.saw)
    sys.setprofile(counter.saw)
    sys.argv = [*command]
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
