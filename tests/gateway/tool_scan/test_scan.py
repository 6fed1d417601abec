"""Servers asked for their tools, as processes and behind URLs, in both eras."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import SettingsError, UpstreamFailed
from pktui.gateway.servers.entries import ServerEntry
from pktui.gateway.tool_scan.scan import scan
from tests.gateway.upstream.far import Asked, FarServer, session
from tests.support.gateway import PATIENCE, plain_server

TOOLS = [{"name": f"t{number}", "inputSchema": {}, "x-odd": [1.0, None]} for number in range(3)]


def script_server(tmp_path: Path, body: str) -> ServerEntry:
    file = tmp_path / "server.py"
    file.write_text(f"import json, sys\nfor line in sys.stdin:\n    m = json.loads(line)\n{body}")
    return ServerEntry("s", sys.executable, (str(file),))


ANSWER = """
    def say(**members): print(json.dumps({"jsonrpc": "2.0", **members}), flush=True)
    method, id = m.get("method"), m.get("id")
"""


def test_a_process_is_asked_and_ended() -> None:
    command, *args = plain_server()
    assert "echo" in [tool["name"] for tool in scan(ServerEntry("plain", command, tuple(args)))]


def test_the_memory_needs_no_service() -> None:
    assert len(scan(ServerEntry("memory", builtin=True))) == 15


def test_all_pages_are_listed_and_every_member_stays(tmp_path: Path) -> None:
    body = (
        ANSWER
        + f"""
    tools = {TOOLS!r}
    if method == "initialize":
        say(id="q1", method="roots/list")
        say(id="q2", method="ping")
        say(id="q3", method="sampling/createMessage", params={{}})
        say(method="notifications/message", params={{}})
        answers = {{(got := json.loads(sys.stdin.readline()))["id"]: got for _ in range(3)}}
        assert answers["q1"]["result"] == {{"roots": []}} and answers["q2"]["result"] == {{}}
        assert answers["q3"]["error"]["code"] == -32601
        print("not json", flush=True)
        say(id=id, result={{}})
    elif method == "tools/list":
        at = int(m["params"].get("cursor", 0))
        more = {{"nextCursor": str(at + 1)}} if at < 2 else {{}}
        say(id=id, result={{"tools": [tools[at]], **more}})
"""
    )
    assert list(scan(script_server(tmp_path, body), PATIENCE)) == TOOLS


def test_a_server_of_the_stateless_era_alone_is_asked_in_its_way(tmp_path: Path) -> None:
    body = (
        ANSWER
        + """
    meta = m.get("params", {}).get("_meta", {})
    if meta.get("io.modelcontextprotocol/protocolVersion") == "2026-07-28":
        say(id=id, result={"tools": [{"name": "modern"}], "resultType": "complete"})
    else:
        say(id=id, error={"code": -32601, "message": "no"})
"""
    )
    assert [tool["name"] for tool in scan(script_server(tmp_path, body), PATIENCE)] == ["modern"]


def test_a_url_is_asked_with_its_headers() -> None:
    def script(asked: Asked) -> None:
        assert asked.headers["X-Key"] == "k"
        asked.result({"tools": TOOLS})

    with FarServer(session(script)) as far:
        entry = ServerEntry("far", url=far.url, headers={"X-Key": "k"})
        assert list(scan(entry, PATIENCE)) == TOOLS
        assert far.posted()[-1] == "DELETE"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("    sys.exit('no license')", "it ended before it listed its tools"),
        (
            ANSWER + "    say(id=id, error={'code': -1, 'message': 'not\\x1b today'})",
            "it answered: not␛ today",
        ),
        (ANSWER + "    say(id=id, result={'tools': 5})", "its list of tools cannot be read"),
        (
            ANSWER
            + '    twice = \'{"id": %d, "result": {"tools": [], "tools": []}}\'\n'
            + "    print(twice % (id or 0), flush=True)",
            "is doubtful: it holds the same member name twice",
        ),
    ],
)
def test_a_server_that_cannot_be_understood_is_named(tmp_path: Path, body: str, words: str) -> None:
    with pytest.raises(UpstreamFailed) as caught:
        scan(script_server(tmp_path, body), PATIENCE)
    assert words in str(caught.value)


def test_what_a_server_said_last_is_told(tmp_path: Path) -> None:
    with pytest.raises(UpstreamFailed, match='It said: "no license"'):
        scan(script_server(tmp_path, "    sys.exit('no license')"), PATIENCE)


def test_a_server_that_never_answers_has_its_time_and_no_more(tmp_path: Path) -> None:
    with pytest.raises(UpstreamFailed, match="did not answer in time"):
        scan(script_server(tmp_path, "    pass"), 0.2)


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (ServerEntry("s", "/no/such/command"), UpstreamFailed),
        (ServerEntry("s", "x", disabled=True), SettingsError),
        (ServerEntry("s", url="ftp://x"), SettingsError),
    ],
)
def test_a_server_that_cannot_be_started_is_named(entry: ServerEntry, error: Any) -> None:
    with pytest.raises(error, match="server s"):
        scan(entry)


def test_definitions_hash_as_the_relay_hashes_them(tmp_path: Path) -> None:
    text = json.dumps(TOOLS[0])
    body = (
        ANSWER
        + f"""
    if method == "tools/list":
        print('{{"jsonrpc":"2.0","id":' + str(id) + ',"result":{{"tools":[{text}]}}}}', flush=True)
    elif id is not None:
        say(id=id, result={{}})
"""
    )
    [tool] = scan(script_server(tmp_path, body), PATIENCE)
    assert tool == json.loads(text)


def test_half_a_character_in_an_answer_is_read_as_the_relay_reads_it(tmp_path: Path) -> None:
    body = (
        ANSWER
        + r"""
    if method == "tools/list":
        tools = '[{"name":"t\\ud800"}]'
        print('{"jsonrpc":"2.0","id":%d,"result":{"tools":%s}}' % (id, tools), flush=True)
    elif id is not None:
        say(id=id, result={"instructions": "\ud800"})
"""
    )
    assert scan(script_server(tmp_path, body), PATIENCE) == ({"name": "t\ufffd"},)
