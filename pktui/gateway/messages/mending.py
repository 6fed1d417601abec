"""Answers of servers that cut a character in half.

JavaScript cuts text between the two halves of a surrogate pair and writes the half as an escape
(`"\\ud83d"`); strict readers then refuse the whole message, and its request would wait for ever.
"""

from __future__ import annotations

import json


def mended(line: bytes) -> bytes | None:
    """Return the message with U+FFFD for each half character; None where it has no such.

    Also None where it is not JSON. Raises `RecursionError` where it is nested too deep.
    """
    if b"\\ud" not in line and b"\\uD" not in line:
        return None
    try:
        text = json.dumps(json.loads(line), ensure_ascii=False, allow_nan=False)
    except ValueError:
        return None
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.encode() if whole != text else None
