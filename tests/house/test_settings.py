from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pktui.errors import SettingsError
from pktui.settings import (
    SWITCHABLE,
    NoticeSettings,
    Paths,
    ServerSettings,
    Settings,
    bundled,
    load_settings,
)


def write(paths: Paths, text: str) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_text(text)


def test_no_file_gives_the_defaults(paths: Paths) -> None:
    assert load_settings(paths) == Settings()


def test_what_a_person_sets_is_read(paths: Paths) -> None:
    write(paths, "[approvals]\nhold_seconds = 5\n[console.keys]\n'session.end' = 'E'\n")
    settings = load_settings(paths)
    assert settings.approvals.hold_seconds == 5
    assert settings.console.keys == {"session.end": "E"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[aprovals]\n", ["settings.toml", "unknown key aprovals", "Did you mean approvals?"]),
        ("[audit]\nfsink = true\n", ["unknown key audit.fsink", "audit.fsync"]),
        ("[audit]\nfsync = 'yes'\n", ["bool", "audit.fsync"]),
        ("[audit\n", ["not valid TOML", "line 1"]),
        ("[servers.x]\nredakt = true\n", ["unknown key servers.x.redakt", "servers.x.redact"]),
        (
            '[servers.x.methods]\n"sampling/createMesage" = "deny"\n',
            ["servers.x.methods: sampling/createMesage", "Did you mean sampling/createMessage?"],
        ),
        ('[servers.x.methods]\n"tools/call" = "deny"\n', ["tools/call", "no method"]),
        ('[servers.x.methods]\n"prompts/get" = "no"\n', ["servers", "'no'"]),
        ("[servers]\nx = 1\n", ["servers", "object"]),
        ("[servers.'../x']\n", ["cannot be used"]),
    ],
)
def test_a_mistake_names_the_file_the_key_and_the_cure(
    paths: Paths, text: str, words: list[str]
) -> None:
    write(paths, text)
    with pytest.raises(SettingsError) as caught:
        load_settings(paths)
    for word in words:
        assert word in str(caught.value)


def test_what_is_set_for_one_server_holds_for_it_alone(paths: Paths) -> None:
    write(
        paths,
        "[servers.x]\npolicy = 'strict.json'\n[servers.x.methods]\n'prompts/get' = 'deny'\n"
        "'resources/read' = 'allow'\n",
    )
    settings = load_settings(paths)
    assert settings.server("x").denied == {"prompts/get"}
    assert settings.policy_file(paths, "x") == paths.policies_dir / "strict.json"
    assert settings.server("y") == ServerSettings()
    assert settings.policy_file(paths, "y") == paths.policies_dir / "y.json"


def test_a_byte_order_mark_is_no_mistake(paths: Paths) -> None:
    paths.config_dir.mkdir(parents=True)
    paths.settings_file.write_bytes(b"\xef\xbb\xbf[console]\nbell = false\n")
    assert load_settings(paths).console.bell is False


@pytest.mark.parametrize("name", ["../evil", "", ".hidden", "a/b", "x" * 65, "a\nb"])
def test_a_server_name_cannot_leave_the_policy_directory(paths: Paths, name: str) -> None:
    with pytest.raises(SettingsError, match="cannot be used"):
        paths.policy_file(name)


def test_the_places_follow_from_the_two_directories_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Paths.at(tmp_path / "c", tmp_path / "d")
    for name in ("XDG_RUNTIME_DIR", "TMPDIR", "HOME", "USER"):
        monkeypatch.setenv(name, str(tmp_path / "other"))
    assert Paths.at(tmp_path / "c", tmp_path / "d") == before
    assert Paths.below(tmp_path) == Paths.at(tmp_path / "config", tmp_path / "data")


def test_bundled_files_are_found() -> None:
    assert bundled("config").is_dir()


def test_the_sample_settings_name_every_option_with_its_default(paths: Paths) -> None:
    sample = bundled("config", "settings.toml").read_text()
    set_all = "\n".join(
        line[1:] if line[:1] == "#" and (line[1:2] != " " and "sessions.end" not in line) else line
        for line in sample.splitlines()
    )
    write(paths, set_all)
    loaded = load_settings(paths)
    assert msgspec.structs.replace(loaded, servers={}) == Settings()
    example = ServerSettings(methods=dict.fromkeys(SWITCHABLE, "allow"))
    assert loaded.servers == {"example": example}
    parts = [part.type for part in msgspec.structs.fields(Settings) if part.name != "servers"]
    for part in (*parts, ServerSettings, NoticeSettings):
        options = {option.name for option in msgspec.structs.fields(part)} - {
            "keys",
            "agents",
            "projects",
            "methods",
            "storage",
            "notices",
        }
        assert all(f"{option} = " in sample for option in options)


@pytest.mark.parametrize(
    ("anchor", "words"),
    [
        ("s3lock:bucket", "Did you mean s3-lock:…"),
        ("/var/anchors", "is of no kind there is"),
        ("file:", "names no place"),
        ("s3-lock:Bad_Bucket", "names no place"),
        ("rfc3161:ftp://example.org", "names no place"),
        ("rfc3161:https://me:secret@example.org/tsr", "without a password"),
    ],
)
def test_an_anchor_of_no_kind_is_refused(paths: Paths, anchor: str, words: str) -> None:
    paths.config_dir.mkdir(parents=True, exist_ok=True)
    paths.settings_file.write_text(f'[audit]\nanchors = ["{anchor}"]\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(paths)
    assert words in str(caught.value)
    assert "audit.anchors" in caught.value.what
