"""A client that can be killed: it starts a gateway and passes lines on, both ways.

The command comes as arguments. Its first word on stderr is the gateway's process id; then it says
there, after each piece, how many bytes it has passed on to the gateway.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import IO


def pump(source: IO[bytes], sink: IO[bytes], *, told: bool = False) -> None:
    passed = 0
    while chunk := os.read(source.fileno(), 65536):
        sink.write(chunk)
        sink.flush()
        passed += len(chunk)
        if told:
            os.write(sys.stderr.fileno(), b"passed %d\n" % passed)
    sink.close()


def main() -> None:
    gateway = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert gateway.stdin is not None
    assert gateway.stdout is not None
    print(gateway.pid, file=sys.stderr, flush=True)
    upwards = threading.Thread(
        target=pump,
        args=(sys.stdin.buffer, gateway.stdin),
        kwargs={"told": True},
        name="upwards",
        daemon=True,
    )
    upwards.start()
    pump(gateway.stdout, sys.stdout.buffer)
    gateway.wait()


if __name__ == "__main__":
    main()
