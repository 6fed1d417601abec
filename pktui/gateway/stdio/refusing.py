"""A gateway that cannot begin: it lets nothing through, and answers every request with the reason.

A client shows its user the error that `initialize` was answered with; of a process that ends at
once many show nothing but that it ended.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pktui.gateway.lineio.lines import TooLong, read_lines, write_all
from pktui.gateway.protocol import jsonrpc
from pktui.gateway.protocol.jsonrpc import Limits, Refused

if TYPE_CHECKING:
    from pktui.errors import PktuiError

STDIN: Final = 0
STDOUT: Final = 1


def refuse_all(problem: PktuiError) -> None:
    """Answer each request on stdin with an error until the client leaves; not to a terminal."""
    if os.isatty(STDIN):
        return
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    limits = Limits()
    with suppress(OSError):  # nobody takes the answers any more
        for lines in read_lines(STDIN, limits.size):
            for line in lines:
                if answer := answer_of(line, f"pktui lets no call through: {problem}", limits):
                    write_all(STDOUT, answer + b"\n")


def answer_of(line: bytes | TooLong, why: str, limits: Limits) -> bytes:
    """Return the answer to one line of the client; empty for what expects none."""
    try:
        if isinstance(line, TooLong):
            raise jsonrpc.too_large(limits.size, line.ids.single)
        if not line.strip():
            return b""
        message = jsonrpc.parse(line, limits)
    except Refused as refused:
        return jsonrpc.error_line(refused.code, refused.why, refused.request_id)
    if message.kind != "request":
        return b""
    return jsonrpc.error_line(jsonrpc.SERVER_ERROR, why, message.id_text)
