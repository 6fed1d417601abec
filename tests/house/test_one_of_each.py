"""Each mechanism is there once: what is written by hand elsewhere is told here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pktui

SOURCE = Path(pktui.__file__).parent
# What only one module does, and the words that give another one away.
MECHANISMS = {
    "files.py": r"\bflock\(|\bos\.replace\(|\bmkstemp\(|\bNamedTemporaryFile\(|\bO_CREAT\b",
    "daemon_pool.py": r"\bSimpleQueue\[Callable\b",
    "strict_json.py": r"\bobject_pairs_hook\b",
    "suggest.py": r"\bget_close_matches\(",
}
# Another job than the mechanism's.
APART = {
    # Reads what a server asks of the client as the laxest client would, and keeps every name.
    "gateway/enforcement/methods.py: object_pairs_hook",
}


@pytest.mark.parametrize(("module", "words"), MECHANISMS.items(), ids=list(MECHANISMS))
def test_a_mechanism_is_used_and_not_written_again(module: str, words: str) -> None:
    assert re.search(words, (SOURCE / module).read_text())
    others = {
        f"{path.relative_to(SOURCE)}: {found.group()}"
        for path in SOURCE.rglob("*.py")
        if path != SOURCE / module
        for found in re.finditer(words, path.read_text())
    }
    assert others - APART == set()
