from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from pktui.errors import PolicyError
from pktui.policy.document.policy import Policy, PolicyInvalid, load_policy, parse_policy
from pktui.policy.rules import Action
from tests.policy.build import effect, policy

GOOD = {"version": "1", "default": "deny"}


def problems(document: Any) -> list[tuple[str, str, str]]:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(raw)
    return [(problem.path, problem.what, problem.cure) for problem in caught.value.problems]


def limit(**members: Any) -> dict[str, Any]:
    entry = {"counter": "c", "window": "minute", "max": 3, "scope": "grant"} | members
    return GOOD | {"tools": {"t": {"limits": [entry]}}}


def condition(**members: Any) -> dict[str, Any]:
    return GOOD | {"tools": {"t": {"deny_if": [{"conditions": [members]}]}}}


@pytest.mark.parametrize(
    ("document", "path", "what", "cure"),
    [
        ([], "", "not an object", "Write"),
        ({"default": "deny"}, "version", 'got ""', '"1"'),
        (GOOD | {"version": 1}, "version", 'got "1"', '"1"'),
        (GOOD | {"version": "2"}, "version", '"2"', '"1"'),
        ({"version": "1"}, "default", "missing", "allow, deny, approve"),
        (GOOD | {"default": "Deny"}, "default", '"Deny"', '"deny"'),
        (GOOD | {"default": True}, "default", "true", "allow"),
        (GOOD | {"tols": {}}, "tols", "unknown key", '"tools"'),
        (GOOD | {"hide": "x"}, "hide", "not a list", "["),
        (GOOD | {"hide": ["a", ""]}, "hide[1]", "empty", "Name"),
        (GOOD | {"hide": ["a", "a"]}, "hide[1]", "duplicate", "Remove"),
        (GOOD | {"hide": [1]}, "hide[0]", "not text", "quotes"),
        (GOOD | {"tools": {"a?": {}}}, 'tools.a?', "holds ?", "*"),
        (GOOD | {"tools": {"t": "deny"}}, "tools.t", "not an object", "{"),
        (GOOD | {"tools": {"t": {"actoin": "deny"}}}, "tools.t.actoin", "unknown key", '"action"'),
        (GOOD | {"tools": {"t": {"action": "denied"}}}, "tools.t.action", '"denied"', '"deny"'),
        (GOOD | {"tools": {"t": {"reason": 3}}}, "tools.t.reason", "not text", "quotes"),
        (GOOD | {"tools": {"t": {"require": [{}]}}}, "tools.t.require[0]", "nothing", "condition"),
        (GOOD | {"tools": {"t": {"deny_if": [{"when": 1}]}}}, "tools.t.deny_if[0].when",
         "unknown key", "conditions"),
        (GOOD | {"tools": {"t": {"rate_limit": "10/minit"}}}, "tools.t.rate_limit",
         "10/minit", "10/minute"),
        (GOOD | {"tools": {"t": {"rate_limit": {"max": 1}}}}, "tools.t.rate_limit.window",
         "missing", "second"),
        (GOOD | {"all_tools": {"deny_if": []}}, "all_tools.deny_if", "unknown key", "limits"),
        (GOOD | {"tools": {"a*": {}, "a*b": {}}}, "tools.a*b", "equal rank", "longer"),
        (limit(window="minit"), "tools.t.limits[0].window", '"minit"', "minute"),
        (limit(window=0), "tools.t.limits[0].window", "window", "whole seconds"),
        (limit(window=True), "tools.t.limits[0].window", "window", "whole seconds"),
        (limit(max=-1), "tools.t.limits[0].max", "max", "whole number"),
        (limit(max=1.5), "tools.t.limits[0].max", "max", "whole number"),
        (limit(max=True), "tools.t.limits[0].max", "max", "whole number"),
        (limit(max=10**13), "tools.t.limits[0].max", "max", "9000000000000"),
        (limit(scope="agent"), "tools.t.limits[0].scope", '"agent"', "grant"),
        (limit(align="clock"), "tools.t.limits[0].align", '"clock"', "sliding"),
        (limit(counter=""), "tools.t.limits[0].counter", "counter", "calls"),
        (limit(increment_from="amount"), "tools.t.limits[0].increment_from", "amount", "args."),
        (condition(op="eq", value=1), "tools.t.deny_if[0].conditions[0].path", "missing", "args."),
        (condition(path="a", op="eq", value=1), "tools.t.deny_if[0].conditions[0].path",
         '"a"', "args."),
        (condition(path="args.a..b", op="eq", value=1), "tools.t.deny_if[0].conditions[0].path",
         "args.a..b", "between the dots"),
        (condition(path="args.a", value=1), "tools.t.deny_if[0].conditions[0].op",
         "missing", "regex"),
        (condition(path="args.a", op="gtt", value=1), "tools.t.deny_if[0].conditions[0].op",
         '"gtt"', '"gt"'),
        (condition(path="args.a", op="eq"), "tools.t.deny_if[0].conditions[0].value",
         "missing", "compare"),
        (condition(path="args.a", op="gt", value="5"), "tools.t.deny_if[0].conditions[0].value",
         "numeric", "without quotes"),
        (condition(path="args.a", op="gt", value=True), "tools.t.deny_if[0].conditions[0].value",
         "numeric", "number"),
        (condition(path="args.a", op="in", value="x"), "tools.t.deny_if[0].conditions[0].value",
         "list", "["),
        (condition(path="args.a", op="exists", value=1), "tools.t.deny_if[0].conditions[0].value",
         "boolean", "true or false"),
        (condition(path="args.a", op="regex", value="(a)\\1"),
         "tools.t.deny_if[0].conditions[0].value", "invalid regex", "RE2"),
        (condition(path="args.a", op="regex", value="a" * 1001),
         "tools.t.deny_if[0].conditions[0].value", "1001", "1000"),
        (condition(path="args.a", op="regex", value=["a"]),
         "tools.t.deny_if[0].conditions[0].value", "string", "quotes"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_its_cure(
    document: Any, path: str, what: str, cure: str
) -> None:
    found = [problem for problem in problems(document) if problem[0] == path]
    assert len(found) == 1
    assert what in found[0][1]
    assert cure in found[0][2]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    raw = b"""{
  "version": "1",
  "default": "maybe",
  "tools": {
    "a": { "acton": "deny" },
    "b": { "limits": [ { "counter": "c", "window": "minute", "max": -1 } ] }
  }
}"""
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(raw, Path("p.json"))
    places = [(p.line, p.column, p.path) for p in caught.value.problems]
    assert places == [
        (3, 14, "default"),
        (5, 12, "tools.a.acton"),
        (6, 69, "tools.b.limits[0].max"),
    ]
    assert "p.json has 3 problems" in str(caught.value)


def test_bytes_that_are_not_utf8_are_told_with_their_place() -> None:
    with pytest.raises(PolicyInvalid, match=r"line 2, column 3: byte 0xff is not UTF-8"):
        parse_policy(b"{\n  \xff}")


def test_hostile_names_are_made_visible_in_messages() -> None:
    text = "".join(what + path for path, what, _ in problems(GOOD | {"a\x1b[31m\u202e": 1}))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_one_counter_may_not_be_charged_twice_by_one_call() -> None:
    entry = {"counter": "c", "window": "minute", "max": 3}
    twice = GOOD | {"tools": {"t": {"limits": [entry, entry]}}}
    shared = GOOD | {"all_tools": {"limits": [entry]}, "tools": {"t": {"limits": [entry]}}}
    assert "charged twice" in problems(twice)[0][1]
    assert "also counts in all_tools" in problems(shared)[0][1]


def test_the_same_counter_may_serve_two_windows() -> None:
    minute, day = {"counter": "c", "window": "minute", "max": 3}, {
        "counter": "c", "window": "day", "max": 9}  # fmt: skip
    assert len(policy(tools={"t": {"limits": [minute, day]}}).rule_for("t").limits) == 2


@pytest.mark.parametrize(
    ("globs", "name", "winner"),
    [
        (["db_*", "db_read_*"], "db_read_x", "db_read_*"),
        (["db_*", "db_read"], "db_read", "db_read"),
        (["*", "a*"], "abc", "a*"),
        (["*_read", "*_write"], "x_write", "*_write"),
        (["a*b*c"], "a-b-c", "a*b*c"),
    ],
)
def test_the_most_specific_entry_wins(globs: list[str], name: str, winner: str) -> None:
    rules = policy(tools={glob: {} for glob in globs})
    assert rules.rule_for(name) is rules.tools[winner]


@pytest.mark.parametrize("first", ["allow", "deny"])
@pytest.mark.parametrize(
    ("denying", "other"),
    [("a*", "abc*"), ("*", "a*"), ("*c", "a*"), ("a*c", "a*b*"), ("a*", "a*b*")],
)
def test_a_glob_that_denies_beats_every_other_glob(denying: str, other: str, first: str) -> None:
    entries = [(denying, {"action": "deny"}), (other, {"action": first})]
    for tools in (dict(entries), dict(reversed(entries))):
        rules = policy(tools=tools)
        assert rules.rule_for("abcbc").action == "deny"
        if first == "allow":
            assert rules.rule_for("abcbc") is rules.tools[denying]


def test_of_two_globs_that_deny_the_longer_prefix_gives_the_reason() -> None:
    deny = {"action": "deny"}
    rules = policy(tools={"*": deny, "ab*": deny, "a*": deny, "a*c": deny})
    assert rules.rule_for("abc") is rules.tools["ab*"]
    assert rules.rule_for("ac") is rules.tools["a*"]


def test_a_name_beats_a_glob_that_denies() -> None:
    rules = policy(tools={"a*": {"action": "deny"}, "ab": {}})
    assert rules.rule_for("ab").action == "allow"


@pytest.mark.parametrize("name", ["a*", "*"])
def test_a_tool_named_like_a_glob_is_not_its_entry(name: str) -> None:
    rules = policy(tools={"a*": {}, "*": {"action": "deny"}})
    assert rules.rule_for(name).action == "deny"


def test_a_shorthand_becomes_a_session_limit() -> None:
    rules = policy(tools={"a": {"rate_limit": "10/minute"},
                          "b": {"rate_limit": {"max": 10, "window": 60}}})  # fmt: skip
    for name in ("a", "b"):
        (found,) = rules.rule_for(name).limits
        assert (found.counter, found.scope) == (f"{name}_rate", "session")
        assert found.max == 10
        assert found.window_us == 60_000_000


@pytest.mark.parametrize(
    ("rate", "window_us"),
    [("5/min", 60), ("5/m", 60), ("5/s", 1), ("5/sec", 1), ("5/h", 3600), ("5/d", 86_400)],
)
def test_the_window_of_a_shorthand_may_be_short(rate: str, window_us: int) -> None:
    (found,) = policy(tools={"a": {"rate_limit": rate}}).rule_for("a").limits
    assert (int(found.max), found.window_us) == (5, window_us * 1_000_000)


def test_the_digest_is_that_of_the_bytes() -> None:
    raw = b'{"version":"1","default":"allow"}'
    assert parse_policy(raw).digest == hashlib.sha256(raw).hexdigest()
    assert parse_policy(raw).digest != parse_policy(raw + b"\n").digest


def test_a_byte_order_mark_is_no_mistake() -> None:
    raw = b'\xef\xbb\xbf{"version":"1","default":"allow"}'
    assert parse_policy(raw).default is Action.ALLOW


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read: No such file"):
        load_policy(tmp_path / "none.json")


@pytest.mark.parametrize("name", ["memory", "observe", "read-only", "balanced", "strict"])
def test_shipped_policies_are_valid(name: str) -> None:
    assert shipped(name).description


def test_the_memory_policy_reads_freely_asks_to_write_and_hides_deletion() -> None:
    rules = shipped("memory")
    assert effect(rules, "get_session") == "allow"
    assert effect(rules, "log_message") == "allow"
    assert effect(rules, "end_session") == "approve"
    assert effect(rules, "delete_knowledge") == "hide"
    assert effect(rules, "anything_new") == "deny"


@pytest.mark.parametrize(
    ("name", "effects"),
    [
        ("observe", ("allow", "allow", "allow")),
        ("read-only", ("allow", "deny", "deny")),
        ("balanced", ("allow", "approve", "approve")),
        ("strict", ("approve", "approve", "deny")),
    ],
)
def test_presets_do_what_their_names_say(name: str, effects: tuple[str, str, str]) -> None:
    rules = shipped(name)
    found = (effect(rules, "get_x"), effect(rules, "write_x"), effect(rules, "delete_x"))
    assert found == effects


def shipped(name: str) -> Policy:
    return load_policy(Path(__file__).parents[2] / "config" / "policies" / f"{name}.json")


@pytest.mark.parametrize(
    ("own", "over", "goes_on"),
    [("allow", (), True), ("deny", (), False), ("allow", ("allow",), True),
     ("allow", ("allow", "deny"), False), ("deny", ("allow",), False)],
)  # fmt: skip
def test_reading_goes_on_in_an_outage_only_where_every_layer_says_so(
    own: str, over: tuple[str, ...], goes_on: bool
) -> None:
    def policy(on_outage: str) -> Policy:
        text = json.dumps({"version": "1", "default": "allow", "on_outage": on_outage})
        return parse_policy(text.encode())

    laid_over = policy(own).under(tuple(map(policy, over)), None)
    assert laid_over.reads_on_outage is goes_on
