"""One thing that goes wrong takes down no thread that carries others."""

from __future__ import annotations

import threading

import pytest

from pktui import lasting
from pktui.errors import UsageError

PATIENCE = 60.0


def fail() -> None:
    raise KeyError("caf\udce9")


def test_what_goes_wrong_is_said_and_whoever_waits_is_told_the_same() -> None:
    said: list[str] = []
    told: list[str] = []
    with lasting.Survived("a message", said.append, told.append):
        fail()
    [why] = said
    assert told == said
    assert why.startswith("a message failed: KeyError: 'caf\\udce9' (test_lasting.py, line ")
    with lasting.Survived("a message", said.append, told.append):
        pass
    assert len(said) == 1


def test_an_error_of_pktuis_own_is_said_in_its_words() -> None:
    said: list[str] = []
    with lasting.Survived("a message", said.append):
        raise UsageError("no server was named", "Name one")
    assert said == ["a message failed: no server was named. Name one"]


def test_whoever_waits_is_told_also_where_the_log_fails(
    capsys: pytest.CaptureFixture[str],
) -> None:
    told: list[str] = []

    def broken(_why: str) -> None:
        raise OSError("disk full")

    with lasting.Survived("a message", broken, told.append):
        fail()
    assert len(told) == 1
    assert "telling of a failure failed: OSError: disk full" in capsys.readouterr().err


def test_the_end_of_the_program_is_not_survived() -> None:
    with pytest.raises(SystemExit), lasting.Survived("a message", lasting.to_stderr):
        raise SystemExit(1)


def test_a_thread_that_cannot_go_on_says_so_and_tells_its_owner() -> None:
    said: list[str] = []
    ended = threading.Event()
    thread = lasting.start("carrier", fail, log=said.append, fatal=ended.set)
    thread.join(PATIENCE)
    assert ended.is_set()
    assert said[0].startswith("the thread carrier failed: KeyError")
