"""`look` in a policy: which tool shows a person what a call that asks would change."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from pktui.policy.argument_check import Definition
from pktui.policy.document.policy import Policy, PolicyInvalid, parse_policy
from pktui.policy.editor import PolicyEditor
from pktui.policy.effective import effective
from pktui.policy.evaluate import Call, Effect, Verdict, evaluate
from pktui.policy.lint import lint
from pktui.policy.look import Look
from pktui.policy.managed import Managed
from pktui.policy.memory_quota import MemoryQuota
from pktui.policy.merge import merge_edit
from pktui.policy.widening import widened
from tests.support.managing import manage

if TYPE_CHECKING:
    from pathlib import Path

    from pktui.policy.effective import EffectiveAction
    from pktui.settings import Paths

LOOK = {"tool": "get_entry", "args": {"id": "args.id"}}
ASKS = {"action": "approve", "look": LOOK}


def document(default: str = "allow", **tools: Any) -> bytes:
    return json.dumps({"version": "1", "default": default, "tools": tools}).encode()


def look_of(policy: Policy, tool: str = "set_entry") -> Look:
    look = policy.rule_for(tool).look
    assert look is not None
    return look


def decide(raw: bytes, tool: str = "set_entry") -> Verdict:
    return evaluate(parse_policy(raw), Call("s", tool, {}, "a", "b"), MemoryQuota(lambda: 0))


def problems(raw: bytes) -> list[str]:
    with pytest.raises(PolicyInvalid) as caught:
        parse_policy(raw)
    return [str(problem) for problem in caught.value.problems]


def warnings(raw: bytes, definitions: dict[str, Any] | None = None, **options: bool) -> list[str]:
    known = {name: Definition("h", json.dumps(one)) for name, one in (definitions or {}).items()}
    return [str(problem) for problem in lint(parse_policy(raw), raw, known, **options)]


def test_what_is_asked_for_is_taken_from_the_call() -> None:
    given = {"id": "args.at.0.id", "kind": "entry", "max": 2.5, "deep": {"to": ["args.to"]}}
    look = look_of(parse_policy(document(set_entry=ASKS | {"look": LOOK | {"args": given}})))
    asked = look.given({"at": [{"id": 7}], "to": None})
    assert asked == {"id": 7, "kind": "entry", "max": 2.5, "deep": {"to": [None]}}
    assert type(asked["max"]) is float
    with pytest.raises(LookupError, match=r"args\.to"):
        look.given({"at": [{"id": 7}]})


def test_a_verdict_names_it_only_where_a_person_is_asked() -> None:
    verdict = decide(document(set_entry=ASKS))
    assert (verdict.effect, str(verdict.look)) == (Effect.APPROVE, "get_entry(id: args.id)")
    assert decide(document(set_entry={"look": LOOK})).look is None


@pytest.mark.parametrize(
    ("look", "said"),
    [
        ({"tool": "get", "arg": {}}, 'tools.set_entry.look.arg: unknown key "arg". Did you mean'),
        ({"args": {}}, "tools.set_entry.look.tool: tool is missing"),
        ({"tool": "get_*"}, 'tools.set_entry.look.tool: "get_*" is a glob'),
        ({"tool": 1}, "tools.set_entry.look.tool: a tool's name is not text"),
        ("get_entry", "tools.set_entry.look is not an object"),
        ({"tool": "get", "args": 1}, "tools.set_entry.look.args is not an object"),
        (
            {"tool": "get", "args": {"ids": ["args.a[*]"]}},
            'tools.set_entry.look.args.ids[0]: path "args.a[*]"',
        ),
        ({"tool": "get", "args": {"id": "args.a[0]"}}, "Write .0 instead of [0]"),
    ],
)
def test_a_problem_names_its_place_and_what_to_do(look: Any, said: str) -> None:
    [problem] = problems(document(set_entry={"action": "approve", "look": look}))
    assert problem.startswith("line 1, column ")
    assert said in problem


def test_a_name_in_another_case_beside_what_a_look_takes_denies_the_call() -> None:
    policy = parse_policy(document(set_entry=ASKS))
    call = Call("s", "set_entry", {"id": 1, "ID": 2}, "a", "b")
    assert evaluate(policy, call, MemoryQuota(lambda: 0)).effect is Effect.DENY


@pytest.mark.parametrize(
    ("tools", "definitions", "said"),
    [
        ({"set_entry": {"look": LOOK}}, {}, "no call of this entry is asked about"),
        ({"set_entry": {"action": "deny", "look": LOOK}}, {}, "no call of this entry"),
        ({"set_entry": ASKS, "get_entry": {"action": "deny"}}, {}, '"get_entry" is denied'),
        ({"set_entry": ASKS, "get_*": {"action": "approve"}}, {}, "asks a person"),
        ({"set_entry": ASKS}, {"get_entrys": {"name": "get_entrys"}}, 'mean "get_entrys"'),
        ({"set_entry": ASKS}, {"get_entry": {"name": "send_mail"}}, "no tool that only reads"),
    ],
)
def test_a_look_that_is_never_made_is_named(
    tools: dict[str, Any], definitions: dict[str, Any], said: str
) -> None:
    assert any(said in warning for warning in warnings(document(**tools), definitions))


def test_a_look_that_is_made_is_no_problem() -> None:
    known = {"get_entry": {"name": "get_entry", "description": "Get an entry."}}
    assert warnings(document(set_entry=ASKS), known) == []


def test_an_agents_own_tools_have_no_server_to_ask(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    make_private_directory(paths.policies_dir)
    paths.policy_file("claude-code").write_bytes(document(Write=ASKS))
    assert run(("policy", "validate", "claude-code")) == 0
    said = capsys.readouterr()
    assert "tools.Write.look" in said.out + said.err
    assert "an agent's own tools have no server to ask" in said.out + said.err


def test_taking_a_look_away_or_changing_it_is_looser_and_adding_one_is_not() -> None:
    without, plain = document(set_entry={"action": "approve"}), document(set_entry=ASKS)
    other = document(set_entry=ASKS | {"look": LOOK | {"args": {}}})
    gone = ('"set_entry": what shows a person the change is other or gone',)
    assert (widened(plain, without), widened(plain, other)) == (gone, gone)
    assert widened(without, plain) == ()


def test_policy_show_names_it(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    said = "shows what it would change with get_entry(id: args.id)"
    assert said in effective(parse_policy(document(set_entry=ASKS)), "set_entry").conditions
    make_private_directory(paths.policies_dir)
    paths.policy_file("demo").write_bytes(document(set_entry=ASKS))
    assert run(("policy", "show", "demo", "set_entry")) == 0
    assert said in capsys.readouterr().out


def test_merging_takes_the_look_of_a_page_whole(paths: Paths) -> None:
    make_private_directory(paths.policies_dir)
    file = paths.policy_file("demo")
    file.write_bytes(document(set_entry={"action": "approve"}))
    page = {"set_entry": {"look": LOOK}, "look": {"action": "approve"}}
    edit, _ = merge_edit(PolicyEditor(file), json.dumps(page))
    assert look_of(parse_policy(edit.after)) == Look("get_entry", {"id": "args.id"})
    file.write_bytes(edit.after)
    other = {"set_entry": {"look": {"tool": "read", "args": {"key": "args.id"}}}}
    edit, _ = merge_edit(PolicyEditor(file), json.dumps(other))
    assert look_of(parse_policy(edit.after)) == Look("read", {"key": "args.id"})


def test_an_edit_leaves_it_as_it_was_written(paths: Paths) -> None:
    make_private_directory(paths.policies_dir)
    file = paths.policy_file("demo")
    text = '{"version": "1", "default": "deny", "tools": {"set_entry": {"action": "approve", '
    text += '"look": {"tool":"get_entry",  "args": {"id": "args.id"}}}}}'
    file.write_text(text)
    editor = PolicyEditor(file)
    actions: tuple[EffectiveAction, ...] = ("deny", "allow", "approve")
    for action in actions:
        editor.set_action("set_entry", action)
        assert '"look": {"tool":"get_entry",  "args": {"id": "args.id"}}' in file.read_text()


def test_a_managed_policys_look_beats_ones_own(managed: Path) -> None:
    other = {"tool": "peek", "args": {}}
    manage(managed, "demo", tools={"set_entry": {"action": "approve", "look": other}})
    own = parse_policy(document(set_entry=ASKS))
    over = Managed("demo").current().over(own)
    assert look_of(over).tool == "peek"
