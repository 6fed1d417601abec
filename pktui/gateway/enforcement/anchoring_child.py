"""The process that publishes anchors to what is reached by a network, or signs them.

It is a child of the gateway that finds one due, so that no call waits and no gateway loads what S3,
time stamps or signatures need. It ends by its own deadlines, at the latest by ours.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Final

from pktui import lasting

if TYPE_CHECKING:
    from pktui.settings import Paths

_LONGEST_SECONDS: Final = 120.0
_MOST_SAID: Final = 2000


class AnchoringChild:
    """At most one such process at a time."""

    def __init__(self, paths: Paths, log: lasting.Log) -> None:
        self._paths = paths
        self._log = log
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Publish to those stores that are due, unless that is being done; wait for nothing."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = self._begin("--due")

    def leave(self) -> threading.Thread:
        """Publish to all once more; where this process ends, the other goes on by itself.

        Returns the thread that waits for it.
        """
        return self._begin()

    def _begin(self, *options: str) -> threading.Thread:
        places = {
            "PKTUI_CONFIG_DIR": str(self._paths.config_dir),
            "PKTUI_DATA_DIR": str(self._paths.data_dir),
        }
        child = subprocess.Popen(
            [sys.executable, "-m", "pktui", "audit", "anchor", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | places,
            start_new_session=True,
        )
        return lasting.start("anchors", lambda: self._wait(child), log=self._log)

    def _wait(self, child: subprocess.Popen[bytes]) -> None:
        try:
            _, told = child.communicate(timeout=_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
            self._log(f"anchors were not published within {_LONGEST_SECONDS:.0f} seconds")
            return
        if child.returncode:
            said = told[-_MOST_SAID:].decode(errors="replace").strip()
            self._log(f"the record is not anchored: {said.removeprefix('pktui: ')}")
