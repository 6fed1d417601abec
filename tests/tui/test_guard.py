from __future__ import annotations

from pktui.tui.guard import QUIET_SECONDS, Guard


def ready() -> Guard:
    guard = Guard()
    guard.focus("one", 10.0)
    guard.saw_last("one")
    return guard


def test_a_key_before_400_ms_is_ignored() -> None:
    guard = ready()
    assert guard.press(10.39, allow=True) is not None
    assert guard.waiting(10.0 + 0.39) > 0


def test_a_key_after_400_ms_counts() -> None:
    guard = ready()
    assert guard.waiting(10.0 + QUIET_SECONDS) == 0
    assert guard.press(10.0 + QUIET_SECONDS, allow=True) is None


def test_a_held_key_never_reaches_the_next_approval() -> None:
    guard = ready()
    assert guard.press(11.0, allow=True) is None
    guard.focus("two", 11.0)
    guard.saw_last("two")
    presses = [guard.press(11.0 + n * 0.03, allow=True) for n in range(1, 200)]
    assert None not in presses


def test_allow_waits_for_the_last_row_of_the_arguments() -> None:
    guard = Guard()
    guard.focus("one", 0.0)
    assert guard.press(1.0, allow=True) is not None
    assert guard.press(1.0, allow=False) is None
    guard.saw_last("one")
    assert guard.press(1.0, allow=True) is None


def test_what_was_seen_of_one_approval_says_nothing_of_the_next() -> None:
    guard = ready()
    guard.focus("two", 11.0)
    guard.saw_last("one")
    refusal = guard.press(12.0, allow=True)
    assert refusal is not None
    assert "last line" in refusal.why


def test_coming_back_to_an_approval_starts_from_nothing() -> None:
    guard = ready()
    guard.focus("two", 11.0)
    guard.focus("one", 12.0)
    assert not guard.seen_whole
    assert guard.press(12.1, allow=False) is not None


def test_the_same_approval_again_keeps_its_time() -> None:
    guard = ready()
    guard.focus("one", 10.3)
    assert guard.press(10.5, allow=True) is None


def test_leaving_the_screen_starts_the_time_again() -> None:
    guard = ready()
    guard.restart(20.0)
    assert guard.press(20.1, allow=True) is not None


def test_without_an_approval_no_key_counts() -> None:
    guard = Guard()
    assert guard.press(5.0, allow=False) is not None
    assert guard.waiting(5.0) == 0
