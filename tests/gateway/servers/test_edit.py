"""Edits of the list of servers: what is not edited keeps every byte."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from pktui.errors import SettingsError
from pktui.gateway.servers.edit import NewEntry, ServerFile
from pktui.gateway.servers.entries import find_server, load_servers

if TYPE_CHECKING:
    from pktui.settings import Paths

WRITTEN = """{
    "mcpServers": {
        "b": {"command": "x", "timeout": 5,   "disabled": true},
        "a": {
            "command": "y"
        }
    }
}
"""


def write(paths: Paths, text: str) -> ServerFile:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.servers_file.write_text(text)
    return ServerFile(paths.servers_file)


def test_the_first_server_makes_the_file_for_its_owner_alone(paths: Paths) -> None:
    ServerFile(paths.servers_file).add("files", NewEntry(command="npx", args=("-y", "x")))
    assert stat.S_IMODE(paths.servers_file.stat().st_mode) == 0o600
    server = find_server(paths, "files")
    assert (server.command, server.args) == ("npx", ("-y", "x"))


def test_an_entry_is_added_at_the_end_and_the_rest_stays_as_it_is(paths: Paths) -> None:
    headers = {"Authorization": "Bearer ${TOKEN}"}
    entry = NewEntry(type="http", url="https://example.com/mcp", headers=headers)
    write(paths, WRITTEN).add("far", entry)
    text = paths.servers_file.read_text()
    assert text.startswith(WRITTEN[: WRITTEN.index("\n    }\n}")] + ",\n        ")
    assert list(load_servers(paths)) == ["memory", "b", "a", "far"]
    assert find_server(paths, "far").headers == headers


def test_an_entry_is_written_over_in_its_place_and_only_when_asked(paths: Paths) -> None:
    file = write(paths, WRITTEN)
    with pytest.raises(SettingsError, match="has a server b already"):
        file.add("b", NewEntry(command="z"))
    assert paths.servers_file.read_text() == WRITTEN
    file.add("b", NewEntry(command="z"), replace=True)
    assert list(load_servers(paths)) == ["memory", "b", "a"]
    assert find_server(paths, "b").command == "z"


def test_what_was_added_is_removed_without_a_trace(paths: Paths) -> None:
    file = write(paths, WRITTEN)
    file.add("c", NewEntry(command="z"))
    file.remove("c")
    assert paths.servers_file.read_text() == WRITTEN
    file.remove("b")
    file.remove("a")
    assert list(load_servers(paths)) == ["memory"]


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("memory", NewEntry(command="x"), "belongs to pktui's own memory"),
        ("../x", NewEntry(command="x"), "cannot be used"),
        ("x", NewEntry(), "needs a command or a url"),
        ("x", NewEntry(command="x", url="https://y"), "needs a command or a url"),
        ("x", NewEntry(url="y"), "is not http"),
        ("x", NewEntry(url="https://y", type="sse"), "its type is sse"),
        ("x", NewEntry(url="https://y", headers={"Host": "z"}), "pktui's own to set"),
    ],
)
def test_what_could_not_be_used_is_not_written(
    paths: Paths, name: str, entry: NewEntry, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        ServerFile(paths.servers_file).add(name, entry)
    assert not paths.servers_file.exists()


@pytest.mark.parametrize("name", ["zzz", "memory"])
def test_what_is_not_there_cannot_be_removed(paths: Paths, name: str) -> None:
    with pytest.raises(SettingsError):
        write(paths, WRITTEN).remove(name)
    assert paths.servers_file.read_text() == WRITTEN


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1"),
        ("[]", "no object"),
        ('{"mcpServers": []}', "mcpServers is no object"),
        ('{\n  "mcpServers": {} /* mine\n}', "line 2"),
        ('{"mcpServers": {"a": {}, "a": {}}}', "line 1"),
    ],
)
def test_a_file_that_is_not_understood_is_left_alone(paths: Paths, text: str, words: str) -> None:
    file = write(paths, text)
    with pytest.raises(SettingsError, match=words):
        file.add("x", NewEntry(command="x"))
    assert paths.servers_file.read_text() == text


COMMENTED = """\ufeff{
  // mine
  "servers": {
    "a": {"command": "x"}, // the first
    // the second
    "b": {"command": "y"}, /* for now */
  },
}
"""


def test_comments_and_a_byte_order_mark_stay_where_they_are(paths: Paths) -> None:
    file = write(paths, COMMENTED)
    file.add("c", NewEntry(command="z"))
    written = paths.servers_file.read_bytes().decode()
    assert written == COMMENTED.replace(
        "/* for now */", '/* for now */\n    "c": { "command": "z" },'
    )
    assert list(load_servers(paths)) == ["memory", "a", "b", "c"]
    file.remove("a")
    assert "// the second" in paths.servers_file.read_text(encoding="utf-8")
    assert list(load_servers(paths)) == ["memory", "b", "c"]


def test_an_entry_no_server_can_be_made_of_is_removed(paths: Paths) -> None:
    file = write(paths, '{"mcpServers": {"My Notes": {"command": "x"}, "memory": {}, "a": 1}}')
    for name in ("My Notes", "memory", "a"):
        file.remove(name)
    assert paths.servers_file.read_text() == '{"mcpServers": {}}'
