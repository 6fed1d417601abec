"""What an entry refers to is filled in where its server is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from pktui.errors import SettingsError
from pktui.gateway.servers.entries import ServerEntry
from pktui.gateway.servers.expand import prepared

ENVIRON = {"TOKEN": "s3cret", "NESTED": "${TOKEN}", "EMPTY": ""}


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${TOKEN}", "s3cret"),
        ("Bearer ${env:TOKEN}!", "Bearer s3cret!"),
        ("${UNSET:-eu}", "eu"),
        ("${env:UNSET:-eu}", "eu"),
        ("${UNSET:-}", ""),
        ("${EMPTY:-x}", ""),
        ("${TOKEN}${TOKEN}", "s3crets3cret"),
        ("$TOKEN", "$TOKEN"),
        ("${NESTED}", "${TOKEN}"),
        ("${1}", "${1}"),
        ("${}", "${}"),
        ("${workspaceFolder.x}", "${workspaceFolder.x}"),
        ("plain", "plain"),
    ],
)
def test_a_text_is_expanded_as_clients_do(text: str, expanded: str) -> None:
    entry = ServerEntry("s", text, (text,), {"A": text}, None, text, {"B": text})
    found = prepared(entry, ENVIRON)
    assert (found.command, found.args, found.url) == (expanded, (expanded,), expanded)
    assert (found.env, found.headers) == ({"A": expanded}, {"B": expanded})


def test_a_working_directory_may_be_in_a_variable_or_the_home(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    entry = ServerEntry("s", "x", cwd=Path("${WHERE}/src"))
    assert prepared(entry, {"WHERE": "~"}).cwd == Path("/home/ada/src")


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (ServerEntry("s", "x", env={"A": "${UNSET}"}), "env.A refers to UNSET, which is not set"),
        (ServerEntry("s", url="${UNSET}"), "url refers to UNSET"),
        (ServerEntry("s", "x", ("${UNSET}",)), "args refers to UNSET"),
        (
            ServerEntry("s", url="x", headers={"A": "Bearer ${input:token}"}),
            "headers.A holds ${input:token}, which only an editor",
        ),
    ],
)
def test_what_cannot_be_filled_in_is_named_and_nothing_else_is_shown(
    entry: ServerEntry, words: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        prepared(entry, ENVIRON)
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_editors_words_for_places_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ada")
    entry = ServerEntry("s", "${userHome}/bin/x", ("${workspaceFolder}/src",))
    found = prepared(entry, {})
    assert (found.command, found.args) == ("/home/ada/bin/x", (f"{tmp_path}/src",))


def test_a_file_of_variables_gives_what_the_entry_itself_does_not(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\n\nexport A=1\nB = two words # why\nC='x # y'\nD=\"a\\nb\"\nE=\n")
    entry = ServerEntry("s", "x", env={"A": "${TOKEN}"}, env_file=Path("${WHERE}/.env"))
    found = prepared(entry, {**ENVIRON, "WHERE": str(tmp_path)})
    assert found.env == {"A": "s3cret", "B": "two words", "C": "x # y", "D": "a\nb", "E": ""}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot be read"),
        ("A=1\nno\n", "line 2 is not NAME=value"),
        ("#" * 2**20 + "##", "larger"),
    ],
)
def test_a_file_of_variables_that_cannot_be_used_is_named(
    tmp_path: Path, text: str | None, words: str
) -> None:
    file = tmp_path / ".env"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        prepared(ServerEntry("s", "x", env_file=file), {})


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (ServerEntry("s", "x", disabled=True), "s is disabled"),
        (ServerEntry("s", url="x", problem="its type is sse", cure="Do this"), "Do this"),
    ],
)
def test_a_server_that_may_not_or_cannot_be_used_is_not_started(
    entry: ServerEntry, words: str
) -> None:
    with pytest.raises(SettingsError, match=words):
        prepared(entry, {})


def test_a_byte_order_mark_belongs_to_no_variable(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfTOKEN=x\r\nOTHER=y\r\n")
    assert prepared(ServerEntry("s", "x", env_file=file), {}).env == {"TOKEN": "x", "OTHER": "y"}
