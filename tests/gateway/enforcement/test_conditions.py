"""What conditions need besides the arguments reaches them: the pinned schema and the place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pktui.gateway.enforcement.decision import Ruling

if TYPE_CHECKING:
    import pytest

    from tests.gateway.conftest import House


def when(path: str, op: str, value: Any) -> list[dict[str, Any]]:
    return [{"conditions": [{"path": path, "op": op, "value": value}]}]


def pay(amount: str) -> list[dict[str, Any]]:
    schema = {"type": "object", "properties": {"amount": {"type": amount}}}
    return [{"name": "pay", "inputSchema": schema}]


def test_a_type_is_judged_by_the_pinned_schema_not_the_newest(house: House) -> None:
    house.policy(tools={"pay": {"approve_if": when("args.amount", "eq", "all")}})
    assert house.decide("pay", amount=5).rule == "/tools/pay/approve_if/args.amount-eq"
    house.enforcer.saw(pay("string"))
    refused = house.decide("pay", amount=5)
    assert (refused.ruling, refused.rule) == (Ruling.DENIED_BY_RULE, "(type)")
    assert refused.reason == "amount must be text, not a number."
    house.enforcer.saw(pay("number"))
    assert house.decide("pay", amount=5).rule == "(type)"
    assert house.decide("pay", amount="5").rule == "(definition changed)"
    house.console.catalogue.accept("demo", "pay")
    assert house.decide("pay", amount="5").rule == "(type)"


def test_a_name_in_another_case_is_refused(house: House) -> None:
    house.policy(tools={"pay": {"deny_if": when("args.amount", "gt", 5)}})
    refused = house.decide("pay", Amount=50)
    assert (refused.ruling, refused.rule) == (Ruling.DENIED_BY_RULE, "(name)")


def test_paths_count_from_the_clients_directory(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "link").symlink_to(tmp_path)
    house.policy(tools={"edit": {"require": when("args.path", "within", ["${project}"])}})
    call = house.call("edit", {"path": "src/a.py"})
    at_home = msgspec.structs.replace(call.caller, project=str(shop))
    inside = msgspec.structs.replace(call, caller=at_home)
    assert house.enforcer.decide(inside).ruling is Ruling.FORWARD
    outside = msgspec.structs.replace(inside, call_id="2", arguments={"path": "link/x"})
    assert house.enforcer.decide(outside).ruling is Ruling.DENIED_BY_RULE


def test_an_allow_if_lets_through_what_certainly_fulfils_it(house: House) -> None:
    shell = {"action": "approve", "allow_if": when("args.command", "command", "pytest *")}
    house.policy(tools={"shell": shell})
    assert house.decide("shell", command="pytest -q tests").ruling is Ruling.FORWARD
    assert house.decide("shell", command="pytest -q; rm -rf /").ruling is Ruling.WAITING
    assert house.decide("shell", command=["pytest"]).ruling is Ruling.WAITING
    house.enforcer.saw([{"name": "shell", "description": "one"}])
    house.enforcer.saw([{"name": "shell", "description": "two"}])
    changed = house.decide("shell", command="pytest")
    assert (changed.ruling, changed.rule) == (Ruling.WAITING, "(definition changed)")
