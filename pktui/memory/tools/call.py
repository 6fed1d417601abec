"""From a tool's name to what carries it out."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pktui.errors import InvalidRequest, PktuiError
from pktui.memory.tools import knowledge, sessions
from pktui.memory.tools.answer import ToolAnswer, failed, refusal
from pktui.memory.tools.arguments import Arguments
from pktui.memory.tools.definitions import definitions
from pktui.suggest import did_you_mean
from pktui.text import one_line

if TYPE_CHECKING:
    from pktui.memory.records import Identity
    from pktui.memory.store import Store

Tool = Callable[["Store", "Identity", Arguments], ToolAnswer]

_TOOLS: Mapping[str, tuple[Tool, str]] = {
    "store_knowledge": (knowledge.store, "Failed to store knowledge"),
    "search_knowledge": (knowledge.search, "Search error"),
    "search_knowledge_text": (knowledge.search_text, "Search error"),
    "get_knowledge": (knowledge.get, "Failed to read knowledge"),
    "update_knowledge": (knowledge.update, "Failed to update knowledge"),
    "delete_knowledge": (knowledge.delete, "Failed to delete knowledge"),
    "list_knowledge": (knowledge.list_, "Failed to list knowledge"),
    "get_knowledge_stats": (knowledge.stats, "Failed to read statistics"),
    "start_logging_session": (sessions.start, "Failed to start session"),
    "log_message": (sessions.log, "Failed to log message"),
    "search_session": (sessions.search, "Search error"),
    "search_all_sessions": (sessions.search_all, "Search error"),
    "list_sessions": (sessions.list_, "Failed to list sessions"),
    "get_session": (sessions.get, "Failed to read session"),
    "end_session": (sessions.end, "Failed to end session"),
}


# Those that may find more a moment later, while the model is loaded.
SEARCHES = frozenset(
    {"search_knowledge", "search_knowledge_text", "search_session", "search_all_sessions"}
)


@functools.cache
def _definition(name: str) -> Mapping[str, Any]:
    return next(one for one in definitions() if one["name"] == name)


def call(
    memory: Store,
    name: str,
    given: Mapping[str, Any],
    who: Identity,
    request: str = "",
    waited: float = 0.0,
) -> ToolAnswer:
    """Carry out a tool call; every failure that has a reason for the agent is an answer.

    A call that comes again with the key of its `request` is carried out once. `waited` is for how
    many seconds a search was held back for the model.
    """
    if name not in _TOOLS:
        cure = did_you_mean(name, _TOOLS, none="There are: {}.")
        return refusal(f"No tool is called {one_line(repr(name), 80)}. {cure}")
    tool, what = _TOOLS[name]
    try:
        return tool(memory, who, Arguments(_definition(name), given, request, waited))
    except InvalidRequest as error:
        return refusal(f"❌ {error}")
    except PktuiError as error:
        return failed(what, error)
