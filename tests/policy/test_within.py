from __future__ import annotations

import posixpath
from typing import Any

import pytest

from pktui.policy.call_place import NOWHERE, Place
from pktui.policy.document.policy import PolicyInvalid
from pktui.policy.evaluate import Call, Effect, evaluate
from pktui.policy.memory_quota import MemoryQuota
from tests.policy.build import Clock, tool

LINKS = {"/home/ada/shop/out": "/etc", "/alias": "/home/ada/shop", "/home/ada/shop/in": "src"}


def followed(path: str) -> str | None:
    """Follow links of a disk that is a table; `/locked` can't be read."""
    done = ""
    for part in path.split("/"):
        if part == "..":
            done = posixpath.dirname(done) if done != "/" else done
        elif part not in ("", "."):
            done = f"{done.rstrip('/')}/{part}"
            if done.startswith("/locked/"):
                return None
            if target := LINKS.get(done):
                whole = target if target.startswith("/") else f"{posixpath.dirname(done)}/{target}"
                done = followed(whole) or ""
    return done or "/"


HERE = Place("/home/ada/shop", "/home/ada", followed)


def truth(areas: Any, path: Any, place: Place = HERE) -> bool | None:
    """Tell how `deny_if` and `require` take it: None where both deny."""
    when = [{"conditions": [{"path": "args.p", "op": "within", "value": areas}]}]

    def denies(**members: Any) -> bool:
        call = Call("s", "t", {"p": path}, "g", "c", place=place)
        return evaluate(tool(**members), call, MemoryQuota(Clock())).effect is Effect.DENY

    denied, required = denies(deny_if=when), not denies(require=when)
    return None if denied and not required else denied


@pytest.mark.parametrize(
    ("areas", "path", "expected"),
    [
        (["${project}"], "/home/ada/shop", True), (["${project}"], "/home/ada/shop/a/b.py", True),
        (["${project}"], "src/a.py", True), (["${project}"], ".", True),
        (["${project}"], "/home/ada/shopping", False), (["${project}"], "../x", False),
        (["${project}"], "src/../../x", False), (["${project}"], "src/../a", True),
        (["${project}"], "out/passwd", False), (["/etc"], "out/passwd", True),
        (["${project}"], "/alias/a.py", True), (["/alias"], "a.py", True),
        (["${project}/src"], "in/a.py", True), (["${project}"], "out/../a", None),
        (["~"], "/home/ada/notes", True), (["~/notes"], "/home/ada/notes.txt", False),
        (["src"], "src/a.py", True), (["src"], "lib/a.py", False),
        (["/etc/passwd"], "/etc/passwd", True), (["/etc/passwd"], "/etc/passwd2", False),
        (["src/*.py"], "src/a.py", True), (["src/*.py"], "src/a.js", False),
        (["src/*.py"], "src/b/a.py", False), (["src/**/*.py"], "src/b/c/a.py", True),
        (["src/**/*.py"], "src/a.py", True), (["src/**"], "src", True),
        (["/**/.env"], "/a/b/.env", True), (["**/.env"], "deep/.env", True),
        (["**/.env"], "/other/.env", False), (["**/.env"], "deep/.environment", False),
        (["~/*/docs"], "/home/ada/x/docs/a.md", True), (["/a", "/b"], "/b/c", True),
        (["${project}"], "/HOME/ada/shop/a", None), (["/etc/Passwd"], "/etc/passwd", None),
        (["src/*.PY"], "src/a.py", None), (["/caf\u00e9"], "/cafe\u0301/x", None),
        (["/etc"], "~/x", None), (["/etc"], "file:///etc/passwd", None), (["/etc"], "", None),
        (["/etc"], " /etc/passwd", None), (["/etc"], "/etc/passwd\n", None),
        (["/etc"], "$HOME/x", None), (["/etc"], "C:\\x", None), (["/etc"], '["/etc"]', None),
        (["/etc"], "[slug]/page", False), (["/etc"], "a\0b", None), (["/etc"], "x" * 5000, None),
        (["/etc"], "/locked/a", None), (["/locked/a"], "/etc", None),
        (["/etc"], 5, None), (["/etc"], ["/etc"], None), (["/etc"], None, False),
    ],
)  # fmt: skip
def test_a_path_lies_within(areas: list[str], path: Any, expected: bool | None) -> None:
    assert truth(areas, path) is expected


def test_what_is_not_known_cannot_be_judged() -> None:
    assert truth(["/etc"], "/etc/x", NOWHERE) is None
    nowhere = Place(real_path=followed)
    assert truth(["/etc"], "/etc/x", nowhere) is True
    assert truth(["/etc"], "x", nowhere) is None
    assert truth(["${project}"], "/etc/x", nowhere) is None
    assert truth(["${project}", "/etc"], "/etc/x", nowhere) is True
    assert truth(["~"], "/etc/x", nowhere) is None


@pytest.mark.parametrize(
    "areas",
    ["/etc", [], [5], [""], ["~bob/x"], ["${home}"], ["${project}x"], ["/a/${project}"], ["*/.."]],
)
def test_an_entry_that_names_no_place_is_an_error(areas: Any) -> None:
    with pytest.raises(PolicyInvalid):
        truth(areas, "x")
