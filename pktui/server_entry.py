"""One entry of a list of MCP servers, read as every client writes its own.

The same member has many names (`url`, `httpUrl`, `serverUrl`), and one entry may come from any of
them: Claude Code, Codex, Gemini CLI, opencode, Cursor, VS Code, Zed, Copilot. `null` counts as
absent, numbers where text is wanted as their digits, members pktui has no use for are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from pktui.policy.selection import EVERYTHING, Selection

_SPOKEN: Final = frozenset(
    {"", "http", "streamable-http", "streamablehttp", "streamable_http", "stdio", "local", "remote"}
)
_ALL: Final = "*"

Step = str | int


class ServerEntry(msgspec.Struct, frozen=True):
    """How to reach one server: a command, a URL, or pktui's own memory.

    Texts are as written: the gateway fills in what they refer to. `problem` says why the
    server cannot be used as its entry has it, and `cure` what to do; empty where nothing is wrong.
    """

    name: str
    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = {}
    cwd: Path | None = None
    url: str = ""
    headers: Mapping[str, str] = {}
    builtin: bool = False
    env_file: Path | None = None
    disabled: bool = False
    problem: str = ""
    cure: str = ""
    tools: Selection = EVERYTHING

    @property
    def transport(self) -> Literal["builtin", "stdio", "http"]:
        """How it is reached."""
        return "builtin" if self.builtin else "http" if self.url else "stdio"


class BadEntry(Exception):
    """No server can be made of an entry; `steps` lead to the member that is at fault."""

    def __init__(self, what: str, cure: str, *steps: Step) -> None:
        super().__init__(what)
        self.what = what
        self.cure = cure
        self.steps = steps


def read_entry(name: str, written: Any) -> ServerEntry:
    """Return the server of an entry; raises `BadEntry`."""
    table = _object(written, "it")
    if isinstance(table.get("command"), Mapping):  # Zed's older form
        inner = table["command"]
        table = {**table, **inner, "command": inner.get("path")}
    program = _command(table)
    url = _first_text(table, "url", "httpUrl", "serverUrl")
    if bool(program) == bool(url):
        raise BadEntry(
            "it needs a command or a url, and not both",
            f'Write "command": "…" or "url": "…" for {name}',
        )
    problem, cure = _problem(table, url)
    cwd, env_file = _text(table, "cwd"), _text(table, "envFile")
    return ServerEntry(
        name,
        program[0] if program else "",
        program[1:],
        _texts_by_name(table, "env") | _texts_by_name(table, "environment"),
        Path(cwd).expanduser() if cwd else None,
        url,
        _headers(table),
        env_file=Path(env_file) if env_file else None,
        disabled=_flag(table, "disabled") is True or _flag(table, "enabled") is False,
        problem=problem,
        cure=cure,
        tools=_selection(table),
    )


def _problem(table: Mapping[str, Any], url: str) -> tuple[str, str]:
    """Return what keeps an entry from being used and what to do; empty where nothing does."""
    named = table.get("type") or table.get("transport")
    kind = named.lower() if isinstance(named, str) else ""
    if url and kind not in _SPOKEN:
        return (
            f"its type is {kind}, and with a URL pktui speaks streamable HTTP only",
            'Give it the URL of the server\'s streamable HTTP endpoint and "type": "http"',
        )
    if table.get("headersHelper"):
        return (
            "headersHelper is a command of Claude Code, which pktui does not run",
            'Write the header into "headers"; ${NAME} there is read from the environment',
        )
    return "", ""


def _command(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Return program and arguments; opencode writes both as one list."""
    written = table.get("command")
    args = tuple(_words(table.get("args"), "args"))
    if isinstance(written, list):
        words = (*_words(written, "command"), *args)
        return words if words and words[0] else ()
    program = _text(table, "command")
    if args and not program:
        raise BadEntry("it has args and no command", 'Write "command": "…"', "args")
    return (program, *args) if program else ()


def _words(value: Any, key: str) -> Iterator[str]:
    if value is None:
        return
    if not isinstance(value, list):
        raise BadEntry(f"{key} is {_kind(value)}, not a list", f'Write "{key}": ["…", "…"]', key)
    for index, item in enumerate(value):
        text = _as_text(item)
        if text is None:
            raise BadEntry(
                f"{key}[{index}] is {_kind(item)}, not text", "Put it in double quotes", key, index
            )
        yield text


def _headers(table: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers; Codex names the variables that some are read from."""
    headers = _texts_by_name(table, "headers") | _texts_by_name(table, "http_headers")
    from_env = _texts_by_name(table, "env_http_headers")
    headers |= {name: f"${{{variable}}}" for name, variable in from_env.items()}
    bearer = _text(table, "bearer_token_env_var")
    return headers | ({"Authorization": f"Bearer ${{{bearer}}}"} if bearer else {})


def _selection(table: Mapping[str, Any]) -> Selection:
    """Return which tools the entry leaves in, under the names of Gemini CLI, Codex and Copilot."""
    without = {
        name.partition("(")[0]
        for key in ("excludeTools", "disabled_tools", "disabledTools")
        for name in _words(table.get(key), key)
    }
    listed = [
        {name.partition("(")[0] for name in _words(table[key], key)}
        for key in ("includeTools", "enabled_tools", "enabledTools")
        if table.get(key) is not None
    ]
    tools = table.get("tools")
    if isinstance(tools, Mapping):
        without |= {name for name in tools if _is_off(tools, name)}
    elif tools is not None:
        listed.append(set(_words(tools, "tools")))
    only = [names for names in listed if _ALL not in names]
    if not (without or only):
        return EVERYTHING
    left = frozenset(set.intersection(*only)) if only else None
    return Selection(frozenset(without), left)


def _is_off(tools: Mapping[str, Any], name: str) -> bool:
    """Tell whether a tool is left out; Codex has a table for each, with its approval mode."""
    said = tools[name]
    if isinstance(said, Mapping):
        return _flag(said, "enabled", "tools", name) is False
    return _flag(tools, name, "tools") is False


def _object(value: Any, what: str, *steps: Step) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadEntry(f"{what} is {_kind(value)}, not an object", "Write { … }", *steps)
    return value


def _texts_by_name(table: Mapping[str, Any], key: str) -> dict[str, str]:
    if table.get(key) is None:
        return {}
    texts = {}
    for name, value in _object(table[key], key, key).items():
        if value is None:
            continue
        text = _as_text(value)
        if text is None:
            raise BadEntry(
                f"{key}.{name} is {_kind(value)}, not text", "Put it in double quotes", key, name
            )
        texts[name] = text
    return texts


def _first_text(table: Mapping[str, Any], *keys: str) -> str:
    return next((text for key in keys if (text := _text(table, key))), "")


def _text(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise BadEntry(f"{key} is {_kind(value)}, not text", f'Write "{key}": "…"', key)
    return value or ""


def _flag(table: Mapping[str, Any], key: str, *above: Step) -> bool | None:
    value = table.get(key)
    if value is not None and not isinstance(value, bool):
        cure = f'Write "{key}": true or false'
        raise BadEntry(f"{key} is {_kind(value)}, not true or false", cure, *above, key)
    return value


def _as_text(value: Any) -> str | None:
    """Return text as it is, a number as its digits, None for what is neither."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float | Decimal) else None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = ((bool, "true or false"), (str, "text"), (Mapping, "an object"), (list, "a list"))
    return next((words for kind, words in kinds if isinstance(value, kind)), "a number")
