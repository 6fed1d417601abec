from __future__ import annotations

from typing import Any

import pytest

from pktui.policy.document.policy import Action, parse_policy
from pktui.policy.recommend import recommend
from pktui.policy.risk import classify, classify_all, definitions, split_words
from tests.policy.build import decide, effect


def category(name: str, description: str = "", **members: Any) -> str:
    return classify({"name": name, "description": description} | members).category


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("get_user", "Read"), ("listInvoicesFor", "Financial"), ("listTables", "Read"),
        ("slack_list_channels", "Read"), ("issue_read", "Read"), ("query-metrics", "Read"),
        ("take_screenshot", "Read"), ("resolve-library-id", "Read"), ("directory_tree", "Read"),
        ("list_deleted_items", "Read"),
        ("record_list", "Read"), ("check_status", "Read"), ("app_store_search", "Read"),
        ("list_delete", "Destructive"), ("view_update", "Write"), ("query-run", "Execute"),
        ("get_update", "Read"), ("record_video", "Write"), ("list_runs", "Read"),
        ("log_event", "Write"), ("invite_user", "Write"), ("order_details", "Write"),
        ("get_run_details", "Read"), ("git_log", "Read"),
        ("create_issue", "Write"), ("issue_write", "Write"), ("add_comment", "Write"),
        ("reset_zoom", "Write"), ("close_issue", "Write"), ("merge_pull_request", "Write"),
        ("git_checkout", "Write"), ("transfer_issue", "Write"), ("resolve_comment", "Write"),
        ("search_and_replace", "Write"), ("findOneAndUpdate", "Write"), ("get_or_create", "Write"),
        ("run_query", "Execute"), ("executeCommand", "Execute"), ("bash", "Execute"),
        ("close_tab", "Execute"), ("cancel_workflow_run", "Execute"), ("deploy", "Execute"),
        ("wait_for_run_to_complete", "Execute"), ("browser_tab_close", "Execute"),
        ("open_url", "Execute"), ("open_nodes", "Execute"), ("start_session", "Execute"),
        ("open_pull_request", "Write"), ("start_logging_session", "Write"),
        ("delete_file", "Destructive"), ("drop-collection", "Destructive"),
        ("get_and_delete", "Destructive"), ("reset_database", "Destructive"),
        ("create_refund", "Financial"), ("place_order", "Financial"), ("transfer", "Financial"),
        ("transfer_funds", "Financial"), ("swap_tokens", "Financial"), ("pay", "Financial"),
        ("cancel_subscription", "Financial"), ("delete_invoice", "Financial"),
    ],
)  # fmt: skip
def test_a_name_says_what_a_tool_does(name: str, expected: str) -> None:
    assert category(name) == expected


@pytest.mark.parametrize(
    ("name", "description", "expected"),
    [
        ("acme", "Lists all widgets.", "Read"),
        ("acme", "List and create widgets", "Write"),
        ("acme", "Creates, updates or removes widgets", "Destructive"),
        ("acme", "Executes a pipeline", "Execute"),
        ("git_log", "Shows the commit logs", "Read"),
        ("order_details", "Get the details of an order", "Read"),
        ("quota", "Manage quotas and limits", "Write"),
        ("acme", "A powerful tool", "Write"),
        ("acme", "", "Write"),
        ("delete_file", "Reads a file", "Destructive"),
        ("fork_repository", "Returns a fork", "Write"),
    ],
)
def test_a_description_fills_in_for_a_name_and_never_lowers_it(
    name: str, description: str, expected: str
) -> None:
    assert category(name, description) == expected


@pytest.mark.parametrize(
    ("name", "annotations", "expected"),
    [
        ("get_x", {"readOnlyHint": False}, "Write"),
        ("get_x", {"destructiveHint": True}, "Destructive"),
        ("get_x", {"destructiveHint": True, "readOnlyHint": True}, "Read"),
        ("delete_x", {"readOnlyHint": True}, "Destructive"),
        ("acme", {"readOnlyHint": True}, "Read"),
        ("create_x", {"destructiveHint": False}, "Write"),
        ("create_x", {"destructiveHint": True}, "Destructive"),
        ("update_x", {"destructiveHint": True}, "Write"),
        ("update_and_run_x", {"destructiveHint": True}, "Destructive"),
    ],
)
def test_annotations_raise_the_risk_and_never_lower_it(
    name: str, annotations: dict[str, bool], expected: str
) -> None:
    assert category(name, annotations=annotations) == expected


def test_choices_of_an_action_parameter_raise_the_risk() -> None:
    schema = {"properties": {"action": {"enum": ["get", "delete_all"]}}}
    assert category("records", "Work with records", inputSchema=schema) == "Destructive"


def test_a_tool_that_takes_code_may_run_it() -> None:
    assert category("acme", inputSchema={"properties": {"sql": {}}}) == "Execute"


@pytest.mark.parametrize(
    "definition",
    [{}, {"name": 3}, {"name": None, "description": [], "inputSchema": [], "annotations": 1},
     {"name": "", "inputSchema": {"properties": {"action": {"enum": [1, None]}}}},
     {"name": "🙂", "description": "\x1b[31m"}, {"name": "a_" * 5000}],
)  # fmt: skip
def test_a_definition_of_any_shape_is_judged_with_care(definition: dict[str, Any]) -> None:
    risk = classify(definition)
    assert (risk.category, risk.severity) == ("Write", "medium")
    assert risk.why.endswith(".")


def test_a_query_that_takes_sql_may_do_more_than_read() -> None:
    assert category("query") == "Read"
    assert category("query", inputSchema={"properties": {"sql": {}}}) == "Execute"


def test_words_are_told_apart_in_every_spelling() -> None:
    assert split_words("getHTTPUrl_for-x2") == ["get", "http", "url", "for", "x", "2"]


def test_the_recommended_policy_asks_about_anything_but_reading() -> None:
    tools = [{"name": name} for name in ("run_job", "get_x", "delete_x", "create_x", "pay_bill")]
    policy = parse_policy(recommend("acme", [*tools, {"name": "bad*name"}, {"nameless": 1}]))
    assert list(policy.tools) == sorted(tool["name"] for tool in tools)
    found = {name: effect(policy, name) for name in policy.tools}
    assert found.pop("get_x") == "allow"
    assert set(found.values()) == {"approve"}
    assert effect(policy, "unknown") == "approve"
    limits = {
        name: [int(limit.max) for limit in rule.limits] for name, rule in policy.tools.items()
    }
    assert limits == {
        "create_x": [30], "delete_x": [], "get_x": [], "pay_bill": [], "run_job": [10],
    }  # fmt: skip
    assert "destroy" in decide(policy, "delete_x").reason


@pytest.mark.parametrize(
    ("name", "once"), [("delete_x", True), ("refund_x", True), ("create_x", False)]
)
def test_grave_tools_are_approved_one_call_at_a_time(name: str, once: bool) -> None:
    policy = parse_policy(recommend("acme", [{"name": name}]))
    assert decide(policy, name).once is once


def test_what_hides_in_a_definition_makes_any_tool_critical() -> None:
    tools = [{"name": "get_user"}, {"name": "get_time"}]
    plain, flagged = classify(tools[0]), classify(tools[0], ["bidi", "instruction"])
    assert (plain.severity, flagged.severity, flagged.category) == ("low", "critical", "Read")
    assert "flagged (bidi, instruction)" in flagged.why
    policy = parse_policy(recommend("web", tools, {"get_user": ["bidi"]}))
    assert (policy.tools["get_user"].action, policy.tools["get_time"].action) == (
        Action.APPROVE,
        Action.ALLOW,
    )


def takes(*names: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in names}}


@pytest.mark.parametrize(
    ("name", "description", "inputs", "expected"),
    [
        (
            "open_nodes",
            "Open specific nodes in the knowledge graph by their names",
            "names",
            "Read",
        ),
        ("open_records", "", "ids", "Read"),
        ("open_nodes", "Opens and deletes nodes", "names", "Execute"),
        ("open_nodes", "", "names script", "Execute"),
        ("open_app", "", "name", "Execute"),
        ("open_position", "", "id", "Write"),
    ],
)
def test_what_a_tool_takes_tells_whether_open_only_picks_out(
    name: str, description: str, inputs: str, expected: str
) -> None:
    assert category(name, description, inputSchema=takes(*inputs.split())) == expected


def test_definitions_that_share_a_name_count_with_the_worst() -> None:
    several = definitions('[{"name": "get_x"}, {"name": "delete_x"}, 3]')
    assert classify_all(several).severity == "critical"
    assert classify_all(definitions("no JSON")).category == "Write"
