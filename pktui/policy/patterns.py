"""Regular expressions through RE2: linear time, whatever the pattern and the text.

Kept apart because loading RE2 costs time that only policies with a `regex` should pay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

from pktui.policy.operators import BadOperand
from pktui.policy.problems import quote

_MEMORY = 2 * 1024 * 1024
"""Bytes one pattern may take, compiled program and cache."""


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether the pattern occurs in a text.

    Raises `BadOperand` where RE2 does not take the pattern (no look-around, no back-references).
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        search: Callable[[str], Any] = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0] if error.args else "it is not valid"
        reason = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise BadOperand(
            f"invalid regex {quote(pattern)}: {reason}",
            "Use RE2 syntax; it has no look-around and no back-references",
        ) from error

    def occurs(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return search(text.encode(errors="replace").decode()) is not None

    return occurs
