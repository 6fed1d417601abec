from __future__ import annotations

import pytest

from pktui.gateway.upstream.last_words import LastWords, quoted

NODE = b"""node:internal/modules/cjs/loader:1143
  throw err;
  ^

Error: Cannot find module '/opt/x.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)
  code: 'MODULE_NOT_FOUND',
}

Node.js v22.1.0
"""
PYTHON = b"""Traceback (most recent call last):
  File "/opt/error.py", line 1, in <module>
    import nothing
    ^^^^^^^^^^^^^^
ModuleNotFoundError: No module named 'nothing'
"""


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"", ""),
        (b"starting\nready\n\n", "ready"),
        (PYTHON, "ModuleNotFoundError: No module named 'nothing'"),
        (b"permission denied\nbye", "permission denied"),
        (b"error: \x1b[31mred\x1b[0m\n", "error: ␛[31mred␛[0m"),
    ],
)
def test_the_line_that_tells_most_is_shown(lines: bytes, words: str) -> None:
    heard = LastWords()
    for line in lines.split(b"\n"):
        heard.hear(line)
    assert heard.text == words


def test_a_trace_is_passed_over_for_its_reason() -> None:
    heard = LastWords()
    for line in NODE.split(b"\n"):
        heard.hear(line)
    assert heard.text == "Error: Cannot find module '/opt/x.js'"


def test_what_is_kept_is_bounded_and_its_secrets_are_masked() -> None:
    heard = LastWords()
    for _ in range(1000):
        heard.hear(b"error " + b"x" * 100_000)
    assert len(heard.text) < 400
    heard.hear(b"error: bad key ghp_" + b"a1B2" * 9)
    assert "ghp_a1B2" not in heard.text


def test_words_are_a_sentence_of_their_own() -> None:
    assert quoted("no") == '. It said: "no"'
    assert quoted("") == ""
