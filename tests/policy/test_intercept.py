"""Intercept's dialect. The cases are from PolicyLayer Intercept, its known bugs left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pktui.policy.document.policy import PolicyInvalid, load_policy, parse_policy
from pktui.policy.replay import load_draft, read_calls, replay
from tests.policy.build import START_US, effect

HERE = Path(__file__).parent
DECISIONS = json.loads((HERE / "intercept_decisions.json").read_text(encoding="utf-8"))
INVALID = json.loads((HERE / "intercept_invalid.json").read_text(encoding="utf-8"))


def rules(*rules: dict[str, Any], tool: str = "t", **members: Any) -> bytes:
    document = {"version": "1", "tools": {tool: {"rules": list(rules)}}} | members
    return json.dumps(document).encode()


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("case", DECISIONS, ids=lambda case: case["id"])
def test_decisions_are_those_of_intercept(case: Any, suffix: str, tmp_path: Path) -> None:
    path = (tmp_path / "policy").with_suffix(suffix)
    path.write_text(json.dumps(case["policy"]), encoding="utf-8")
    calls = read_calls(map(json.dumps, case["calls"]), "calls")
    found = [
        [told.decision, told.rule, told.reason, told.limit_rule]
        for told in replay(load_draft(path), calls, start_us=START_US)
    ]
    assert found == case["expect"]


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
@pytest.mark.parametrize("case", INVALID, ids=lambda case: case["id"])
def test_policies_that_intercept_refuses_are_refused(
    case: Any, suffix: str, tmp_path: Path
) -> None:
    path = (tmp_path / "policy").with_suffix(suffix)
    path.write_text(json.dumps(case["policy"]), encoding="utf-8")
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(path)
    assert [word for word in case["must_mention"] if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("raw", "path", "says"),
    [
        (rules({"name": "r", "rate_limit": "1/day", "on_deni": "x"}), "tools.t.rules[0].on_deni",
             '"on_deny"'),
        (rules({"name": "r", "action": "deny"}, extra=1), "extra", "unknown key"),
        (rules({"name": "a", "rate_limit": "1/day"}, {"name": "b", "rate_limit": "2/day"}),
         "tools.t.rules[1]", 'duplicate state counter "_rate_day" (also used by rules[0])'),
        (rules({"name": "a", "rate_limit": "1/day"}, {"name": "no", "action": "deny"},
               {"name": "b", "action": "deny", "state": {"counter": "_rate_day", "window": "day"}}),
         "tools.t.rules[2]", 'duplicate state counter "_rate_day" (also used by rules[0])'),
        (rules({"name": "r", "action": "deny", "state": {"counter": "n", "window": "week"}}),
         "tools.t.rules[0].state.window", '"week"'),
        (rules({"name": "r", "rate_limit": "1/day"}, tool="a.b"),
         'tools["a.b"].rules[0].rate_limit',
         "condition references state.a.b._rate_day but no matching state block found"),
        (rules({"name": "r", "conditions": [{"path": "args.n", "op": "lt", "value": 2**63}]}),
         "tools.t.rules[0].conditions[0].value", 'operator "lt" wants a numeric value'),
        (rules({"name": "r", "conditions": [{"path": "args.x", "op": "eq", "value": 1}],
                "state": {"counter": "n", "window": "week"}}),
         "tools.t.rules[0].state.window", '"week"'),
        (rules({"name": "r", "conditions": [{"path": "args.x", "op": "eq", "value": 1}],
                "state": {"counter": "n", "window": "day", "increment": -1}}),
         "tools.t.rules[0].state.increment", "0 or more"),
        (rules({"name": "r", "conditions": [{"path": "args.x", "op": "eq", "value": 1}],
                "state": {"counter": "n", "window": "day", "increment_from": "amount"}}),
         "tools.t.rules[0].state.increment_from", '"amount"'),
        (rules({"name": "r", "rate_limit": "5/hour",
                "conditions": [{"path": "args.x", "op": "eq", "value": 1}]}),
         "tools.t.rules[0].rate_limit", "cannot be combined"),
        (rules({"name": "r", "rate_limit": "5/hour"}, tool="t" * 300),
         "tools." + "t" * 300, "300 characters"),
    ],
)  # fmt: skip
def test_what_intercept_takes_in_silence_is_told(raw: bytes, path: str, says: str) -> None:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(raw)
    (problem,) = caught.value.problems
    assert problem.path == path
    assert says in f"{problem.what} {problem.cure}"


def test_yaml_is_read_with_its_places() -> None:
    text = b"version: '1'\ntools:\n  t:\n    rules:\n      - name: r\n        action: DENY\n"
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(text, Path("p.yaml"))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (6, 17)


def test_yaml_words_stay_words() -> None:
    text = b"""version: 1
default: allow
tools:
  t:
    rules:
      - name: on
        conditions:
          - {path: args.v, op: in, value: [yes, 010, 0.5, ~]}
"""
    policy = parse_policy(text, Path("p.yaml"))
    found = {word: effect(policy, v=word) for word in ("yes", "010")}
    assert found == {"yes": "allow", "010": "allow"}
    assert effect(policy, v=0.5) == "allow"
    assert effect(policy, v=True) == "deny"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *y", "stands for nothing"),
        ("a: &x [*x]", "part of"),
        ("a: 1\na: 2", "twice"),
        ("a: !!python/object:os.system x", "tag"),
        ("<<: {a: 1}", "merge keys"),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [a]\n: b", "no plain word"),
        ("a: [1", "not YAML"),
        ("a: \x01", "does not allow"),
        ("a: 1e999", "out of range"),
        ("[" * 70 + "]" * 70, "levels deep"),
        ("a: &a [" + "x," * 400 + "]\nb: &b [" + "*a," * 400 + "]\nc: [" + "*b," * 400 + "]",
         "aliases counted"),
    ],
)  # fmt: skip
def test_doubtful_yaml_is_refused(text: str, says: str) -> None:
    with pytest.raises(PolicyInvalid, match=says):
        parse_policy(text.encode(), Path("p.yaml"))


def test_aliases_stand_for_their_values() -> None:
    text = b"""version: "1"
tools:
  a: &same
    rules: [{name: no, action: deny}]
  b: *same
"""
    policy = parse_policy(text, Path("p.yaml"))
    assert effect(policy, "b") == "deny"


def test_a_document_without_tools_and_default_is_only_tried_out(tmp_path: Path) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"version":"1","hide":["x"],"tools":{}}')
    assert effect(load_draft(path), "y") == "allow"
    with pytest.raises(PolicyInvalid, match="default is missing"):
        load_policy(path)


@pytest.mark.parametrize("entry", [None, {"rules": None}, {"rules": []}])
@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_a_tool_without_rules_is_listed(entry: Any, suffix: str) -> None:
    document = {"version": "1", "default": "deny", "tools": {"t": entry}}
    policy = parse_policy(json.dumps(document).encode(), Path("p").with_suffix(suffix))
    assert policy.dialect == "intercept"
    assert effect(policy, "t") == "allow"
    assert effect(policy, "u") == "deny"


def test_a_tool_without_anything_is_a_mistake_beside_pktuis_own_rules() -> None:
    document = {"version": "1", "default": "deny", "tools": {"t": None, "u": {"action": "deny"}}}
    with pytest.raises(PolicyInvalid, match=r"tools\.t is not an object"):
        parse_policy(json.dumps(document).encode())


def test_a_rule_reads_the_counter_of_a_rate_limit() -> None:
    first = {"path": "state.t._rate_hour", "op": "lt", "value": 1}
    policy = parse_policy(
        rules({"name": "once", "conditions": [first]}, {"name": "cap", "rate_limit": "5/hour"})
    )
    calls = read_calls(['{"tool": "t"}'] * 2, "calls")
    told = [one.decision for one in replay(policy, calls, start_us=START_US)]
    assert told == ["allow", "deny"]


@pytest.mark.parametrize("bound", [2**63 - 1, 2**64, -(2**63) - 1])
def test_other_large_numbers_are_numbers(bound: int) -> None:
    condition = {"path": "args.n", "op": "gt", "value": bound}
    assert effect(parse_policy(rules({"name": "r", "conditions": [condition]})), n=0) in (
        "allow", "deny",
    )  # fmt: skip


def test_a_glob_is_a_plain_name_there() -> None:
    policy = parse_policy(rules({"name": "no", "action": "deny"}, tool="db_*"))
    assert effect(policy, "db_x") == "allow"
    assert effect(policy, "db_*") == "deny"
