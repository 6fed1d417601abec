"""Counts which of pktui's functions a program enters: put before it on the command line.

    python -m tests.support.counting FILE MODULE ARG…

Runs MODULE as `python -m` does. At each SIGUSR1 what was counted since the one before is written
to FILE as a line of JSON, `{"files": […], "calls": n, "changes": n, "sequence": […]}`, and counting
begins anew: the files entered, the function calls, how often a function is in another file than
the one entered before it, in its thread, and each call as `[thread, depth, file, function]`.
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


class Counter:
    """Functions entered by any thread, since it was read last."""

    def __init__(self) -> None:
        self._inside: dict[CodeType, str] = {}
        self._last: dict[int, str] = {}
        self._depth: dict[int, int] = {}
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
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
        if event == "return":
            self._depth[thread] = depth - 1
            return
        self._depth[thread] = depth + 1
        self.calls += 1
        self.files.add(name)
        self.sequence.append((thread, depth, name, frame.f_code.co_qualname))
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


def main(file: str, module: str, *arguments: str) -> None:
    """Run the module with what it enters counted."""
    counter = Counter()

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
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
