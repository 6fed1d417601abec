"""Each mechanism is there once: what is written by hand elsewhere is told here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pktui

SOURCE = Path(pktui.__file__).parent
# What only one module does, and the words that give another one away.
MECHANISMS = {
    "pktui.files": r"\bflock\(|\bos\.replace\(|\bmkstemp\(|\bNamedTemporaryFile\(|\bO_CREAT\b",
    "pktui.daemon_pool": r"\bSimpleQueue\[Callable\b",
    "pktui.strict_json": r"\bobject_pairs_hook\b",
    "pktui.gateway.protocol.jsonrpc": r"\bisinstance\([\w.]+, str \| int \| float\)",
    "pktui.suggest": r"\bget_close_matches\(",
    "pktui.memory.onnx_runtime": r"\bimport onnxruntime\b",
}
# Another job than the mechanism's.
APART = {
    # Reads what a server asks of the client as the laxest client would, and keeps every name.
    "pktui.gateway.enforcement.methods: object_pairs_hook",
}


@pytest.mark.parametrize(("module", "words"), MECHANISMS.items(), ids=list(MECHANISMS))
def test_a_mechanism_is_used_and_not_written_again(module: str, words: str) -> None:
    own = SOURCE.parent / f"{module.replace('.', '/')}.py"
    assert re.search(words, own.read_text())
    others = {
        f"{_name(path)}: {found.group()}"
        for path in SOURCE.rglob("*.py")
        if _name(path) != module
        for found in re.finditer(words, path.read_text())
    }
    assert others - APART == set()


def _name(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
