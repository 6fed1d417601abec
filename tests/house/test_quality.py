"""The checks of the house, run with the tests so that one command tells all."""

from __future__ import annotations

import ast
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "mypy": [sys.executable, "-m", "mypy"],
    "import-linter": ["lint-imports"],
}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", CHECKS)
def test_the_tree_is_clean(name: str) -> None:
    command = CHECKS[name]
    beside = Path(sys.executable).parent
    program = shutil.which(command[0], path=str(beside)) or command[0]
    result = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


def explained_after(source: str) -> list[int]:
    """Return the lines of strings that stand after an assignment of a module."""
    body = ast.parse(source).body
    return [
        after.lineno
        for before, after in itertools.pairwise(body)
        if isinstance(before, ast.Assign | ast.AnnAssign)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    ]


def test_what_explains_a_constant_is_a_comment_above_it() -> None:
    modules = sorted((ROOT / "pktui").rglob("*.py"))
    found = {str(path): explained_after(path.read_text("utf-8")) for path in modules}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_a_string_after_a_constant_is_found() -> None:
    assert explained_after('"""Head."""\n\nMOST = 5\n"""Rows."""\n\n"""Text."""\n') == [4]
