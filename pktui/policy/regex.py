"""Regular expressions through RE2: linear time, whatever the pattern and the text.

Kept apart because loading RE2 costs time that only policies with a `regex` should pay.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import re2

from pktui.policy.text.problems import BadOperand, quote
from pktui.policy.values import Undecidable

# Instructions of a compiled pattern: what a character may cost where RE2 must simulate it.
MAX_PROGRAM = 4_000
# Characters of a text that a pattern is tried on; a longer one is denied, not skipped.
MAX_TEXT = 1_000_000
# Bytes one pattern may take, compiled program and cache.
_MEMORY = 8 * 1024 * 1024


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Return a function that tells whether the pattern occurs in a text.

    Raises `BadOperand` where RE2 does not take the pattern (no look-around, no back-references).
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        why = error.args[0] if error.args else "it is not valid"
        reason = why.decode(errors="replace") if isinstance(why, bytes) else str(why)
        raise BadOperand(
            f"invalid regex {quote(pattern)}: {reason}",
            "Use RE2 syntax; it has no look-around and no back-references",
        ) from error
    if compiled.programsize > MAX_PROGRAM:
        raise BadOperand(
            f"invalid regex {quote(pattern)}: it takes {compiled.programsize} steps",
            f"Use fewer or narrower repetitions, {MAX_PROGRAM} steps at most",
        )
    search: Callable[[str], Any] = compiled.search

    def occurs(text: str) -> bool:
        if len(text) > MAX_TEXT:
            raise Undecidable(
                f"A text of {len(text)} characters is too long for a regex rule; "
                f"send at most {MAX_TEXT}."
            )
        try:
            return search(text) is not None
        except UnicodeEncodeError:
            return search(text.encode(errors="replace").decode()) is not None

    return occurs
