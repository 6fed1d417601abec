"""Where things are kept and what a person has set.

`Paths` names every file and directory; `load_settings` reads `settings.toml` strictly: unknown
keys are refused with the file, the key and the nearest known one. Times are in the unit that
the name says.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from pktui.errors import SettingsError
from pktui.suggest import did_you_mean

# The methods besides tool calls that a server can be denied: three to it, two from it.
SWITCHABLE = (
    *("resources/read", "prompts/get", "completion/complete"),
    *("sampling/createMessage", "elicitation/create"),
)

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_ANCHOR_KINDS = {
    "file": re.compile(r".+"),
    "s3-lock": re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.+)?"),
    "rfc3161": re.compile(r"https?://[^/@?#]+([/?][^#]*)?"),  # errors show it: no password
}
_SERVER_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Paths(msgspec.Struct, frozen=True):
    """Every place pktui reads or writes, derived from two directories."""

    config_dir: Path
    data_dir: Path

    @classmethod
    def from_environment(cls) -> Paths:
        """Find the directories: `PKTUI_CONFIG_DIR`, `PKTUI_DATA_DIR`, else the XDG ones."""
        config = os.environ.get("PKTUI_CONFIG_DIR")
        data = os.environ.get("PKTUI_DATA_DIR")
        if not (config and data):
            import platformdirs

            config = config or platformdirs.user_config_dir("pktui")
            data = data or platformdirs.user_data_dir("pktui")
        return cls.at(Path(config), Path(data))

    @classmethod
    def at(cls, config_dir: Path, data_dir: Path) -> Paths:
        """Use these two directories."""
        return cls(config_dir.expanduser().absolute(), data_dir.expanduser().absolute())

    @classmethod
    def below(cls, home: Path) -> Paths:
        """Use `config` and `data` in this directory."""
        return cls.at(home / "config", home / "data")

    @property
    def settings_file(self) -> Path:
        """What a person has set."""
        return self.config_dir / "settings.toml"

    @property
    def servers_file(self) -> Path:
        """The configured MCP servers, in the `mcpServers` layout."""
        return self.config_dir / "servers.json"

    @property
    def policies_dir(self) -> Path:
        """One policy file a server."""
        return self.config_dir / "policies"

    def policy_file(self, server: str) -> Path:
        """Return the policy file of a server; its name may not leave the directory."""
        return self.policies_dir / f"{check_server_name(server)}.json"

    @property
    def ledger_file(self) -> Path:
        """The SQLite file with calls, approvals, counters and pins."""
        return self.data_dir / "ledger.db"

    @property
    def memory_dir(self) -> Path:
        """The LanceDB directory."""
        return self.data_dir / "memory"

    @property
    def models_dir(self) -> Path:
        """The packaged model as it was exported from its weights."""
        return self.data_dir / "models"

    @property
    def memory_owner(self) -> Path:
        """The name by which this directory's services own a store that others can reach too."""
        return self.data_dir / "memory.owner"

    @property
    def logs_dir(self) -> Path:
        """Logs of background processes."""
        return self.data_dir / "logs"

    def agent_seen_file(self, agent: str) -> Path:
        """Return the file that is touched whenever a hook of an agent runs."""
        return self.data_dir / "agents" / f"{agent}.seen"

    @property
    def adopted_file(self) -> Path:
        """What was changed in agents' configs, and what stood there before."""
        return self.data_dir / "adopted.json"

    @property
    def backups_dir(self) -> Path:
        """Agents' configs as they were before they were changed."""
        return self.data_dir / "backups"

    @property
    def followed_file(self) -> Path:
        """The agents' stores that the memory service follows."""
        return self.data_dir / "followed.json"

    @property
    def memory_lock(self) -> Path:
        """The lock that the one owner of the memory store holds; its text is the owner's pid."""
        return self.data_dir / "memory.lock"

    @property
    def memory_address(self) -> Path:
        """Where that owner is met, in its own words."""
        return self.data_dir / "memory.address"

    @property
    def usage_file(self) -> Path:
        """The tokens of each answer that agents' transcripts tell of, a SQLite file."""
        return self.data_dir / "usage.db"

    @property
    def bundle_file(self) -> Path:
        """The last good bundle of managed policies."""
        return self.data_dir / "bundle.json"

    @property
    def telemetry_file(self) -> Path:
        """How far the record was sent on."""
        return self.data_dir / "telemetry.json"

    @property
    def telemetry_lock(self) -> Path:
        """The lock of the one process that sends it."""
        return self.data_dir / "telemetry.lock"

    @property
    def memory_start(self) -> Path:
        """The lock of who starts the memory service, and then of the service."""
        return self.data_dir / "memory.start"


def is_server_name(name: str) -> bool:
    """Tell whether a policy can be kept for a server of this name."""
    return _SERVER_NAME.fullmatch(name) is not None


def check_server_name(name: str) -> str:
    """Return the name, or raise `SettingsError` where it could not be a file's name."""
    if not is_server_name(name):
        raise SettingsError(
            f"server name {name!r} cannot be used",
            "Use at most 64 letters, digits, dots, dashes and underscores, a letter or digit first",
        )
    return name


class MemorySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[memory]`: the session and knowledge store."""

    model: str = ""
    """A sentence-transformers model's directory or name, `wordllama`; empty: the packaged model."""
    uri: str = ""
    """A directory or any other LanceDB URI (s3://, gs://, az://, db://); empty: `memory_dir`."""
    storage: dict[str, str] = {}
    """What the storage of `uri` needs, by LanceDB's names; `${NAME}` is an environment variable."""
    service: str = ""
    """The address of a service on another machine, `http://host:port`; empty: one of our own."""
    token_file: str = ""
    """The file with the token that other machines come in with; empty: `memory.token` beside."""
    allowed_hosts: tuple[str, ...] = ()
    """Further names that a service behind `--listen` may be reached by."""
    idle_minutes: float = 30
    """The service ends after this long without a request."""
    fsync: bool = False
    """True: every message reaches the disk before it is acknowledged."""
    session_timeout_minutes: float = 60
    """An active session without a message for this long is ended."""


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[gateway]`: the relay between agents and servers."""

    max_message_bytes: int = 4 * 1024 * 1024
    max_depth: int = 64
    grace_seconds: float = 2
    """What calls in flight get when the gateway is told to stop."""


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[http]`: what `pktui gateway --listen` takes from clients."""

    allowed_hosts: list[str] = []
    """`HOST` or `HOST:PORT` that clients may reach it by, besides loopback names."""
    allowed_origins: list[str] = []
    """Origins of web pages that may call it, besides those of its own loopback address."""
    max_connections: int = 512
    max_sessions: int = 100
    max_requests: int = 64
    """Requests and streams of one grant at once."""
    max_header_bytes: int = 16 * 1024
    header_seconds: float = 10
    """What a client gets to send the head of a request."""
    body_seconds: float = 30
    """What a client gets to send a body, and to take each part of an answer."""
    idle_minutes: float = 30
    """A session, or a server started for a client, ends after this long without a request."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[metrics]`: `/healthz` and `/metrics` of `pktui gateway --listen`."""

    public: bool = False
    """True: they need no token."""


class ApprovalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[approvals]`: calls that wait for a person."""

    expiry_minutes: float = 10
    hold_seconds: float = 45
    """How long the gateway holds a call before it tells the agent to ask again later."""
    progress_seconds: float = 5
    require_pin: bool = False
    """Without a PIN nothing can be decided, even where none is set; a PIN that is set is always
    asked for."""


class AuditSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[audit]`: what the ledger keeps of each call."""

    fsync: bool = False
    """True: every commit reaches the disk before a call goes out (SQLite synchronous=FULL)."""
    arguments: Literal["masked", "full", "keys", "hash"] = "masked"
    max_argument_bytes: int = 64 * 1024
    results: Literal["masked", "off", "hash"] = "masked"
    """What is kept of what tools answered, at most 16 KiB of each."""
    anchor: str = ""
    """A second file that the chain's head is written to; the same as `file:` in `anchors`."""
    anchors: tuple[str, ...] = ()
    """Where the chain's heads are published: `file:PATH`, `s3-lock:BUCKET/PREFIX`,
    `rfc3161:URL`."""
    anchor_events: int = 1000
    anchor_minutes: float = 5
    """They are after so many events or minutes, whichever comes first, and at the end."""
    anchor_retain_days: Annotated[float, msgspec.Meta(gt=0, le=36_500)] = 365
    """How long `s3-lock:` keeps each from being removed."""
    anchor_roots: str = ""
    """A PEM file with the root certificates of the authorities of `rfc3161:`."""
    beat_minutes: Annotated[float, msgspec.Meta(ge=0)] = 5
    """How often a gateway puts on record that it is still there; 0: never."""
    key: str = ""
    """A file with the Ed25519 key that signs anchors, apart from the data; empty: unsigned."""
    keep_days: float = 0
    """Older events are pruned; 0: none is for its age."""
    max_megabytes: float = 2000
    """The oldest events are pruned when the ledger holds more; 0: however large it is."""


class LedgerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[ledger]`: where approvals, standing answers, the stop, grants, pins and limits are."""

    uri: str = ""
    """`postgresql://…`: a database that a team shares; empty: the files in the data directory."""
    machine: str = ""
    """What the others call this machine; empty: the name it has on the network."""


class TelemetrySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[telemetry]`: where the record is sent on, as OpenTelemetry's logs and traces."""

    endpoint: str = ""
    """The base URL of a receiver of OTLP over HTTP; empty: nothing is sent."""
    headers: dict[str, str] = {}
    """Sent with every request; `${NAME}` is an environment variable."""
    arguments: bool = False
    """True: with the arguments of calls, as they are on record."""
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 10
    """What the receiver gets to acknowledge a batch."""


class DayBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be used in a local day; None: any number. Tokens are without the cached ones."""

    tokens_per_day: Annotated[int, msgspec.Meta(ge=0)] | None = None
    money_per_day: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[budget]`: once it is spent, every call of those who draw on it asks a person."""

    tokens_per_day: Annotated[int, msgspec.Meta(ge=0)] | None = None
    money_per_day: Annotated[float, msgspec.Meta(ge=0, le=1e12)] | None = None
    agents: dict[str, DayBudget] = {}
    """By the agent: claude-code, codex, gemini, opencode."""
    projects: dict[str, DayBudget] = {}
    """By the project's directory."""

    @property
    def limits(self) -> bool:
        """Tell whether anything is limited."""
        whole = (self.tokens_per_day, self.money_per_day)
        return bool(self.agents or self.projects) or any(one is not None for one in whole)


class NoticeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console.notices]`: how a person is told who looks elsewhere."""

    by: Literal["off", "terminal", "desktop", "command"] = "terminal"
    command: tuple[str, ...] = ()
    """For `command`: a program and its arguments; it gets the notice as JSON on stdin."""
    quiet: Annotated[
        str, msgspec.Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d)?$")
    ] = ""
    """Hours without notices, local time, such as `22:00-07:00`."""


class ConsoleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[console]`: the terminal program."""

    theme: str = "pktui-dark"
    glyphs: Literal["unicode", "ascii"] = "unicode"
    bell: bool = True
    notices: NoticeSettings = NoticeSettings()
    keys: dict[str, str] = {}
    """Action id to key or comma-separated keys, for example `"session.end" = "E"`."""


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`[servers.NAME]`: what holds for one server alone."""

    policy: str = ""
    """Its policy file, in the policies directory unless absolute; empty: `NAME.json` there."""
    methods: dict[str, Literal["allow", "deny"]] = {}
    """Methods of `SWITCHABLE` that are allowed (the default) or denied."""
    redact: bool = False
    """True: secrets in the results of its tools are masked before the agent sees them."""

    @property
    def denied(self) -> frozenset[str]:
        """The methods that are switched off."""
        return frozenset(method for method, rule in self.methods.items() if rule == "deny")


_NO_SERVER_SETTINGS = ServerSettings()


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole of `settings.toml`; every part has a default."""

    memory: MemorySettings = MemorySettings()
    gateway: GatewaySettings = GatewaySettings()
    http: HttpSettings = HttpSettings()
    metrics: MetricsSettings = MetricsSettings()
    approvals: ApprovalSettings = ApprovalSettings()
    audit: AuditSettings = AuditSettings()
    ledger: LedgerSettings = LedgerSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    budget: BudgetSettings = BudgetSettings()
    console: ConsoleSettings = ConsoleSettings()
    servers: dict[str, ServerSettings] = {}

    def server(self, name: str) -> ServerSettings:
        """Return what is set for a server."""
        return self.servers.get(name, _NO_SERVER_SETTINGS)

    def policy_file(self, paths: Paths, server: str) -> Path:
        """Return the policy file of a server: the one set for it, else the one of its name."""
        named = self.server(server).policy
        return paths.policies_dir / Path(named).expanduser() if named else paths.policy_file(server)


def load_settings(paths: Paths) -> Settings:
    """Read `settings.toml`; a missing file gives the defaults.

    Raises `SettingsError` with the file, the key or line, and the nearest known key.
    """
    file = paths.settings_file
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}", "Check its owner and mode"
        ) from error
    return _parse(raw, file)


def _parse(raw: bytes, file: Path) -> Settings:
    import tomllib

    try:
        table = tomllib.loads(raw.decode("utf-8-sig"), parse_float=_number)
    except ValueError as error:
        raise SettingsError(f"{file} is not valid TOML: {error}", "Mend that line") from error
    _refuse_unknown(table, Settings, file, "")
    _check_servers(table.get("servers"), file)
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(
            f"{file}: {error}", "See config/settings.toml for every option"
        ) from error
    _check_anchors(settings.audit.anchors, file)
    return settings


def _check_anchors(anchors: tuple[str, ...], file: Path) -> None:
    """Check that each says a kind of anchor and a place of that kind."""
    for named in anchors:
        kind, _, place = named.partition(":")
        if kind not in _ANCHOR_KINDS:
            raise SettingsError(
                f"{file}: audit.anchors: {named} is of no kind there is",
                did_you_mean(kind, _ANCHOR_KINDS, "{}:…"),
            )
        if not _ANCHOR_KINDS[kind].fullmatch(place):
            raise SettingsError(
                f"{file}: audit.anchors: {named} names no place",
                "Use file:PATH, s3-lock:BUCKET/PREFIX or rfc3161:URL, without a password",
            )


def _number(text: str) -> float:
    """Return a number of a setting; raises `ValueError` on `nan`, which no bound can hold."""
    number = float(text)
    if number != number:
        raise ValueError("nan is no number")
    return number


def _refuse_unknown(table: dict[str, Any], kind: type[msgspec.Struct], file: Path, at: str) -> None:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        where = f"{at}{key}"
        if key not in fields:
            raise SettingsError(
                f"{file}: unknown key {where}", did_you_mean(key, fields, at + "{}")
            )
        inner = fields[key]
        if (
            isinstance(inner, type)
            and issubclass(inner, msgspec.Struct)
            and isinstance(value, dict)
        ):
            _refuse_unknown(value, inner, file, f"{where}.")


def _check_servers(servers: object, file: Path) -> None:
    """Check each table of `[servers]` and the methods that it names."""
    for name, table in servers.items() if isinstance(servers, dict) else ():
        check_server_name(name)
        if not isinstance(table, dict):
            continue
        at = f"servers.{name}."
        _refuse_unknown(table, ServerSettings, file, at)
        methods = table.get("methods")
        for method in methods if isinstance(methods, dict) else ():
            if method not in SWITCHABLE:
                raise SettingsError(
                    f"{file}: {at}methods: {method} is no method that can be switched",
                    did_you_mean(method, SWITCHABLE),
                )


def filled_in(text: str, where: str) -> str:
    """Return a setting with each `${NAME}` in it replaced from the environment.

    `where` is the setting's name. Raises `SettingsError` where a variable is not set.
    """

    def variable(match: re.Match[str]) -> str:
        found = os.environ.get(match[1])
        if found is None:
            raise SettingsError(f"{where} needs the environment variable {match[1]}", "Set it")
        return found

    return _VARIABLE.sub(variable, text)


def bundled(*parts: str) -> Path:
    """Return a file shipped with pktui (`config/…`, `assets/…`), installed or in a checkout."""
    package = Path(sys.modules["pktui"].__file__ or "").parent
    installed = package.joinpath("bundled", *parts)
    return installed if installed.exists() else package.parent.joinpath(*parts)
