"""What makes the service end, and what it answers until the store is open."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import pytest

from pktui.errors import MemoryUnavailable, StoreError
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.memory.rendezvous import listens
from pktui.memory.service import context, run
from pktui.memory.service.ownership import Ownership
from pktui.memory.store import Store
from pktui.settings import MemorySettings, Paths, Settings
from tests.support.embedder import WordsEmbedder
from tests.support.memory_service import mcp_answer, running_service

if TYPE_CHECKING:
    from pktui.memory.embed import Embedder, Vectors
    from pktui.memory.service.run import Service

ADA = Identity("claude-code", "", "/home/ada")
HALF_HOUR = MemorySettings(idle_minutes=30)
PATIENCE = 60.0


class Clock:
    """Monotonic seconds that a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        threading.Event().wait(0.005)


def test_the_service_ends_when_idle_for_long_enough(paths: Paths) -> None:
    clock = Clock()
    with running_service(paths, settings=HALF_HOUR, monotonic=clock) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("busy")
        until(lambda: not service.activity.busy and client.status().model_state == "ready")
        clock.now += 30 * 60 - 1
        assert client.status().sessions == 1  # looking does not count as use
        clock.now += 2
        until(lambda: not listens(paths))
        client.close()


def test_a_request_keeps_the_service_awake(paths: Paths) -> None:
    clock = Clock()
    with running_service(paths, settings=HALF_HOUR, monotonic=clock) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("busy")
        for _ in range(3):
            until(lambda: not service.activity.busy)
            clock.now += 20 * 60
            client.sessions()
        assert client.status().active_sessions == 1
        client.close()


def test_the_service_does_not_end_before_every_vector_is_made(paths: Paths) -> None:
    clock = Clock()
    loaded = threading.Event()

    def slow_model() -> Embedder:
        loaded.wait(PATIENCE)
        return WordsEmbedder()

    with running_service(
        paths, settings=HALF_HOUR, monotonic=clock, load_embedder=slow_model
    ) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.start_session()
        client.log("user", "waits for its vector")
        until(lambda: not service.activity.busy)
        clock.now += 31 * 60
        status = client.status()
        assert (status.model_state, status.pending_vectors) == ("loading", 1)
        loaded.set()
        until(lambda: not listens(paths))
        client.close()
    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        assert client.status().vectors == 1
        client.close()


def test_words_are_found_while_the_model_is_loading(paths: Paths) -> None:
    loaded = threading.Event()

    def slow_model() -> Embedder:
        loaded.wait(PATIENCE)
        return WordsEmbedder()

    with running_service(paths, load_embedder=slow_model):
        client = MemoryClient(paths, ADA, start=False)
        client.start_session()
        client.log("user", "a stoat in winter")
        early = client.search("stoat")
        assert (early.asked_mode, early.mode, len(early.hits)) == ("hybrid", "words", 1)
        assert early.note
        loaded.set()
        until(lambda: not client.status().pending_vectors)
        until(lambda: client.status().model_state == "ready")
        assert client.search("stoat").mode == "hybrid"
        client.close()


class LateModel:
    """A model that is loaded when the test says so."""

    def __init__(self) -> None:
        self.loaded = threading.Event()

    def __call__(self) -> Embedder:
        self.loaded.wait(PATIENCE)
        return MeaningEmbedder()


class MeaningEmbedder(WordsEmbedder):
    """Knows that a stoat in winter is an ermine."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        return super().embed([text.replace("ermine", "stoat") for text in texts])


@contextmanager
def loading(paths: Paths) -> Iterator[tuple[MemoryClient, LateModel, Service]]:
    """A service whose model is being loaded, with something to be found."""
    model = LateModel()
    with running_service(paths, load_embedder=model) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("s")
        client.log("user", "a stoat in winter")
        client.add_entry("animals", "a stoat in winter")
        try:
            yield client, model, service
        finally:
            model.loaded.set()
            client.close()


SEARCHES = [
    ("search_all_sessions", {"query": "ermine"}),
    ("search_session", {"query": "ermine", "sessionId": 1}),
    ("search_knowledge", {"query": "ermine"}),
]


@pytest.mark.parametrize(("tool", "arguments"), SEARCHES, ids=[tool for tool, _ in SEARCHES])
def test_a_tool_whose_words_find_nothing_waits_for_the_model(
    paths: Paths, tool: str, arguments: dict[str, object]
) -> None:
    params = {"name": tool, "arguments": arguments}
    call = msgspec.json.encode(
        {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    )
    with loading(paths) as (client, model, _), ThreadPoolExecutor(1) as other:
        asked = other.submit(mcp_answer, client, call)
        assert not asked.done()
        model.loaded.set()
        answer = msgspec.json.decode(asked.result(PATIENCE) or b"")["result"]
    assert answer["structuredContent"]["mode"] == "hybrid"
    assert answer["structuredContent"]["total"] == 1
    assert "the model was not ready: waited" in answer["structuredContent"]["note"]
    assert "the model was not ready: waited" in answer["content"][0]["text"]


def test_what_words_find_is_answered_at_once_and_said(paths: Paths) -> None:
    with loading(paths) as (client, model, _):
        for found in (client.search("stoat"), client.search_entries("stoat")):
            assert (found.mode, len(found.hits), found.awaits_meaning) == ("words", 1, False)
            assert found.note == "By words only: the model is being loaded"
        assert not model.loaded.is_set()


def test_the_wait_for_the_model_is_bounded_and_said(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "MOST_WAIT_S", 0.0)
    with loading(paths) as (client, _, _):
        for found in (client.search("ermine"), client.search_entries("ermine", "meaning")):
            assert (found.mode, len(found.hits)) == ("words", 0)
            assert "the model is being loaded; waited 1 s for it" in found.note


def test_who_does_not_want_to_wait_is_told_that_more_will_come(paths: Paths) -> None:
    with loading(paths) as (client, model, _):
        assert client.search("ermine", wait=False).awaits_meaning
        assert not client.search("ermine", "words").awaits_meaning
        assert not client.search("ermine", "exact").awaits_meaning
        model.loaded.set()
        until(lambda: not client.search("ermine", wait=False).awaits_meaning)
        assert len(client.search("ermine", wait=False).hits) == 1


def test_those_who_wait_for_the_model_hold_nobody_up(paths: Paths) -> None:
    with loading(paths) as (client, model, _), ThreadPoolExecutor(40) as others:
        asked = [others.submit(client.search, "ermine") for _ in range(40)]
        for number in range(5):
            client.log("user", f"message {number}")
        model.loaded.set()
        assert {len(one.result(PATIENCE).hits) for one in asked} == {1}


def test_the_service_ends_though_a_search_waits_for_the_model(paths: Paths) -> None:
    with loading(paths) as (client, _, service), ThreadPoolExecutor(1) as other:
        asked = other.submit(client.search, "ermine")
        until(lambda: service.activity.running == 1)
        client.stop()
        assert asked.result(PATIENCE).mode == "words"


def test_a_model_that_cannot_be_loaded_leaves_the_search_by_words(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken_model() -> Embedder:
        raise StoreError("the weights are not what they should be", "Install them again")

    with running_service(paths, load_embedder=broken_model):
        client = MemoryClient(paths, ADA, start=False)
        client.start_session()
        client.log("user", "a stoat in winter")
        until(lambda: client.status().model_state == "failed")
        assert "the weights are not what they should be" in client.status().note
        assert len(client.search("stoat").hits) == 1
        client.close()
    assert "the weights are not what they should be" in capsys.readouterr().err


def test_inactive_sessions_end_by_themselves(paths: Paths) -> None:
    with running_service(paths, settings=MemorySettings(session_timeout_minutes=0)):
        client = MemoryClient(paths, ADA, start=False)
        session = client.start_session("forgotten")
        until(lambda: client.session(session.id).status == "ended")
        client.close()


def test_the_service_does_not_wait_for_a_model_that_is_loading(paths: Paths) -> None:
    loaded = threading.Event()

    def slow_model() -> Embedder:
        loaded.wait(PATIENCE)
        return WordsEmbedder()

    with running_service(paths, load_embedder=slow_model) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        client.stop()
        assert service.lingering
        loaded.set()
        until(lambda: not service.lingering)


def test_who_waits_for_a_store_that_opens_is_told_when_the_service_ends(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()
    begun = threading.Event()

    def slow_store(*_arguments: object, **_options: object) -> Store:
        begun.set()
        opened.wait(PATIENCE)
        raise StoreError("was not needed any more", "")

    monkeypatch.setattr(Store, "open", slow_store)
    call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_sessions"}}'
    with running_service(paths) as service, ThreadPoolExecutor(2) as several:
        client = MemoryClient(paths, ADA, start=False)
        listed = several.submit(client.sessions)
        called = several.submit(mcp_answer, client, call)
        until(lambda: begun.is_set() and service.activity.running == 2)
        service.stop()
        with pytest.raises(MemoryUnavailable, match="told to end before it was ready"):
            listed.result(PATIENCE)
        assert b"told to end before it was ready" in (called.result(PATIENCE) or b"")
        until(lambda: not listens(paths))
        assert service.lingering
        assert service.failure is None
        opened.set()
        until(lambda: not service.lingering)
        client.close()


def test_stop_ends_the_service_and_returns_when_it_is_gone(paths: Paths) -> None:
    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("kept")
        client.stop()
        assert paths.memory_lock.read_text() == ""
        with pytest.raises(MemoryUnavailable, match="no memory service listens"):
            client.stop()
        Ownership.take(paths).release()


def test_the_service_ends_when_its_data_directory_goes_away(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    def gone() -> bool:
        shutil.rmtree(paths.data_dir, ignore_errors=True)
        return not paths.data_dir.exists()

    with running_service(paths, monotonic=Clock()) as service:
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("lost")
        until(lambda: not service.activity.busy and client.status().model_state == "ready")
        client.close()
        until(gone)
        until(lambda: service.stopping)
    assert "is gone" in capsys.readouterr().err
    assert not paths.data_dir.exists()


def test_a_store_that_cannot_be_opened_is_told_to_every_request(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    paths.data_dir.mkdir(parents=True)
    paths.memory_dir.write_text("no directory")
    with running_service(paths) as service:
        client = MemoryClient(paths, ADA, start=False)
        with pytest.raises(StoreError, match=str(paths.memory_dir)):
            client.sessions()
        until(lambda: service.failure is not None)
        client.close()
    assert str(paths.memory_dir) in capsys.readouterr().err
    assert run.main(paths, Settings()) == 1


def test_what_the_service_makes_is_for_this_user_alone(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[int] = []

    def look(_paths: Paths) -> Ownership:
        masks.append(os.umask(0o022))
        os.umask(masks[-1])
        raise MemoryUnavailable("seen enough", "")

    monkeypatch.setattr(Ownership, "take", look)
    before = os.umask(0o022)
    try:
        assert run.main(paths, Settings()) == 1
        assert (masks, os.umask(before)) == ([0o077], 0o022)
    finally:
        os.umask(before)


def test_what_is_not_there_is_said_in_the_shape_of_every_failure(
    paths: Paths,
) -> None:
    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        client.sessions()
        connection = client._transport._connection()
        for method, target, body, status, words in (
            ("GET", "/v1/nothing", b"", 404, b'"not_found"'),
            ("PUT", "/v1/sessions", b"{}", 400, b"Method Not Allowed"),
            ("GET", "/v1/stop", b"", 400, b"Use POST"),
            ("POST", "/v1/session", b'{"session_id":0}', 400, b"session_id"),
            ("POST", "/v1/sesions", b"{}", 404, b"sessions"),
            ("GET", "/v1/sessions?colour=red", b"", 400, b"Use POST"),
            ("POST", "/v1/sessions", b'{"colour":1}', 400, b"unknown field `colour`"),
            ("POST", "/v1/log", b'{"role"', 400, b"truncated"),
            ("POST", "/v1/log", b"\xff", 400, b'"invalid"'),
        ):
            connection.request(method, target, body=body)
            response = connection.getresponse()
            answer = response.read()
            assert (response.status, words in answer) == (status, True), (target, answer)
            assert response.getheader("content-type") == "application/json"
        connection.close()
        client.close()
