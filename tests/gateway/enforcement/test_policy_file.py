"""Which policy a gateway goes by, and how one comes into being."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pktui.errors import PolicyError, SettingsError
from pktui.gateway.enforcement.policy_file import ServerPolicy, open_policy
from pktui.policy.document.policy import load_policy
from pktui.policy.rules import Action
from pktui.settings import bundled

if TYPE_CHECKING:
    from pktui.settings import Paths

READ = {"name": "get_user", "description": "Get a user.", "inputSchema": {"type": "object"}}
DELETE = {"name": "delete_user", "description": "Delete a user.", "inputSchema": {}}
GOOD = '{"version": "1", "default": "deny", "tools": {}}'


class Heard:
    """What was told about a policy."""

    def __init__(self) -> None:
        self.changes: list[tuple[bool, str]] = []

    def __call__(self, digest: str, problem: PolicyError | None) -> None:
        self.changes.append((bool(digest), str(problem) if problem is not None else ""))


@pytest.fixture
def heard() -> Heard:
    return Heard()


def test_a_server_without_a_policy_asks_until_its_tools_are_listed(
    paths: Paths, heard: Heard
) -> None:
    policy = open_policy(paths, "demo", None, changed=heard)
    current = policy.current()
    assert current is not None
    assert current.default is Action.APPROVE
    assert policy.problem is None
    assert policy.saw([READ], complete=False) is None
    written = policy.saw([DELETE], complete=True)
    assert written == paths.policy_file("demo")
    made = policy.current()
    assert made is not None
    assert made.default is Action.APPROVE
    assert made.rule_for("get_user").action is Action.ALLOW
    assert made.rule_for("delete_user").action is Action.APPROVE
    assert policy.saw([READ], complete=True) is None


def test_a_policy_written_by_someone_quicker_stays(paths: Paths, heard: Heard) -> None:
    policy = open_policy(paths, "demo", None, changed=heard)
    file = paths.policy_file("demo")
    file.parent.mkdir(parents=True)
    file.write_text(GOOD)
    assert policy.saw([READ], complete=True) is None
    assert file.read_text() == GOOD
    current = policy.current()
    assert current is not None
    assert current.default is Action.DENY


def test_the_memorys_policy_is_copied_where_it_is_missing(paths: Paths, heard: Heard) -> None:
    policy = open_policy(paths, "memory", None, changed=heard)
    shipped = bundled("config", "policies", "memory.json").read_bytes()
    assert paths.policy_file("memory").read_bytes() == shipped
    current = policy.current()
    assert current is not None
    assert current.hides("delete_knowledge")


def test_an_edited_policy_of_the_memory_is_left_alone(paths: Paths, heard: Heard) -> None:
    paths.policies_dir.mkdir(parents=True)
    paths.policy_file("memory").write_text(GOOD)
    open_policy(paths, "memory", None, changed=heard)
    assert paths.policy_file("memory").read_text() == GOOD


def test_a_policy_file_that_was_asked_for_must_be_there(
    paths: Paths, heard: Heard, tmp_path: Path
) -> None:
    policy = open_policy(paths, "demo", tmp_path / "none.json", changed=heard)
    assert policy.current() is None
    assert isinstance(policy.problem, PolicyError)


def test_a_configuration_that_cannot_be_written_says_so(paths: Paths, heard: Heard) -> None:
    paths.config_dir.parent.mkdir(parents=True, exist_ok=True)
    paths.config_dir.write_text("a file")
    with pytest.raises(SettingsError, match="cannot be made"):
        open_policy(paths, "memory", None, changed=heard)


def test_every_change_and_every_broken_edit_is_told_once(tmp_path: Path, heard: Heard) -> None:
    file = tmp_path / "demo.json"
    file.write_text(GOOD)
    policy = ServerPolicy("demo", file, needed=True, changed=heard)
    for text in (GOOD, "{", GOOD.replace("deny", "allow")):
        file.write_text(text)
        policy.current()
        policy.current()
    assert [(good, bool(problem)) for good, problem in heard.changes] == [
        (True, False),
        (True, True),
        (True, False),
    ]


def test_a_file_that_vanishes_keeps_the_last_good_policy(tmp_path: Path, heard: Heard) -> None:
    file = tmp_path / "demo.json"
    file.write_text(GOOD)
    policy = ServerPolicy("demo", file, needed=False, changed=heard)
    before = policy.current()
    file.unlink()
    assert policy.current() is before
    assert policy.problem is not None


def test_the_recommended_policy_is_valid(tmp_path: Path, heard: Heard) -> None:
    file = tmp_path / "policies" / "demo.json"
    policy = ServerPolicy("demo", file, needed=False, changed=heard)
    strange: list[dict[str, Any]] = [{"name": "a*b"}, {"name": 7}, {}, READ]
    assert policy.saw(strange, complete=True) == file
    assert list(load_policy(file).tools) == ["get_user"]
