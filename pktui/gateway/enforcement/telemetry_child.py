"""The process that sends the record on, beside the gateways: one for one ledger, none otherwise.

It is a child of the gateway that found none running, so that nothing of OpenTelemetry is loaded
into a gateway or takes time of a call. It ends when its standard input does, which the end of that
gateway, however it comes, brings about; another gateway then starts the next one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from pktui import lasting
from pktui.files import lock, open_private

if TYPE_CHECKING:
    import threading

    from pktui.settings import Paths

_LOOK_SECONDS: Final = 1.0
# Until the next one where a process could not send at all: a setting is wrong, or what it keeps.
_AGAIN_SECONDS: Final = 60.0
# What the last rows get to be sent in when the gateway ends; the next sender goes on there.
_END_SECONDS: Final = 2.0


def keep_sending(paths: Paths, ending: threading.Event, log: lasting.Log) -> None:
    """See to it until then that a process sends the record on; a thread's whole work."""
    pause = _LOOK_SECONDS
    while not ending.wait(pause):
        failed = True
        with lasting.Survived("sending the record on", log):
            failed = _is_free(paths) and _run(paths, ending)
        pause = _AGAIN_SECONDS if failed else _LOOK_SECONDS


def _is_free(paths: Paths) -> bool:
    descriptor = open_private(paths.telemetry_lock, os.O_RDWR)
    try:
        return lock(descriptor)
    finally:
        os.close(descriptor)


def _run(paths: Paths, ending: threading.Event) -> bool:
    """Run such a process until then; tell whether it gave up by itself, and said why."""
    places = {"PKTUI_CONFIG_DIR": str(paths.config_dir), "PKTUI_DATA_DIR": str(paths.data_dir)}
    child = subprocess.Popen(
        [sys.executable, "-m", "pktui", "audit", "send", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env=os.environ | places,
        start_new_session=True,
    )
    assert child.stdin is not None
    while child.poll() is None and not ending.wait(_LOOK_SECONDS):
        pass
    child.stdin.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    return child.returncode > 0
