"""`pktui servers` as a person runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.gateway.servers.entries import find_server, load_servers
from pktui.ledger.ledger import Ledger

if TYPE_CHECKING:
    from pktui.settings import Paths

Say = Callable[..., tuple[int, str, str]]

SERVER = """
import json, pathlib, sys
tools = json.loads(pathlib.Path(sys.argv[1]).read_text())
for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        result = {"tools": tools} if message["method"] == "tools/list" else {}
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
"""


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    def call(*words: str) -> tuple[int, str, str]:
        status = run(["servers", *words])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


@pytest.fixture
def tools(tmp_path: Path, say: Say) -> Callable[..., None]:
    """A server `files` whose tools are those given last."""
    script, listed = tmp_path / "server.py", tmp_path / "tools.json"
    script.write_text(SERVER)

    def define(**descriptions: str) -> None:
        definitions = [{"name": name, "description": d} for name, d in descriptions.items()]
        listed.write_text(json.dumps(definitions))

    define(read="Reads.", write="Writes.")
    assert say("add", "files", "--", sys.executable, str(script), str(listed))[0] == 0
    return define


def test_servers_are_added_listed_and_removed(paths: Paths, say: Say) -> None:
    assert say("add", "web", "--url", "https://example.com/mcp", "-H", "X-Key: abc")[0] == 0
    status, _, err = say("add", "fs", "-e", "A=1=2", "--cwd", "/", "--", "npx", "-y", "@x/fs")
    assert status == 0
    assert "pktui servers scan fs" in err
    web, fs = find_server(paths, "web"), find_server(paths, "fs")
    assert (web.url, web.headers) == ("https://example.com/mcp", {"X-Key": "abc"})
    assert (fs.command, fs.args, fs.env, fs.cwd) == (
        "npx", ("-y", "@x/fs"), {"A": "1=2"}, Path("/"),
    )  # fmt: skip
    status, out, _ = say("list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["memory", "web", "fs"]
    assert "npx -y @x/fs" in out
    assert say("remove", "web")[0] == 1
    assert say("remove", "web", "--yes")[0] == 0
    assert say("remove", "web", "--yes")[0] == 1


def test_the_policy_that_a_removed_server_leaves_is_the_one_set_for_it(
    paths: Paths, say: Say
) -> None:
    make_private_directory(paths.policies_dir)
    paths.settings_file.write_text('[servers.fs]\npolicy = "mine.json"\n')
    (paths.policies_dir / "mine.json").write_text('{"version": "1"}')
    assert say("add", "fs", "--", "npx")[0] == 0
    assert f"stays at {paths.policies_dir / 'mine.json'}" in say("remove", "fs", "--yes")[2]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["add", "x"], 2, "a command or a URL"),
        (["add", "x", "--url", "https://y", "--", "z"], 2, "a command or a URL"),
        (["add", "x", "-H", "A: b", "--", "z"], 2, "--header goes with --url"),
        (["add", "x", "-e", "A=b", "--url", "https://y"], 2, "--env and --cwd"),
        (["add", "x", "-e", "=b", "--", "z"], 2, "a variable needs a name"),
        (["add", "x", "-H", "nocolon", "--url", "https://y"], 2, "a header needs a name"),
        (["add", "x", "--cwd", "/no/such/place", "--", "z"], 2, "no directory"),
        (["add", "memory", "--", "z"], 1, "belongs to pktui's own memory"),
        (["remove", "memory", "--yes"], 1, "built in"),
        (["remove", "nobody", "--yes"], 1, "no server 'nobody'"),
        (["scan", "nobody"], 1, "no server 'nobody'"),
        (["scan", "--tool", "x"], 2, "--tool goes with --accept"),
    ],
)
def test_what_cannot_be_done_is_said(say: Say, words: list[str], status: int, said: str) -> None:
    got, _, err = say(*words)
    assert (got, said in err) == (status, True), err


def test_secrets_are_not_shown(paths: Paths, say: Say) -> None:
    say("add", "web", "--url", "https://h/mcp?key=s3cret", "-H", "Authorization: Bearer s3cret")
    say("add", "own", "--url", "https://h/", "-H", "Authorization: Bearer ${TOKEN}")
    say("add", "fs", "-e", "KEY=s3cret", "--", "npx", "--api-key", "s3cret", "--token=s3cret", "a")
    for words in (["list"], ["list", "--json"]):
        status, out, err = say(*words)
        assert status == 0
        assert "s3cret" not in out + err
    web, own, fs = json.loads(say("list", "--json")[1])[1:]
    assert web["headers"] == {"Authorization": "[masked]"}
    assert own["headers"] == {"Authorization": "Bearer ${TOKEN}"}
    assert fs["command"] == ["npx", "--api-key", "[masked]", "--token=[masked]", "a"]
    assert fs["env"] == {"KEY": "[masked]"}


def test_what_a_server_offers_is_pinned_as_first_seen(
    paths: Paths, say: Say, tools: Callable[..., None]
) -> None:
    status, out, err = say("scan", "files")
    assert status == 0, err
    assert "files: 2 tools, pinned as first seen" in out
    assert "read" in out
    assert say("scan", "files")[1] == "files: 2 tools\n"
    listed = json.loads(say("list", "--json")[1])[1]
    assert (listed["tools"], listed["new"], listed["changed"]) == (2, 0, 0)
    with_ledger = Ledger.open(paths.ledger_file)
    assert [tool.name for tool in with_ledger.catalogue.tools("files")] == ["read", "write"]
    with_ledger.close()


def test_what_is_new_changed_or_gone_is_shown_and_accepted_as_shown(
    paths: Paths, say: Say, tools: Callable[..., None]
) -> None:
    say("scan", "files")
    tools(read="Reads, and sends it home.", delete_all="Deletes\u202e.")
    status, out, err = say("scan", "files")
    assert status == 0
    assert "Trust them as shown: pktui servers scan files --accept\n" in err
    assert "files: 2 tools, 1 new, 1 changed, 1 gone, 1 flagged" in out
    assert '-  "description": "Reads."' in out
    assert '+  "description": "Reads, and sends it home."' in out
    assert "! bidi" in out
    assert "gone      write" in out
    assert "\u202e" not in out
    found = json.loads(say("scan", "files", "--json")[1])[0]
    assert {tool["name"]: tool["state"] for tool in found["tools"]} == {
        "read": "changed",
        "delete_all": "new",
    }
    assert found["tools"][0]["accepted"]["description"] == "Reads."
    assert found["gone"] == ["write"]
    status, out, _ = say("scan", "files", "--accept")
    assert status == 1
    assert '+   "description": "Deletes' in out
    status, _, err = say("scan", "files", "--accept", "--tool", "read", "--yes")
    assert (status, "Accepted files.read" in err) == (0, True)
    found = json.loads(say("scan", "files", "--json")[1])[0]
    assert [tool["state"] for tool in found["tools"]] == ["same", "new"]
    assert say("scan", "files", "--accept", "--yes")[0] == 0
    assert "nothing to accept" in say("scan", "files", "--accept", "--yes")[2]
    assert "--accept" not in say("scan", "files")[2]
    assert say("scan", "files", "--accept", "--tool", "nope", "--yes")[0] == 2


def test_a_server_that_cannot_be_asked_leaves_the_others_and_fails(
    say: Say, tools: Callable[..., None]
) -> None:
    say("add", "broken", "--", sys.executable, "-c", "raise SystemExit('no license')")
    status, out, _ = say("scan", "broken", "files")
    assert status == 1
    assert "broken: server broken did not list its tools: it ended before it listed" in out
    assert "no license" in out
    assert "files: 2 tools" in out
    status, out, _ = say("scan", "broken", "--json")
    assert (status, json.loads(out)[0]["error"] != "") == (1, True)


def test_an_agent_does_not_accept_definitions(
    say: Say, tools: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pktui import person

    def claude() -> Any:
        return (person.Process(1, 0, ("claude",)),)

    monkeypatch.setattr(person, "ancestors", claude)
    assert say("scan", "files", "--accept", "--yes")[0] == 1
    assert say("scan", "files")[0] == 0


def test_disabled_servers_are_listed_and_not_asked(paths: Paths, say: Say) -> None:
    paths.config_dir.mkdir(parents=True)
    servers = {"off": {"command": "x", "disabled": True}, "old": {"url": "http://x", "type": "sse"}}
    paths.servers_file.write_text(json.dumps({"mcpServers": servers}))
    out = say("list")[1]
    assert "disabled" in out
    assert "its type is sse" in out
    status, out, _ = say("scan")
    assert status == 1
    assert "off" not in out
    assert "old: server old: its type is sse" in out


def test_an_entry_that_cannot_be_used_is_listed_with_its_line_and_can_be_removed(
    paths: Paths, say: Say
) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.servers_file.write_text(
        '{"mcpServers": {"good": {"command": "x"},\n"My Notes": {"command": "x"},\n'
        '"port": {"command": "x", "args": "y"}}}'
    )
    status, out, err = say("list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["memory", "good"]
    assert "line 2: server 'My Notes': this name cannot be that of a file. Use at most" in err
    assert "line 3: server 'port': args is text, not a list. Write" in err
    odd = json.loads(say("list", "--json")[1])[2]
    assert (odd["name"], odd["transport"], odd["line"]) == ("My Notes", "", 2)
    assert "cannot be that of a file" in odd["problem"]
    assert say("remove", "My Notes", "--yes")[0] == 0
    assert say("remove", "port", "--yes")[0] == 0
    assert list(load_servers(paths)) == ["memory", "good"]
    assert load_servers(paths).faults == ()


def test_a_list_that_cannot_be_read_leaves_the_memory(paths: Paths, say: Say) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.servers_file.write_text("{\n  nonsense")
    status, out, err = say("list")
    assert (status, out.splitlines()[1].split()[0]) == (0, "memory")
    assert "servers.json, line 2" in err
    assert say("add", "x", "--", "true")[0] == 1
    assert paths.servers_file.read_text() == "{\n  nonsense"


def test_a_command_that_json_cannot_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["servers", "add", "x", "--", "cmd\udce9"]) == 1
    assert "is not UTF-8" in capsys.readouterr().err
