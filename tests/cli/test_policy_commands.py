"""`pktui policy`: made, checked, shown, changed, explained, replayed, converted."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.ledger.approvals.approvals import hash_of_shown
from pktui.ledger.approvals.standing import Wider
from pktui.ledger.arguments.canonical import args_hash
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller, NewApproval
from pktui.policy.document.policy import load_policy
from pktui.settings import bundled
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.settings import Paths

Say = Callable[..., tuple[int, str, str]]
SERVER = Path(__file__).parents[1] / "support" / "sdk_server.py"


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command; returns its status, standard output and standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(("policy", *argv))
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def memory(paths: Paths, say: Say) -> Path:
    assert say("init", "memory")[0] == 0
    return paths.policy_file("memory")


def write(path: Path, **members: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": "1", "default": "deny"} | members))
    return path


def add_server(paths: Paths, name: str) -> None:
    make_private_directory(paths.config_dir)
    paths.servers_file.write_text(json.dumps({"mcpServers": {name: {"command": "true"}}}))


def test_init_asks_a_server_and_writes_a_rule_for_each_tool(paths: Paths, say: Say) -> None:
    status, _, err = say("init", "sdk", "--", sys.executable, str(SERVER))
    assert status == 0, err
    assert "sdk lists 7 tools" in err
    policy = load_policy(paths.policy_file("sdk"))
    assert policy.default == "approve"
    assert policy.rule_for("remove").action == "approve"


def test_init_does_not_replace_a_policy_unasked(memory: Path, say: Say) -> None:
    before = memory.read_bytes()
    status, _, err = say("init", "memory", "--preset", "observe")
    assert (status, memory.read_bytes()) == (1, before)
    assert "--force" in err
    assert say("init", "memory", "--preset", "observe", "--force")[0] == 0
    assert load_policy(memory).default == "allow"


def test_init_says_why_a_server_could_not_be_asked(say: Say) -> None:
    status, _, err = say("init", "broken", "--", sys.executable, "-c", "pass")
    assert status == 1
    assert "broken did not list its tools" in err


def test_validate_tells_every_problem_with_its_place(tmp_path: Path, say: Say) -> None:
    good = write(tmp_path / "good.json")
    bad = write(tmp_path / "bad.json", defalt="x", tools={"t": {"action": "maybe"}})
    status, out, _ = say("validate", str(good), str(bad))
    assert status == 1
    assert f"{good}: valid" in out
    assert 'defalt: unknown key "defalt". Did you mean "default"?' in out
    assert "tools.t.action" in out
    status, out, _ = say("validate", str(bad), "--json")
    record = json.loads(out)
    assert (status, record["valid"]) == (1, False)
    assert [problem["path"] for problem in record["problems"]] == ["defalt", "tools.t.action"]


def test_validate_warns_of_names_that_get_past_a_glob_that_denies(tmp_path: Path, say: Say) -> None:
    file = write(tmp_path / "p.json", tools={"rm_*": {"action": "deny"}, "rm_tmp": {}})
    status, out, _ = say("validate", str(file))
    assert status == 0
    assert "valid" in out
    assert "warning: line 1" in out
    assert '"rm_tmp" gets past the glob "rm_*"' in out
    status, out, _ = say("validate", str(file), "--json")
    record = json.loads(out)
    assert (status, record["valid"], len(record["warnings"])) == (0, True, 1)


@pytest.mark.parametrize("agent", ["claude-code", "codex", "gemini", "opencode"])
def test_an_agents_rules_can_be_set_before_its_first_call(
    paths: Paths, say: Say, agent: str
) -> None:
    shipped = bundled("config", "policies", f"{agent}.json")
    assert say("show", agent)[0] == 0
    assert say("set", agent, "Made_up", "deny", "--dry-run")[0] == 0
    assert not paths.policy_file(agent).exists()
    status, _, err = say("set", agent, "Made_up", "deny")
    assert (status, "any other tool asks" in err) == (0, False)
    set_now = load_policy(paths.policy_file(agent))
    assert set_now.tools.keys() == load_policy(shipped).tools.keys() | {"Made_up"}
    assert (paths.policies_dir / "_paths.json").exists()
    assert say("undo", agent)[0] == 0
    assert paths.policy_file(agent).read_bytes() == shipped.read_bytes()


def test_show_tells_what_each_tool_comes_to(memory: Path, say: Say) -> None:
    status, out, _ = say("show", "memory", "--json")
    assert status == 0
    shown = {tool["tool"]: tool for tool in json.loads(out)["tools"]}
    assert shown["delete_knowledge"]["action"] == "hide"
    assert shown["log_message"]["limits"] == ["at most 300 calls a minute for each client"]
    assert "end_session" in say("show", str(memory))[1]


def test_show_tells_that_a_changed_definition_is_asked_about(paths: Paths, say: Say) -> None:
    write(paths.policy_file("files"), tools={"read": {}, "rm": {"action": "deny"}})
    with closing(Ledger.open(paths.ledger_file)) as ledger:
        for text in ("Reads.", "Reads, and sends it home."):
            ledger.catalogue.saw("files", [{"name": "read", "description": text}])
    shown = {tool["tool"]: tool for tool in json.loads(say("show", "files", "--json")[1])["tools"]}
    assert (shown["read"]["action"], shown["read"]["rule"]) == ("approve", "(definition changed)")
    assert shown["rm"]["action"] == "deny"
    assert "its definition changed since it was accepted" in say("show", "files")[1]


def test_set_changes_one_rule_and_undo_takes_it_back(memory: Path, say: Say) -> None:
    before = memory.read_text()
    status, out, _ = say("set", "memory", "get_session", "deny", "--reason", "Not now.")
    assert status == 0
    assert '+    "get_session": { "action": "deny", "reason": "Not now." },' in out
    assert say("set", "memory", "log_message", "limit", "5/hour")[0] == 0
    assert int(load_policy(memory).rule_for("log_message").limits[0].max) == 5
    assert say("undo", "memory")[0] == 0
    assert say("undo", "memory")[0] == 0
    assert memory.read_text() == before
    assert say("undo", "memory")[0] == 1


@pytest.mark.parametrize("word", ["ask", "approve"])
def test_set_takes_both_words_for_asking(memory: Path, say: Say, word: str) -> None:
    assert say("set", "memory", "log_message", word)[0] == 0
    assert load_policy(memory).rule_for("log_message").action == "approve"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("limit",), "limit needs one"),
        (("deny", "5/minute"), "a rate goes with limit"),
        (("limit", "often"), "10/minute"),
        (("limit", "5/fortnight"), "10/minute"),
    ],
)
def test_set_says_what_it_cannot_take(
    memory: Path, say: Say, words: tuple[str, ...], says: str
) -> None:
    before = memory.read_bytes()
    status, _, err = say("set", "memory", "log_message", *words)
    assert status in (1, 2)
    assert says in err
    assert memory.read_bytes() == before


@pytest.mark.parametrize("name", ["*", "get_*", "a?", "[b]"])
@pytest.mark.parametrize("words", [("allow",), ("hide",), ("limit", "5/min")])
def test_set_makes_no_pattern_of_a_tools_name(
    memory: Path, say: Say, name: str, words: tuple[str, ...]
) -> None:
    before = memory.read_bytes()
    status, _, err = say("set", "memory", name, *words)
    assert status == 1
    assert "would be one for other tools" in err
    assert "write the pattern into" in err
    assert memory.read_bytes() == before


def test_set_takes_a_short_word_for_a_window(memory: Path, say: Say) -> None:
    assert say("set", "memory", "log_message", "limit", "5/min")[0] == 0
    limit = load_policy(memory).rule_for("log_message").limits[0]
    assert (int(limit.max), limit.window_us) == (5, 60_000_000)
    assert '"window": "minute"' in memory.read_text()


def test_set_with_dry_run_writes_nothing(memory: Path, say: Say) -> None:
    before = memory.read_bytes()
    status, out, _ = say("set", "memory", "get_session", "deny", "--dry-run")
    assert status == 0
    assert "deny" in out
    assert memory.read_bytes() == before


def test_set_starts_the_memorys_policy_from_the_shipped_one(paths: Paths, say: Say) -> None:
    assert say("set", "memory", "get_session", "deny")[0] == 0
    assert load_policy(paths.policy_file("memory")).hides("delete_knowledge")


def test_set_with_dry_run_makes_no_policy(paths: Paths, say: Say) -> None:
    add_server(paths, "files")
    for server in ("memory", "files"):
        status, out, err = say("set", server, "get_session", "deny", "--dry-run")
        assert (status, err) == (0, f"Not written: {paths.policy_file(server)}\n")
        assert '"get_session": { "action": "deny" }' in out
        assert not paths.policy_file(server).exists()


def test_set_tells_what_a_policy_it_begins_does_with_the_rest(paths: Paths, say: Say) -> None:
    add_server(paths, "files")
    _, _, err = say("set", "files", "write_file", "deny")
    assert "any other tool asks a person" in err
    assert "pktui policy init files --force" in err
    assert "any other tool" not in say("set", "files", "write_file", "allow")[2]
    assert "any other tool" not in say("set", "memory", "get_session", "deny")[2]


def test_an_unknown_server_is_told_with_the_known_ones(say: Say) -> None:
    status, _, err = say("set", "memroy", "x", "deny")
    assert status == 1
    assert "Did you mean memory" in err


@pytest.mark.parametrize("used", [False, True])
def test_explain_tells_the_verdict_and_what_led_to_it(paths: Paths, say: Say, used: bool) -> None:
    write(
        paths.policy_file("memory"),
        tools={"t": {"limits": [{"counter": "c", "window": "day", "max": 2}]}},
    )
    if used:
        Ledger.open(paths.ledger_file).close()
    status, out, _ = say("explain", "memory", "t", '{"a": 1}', "--json", "--grant", "me")
    assert status == 0
    told = json.loads(out)
    assert (told["decision"], told["rule"], told["identity"]) == ("allow", "/tools/t", "me")
    assert [step["name"] for step in told["steps"]][-1] == "/tools/t/limits/c"
    assert told["quotas"][0]["remaining"] == "2"
    status, out, _ = say("explain", "memory", "u")
    assert "(default deny)" in out


def test_explain_says_that_a_tool_is_unknown_to_the_server(paths: Paths, say: Say) -> None:
    write(paths.policy_file("memory"), default="approve")
    with closing(Ledger.open(paths.ledger_file)) as ledger:
        ledger.catalogue.saw("memory", [{"name": "known", "description": "Do it."}])
    assert "unknown tool" in say("explain", "memory", "other")[2]
    assert "unknown tool" not in say("explain", "memory", "known")[2]


def test_explain_names_the_answer_that_a_call_meets(paths: Paths, say: Say) -> None:
    write(paths.policy_file("memory"), tools={"t": {"action": "approve"}})
    caller = Caller("claude-code", "me", "s1", "/home/ada")
    arguments = {"a": 1}
    explain = ("explain", "memory", "t", '{"a": 1}', "--grant", "me")
    with closing(Ledger.open(paths.ledger_file)) as ledger:
        ledger.catalogue.saw("memory", [{"name": "t", "description": "Do it."}])
        assert "answer      none yet: a person is asked" in say(*explain)[1]

        asked = ledger.approvals.open(
            NewApproval(
                caller=caller, server="memory", tool="t", arguments=arguments,
                args_hash=args_hash(arguments), expires_us=now_us() + 10**12,
                definition_hash=ledger.catalogue.tools("memory")[0].hash, rule="/tools/t",
                reason="Ask.", once=False, call_id="c1",
            )
        )  # fmt: skip
        assert f"approval {asked.id} waits for a person, until" in say(*explain)[1]

        shown = hash_of_shown(asked)
        _, standing = ledger.standing.allow(asked.id, Wider(10**11), by="me", args_hash=shown)
        assert f"approval {asked.id} allows it, once, until" in say(*explain)[1]
        assert ledger.approvals.spend(asked.id)

        assert f"standing approval {standing.id} allows it, until" in say(*explain)[1]
        other = ("explain", "memory", "t", '{"a": 2}', "--grant", "me", "--json")
        told = json.loads(say(*other)[1])["answer"]
        assert (told["id"], told["standing"]) == (standing.id, True)
        assert json.loads(say(*other[:4], "--json")[1])["answer"] is None


def test_explain_tells_that_the_policy_is_not_written_yet(paths: Paths, say: Say) -> None:
    add_server(paths, "files")
    status, _, err = say("explain", "files", "t")
    assert status == 0
    assert "pktui policy init files" in err


def test_explain_refuses_arguments_that_are_no_object(memory: Path, say: Say) -> None:
    assert say("explain", "memory", "t", "{")[0] == 2
    assert say("explain", "memory", "t", "[1]")[0] == 2


def test_replay_decides_a_list_of_calls(tmp_path: Path, say: Say) -> None:
    path = write(tmp_path / "p.json", tools={"t": {"rate_limit": "1/minute"}})
    calls = tmp_path / "calls.jsonl"
    lines = [{"tool": "t", "at": "2026-01-15T10:30:00Z"},
             {"tool": "t", "args": {}, "at": "2026-01-15T10:30:01Z"}, {"tool": "u"}]  # fmt: skip
    calls.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    status, out, err = say("replay", str(path), str(calls))
    assert status == 0
    found = [json.loads(line) for line in out.splitlines()]
    assert [(row["decision"], row["rule"]) for row in found] == [
        ("allow", "/tools/t"), ("deny", "/tools/t/limits/t_rate"), ("deny", "(default deny)"),
    ]  # fmt: skip
    assert "2026-01-15 10:31:00 UTC" in found[1]["reason"]
    assert "3 calls: 1 allow, 2 deny" in err


@pytest.mark.parametrize(
    ("line", "says"),
    [("{", "line 1"), ('{"tool": 1}', "tool is not text"), ('{"tol": "x"}', "unknown key"),
     ('{"tool":"t","at":"noon"}', "no time"), ('{"tool":"t","outcome":"bad"}', "none of")],
)  # fmt: skip
def test_replay_names_the_line_it_cannot_read(
    tmp_path: Path, say: Say, line: str, says: str
) -> None:
    path = write(tmp_path / "p.json")
    calls = tmp_path / "calls.jsonl"
    calls.write_text(line)
    status, _, err = say("replay", str(path), str(calls))
    assert status == 1
    assert says in err


def test_a_draft_is_tried_on_the_recorded_calls(paths: Paths, tmp_path: Path, say: Say) -> None:
    ledger = Ledger.open(paths.ledger_file)
    caller = Caller("claude", "", "s", "/p")
    for tool in ("read", "write", "read"):
        ledger.events.append(
            kind="decision", call_id=f"{tool}", server="fs", tool=tool, caller=caller,
            effect="allow", rule="/x", reason="", arguments={"a": 1},
        )  # fmt: skip
    ledger.close()
    draft = write(tmp_path / "draft.json", tools={"read": {}})
    status, out, err = say("replay", str(draft), "--audit", "--server", "fs", "--json")
    assert status == 0, err
    assert [json.loads(line)["tool"] for line in out.splitlines()] == ["write"]
    assert "3 recorded calls of fs since 7d: 1 would be decided otherwise" in err
    assert "deny" in say("replay", str(draft), "--audit", "--server", "fs")[1]


def test_an_intercept_policy_is_converted(tmp_path: Path, say: Say) -> None:
    source = tmp_path / "i.yaml"
    source.write_text('version: "1"\ntools:\n  t:\n    rules:\n      - {name: no, action: deny}\n')
    target = tmp_path / "native.json"
    assert say("convert", str(source), "--output", str(target))[0] == 0
    assert load_policy(target).dialect == "native"
    assert say("convert", str(target))[0] == 1


def test_the_schema_is_printed_as_it_is_shipped(say: Say) -> None:
    shipped = Path(__file__).parents[2] / "config" / "policy.schema.json"
    assert say("schema")[1] == shipped.read_text(encoding="utf-8")


def test_what_the_servers_entry_leaves_out_is_shown_as_hidden(paths: Paths, say: Say) -> None:
    add_server(paths, "s")
    servers = {"s": {"command": "true", "excludeTools": ["rm"], "includeTools": ["ls", "rm"]}}
    paths.servers_file.write_text(json.dumps({"mcpServers": servers}))
    write(paths.policy_file("s"), default="allow", tools={"ls": {}, "cp": {}})
    shown = {tool["tool"]: tool for tool in json.loads(say("show", "s", "--json")[1])["tools"]}
    assert {name: tool["action"] for name, tool in shown.items()} == {
        "ls": "allow", "cp": "hide", "rm": "hide",
    }  # fmt: skip
    assert "servers.json" in shown["rm"]["because"]
    for tool, decision in (("ls", "allow"), ("rm", "hide"), ("cp", "hide"), ("mv", "hide")):
        assert json.loads(say("explain", "s", tool, "--json")[1])["decision"] == decision
    assert "is hidden by its server's entry" in say("explain", "s", "rm")[1]


def test_calls_to_replay_may_begin_with_a_byte_order_mark(
    memory: Path, tmp_path: Path, say: Say
) -> None:
    calls = tmp_path / "calls.jsonl"
    calls.write_bytes(b'\xef\xbb\xbf{"tool": "get_session", "args": {}}\n')
    status, out, err = say("replay", str(memory), str(calls))
    assert (status, json.loads(out)["decision"]) == (0, "allow"), err
