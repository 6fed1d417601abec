"""What the memory's MCP server says about itself and its tools, from `definitions.json`.

Names, parameters, types, defaults and required sets are those of Opencode Personal Knowledge
1.0.10, so that prompts and policies written for it need no change. Light: no MCP library here.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

from pktui import __version__

SERVER_NAME = "pktui-memory"
SERVER_TITLE = "pktui memory"
SERVER_VERSION = __version__
INSTRUCTIONS = (
    "Sessions and knowledge that outlive this conversation. To record a conversation call "
    "start_logging_session, then log_message for every user message and every answer of yours, "
    "and end_session at its end. Look with search_all_sessions and search_knowledge before "
    "asking the user for what was said before."
)


@functools.cache
def definitions() -> tuple[dict[str, Any], ...]:
    """Return the definitions of the tools, as `tools/list` has them."""
    return tuple(msgspec.json.decode(Path(__file__).with_name("definitions.json").read_bytes()))
