"""What the tests of agents' stores share."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from pktui.ledger.arguments.masking import mask_arguments
from pktui.ledger.arguments.secrets import mask_text
from pktui.memory.exchange import MessageRecord, Record
from pktui.memory.importers.calls import Masks

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
