"""What the tests of agents' stores share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pktui.ledger.arguments.masking import mask_arguments
from pktui.ledger.arguments.secrets import mask_text
from pktui.memory.importers.calls import Masks
from pktui.memory.interchange import MessageRecord, Record, call_content

if TYPE_CHECKING:
    from pktui.memory.store import Store

STORES = Path(__file__).parent / "stores"
MASKS = Masks(partial(mask_arguments, max_bytes=2000), mask_text)
# Long after every store was written to.
LATER = 2e10


def write(path: Path, *rows: dict[str, Any] | bytes) -> Path:
    """Write a transcript: objects as lines, bytes as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = [one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in rows]
    path.write_bytes(b"".join(text))
    return path


def said(records: Iterable[Record]) -> list[tuple[str, str]]:
    """Return role and content of the messages among the records."""
    return [(one.role, one.content) for one in records if isinstance(one, MessageRecord)]


def kept(store: Store, session_id: int) -> list[tuple[str, str]]:
    """Return what a session has, as its source told it: messages, then calls."""
    messages = [(str(one.role), one.content) for one in store.messages(session_id).items]
    return messages + [("tool", call_content(one)) for one in store.calls(session_id).items]


def calls_last(told: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return what a source told in the order of `kept`."""
    return sorted(told, key=lambda one: one[0] == "tool")
