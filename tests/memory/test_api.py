"""Every verb is there once: carried out by the service, asked by the client."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.memory import api, client
from pktui.memory.service import verbs

if TYPE_CHECKING:
    from pktui.memory.client import MemoryClient


def test_every_verb_is_carried_out_and_asked() -> None:
    own = {
        api.STATUS.name,
        api.STOP.name,
        api.REINDEX.name,
        api.USAGE.name,
        api.IMPORT.name,
        api.TOOL.name,
    }
    carried = [*own, *verbs._ON_THE_STORE, *verbs._SEARCHES]
    assert sorted(carried) == sorted(api.VERBS)
    source = inspect.getsource(client)
    names = {name for name, value in vars(api).items() if isinstance(value, api.Verb)}
    assert {name for name in names if f"api.{name}" not in source} == set()


def test_what_needs_no_arguments_can_be_asked_without(memory: MemoryClient) -> None:
    plain: tuple[api.Verb[Any, Any], ...] = (
        api.STATUS,
        api.SESSIONS,
        api.CURRENT_SESSION,
        api.USAGE,
        api.ENTRIES,
        api.STATS,
    )
    for verb in plain:
        memory._ask(verb, msgspec.Raw(b"{}"))
