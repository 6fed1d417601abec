from __future__ import annotations

import pytest

from pktui.tui.actions import ACTIONS, BY_ID, EATEN, OVERLAPS, display_key, read_keymap


def test_every_action_has_its_own_id() -> None:
    assert len(BY_ID) == len(ACTIONS)


def test_no_action_sits_on_a_key_that_terminals_keep() -> None:
    assert not [action.id for action in ACTIONS if EATEN.intersection(action.keys)]


def test_no_key_means_two_things_at_once() -> None:
    clashes = [
        (one.id, other.id)
        for one in ACTIONS
        for other in ACTIONS
        if one.id < other.id
        and other.scope in OVERLAPS[one.scope]
        and set(one.keys) & set(other.keys)
    ]
    assert clashes == []


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
