"""What the commands say of managed policies, and that none of them loosens one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.files import make_private_directory
from tests.support.managing import manage

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pktui.settings import Paths

    Say = Callable[..., tuple[int, str, str]]

WRITE = {"write": {"action": "deny", "reason": "Nobody writes."}}


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command; returns its status, standard output and standard error."""

    def call(*argv: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(argv)
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return call


@pytest.fixture
def own(paths: Paths) -> Path:
    """Return the file of a policy that a person has loosened as far as it goes."""
    file = paths.policy_file("files")
    make_private_directory(file.parent)
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": {"write": {}}}))
    return file


def shown(say: Say, tool: str) -> dict[str, Any]:
    told = json.loads(say("policy", "show", "files", tool, "--json")[1])
    found: dict[str, Any] = told["tools"][0]
    return found


def test_show_names_the_layer_of_each_rule(say: Say, own: Path, managed: Path) -> None:
    assert shown(say, "write")["layer"] == "own"
    file = manage(managed, "files", tools=WRITE)
    found = shown(say, "write")
    assert (found["action"], found["layer"]) == ("deny", "files.json")
    assert found["rule"] == "managed/files.json#/tools/write"
    assert "managed policy files.json" in found["because"]
    assert shown(say, "read")["layer"] == "own"
    table = say("policy", "show", "files")[1]
    assert str(file) in table
    assert "layer" in table
    manage(managed, "files", tools={"managed_only": {"action": "deny"}})
    assert "managed_only" in say("policy", "show", "files")[1]
    assert json.loads(say("policy", "show", "files", "--json")[1])["managed"] == [str(file)]


def test_show_says_why_a_managed_file_denies_everything(say: Say, own: Path, managed: Path) -> None:
    managed.mkdir()
    (managed / "files.json").write_text("{")
    because = shown(say, "write")["because"]
    assert "the text ends too early" in because
    assert "its default" not in because


def test_show_of_everything_names_it_too(say: Say, own: Path, managed: Path) -> None:
    manage(managed, "files", tools=WRITE)
    everything = json.loads(say("policy", "show", "*", "--json")[1])
    [found] = [one for one in everything if (one["server"], one["tool"]) == ("files", "write")]
    assert (found["action"], found["layer"]) == ("deny", "files.json")


def test_explain_says_what_the_gateway_would_do(say: Say, own: Path, managed: Path) -> None:
    manage(managed, "files", tools=WRITE)
    told = json.loads(say("policy", "explain", "files", "write", "--json")[1])
    assert (told["decision"], told["rule"]) == ("deny", "managed/files.json#/tools/write")
    assert "managed by" in say("policy", "explain", "files", "write")[1]


@pytest.mark.parametrize("action", ["allow", "ask", "approve"])
def test_set_refuses_what_would_loosen_it(say: Say, own: Path, managed: Path, action: str) -> None:
    manage(managed, "files", tools=WRITE)
    before = own.read_bytes()
    status, _, words = say("policy", "set", "files", "write", action)
    assert status == 1
    assert "managed policy files.json" in words
    assert own.read_bytes() == before
    assert say("policy", "set", "files", "write", "hide")[0] == 0
    assert say("policy", "set", "files", "read", "deny")[0] == 0


def test_undo_and_a_preset_leave_it_in_force(say: Say, own: Path, managed: Path) -> None:
    assert say("policy", "set", "files", "write", "deny")[0] == 0
    manage(managed, "files", tools=WRITE)
    assert say("policy", "undo", "files")[0] == 0
    assert shown(say, "write")["action"] == "deny"
    assert say("policy", "init", "files", "--preset", "observe", "--force")[0] == 0
    assert shown(say, "write")["action"] == "deny"
    assert json.loads(own.read_text())["default"] == "allow"


def test_validate_names_what_has_no_effect(say: Say, own: Path, managed: Path) -> None:
    manage(managed, "files", tools=WRITE)
    status, told, _ = say("policy", "validate", "files")
    assert status == 0
    assert "managed policy files.json" in told
    assert "write" in told
    assert "managed" not in say("policy", "validate", str(own))[1]


def test_doctor_looks_at_what_is_managed(say: Say, managed: Path) -> None:
    def found() -> dict[str, dict[str, str]]:
        checks = json.loads(say("doctor", "--json")[1])
        return {one["what"]: one for one in checks if one["what"].startswith("managed")}

    assert found() == {}
    manage(managed, "files", tools=WRITE)
    (managed / "_all.json").write_text("{")
    (managed / "_paths.json").write_text('{"version": "1", "deny": ["/vault/**"]}')
    (managed / "_typo.json").write_text("{}")
    checks = found()
    assert checks["managed files"]["found"] == "1 rules, default allow"
    assert checks["managed _all"]["state"] == "fail"
    assert checks["managed paths"]["state"] == "ok"
    assert "nobody reads it" in checks["managed _typo"]["found"]
    managed.chmod(0o777)
    told = [one["found"] for one in json.loads(say("doctor", "--json")[1])]
    assert f"others than root can change {managed}" in told
