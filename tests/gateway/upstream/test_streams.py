"""Streams that break off and go on, redirects, and entries that cannot be used."""

from __future__ import annotations

import threading

import pytest

from pktui.errors import SettingsError
from pktui.gateway.servers.entries import ServerEntry
from pktui.gateway.upstream.remote import RemoteServer
from tests.gateway.upstream.far import (
    LIMIT,
    PATIENCE,
    Asked,
    FarServer,
    Peer,
    event,
    session,
)


def echo(asked: Asked) -> None:
    asked.result({"got": asked.message["method"]})


def test_a_stream_that_breaks_off_is_taken_up_again_after_the_last_event() -> None:
    note = b'{"jsonrpc":"2.0","method":"notifications/message","params":{}}'

    def script(asked: Asked) -> None:
        if asked.method == "POST":
            asked.stream(b"id: 1\nretry: 5\ndata:\n\n", event(note, id="2"), end=False)
        elif asked.headers["Last-Event-ID"] == "2":
            asked.stream(event(note, id="3"))
        else:
            asked.stream(event(b'{"jsonrpc":"2.0","id":1,"result":{}}', id="4"))

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("tools/call", 1, name="x")
        assert [peer.receive().get("method", "") for _ in range(3)] == [
            *["notifications/message"] * 2,
            "",
        ]
        gets = [asked for asked in far.asked if asked.method == "GET"]
        assert [asked.headers["Last-Event-ID"] for asked in gets] == ["2", "3"]
        assert all(asked.headers["Mcp-Session-Id"] == "s-1" for asked in gets)


def test_a_stream_that_cannot_be_taken_up_again_is_an_error() -> None:
    def script(asked: Asked) -> None:
        if asked.method == "POST":
            asked.stream(b"id: 1\nretry: 1\ndata:\n\n")
        else:
            asked.answer(500)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        assert "failed (500)" in peer.failure("tools/call", name="x")


def test_what_the_server_says_by_itself_comes_through_and_goes_on_after_a_break() -> None:
    changed = b'{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'
    heard: list[str] = []
    rest = threading.Event()

    def script(asked: Asked) -> None:
        heard.append(asked.headers.get("Last-Event-ID", ""))
        if len(heard) == 1:
            asked.stream(event(changed, id="e1", retry=1))
        elif len(heard) == 2:
            asked.stream(event(changed, id="e2"), end=False)
        else:
            rest.set()
            asked.answer(405)

    with FarServer(session(script)) as far, Peer.to(far.url) as peer:
        peer.initialize()
        peer.send("notifications/initialized")
        for _ in range(2):
            assert peer.receive()["method"] == "notifications/tools/list_changed"
        assert rest.wait(PATIENCE)
        assert heard == ["", "e1", "e2"]


def test_a_redirect_within_the_origin_is_followed_and_remembered() -> None:
    def script(asked: Asked) -> None:
        if asked.path == "/mcp":
            asked.answer(307, headers={"Location": "/mcp/"})
        else:
            echo(asked)

    with FarServer(script) as far, Peer.to(far.url, headers={"X-Key": "k"}) as peer:
        assert "result" in peer.ask("tools/list", 1)
        assert "result" in peer.ask("tools/list", 2)
        assert [asked.path for asked in far.asked] == ["/mcp", "/mcp/", "/mcp/"]
        assert all(asked.headers["X-Key"] == "k" for asked in far.asked)


def test_redirects_without_end_are_given_up() -> None:
    with FarServer(lambda asked: asked.answer(307, headers={"Location": asked.path})) as far:
        with Peer.to(far.url) as peer:
            assert "sends requests on to" in peer.failure()
        assert len(far.asked) == 4


@pytest.mark.parametrize(
    ("url", "headers", "words"),
    [
        ("ftp://host/", {}, "is not http"),
        ("https://", {}, "is not http"),
        ("https://user:pw@host/", {}, "holds a user's name or password"),
        ("https://host/a b", {}, "holds spaces"),
        ("https://host:99999/", {}, "the URL of server far"),
        ("https://host/", {"Content-Length": "1"}, "pktui's own to set"),
        ("https://host/", {"mcp-session-id": "1"}, "pktui's own to set"),
        ("https://host/", {"Mcp-Param-A": "1"}, "pktui's own to set"),
        ("https://host/", {"Bad Name": "1"}, "cannot be the name of a header"),
        ("https://host/", {"A": "s3cret\r\nB: c"}, "value of header A"),
        ("https://host/", {"A": "${UNSET_HERE}"}, "UNSET_HERE, which is not set"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named_before_anything_is_sent(
    url: str, headers: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        RemoteServer(ServerEntry("far", url=url, headers=headers), lambda _: None, LIMIT)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with FarServer(echo) as far, Peer.to(far.url) as peer:
        assert "result" in peer.ask("tools/list")
