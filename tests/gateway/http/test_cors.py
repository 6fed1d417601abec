"""Pages of other origins: those that a person named may read the answers, no other may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from pktui.settings import HttpSettings, Paths, Settings
from tests.gateway.http.served import (
    INITIALIZE,
    Served,
    plain,
    request,
    served,
    write_policy,
    write_servers,
)

if TYPE_CHECKING:
    import httpx2

PAGE = "http://localhost:6274"
ASKED = "authorization,content-type,mcp-session-id,mcp-param-region,x-evil"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("cors")
    paths = Paths.at(place / "config", place / "data")
    write_servers(paths, plain=plain())
    write_policy(paths, "plain")
    settings = Settings(http=HttpSettings(allowed_origins=[f"{PAGE}/"]))
    with served(paths, settings) as gateway:
        yield gateway


def preflight(running: Served, origin: str, **more: str) -> httpx2.Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    headers |= {name.replace("_", "-"): value for name, value in more.items()}
    return running.client.options(running.url("/mcp/plain"), headers=headers)


def listed(reply: httpx2.Response, header: str) -> set[str]:
    return {one.strip().lower() for one in reply.headers.get(header, "").split(",")}


def test_a_browser_that_asks_first_needs_no_token(running: Served) -> None:
    reply = preflight(running, PAGE, access_control_request_headers=ASKED)
    assert reply.status_code == 204
    assert reply.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in reply.headers
    assert listed(reply, "access-control-allow-methods") == {"get", "post", "delete"}
    allowed = listed(reply, "access-control-allow-headers")
    assert set(ASKED.split(",")) - allowed == {"x-evil"}
    assert {"last-event-id", "mcp-protocol-version", "mcp-method", "mcp-name"} <= allowed
    assert "origin" in listed(reply, "vary")


@pytest.mark.parametrize("token", [None, "wrong"])
def test_every_answer_can_be_read_by_its_page(running: Served, token: str | None) -> None:
    reply = running.send("plain", request("initialize", 0, INITIALIZE), token=token, origin=PAGE)
    assert reply.status_code == (200 if token is None else 401)
    assert reply.headers["access-control-allow-origin"] == PAGE
    shown = listed(reply, "access-control-expose-headers")
    assert {"mcp-session-id", "www-authenticate"} <= shown
    assert "origin" in listed(reply, "vary")
    if token is None:
        running.end("plain", reply.headers["mcp-session-id"])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", f"{PAGE}.evil.example", "*"])
def test_a_page_that_nobody_named_gets_nothing(running: Served, origin: str) -> None:
    for reply in (
        preflight(running, origin),
        running.send("plain", request("ping", 1, {}), origin=origin),
    ):
        assert reply.status_code == 403
        assert not [name for name in reply.headers if name.startswith("access-control")]


def test_a_client_that_is_no_page_is_answered_as_ever(running: Served) -> None:
    reply = running.send("plain", request("initialize", 0, INITIALIZE))
    assert not [name for name in reply.headers if name.startswith("access-control")]
    running.end("plain", reply.headers["mcp-session-id"])
    asked = running.client.options(running.url("/mcp/plain"), headers=running.headers())
    assert asked.status_code == 405
