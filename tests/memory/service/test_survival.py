"""One request, one piece of upkeep that goes wrong takes nothing else down."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pktui import lasting
from pktui.errors import PktuiError, StoreError
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from pktui.memory.service import background
from pktui.memory.service.lease_renewal import LeaseRenewal
from pktui.memory.service.ownership import Ownership
from pktui.memory.service.run import say
from pktui.memory.store import Store
from tests.memory.service.test_lifetime import ADA, Clock, until
from tests.support.embedder import WordsEmbedder
from tests.support.memory_service import mcp_answer, running_service

if TYPE_CHECKING:
    from pktui.memory.embed import Vectors
    from pktui.settings import Paths

# A byte of Latin-1 in a name that Python read as UTF-8.
LATIN = "caf\udce9"


class Panic(BaseException):
    """What the store's library raises when it fails inside is no `Exception` either."""


class FailsFirst(WordsEmbedder):
    def __init__(self, error: BaseException) -> None:
        self.errors = [error]

    def embed(self, texts: Sequence[str]) -> Vectors:
        if self.errors:
            raise self.errors.pop()
        return super().embed(texts)


@pytest.mark.parametrize("error", [Panic("inside"), ZeroDivisionError("odd")])
def test_upkeep_goes_on_after_whatever_went_wrong(
    paths: Paths,
    error: BaseException,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(background, "RETRY_S", 0.01)
    with running_service(paths, load_embedder=lambda: FailsFirst(error)):
        client = MemoryClient(paths, ADA, start=False)
        client.start_session("s")
        client.log("user", "gets its vector all the same")
        until(lambda: client.status().vectors == 1)
        client.close()
    assert type(error).__name__ in capsys.readouterr().err


@pytest.mark.parametrize("error", [Panic("inside"), ZeroDivisionError("odd")])
def test_a_request_that_breaks_the_store_is_told_and_the_next_is_served(
    paths: Paths, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object, **_options: object) -> Any:
        raise error

    with running_service(paths):
        client = MemoryClient(paths, ADA, start=False)
        with monkeypatch.context() as patch:
            patch.setattr(Store, "sessions", broken)
            with pytest.raises(StoreError, match="failed"):
                client.sessions()
            call = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"%s"}}'
            try:
                answer = mcp_answer(client, call % b"list_sessions")
            except StoreError as failure:
                answer = str(failure).encode()
            assert b"failed" in (answer or b"")
        assert client.sessions().total == 0
        client.close()


def test_the_service_still_ends_when_idle_after_a_look_at_itself_failed(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    errors = [OSError("a moment's trouble")]

    def lost(_ownership: Ownership) -> bool:
        if errors:
            raise errors.pop()
        return False

    monkeypatch.setattr(Ownership, "lost", property(lost))
    with running_service(paths, monotonic=clock) as service:
        until(lambda: not errors)
        clock.now += 31 * 60
        until(lambda: service.stopping)
    assert "a moment's trouble" in capsys.readouterr().err


def test_a_lease_is_renewed_after_whatever_went_wrong() -> None:
    class Trouble:
        def __init__(self) -> None:
            self.renewed = 0

        def renew(self) -> None:
            self.renewed += 1
            if self.renewed == 1:
                raise ZeroDivisionError("odd")

        def release(self) -> None:
            self.renewed = -1

    lease, said = Trouble(), list[str]()
    renewal = LeaseRenewal(lease, said.append, seconds=0.01)  # type: ignore[arg-type]
    renewal.start()
    until(lambda: lease.renewed > 2)
    renewal.end(60)
    assert (lease.renewed, renewal.failure) == (-1, None)
    assert "ZeroDivisionError" in said[0]


def test_a_log_that_cannot_be_written_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _text: str) -> int:
            raise OSError(28, "No space left on device")

        def flush(self) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("nobody hears it")
    lasting.to_stderr("nobody hears it")


def test_names_and_texts_that_are_not_utf8_are_made_safe_at_the_door(paths: Paths) -> None:
    who = Identity(LATIN, LATIN, f"/home/{LATIN}")
    with running_service(paths):
        client = MemoryClient(paths, who, start=False)
        session = client.start_session(LATIN)
        assert session.project == "/home/caf\\udce9"
        assert client.current_session() == session
        client.log("user", f"beans {LATIN}")
        client.end_session(None, LATIN)
        entry = client.add_entry(LATIN, LATIN, tags=[LATIN])
        assert client.entries(tags=[LATIN]).items == (entry,)
        assert client.sessions(LATIN, project=f"/home/{LATIN}").total == 1
        assert client.search(f"beans {LATIN}", "words").hits
        client.close()


ODD = [
    b"\xff",
    b'{"jsonrpc":"2.0","id":1,"method":"x\xff"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\\ud800"}}',
    b"[" * 100_000,
    msgspec.json.encode(
        {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "a\r\nb: ü",
            "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026\r\nX: ü漢"}},
        }
    ),
]


@pytest.mark.parametrize("body", ODD, ids=["no text", "latin", "half", "deep", "header"])
@pytest.mark.parametrize("who", [ADA, Identity()], ids=["named", "nameless"])
def test_an_odd_message_is_answered_or_refused_and_the_next_is_served(
    served: Paths, body: bytes, who: Identity
) -> None:
    client = MemoryClient(served, who, start=False)
    try:
        answer = mcp_answer(client, body)
    except PktuiError:
        pass
    else:
        assert b'"error"' in (answer or b"")
    assert client.sessions().total >= 0
    client.close()
