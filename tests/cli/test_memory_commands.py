"""`pktui memory`, `sessions`, `knowledge` and `import` against a running service."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.memory.client import MemoryClient
from pktui.memory.records import Identity
from tests.memory.importers.agents import STORES
from tests.memory.importers.test_opencode_pk import make
from tests.support.memory_service import running_service

if TYPE_CHECKING:
    from pktui.settings import Paths

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture
def memory(paths: Paths) -> Iterator[MemoryClient]:
    """A client of a service for the directories that the environment names."""
    with running_service(paths):
        client = MemoryClient(paths, Identity("claude-code", "", "/home/ada"), start=False)
        client.sessions()
        yield client
        client.close()


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command; returns its status, standard output and standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(argv)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


def data(answer: tuple[int, str, str]) -> Any:
    status, out, err = answer
    assert status == 0, err
    return json.loads(out)


def test_sessions_are_listed_shown_and_searched(memory: MemoryClient, say: Say) -> None:
    session = memory.start_session("debugging \x1b[31mauth")
    memory.log("user", "The token\x07 expires")
    memory.log("agent", "The TTL is 60")
    status, out, _ = say("sessions", "list", "auth", "status:active")
    assert status == 0
    assert "debugging ␛[31mauth" in out
    assert "\x1b[31m" not in out
    assert data(say("sessions", "list", "--json"))["items"][0]["id"] == session.id
    _, out, _ = say("sessions", "show", "1")
    assert "The token␇ expires" in out
    assert data(say("sessions", "show", "1", "--json"))["messages"]["total"] == 2
    _, out, err = say("sessions", "show", "1", "--limit", "1")
    assert "The TTL is 60" in out
    assert "token" not in out
    assert "--before 2" in err
    _, out, _ = say("sessions", "show", "1", "--before", "2")
    assert "The token" in out
    assert "TTL" not in out
    _, out, err = say("sessions", "search", "token", "--mode", "words")
    assert "The token␇ expires" in out
    assert "1 of 1, by words" in err
    found = data(say("sessions", "search", "--mode", "exact", "TTL is", "--json"))
    assert found["hits"][0]["message"]["content"] == "The TTL is 60"


def test_sessions_end_reopen_and_go(memory: MemoryClient, say: Say) -> None:
    memory.start_session("one")
    assert "has ended" in say("sessions", "end", "1", "--summary", "done")[2]
    assert "nothing was changed" in say("sessions", "end", "1", "--summary", "other")[2]
    assert memory.session(1).summary == "done"
    assert "active again" in say("sessions", "reopen", "1")[2]
    assert data(say("sessions", "reopen", "1", "--json"))["changed"] is False
    status, _, err = say("sessions", "delete", "1")
    assert (status, "Give --yes" in err) == (1, True)
    assert data(say("sessions", "delete", "1", "--yes", "--json"))["id"] == 1
    status, out, err = say("sessions", "show", "1")
    assert (status, out) == (1, "")
    assert err == "pktui: no session has the id 1. List the sessions to see their ids\n"


@pytest.mark.parametrize(
    "argv",
    [
        ("sessions", "show"),
        ("sessions", "show", "0"),
        ("sessions", "show", "x"),
        ("sessions", "list", "--limit", "0"),
        ("sessions", "list", "--status", "lost"),
        ("sessions", "search", "x", "--mode", "psychic"),
        ("knowledge", "update", "1"),
        ("import", "jsonl"),
    ],
)
def test_words_that_mean_nothing_are_a_usage_error(say: Say, argv: tuple[str, ...]) -> None:
    status, out, err = say(*argv)
    assert (status, out) == (2, "")
    assert err


def test_knowledge_is_kept_found_changed_and_removed(
    memory: MemoryClient, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert say("knowledge", "add", "Deploy", "make deploy", "--tag", "ops", "--tag", "ci")[0] == 0
    monkeypatch.setattr(sys, "stdin", io.StringIO("from a pipe"))
    assert data(say("knowledge", "add", "Piped", "-", "--json"))["content"] == "from a pipe"
    _, out, _ = say("knowledge", "list", "--tag", "ci")
    assert "Deploy" in out
    assert "Piped" not in out
    _, out, _ = say("knowledge", "get", "1")
    assert "make deploy" in out
    _, out, _ = say("knowledge", "search", "deploy", "--mode", "words")
    assert "Deploy" in out
    assert say("knowledge", "update", "1", "--title", "Ship")[0] == 0
    changed = data(say("knowledge", "get", "1", "--json"))
    assert (changed["title"], changed["tags"]) == ("Ship", ["ops", "ci"])
    _, out, _ = say("knowledge", "stats")
    assert "ci (1), ops (1)" in out
    assert data(say("knowledge", "delete", "1", "--yes", "--json"))["title"] == "Ship"
    assert memory.stats().total == 1


def test_progress_is_told_as_lines_of_json(
    memory: MemoryClient, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.cli.imports.PROGRESS_EVERY_S", 0)
    lines = [
        {
            "type": "user", "uuid": f"u{n}", "sessionId": "s1", "cwd": "/home/ada/shop",
            "timestamp": "2026-01-01T00:00:00Z", "message": {"role": "user", "content": f"no {n}"},
        }
        for n in range(700)
    ]  # fmt: skip
    folder = tmp_path / "projects" / "-home-ada-shop"
    folder.mkdir(parents=True)
    (folder / "s1.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    status, _, err = say("import", "claude-code", str(tmp_path / "projects"), "--progress")
    assert status == 0
    told = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert told
    assert [one["taken"] for one in told] == sorted(one["taken"] for one in told)
    assert told[-1]["taken"] == memory.status().messages + memory.status().sessions
    assert all(0 <= one["done"] <= one["whole"] for one in told)
    assert "700 messages" in err


def test_an_import_that_broke_off_goes_on_where_it_was(
    memory: MemoryClient, say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = (
        '{"type":"session","source":"x","source_id":"s","started_at":"2026-01-01T00:00:00Z"}\n'
        "this line is broken\n"
    )
    message = (
        '{{"type":"message","source":"x","session":"s","source_id":"{0}","role":"user",'
        '"content":"number {0}","created_at":"2026-01-01T00:00:00Z"}}\n'
    )
    file = tmp_path / "big.jsonl"
    file.write_text(head + "".join(message.format(number) for number in range(1_400)))
    monkeypatch.setattr("pktui.cli.imports.LINE_EVERY_S", 0)
    told = iter((None, KeyboardInterrupt()))

    def break_off(_text: str) -> None:
        if error := next(told):
            raise error

    with monkeypatch.context() as patched:
        patched.setattr("pktui.cli.imports.output.note", break_off)
        assert say("import", "jsonl", str(file))[0] == 130
    assert memory.status().messages == 999
    status, _, err = say("import", "jsonl", str(file))
    assert status == 0
    assert "499 messages added" not in err
    assert "%: 0 messages added, 500 records were known" in err
    assert "1 sessions" not in err
    assert "401 messages, 0 calls and 0 entries were added; 1000 were known." in err
    assert "  line 2: " in err
    kept = [one.content for one in memory.messages(1, limit=1_000).items]
    assert kept == [f"number {number}" for number in range(1_000)]
    assert memory.status().messages == 1_400


def test_an_export_is_imported_again(memory: MemoryClient, say: Say, tmp_path: Path) -> None:
    memory.start_session("kept")
    memory.log("user", "a line\u2028 and 🎉")
    memory.add_entry("Entry", "Words")
    file = tmp_path / "all.jsonl"
    assert "3 records" in say("sessions", "export", "--to", str(file))[2]
    assert file.stat().st_mode & 0o777 == 0o600
    status, _, err = say("sessions", "export", "--to", str(file))
    assert (status, "is there already" in err) == (1, True)
    types = [json.loads(line)["type"] for line in file.read_bytes().splitlines()]
    assert types == ["session", "message", "entry"]
    assert data(say("import", "jsonl", str(file), "--json"))["known"] == 3
    memory.delete_session(1)
    status, _, err = say("import", "jsonl", str(file))
    assert err == "1 sessions, 1 messages, 0 calls and 0 entries were added; 1 were known.\n"
    assert memory.messages(2).items[0].content == "a line\u2028 and 🎉"


def test_lines_that_cannot_be_used_are_named(
    memory: MemoryClient, say: Say, tmp_path: Path
) -> None:
    file = tmp_path / "broken.jsonl"
    file.write_text(
        '{"type":"session","source":"x","source_id":"1","started_at":"2026-03-02T13:00:00Z"}\n'
        "no JSON\n"
        '{"type":"message","source":"x","session":"9","source_id":"1","role":"user",'
        '"content":"lost","created_at":"2026-03-02T13:00:00Z"}\n'
    )
    status, _, err = say("import", "jsonl", str(file))
    assert status == 0
    assert "1 sessions, 0 messages" in err
    assert "2 could not be taken in:" in err
    assert "  line 2: " in err
    assert "  message 1 of x 9: its session is not known" in err
    assert memory.sessions().total == 1
    status, _, err = say("import", "jsonl", str(tmp_path / "none"))
    assert (status, "cannot be read: No such file" in err) == (1, True)


def test_opencode_personal_knowledge_is_imported(
    memory: MemoryClient, say: Say, tmp_path: Path
) -> None:
    path = make(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "INSERT INTO sessions VALUES (1, 'old', '2026-01-01T10:00:00Z', NULL, NULL, 0)"
        )
        database.commit()
    assert data(say("import", "opencode-pk", str(path), "--json"))["sessions"] == 1
    assert data(say("import", "opencode-pk", str(tmp_path), "--json"))["known"] == 1
    assert memory.sessions("source:opencode-pk").items[0].name == "old"


def test_the_service_is_looked_at_reindexed_and_stopped(
    memory: MemoryClient, say: Say, paths: Paths
) -> None:
    memory.start_session("one")
    memory.log("user", "x")
    status, out, err = say("memory", "status")
    assert status == 0
    assert f"{paths.memory_dir} (ready)" in out
    assert str(paths.logs_dir) in err
    assert re.search(r"since +\S+ \S+ \(\d+s\)\nmemory +\d+ MB\n", out)
    assert re.search(r"index +on disk\non disk +\d+ files, .*\nversions +\d+\n", out)
    assert data(say("memory", "status", "--json"))["messages"] == 1
    assert data(say("memory", "reindex", "--json"))["state"] == "ready"
    assert say("memory", "stop")[2] == "The memory service has ended.\n"
    assert say("memory", "stop") == (0, "", "No memory service was running.\n")
    status, out, err = say("memory", "status")
    assert (status, out) == (1, "")
    assert err.startswith("pktui: no memory service listens for ")


@pytest.mark.parametrize(
    ("agent", "sessions", "word"), [("claude-code", 2, "py_compile"), ("gemini", 1, "py_compile")]
)
def test_an_agents_store_is_taken_in_once_and_found(
    memory: MemoryClient, say: Say, agent: str, sessions: int, word: str
) -> None:
    store = str(STORES / agent.partition("-")[0])
    first = data(say("import", agent, store, "--json"))
    assert (first["sessions"], first["rejected"], first["unknown"]) == (sessions, 0, [])
    again = data(say("import", agent, store, "--json"))
    assert (again["sessions"], again["messages"]) == (0, 0)
    assert again["known"] == first["sessions"] + first["messages"] + first["calls"]
    found = data(say("sessions", "search", word, f"source:{agent}", "--mode", "exact", "--json"))
    assert [hit["call"]["outcome"] for hit in found["hits"]] == ["ok"]


def test_what_an_agents_store_has_that_nobody_knows_is_said(
    memory: MemoryClient, say: Say, tmp_path: Path
) -> None:
    path = tmp_path / "s.jsonl"
    path.write_text(
        '{"type":"novelty\\u001b[2J"}\nno json\n{"type":"user","message":{"content":"x"}}\n'
    )
    status, _, err = say("import", "claude-code", str(path))
    assert status == 0
    assert "Passed over, being of kinds that are not known: novelty␛[2J (1)" in err
    assert "s.jsonl line 2:" in err
    status, _, err = say("import", "claude-code", str(tmp_path / "none"))
    assert status == 1
    assert "none cannot be read: No such file" in err
