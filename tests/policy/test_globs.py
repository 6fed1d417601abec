from __future__ import annotations

from fnmatch import fnmatchcase

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pktui.policy.globs import Glob, covers, is_pattern, overlap

PATTERNS = st.text("ab*", min_size=1, max_size=6)
NAMES = st.text("ab", max_size=7)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(PATTERNS.filter(lambda pattern: "*" in pattern), NAMES)
def test_a_glob_matches_what_the_shell_would(pattern: str, name: str) -> None:
    assert Glob.of(pattern).matches(name) is fnmatchcase(name, pattern)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(PATTERNS, PATTERNS, NAMES)
def test_patterns_that_share_a_name_overlap(left: str, right: str, name: str) -> None:
    if fnmatchcase(name, left) and fnmatchcase(name, right):
        assert overlap(left, right)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [("*_read", "*_write", False), ("*a", "a*", True), ("a*c", "a*b", False), ("*", "", True),
     ("ab", "a*", True), ("a*b*", "a*c", True)],
)  # fmt: skip
def test_overlap_is_told_apart(left: str, right: str, expected: bool) -> None:
    assert overlap(left, right) is expected
    assert overlap(right, left) is expected


@settings(derandomize=True, max_examples=300, deadline=None)
@given(PATTERNS.filter(lambda pattern: "*" in pattern), PATTERNS, NAMES)
def test_what_a_covered_pattern_matches_its_cover_matches_too(
    wide: str, narrow: str, name: str
) -> None:
    if covers(wide, narrow) and fnmatchcase(name, narrow):
        assert fnmatchcase(name, wide)


@pytest.mark.parametrize(
    ("wide", "narrow", "expected"),
    [("a*", "ab*", True), ("a*", "a*", True), ("a*", "abc", True), ("a*c", "ab*", False),
     ("*", "*a*", True), ("*a", "*", False)],
)  # fmt: skip
def test_a_cover_is_told_apart(wide: str, narrow: str, expected: bool) -> None:
    assert covers(wide, narrow) is expected


@pytest.mark.parametrize("name", ["*", "a*", "a?", "[a]", "a]"])
def test_names_that_would_be_patterns_are_known(name: str) -> None:
    assert is_pattern(name)
    assert not is_pattern("read_file.v2-x/y{z}+$")
