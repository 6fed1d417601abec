# ruff: noqa: E501  a case a line
"""Two servers given by hand share no name, and a name is safe as a file's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pktui.errors import SettingsError
from pktui.gateway.servers.naming import name_of, server_of_command, server_of_url
from pktui.settings import check_server_name

HERE = Path("/work")

NAMED = [
    ("npx -y @modelcontextprotocol/server-filesystem", "npm_modelcontextprotocol_server-filesystem"),
    ("npx -y @scope/server-git@1.2.3-rc.1", "npm_scope_server-git"),
    ("npm exec --yes -- server-git", "npm_server-git"),
    ("bunx server-git", "npm_server-git"),
    ("env TOKEN=x npx server-git", "npm_server-git"),
    ("cmd /c npx server-git", "npm_server-git"),
    ("uvx mcp-server-time==2.0", "pypi_mcp-server-time"),
    ("uvx --from mcp-server-time==2.0 serve", "pypi_mcp-server-time_serve"),
    ("uvx MCP_server.time@latest", "pypi_mcp-server-time"),
    ("pipx run mcp-server-time", "pypi_mcp-server-time"),
    ("node /opt/bank/dist/index.js", "script_opt_bank_dist_index.js"),
    ("node --no-warnings -r ./hook.js index.js", "script_work_index.js"),
    ("/usr/bin/python3.11 -u server.py", "script_work_server.py"),
    ("uv run --directory /srv/time server.py", "script_srv_time_server.py"),
    ("uv --directory /srv/time run server.py", "script_srv_time_server.py"),
    ("java -jar /opt/a.jar", "script_opt_a.jar"),
    ("bash /opt/run.sh", "script_opt_run.sh"),
    ("deno run -A jsr:@a/b@1", "jsr_a_b"),
    ("docker run -i --rm -e KEY -v /a:/b ghcr.io/x/y-mcp:1.0", "image_ghcr.io_x_y-mcp"),
    ("docker run -it mcp/fetch", "image_mcp_fetch"),
    ("podman run --name a -i docker.io/library/fetch@sha256:ab", "image_fetch"),
    ("mcp-server-git", "program_mcp-server-git"),
    ("/opt/memory", "program_opt_memory"),
    ("python -um mcp.server.git", "python_mcp.server.git"),
]  # fmt: skip

APART = [
    ("node /opt/bank/dist/index.js", "node /opt/evil/dist/index.js", "node /opt/Bank/dist/index.js",
     "node /opt/bank_dist/index.js", "node /opt-bank/dist/index.js"),
    ("npx @a/git", "npx @b/git", "npx git", "npx a-git", "npx @a/git_", "uvx git", "docker run a/git",
     "npx -p @a/git other", "npx --registry https://r.example @a/git", "npx github:a/git"),
    ("npx mcp-remote https://a.example/sse", "npx mcp-remote https://b.example/sse", "npx mcp-remote",
     "npx mcp-remote https://a.example:8443/sse", "npx mcp-remote https://a.example/mcp"),
    ("docker run ghcr.io/x/y", "docker run x/y", "docker run quay.io/x/y", "docker run localhost:5000/x/y",
     "docker run x-y", "docker run --entrypoint sh x/y", "docker exec x y", "docker compose run x"),
    ("docker run node npx a", "docker run node npx b", "docker run node"),
    ("bash -c 'run a'", "bash -c 'run b'", "bash /a.sh", "bash /b.sh", "bash", "sh -c 'run a'"),
    ("python -c a", "python -c b", "python -m a", "python -m b", "/v/bin/python -m a", "/w/bin/python -m a"),
    ("uv run --directory /a tool", "uv run --directory /b tool", "uvx tool", "uv run --directory /a -m tool"),
    ("ssh a serve", "ssh b serve", "socat - TCP:a:1", "socat - TCP:b:1", "runner a", "runner b", "runner"),
    ("./serve", "/opt/serve", "serve"),
    ("npx -y @smithery/cli run @a/x", "npx -y @smithery/cli run @b/x", "npx -y @smithery/cli"),
    ("npx -y @smithery/cli run --verbose @a/x", "npx -y @smithery/cli run --verbose @b/x"),
    ("uv run --with mcp mcp run /a.py", "uv run --with mcp mcp run /b.py", "uvx mcp run /a.py"),
    ("npx files /home/a", "npx files /home/b", "npx files /"),
    ("node /usr/lib/npx-cli.js a", "node /usr/lib/npx-cli.js b", "python -m pipx run a", "python -m pipx run b"),
    ("docker run img a", "docker run img b", "java -jar a.jar x", "java -jar a.jar y"),
    ("docker run --unheard-of a/b c", "docker run --unheard-of d/b c"),
    ("npx --unheard-of a b", "npx --unheard-of c b"),
]  # fmt: skip

URLS = [
    "https://mcp.example.com", "https://mcp.example.com/x", "https://mcp.example.com/y",
    "https://mcp.example.com/x/", "https://mcp.example.com/X", "https://mcp.example.com:8443/x",
    "https://mcp.example.com/8443/x", "http://mcp.example.com/x", "https://mcp.example.com/x?a=1",
    "https://mcp.example.com/x?a=2", "https://mcp-example.com/x", "http://[::1]/", "http://[::2]/",
    "nonsense", "other nonsense",
]  # fmt: skip


def named(command: str) -> str:
    return server_of_command("", shlex.split(command), HERE).name


@pytest.mark.parametrize(("command", "name"), NAMED)
def test_a_command_by_hand_is_named_by_what_it_starts(command: str, name: str) -> None:
    assert named(command) == name


@pytest.mark.parametrize("commands", APART, ids=lambda commands: commands[0])
def test_two_that_differ_in_what_they_start_share_no_name(commands: tuple[str, ...]) -> None:
    names = {named(command): command for command in commands}
    assert len(names) == len(commands)
    for name in names:
        assert check_server_name(name) == name.lower()


def test_a_url_by_hand_is_named_by_scheme_host_port_and_path() -> None:
    names = [server_of_url("", url, {}).name for url in URLS]
    assert len(set(names)) == len(URLS)
    assert names[:3] == [
        "https_mcp.example.com", "https_mcp.example.com_x", "https_mcp.example.com_y",
    ]  # fmt: skip
    assert server_of_url("", "https://mcp.example.com:443/x", {}).name == names[1]
    assert server_of_url("", "https://ada:pw@mcp.example.com/x", {}).name == names[1]


@pytest.mark.parametrize(
    "commands",
    [
        ("npx -y pkg@1 /a", "npx -y pkg@2 /a", "npx --yes pkg /a"),
        ("uvx pkg==1 --token a", "uvx pkg==2 --token b", "uvx pkg --token c"),
        (
            "npx mcp-remote https://h/x --header 'A: a'",
            "npx mcp-remote@1 https://h/x --header 'A: b'",
        ),
        ("run --api-key=a x", "run --api-key=b x"),
        (
            "docker run -e TOKEN=a img:1",
            "docker run -e TOKEN=b --rm img:2",
            "docker run img@sha256:ab",
        ),
    ],
    ids=lambda commands: commands[0],
)
def test_versions_and_secrets_change_no_name(commands: tuple[str, ...]) -> None:
    assert len({named(command) for command in commands}) == 1


def test_a_path_from_here_is_where_it_leads(tmp_path: Path) -> None:
    names = set()
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "serve.ts").touch()
        names.add(server_of_command("", ["npx", "tsx", "serve.ts"], tmp_path / place).name)
    assert len(names) == 2


def test_a_module_of_this_directory_is_another_than_an_installed_one(tmp_path: Path) -> None:
    installed = server_of_command("", ["python", "-m", "serve"], tmp_path).name
    (tmp_path / "serve.py").touch()
    assert server_of_command("", ["python", "-m", "serve"], tmp_path).name != installed


def test_a_program_of_the_project_is_another_than_the_registrys(tmp_path: Path) -> None:
    registry = server_of_command("", ["npx", "serve"], tmp_path).name
    (tmp_path / "node_modules" / ".bin").mkdir(parents=True)
    (tmp_path / "node_modules" / ".bin" / "serve").touch()
    assert server_of_command("", ["npx", "serve"], tmp_path).name != registry


def test_a_name_shows_nothing_that_may_be_a_secret() -> None:
    for name in (
        named("runner --token s3cret"),
        named("npx mcp-remote https://h/sse?key=s3cret --header 'A: s3cret'"),
        server_of_url("", "https://ada:s3cret@h/x?key=s3cret", {}).name,
    ):
        assert "s3cret" not in name


def test_a_name_given_is_the_name_but_for_the_memorys() -> None:
    assert server_of_command("given", ["npx", "x"]).name == "given"
    assert server_of_url("given", "https://h", {"A": "b"}).headers == {"A": "b"}
    for name in ("memory", "MEMORY"):
        with pytest.raises(SettingsError, match="belongs to"):
            server_of_command(name, ["x"])
    with pytest.raises(SettingsError, match="cannot be used"):
        server_of_url("../x", "https://h", {})


PARTS = st.lists(
    st.text(st.sampled_from("aAb-._/@ é\u0430\0"), max_size=30), min_size=1, max_size=4
)


@given(st.lists(PARTS, min_size=1, max_size=3), st.lists(PARTS, min_size=1, max_size=3))
def test_two_identities_have_two_names_on_any_file_system(
    left: list[list[str]], right: list[list[str]]
) -> None:
    one, other = name_of(left), name_of(right)
    assert (one == other) == (left == right)
    assert check_server_name(one) == one.lower()
    assert len(one) <= 64


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_any_command_has_a_name(words: list[str]) -> None:
    name = server_of_command("", words, HERE).name
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name)
