"""What relaying costs in Python at least: `bare_relay DATABASE COMMAND ARG…`, measured by others.

One loop, JSON read by msgspec, a chained hash, and one SQLite transaction for what each read of
either side brought. No policy, no quota, no care: the floor that the gateway is compared to.
"""

from __future__ import annotations

import hashlib
import os
import select
import sqlite3
import subprocess
import sys
import time

import msgspec

decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


class Log:
    """Rows bound to each other by their hashes."""

    def __init__(self, path: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute("CREATE TABLE log (seq INTEGER PRIMARY KEY, at, body, hash)")
        self._hash = bytes(32)

    def keep(self, lines: list[bytes]) -> None:
        """Commit what some lines hold."""
        self._connection.execute("BEGIN IMMEDIATE")
        for line in lines:
            body = encode(decode(line))
            self._hash = hashlib.sha256(self._hash + body).digest()
            row = (time.time_ns() // 1000, body, self._hash)
            self._connection.execute("INSERT INTO log (at, body, hash) VALUES (?, ?, ?)", row)
        self._connection.execute("COMMIT")


def main() -> None:
    database, *command = sys.argv[1:]
    log = Log(database)
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert server.stdin is not None
    assert server.stdout is not None
    targets = {0: server.stdin.fileno(), server.stdout.fileno(): 1}
    kept = dict.fromkeys(targets, b"")
    ready = select.poll()
    for source in targets:
        ready.register(source, select.POLLIN)
    while True:
        for source, _ in ready.poll():
            chunk = os.read(source, 65536)
            if not chunk:
                os._exit(0)
            *lines, kept[source] = (kept[source] + chunk).split(b"\n")
            if lines:
                log.keep(lines)
                write(targets[source], b"\n".join((*lines, b"")))


def write(target: int, data: bytes) -> None:
    while data:
        data = data[os.write(target, data) :]


if __name__ == "__main__":
    main()
