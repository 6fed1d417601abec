from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.policy.command import compile_command, split_command
from pktui.policy.document.policy import PolicyInvalid
from tests.policy.build import decide, effect, tool


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("pytest", ["pytest"]), ("  pytest\t-q  tests/a.py ", ["pytest", "-q", "tests/a.py"]),
        ("git commit -m 'it works; really'", ["git", "commit", "-m", "it works; really"]),
        ('echo "a | b"', ["echo", "a | b"]), ("r'm' -rf", ["rm", "-rf"]), ("a ''", ["a", ""]),
        ("make CC=gcc", ["make", "CC=gcc"]), ("echo größe", ["echo", "größe"]),
    ],
)  # fmt: skip
def test_a_simple_command_is_read_as_its_words(text: str, words: list[str]) -> None:
    assert split_command(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "", "  ", "a; b", "a && b", "a | b", "a & b", "a &", "a\nb", "a\rb", "a\\\nb", "(a)",
        "{ a; }",
        "a > f", "a 2>&1", "a < f", "a <(b)", "a $(b)", "a `b`", "a $X", "a ${X}", 'a "$(b)"',
        'a "$X"', 'a "`b`"', 'a "\\$(b)"', "a '", 'a "', "a \\; b", "X=1 a", "X+=1 a", "! a",
        "a *", "a ?", "a [b]", "a {b,c}", "a ~/x", "a # b", "if a", "time a", "eval a", "exec a",
        "command a", ". a", "source a", "'' a", "a =b", "a\x00b", "a\u2028b", "a 'x\ny'", "a\xa0b",
        "[[ a ]]", 'a "!!"', "a ^b^c", "a\x0bb",
    ],
)  # fmt: skip
def test_whatever_a_shell_makes_more_of_cannot_be_judged(text: str) -> None:
    assert split_command(text) is None
    rules = [{"conditions": [{"path": "args.c", "op": "command", "value": "a *"}]}]
    assert effect(tool(deny_if=rules), c=text) == "deny"
    assert effect(tool(require=rules), c=text) == "deny"
    assert "not one simple command" in decide(tool(require=rules), c=text).reason


@pytest.mark.parametrize(
    "text",
    ["/bin/rm -rf x", "RM x", "./rm x", "env rm x", "sudo -u me rm x", "sh -c 'rm x'",
     "/bin/Bash x", "timeout 5 rm x", "find . -delete"],
)  # fmt: skip
def test_a_command_that_may_run_the_patterns_is_not_let_past_it(text: str) -> None:
    rules = [{"conditions": [{"path": "args.c", "op": "command", "value": "rm *"}]}]
    assert effect(tool(deny_if=rules), c=text) == "deny"
    assert effect(tool(action="approve", allow_if=rules), c=text) == "approve"
    assert effect(tool(deny_if=rules), c="ls rm") == "allow"


def test_a_pattern_may_name_what_runs_another_command() -> None:
    rules = [{"conditions": [{"path": "args.c", "op": "command", "value": "sh build.sh"}]}]
    assert effect(tool(require=rules), c="sh build.sh") == "allow"
    assert effect(tool(require=rules), c="sh other.sh") == "deny"


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("pytest *", "pytest -q tests", True), ("pytest *", "pytest", True),
        ("pytest *", "pytest-x", False), ("pytest *", "rm pytest", False),
        ("pytest", "pytest -q", False), ("git log", "git log", True),
        ("git * --stat", "git log -3 --stat", True), ("git * --stat", "git log", False),
        ("npm run test:*", "npm run test:unit", True), ("npm run test:*", "npm run build", False),
        ("cat docs/*.md", "cat docs/a.md", True), ("cat docs/*.md", "cat docs/a.md b", False),
        ("*", "anything at all", True),
    ],
)  # fmt: skip
def test_a_pattern_fits_word_by_word(pattern: str, text: str, fits: bool) -> None:
    assert compile_command(pattern)(text) is fits


@pytest.mark.parametrize("found", [5, True, ["pytest"], {"c": "pytest"}])
def test_a_command_is_text(found: object) -> None:
    assert compile_command("pytest *")(found) is None


@pytest.mark.parametrize("pattern", ["a; b", "a | b", "a\n$b", "a 'b c'", "", "  ", 5, ["a"]])
def test_a_pattern_that_no_simple_command_fits_is_an_error(pattern: object) -> None:
    with pytest.raises(PolicyInvalid):
        tool(deny_if=[{"conditions": [{"path": "args.c", "op": "command", "value": pattern}]}])


@settings(derandomize=True, max_examples=300, deadline=None)
@given(st.text(alphabet="ab '\"\\$;|&<>()`*?~#!=\n\t-", max_size=12))
def test_what_is_read_is_what_a_posix_shell_reads(text: str) -> None:
    words = split_command(text)
    if words is not None:
        assert shlex.split(text) == words


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.text(alphabet="ab '\";|&<>()*?~#!=-{},.:@%+", min_size=1, max_size=10))
def test_a_shell_runs_exactly_the_words_that_were_read(text: str) -> None:
    words = split_command(f"printf '<%s>' {text}")
    if words is not None:
        run = subprocess.run(
            ["sh", "-c", f"printf '<%s>' {text}"], capture_output=True, text=True, check=False
        )
        assert run.stdout == "".join(f"<{word}>" for word in words[2:] or [""])
