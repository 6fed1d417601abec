from __future__ import annotations

import importlib
import tomllib

import pytest

from pktui.settings import bundled
from pktui.tui.actions import (
    ACTIONS,
    BY_ID,
    OVERLAPS,
    SCOPE_TITLES,
    display_key,
    offered_in,
    read_keymap,
    scopes_of,
)
from pktui.tui.console import VIEWS, Console
from pktui.tui.terminal_keys import EATEN, arrives, right_name


def test_every_action_has_its_own_id() -> None:
    assert len(BY_ID) == len(ACTIONS)


def test_no_action_sits_on_a_key_that_terminals_keep() -> None:
    assert not [action.id for action in ACTIONS if EATEN.intersection(action.keys)]


def test_every_key_of_the_registry_can_be_sent_by_a_terminal() -> None:
    assert not [(one.id, key) for one in ACTIONS for key in one.keys if not arrives(key)]


@pytest.mark.parametrize(
    ("key", "right"),
    [
        ("ctrl+/", "ctrl+underscore"),
        ("ctrl+space", "ctrl+@"),
        ("shift+d", "D"),
        ("alt+X", "alt+shift+x"),
        ("F1", "f1"),
        ("PgDn", "pagedown"),
        ("return", "enter"),
        ("Ctrl+G", "ctrl+g"),
        ("escpe", "escape"),
        ("banana", ""),
        ("ctrl+shift+a", ""),
        ("f25", ""),
        ("cmd+k", ""),
    ],
)
def test_a_key_that_never_arrives_is_named_with_its_right_spelling(key: str, right: str) -> None:
    assert not arrives(key)
    assert right_name(key) == right
    assert not right or arrives(right)
    problem = read_keymap({"sessions.end": key}).problems[0]
    assert f"sessions.end = {key} never arrives in a terminal" in problem
    assert f"write {right}" in problem if right else "write" not in problem


@pytest.mark.parametrize("key", ["E", "é", "slash", "minus", "f1", "ctrl+g", "ctrl+@", "alt+x"])
def test_a_key_that_arrives_is_taken(key: str) -> None:
    assert arrives(key)


def test_every_id_in_the_sample_settings_is_real() -> None:
    sample = bundled("config", "settings.toml").read_text().partition("[console.keys]")[2]
    lines = [line.removeprefix("#") for line in sample.splitlines() if " = " in line]
    keys = tomllib.loads("\n".join(lines))
    assert keys
    assert read_keymap(keys).problems == ()


def test_no_key_means_two_things_at_once() -> None:
    clashes = [
        (one.id, other.id)
        for one in ACTIONS
        for other in ACTIONS
        if one.id < other.id
        and (other.scope in OVERLAPS[one.scope] or one.scope in OVERLAPS[other.scope])
        and set(one.keys) & set(other.keys)
    ]
    assert clashes == []


@pytest.mark.parametrize("view", VIEWS)
def test_what_the_palette_offers_is_there_to_be_run(view: str) -> None:
    module, name = VIEWS[view]
    kind = getattr(importlib.import_module(module), name)
    assert not [
        one.id
        for one in offered_in(view)
        if not hasattr(
            Console if one.scope == "app" else kind, f"action_{one.command.partition('(')[0]}"
        )
    ]


def test_the_help_of_some_view_lists_every_action() -> None:
    assert {scope for view in VIEWS for scope in scopes_of(view)} == set(SCOPE_TITLES)


def test_a_remapped_action_shows_its_new_key() -> None:
    keymap = read_keymap({"sessions.end": "E"})
    assert keymap.problems == ()
    assert keymap.shown(BY_ID["sessions.end"]) == "E"
    assert keymap.textual() == {"sessions.end": "E"}


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ({"sessions.ned": "E"}, "no action sessions.ned, did you mean sessions.end?"),
        ({"sessions.end": "j"}, "sessions.end = j is also list.down; it was left out"),
        ({"sessions.end": "ctrl+s"}, "sessions.end = ctrl+s never arrives"),
        ({"sessions.end": " "}, "sessions.end has no key"),
        ({"app.theme": "t"}, "app.theme is reached through the palette only"),
    ],
)
def test_a_wrong_remap_is_left_out_and_named(wanted: dict[str, str], problem: str) -> None:
    keymap = read_keymap(wanted)
    assert problem in keymap.problems[0]
    assert keymap.remapped == {}


def test_two_actions_may_swap_their_keys() -> None:
    keymap = read_keymap({"sessions.end": "x", "sessions.export": "e"})
    assert keymap.problems == ()


@pytest.mark.parametrize(
    ("key", "shown"), [("slash", "/"), ("ctrl+g", "^g"), ("question_mark", "?"), ("G", "G")]
)
def test_keys_are_named_as_a_person_reads_them(key: str, shown: str) -> None:
    assert display_key(key) == shown
