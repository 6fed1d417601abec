"""The token that lets other machines in, and the address they find the service at."""

from __future__ import annotations

import pytest

from pktui.errors import SettingsError, UsageError
from pktui.memory.access_token import VARIABLE, make_token, read_token
from pktui.memory.addresses import UrlAddress, remote_of
from pktui.memory.service.listening import parse_listen
from pktui.settings import MemorySettings, Paths, Settings

TOKEN = "t0ken-of-the-whole-team"


@pytest.fixture(autouse=True)
def _no_token_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def test_a_token_is_made_once_and_anew_only_when_asked(paths: Paths) -> None:
    made = make_token(paths, Settings(), anew=False)
    file = paths.config_dir / "memory.token"
    assert file.stat().st_mode & 0o777 == 0o600
    assert make_token(paths, Settings(), anew=False) == read_token(paths, Settings()) == made
    assert make_token(paths, Settings(), anew=True) != made
    assert [one.name for one in paths.config_dir.iterdir()] == ["memory.token"]


def test_the_environment_comes_before_the_file(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_token(paths, Settings(), anew=False)
    monkeypatch.setenv(VARIABLE, TOKEN)
    assert read_token(paths, Settings()) == TOKEN


def test_a_file_may_be_named(paths: Paths) -> None:
    file = paths.data_dir / "team"
    settings = Settings(memory=MemorySettings(token_file=str(file)))
    assert make_token(paths, settings, anew=False) + "\n" == file.read_text()


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (TOKEN, 0o640, "others can read it. Run chmod 600"),
        ("short", 0o600, "holds no token"),
        ("two words of it are not one", 0o600, "holds no token"),
        ("", 0o600, "holds no token"),
        (None, 0o600, "cannot be read from .*No such file"),
    ],
)
def test_a_token_that_cannot_be_used_is_refused(
    paths: Paths, text: str | None, mode: int, words: str
) -> None:
    paths.config_dir.mkdir(parents=True)
    file = paths.config_dir / "memory.token"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(SettingsError, match=words) as caught:
        read_token(paths, Settings())
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://memory.lan:8765", "http://memory.lan:8765"),
        ("https://memory.lan/", "https://memory.lan:443"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_a_service_is_named_by_its_address(url: str, shown: str) -> None:
    assert str(UrlAddress.parse(url)) == shown


@pytest.mark.parametrize(
    "url",
    ["memory.lan:8765", "ftp://x", "http://", "http://x/path", "http://x:99999", "http://a:b@x"],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="is no address of a service") as caught:
        UrlAddress.parse(url)
    assert "a:b" not in str(caught.value)


def test_without_a_setting_the_service_is_our_own(paths: Paths) -> None:
    assert remote_of(paths) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("8765", ("127.0.0.1", 8765)),
        (":8765", ("127.0.0.1", 8765)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:8765", ("::1", 8765)),
        ("memory.lan:8765", ("memory.lan", 8765)),
    ],
)
def test_an_address_to_listen_on_is_read(text: str, place: tuple[str, int]) -> None:
    assert parse_listen(text) == place


@pytest.mark.parametrize("text", ["", "host", "host:", "host:x", "host:70000", "host:-1"])
def test_what_cannot_be_listened_on_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no address to listen on"):
        parse_listen(text)
