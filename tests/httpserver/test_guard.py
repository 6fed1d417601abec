"""Which names, pages and tokens are let in."""

from __future__ import annotations

import pytest

from pktui.httpserver.guard import Guard, bearer_token, is_loopback, is_same_token, own_hosts


@pytest.mark.parametrize(
    ("hosts", "origins", "refused"),
    [
        (["localhost:8811"], [], None),
        (["LOCALHOST:8811"], ["http://localhost:8811"], None),
        (["localhost:8811"], ["https://app.example"], None),
        (["localhost"], [], "host"),
        (["localhost:8811", "localhost:8811"], [], "host"),
        ([], [], "host"),
        (["localhost:8811"], ["http://localhost:8811", "http://evil.example"], "origin"),
        (["localhost:8811"], ["null"], "origin"),
    ],
)
def test_a_guard_of_addresses_compares_them_with_their_ports(
    hosts: list[str], origins: list[str], refused: str | None
) -> None:
    guard = Guard(own_hosts("127.0.0.1", 8811), ["https://app.example/"])
    assert guard.refused(hosts, origins) == refused


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("memory.lan:8765", None),
        ("MEMORY.lan", None),
        ("[::1]:80", None),
        ("10.1.2.3:5", None),
        ("10.1.2.3.evil.example", "host"),
        ("[", "host"),
        ("", "host"),
    ],
)
def test_a_guard_of_names_takes_any_port_and_any_address(host: str, refused: str | None) -> None:
    assert Guard(["memory.lan"], numbers=True).refused([host], []) == refused


@pytest.mark.parametrize(
    ("given", "token"),
    [
        (["Bearer abc"], "abc"),
        (["bearer  abc "], "abc"),
        (["Bearer"], ""),
        (["Basic abc"], ""),
        (["Bearer a", "Bearer a"], ""),
        (["Bearer " + "x" * 513], ""),
        ([], ""),
    ],
)
def test_a_token_is_one_and_of_a_sensible_length(given: list[str], token: str) -> None:
    assert bearer_token(given) == token


def test_no_token_is_the_same_as_none() -> None:
    assert is_same_token("abc", "abc")
    assert not is_same_token("abd", "abc")
    assert not is_same_token("", "")
    assert not is_same_token("t\xf6ken\u2603", "token")


def test_an_address_for_all_is_no_name_to_call_by() -> None:
    assert own_hosts("0.0.0.0", 8811) == ("localhost:8811", "127.0.0.1:8811", "[::1]:8811")
    assert "10.0.0.5:8811" in own_hosts("10.0.0.5", 8811)
    assert "localhost" in own_hosts("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("host", "near"), [("127.0.0.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False)]
)
def test_loopback_is_told_from_the_rest(host: str, near: bool) -> None:
    assert is_loopback(host) is near
