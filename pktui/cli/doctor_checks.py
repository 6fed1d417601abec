"""What `pktui doctor` looks at, one check after the other; none of them changes anything."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pktui import __version__
from pktui.cli.doctor_check import Check, State, failed
from pktui.cli.policy_checks import denied_paths, managed, policies
from pktui.cli.telemetry import telemetry
from pktui.errors import MemoryUnavailable, PktuiError
from pktui.files import PRIVATE_DIRECTORY, PRIVATE_FILE
from pktui.settings import ConsoleSettings, Paths, Settings, load_settings

if TYPE_CHECKING:
    from pktui.agents.discovery import AgentFound
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.postgres.team import Team

OLDEST_PYTHON = (3, 11)
LIBRARIES = ("click", "lancedb", "mcp", "msgspec", "sentence-transformers", "textual", "torch")
GIB = 1024**3
WARN_FREE_BYTES = GIB
FAIL_FREE_BYTES = 100 * 1024**2
_OTHERS = 0o077
_APART_US = 60_000_000
CHOOSE_DIRECTORIES = ("PKTUI_CONFIG_DIR", "PKTUI_DATA_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME")


def examine(paths: Paths) -> Iterator[Check]:
    """Yield every check in the order a person would go through them."""
    yield from program()
    yield from directories(paths)
    try:
        settings = load_settings(paths)
    except PktuiError as error:
        settings = Settings()
        yield failed("settings", error)
    else:
        there = paths.settings_file.exists()
        yield Check("settings", "ok", f"{paths.settings_file}{'' if there else ' (all defaults)'}")
        yield from console(settings.console, paths)
    yield from prices(paths)
    yield from servers(paths)
    yield from agents(paths)
    yield from by_hand(paths, settings)
    yield from policies(paths)
    yield from denied_paths(paths.policies_dir)
    yield from managed(paths)
    yield from ledger(paths, settings)
    yield from telemetry(paths, settings.telemetry)
    yield from model(settings)
    yield from memory(paths)
    yield disk(paths)


def prices(paths: Paths) -> Iterator[Check]:
    """Check that the prices can be read, where there are any."""
    from pktui.prices import load_prices

    try:
        found = load_prices(paths)
    except PktuiError as error:
        yield failed("prices", error)
    else:
        if found.models:
            yield Check("prices", "ok", f"of {len(found.models)} models, in {found.currency}")


def console(wanted: ConsoleSettings, paths: Paths) -> Iterator[Check]:
    """Check that the console can use the keys and the theme that are set for it."""
    if wanted == ConsoleSettings():
        return
    from pktui.tui.actions import read_keymap
    from pktui.tui.theme import THEMES

    themes = [theme.name for theme in THEMES]
    problems = list(read_keymap(wanted.keys).problems)
    if wanted.theme not in themes:
        problems.append(f"console.theme: no theme {wanted.theme}; known: {', '.join(themes)}")
    for problem in problems:
        yield Check("console", "warn", problem, f"Mend it in {paths.settings_file}")
    if not problems:
        yield Check("console", "ok", f"theme {wanted.theme}, {len(wanted.keys)} keys changed")


def program() -> Iterator[Check]:
    """Check the versions of pktui, Python and the libraries."""
    yield Check("pktui", "ok", f"{__version__} in {Path(__file__).parents[1]}")
    old = sys.version_info < OLDEST_PYTHON
    cure = f"Install Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer" if old else ""
    found = f"{platform.python_version()} at {sys.executable} on {platform.system()}"
    yield Check("python", "fail" if old else "ok", found, cure)
    found_versions, missing = [], []
    for name in LIBRARIES:
        try:
            found_versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Check(
            "libraries", "fail", f"missing: {', '.join(missing)}", "Run pip install pktui again"
        )
    else:
        yield Check("libraries", "ok", ", ".join(found_versions))


def directories(paths: Paths) -> Iterator[Check]:
    """Check that each directory is there or can be made, is private and can be written.

    Two processes meet where both have the same two directories, so what chose them is told.
    """
    yield _directory("config directory", paths.config_dir)
    yield _directory("data directory", paths.data_dir)
    chosen = [name for name in CHOOSE_DIRECTORIES if os.environ.get(name)]
    if chosen:
        names = " and ".join(chosen)
        cure = "Name them in the env of the agent's entry, or give its gateway --home DIR"
        found = f"{names} chose these directories; an agent that does not hand them on uses others"
        yield Check("environment", "warn", found, cure)


def _directory(what: str, path: Path) -> Check:
    if not path.exists():
        return _unmade(what, path)
    if not path.is_dir():
        return Check(what, "fail", f"{path} is not a directory", f"Move {path} away")
    found = path.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.getuid():
        cure = "Set PKTUI_CONFIG_DIR and PKTUI_DATA_DIR to directories of your own"
        return Check(what, "fail", f"{path} belongs to uid {found.st_uid}, not to you", cure)
    refusal = _refusal(path)
    if refusal:
        cure = f"Make it writable (chmod u+rwx {path}), or set another with PKTUI_DATA_DIR"
        return Check(what, "fail", f"{path} cannot be written: {refusal}", cure)
    if mode & _OTHERS:
        cure = f"Run chmod {PRIVATE_DIRECTORY:o} {path}"
        return Check(what, "warn", f"{path} is open to others (mode {mode:04o})", cure)
    return Check(what, "ok", str(path))


def _unmade(what: str, path: Path) -> Check:
    parent = next(parent for parent in path.parents if parent.exists())
    refusal = _refusal(parent)
    if refusal:
        cure = f"Make {parent} writable, or set another with PKTUI_CONFIG_DIR and PKTUI_DATA_DIR"
        return Check(what, "fail", f"{path} cannot be made in {parent}: {refusal}", cure)
    return Check(what, "ok", f"{path} (made when it is needed)")


def _refusal(directory: Path) -> str:
    """Return why nothing can be written there; the file it is tried with has no name."""
    try:
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def servers(paths: Paths) -> Iterator[Check]:
    """Check the list of servers, and that those in use have what they need to be started."""
    from pktui.gateway.servers.entries import load_servers
    from pktui.gateway.servers.expand import prepared

    entries = load_servers(paths)
    if entries.whole:
        yield Check("servers", "ok", f"{len(entries)} configured: {', '.join(entries)}")
    for fault in entries.faults:
        what = f"server {fault.name}" if fault.name else "servers"
        yield Check(what, "warn" if entries.whole else "fail", fault.error().what, fault.cure)
    for written in entries.values():
        if written.disabled:
            continue
        try:
            entry = prepared(written, os.environ)
        except PktuiError as error:
            found = error.what.removeprefix(f"server {written.name}: ")
            yield Check(f"server {written.name}", "warn", found, error.cure)
            continue
        if entry.command and shutil.which(entry.command, path=entry.env.get("PATH")) is None:
            cure = f"Install it, or mend its entry in {paths.servers_file}"
            yield Check(f"server {entry.name}", "warn", f"no command {entry.command!r}", cure)


def agents(paths: Paths) -> Iterator[Check]:
    """Check that each agent here goes through this pktui: servers, hooks, directories."""
    from pktui.agents.clients import Places
    from pktui.agents.discovery import find_agents

    for agent in find_agents(paths, Places.here()):
        yield _agent(agent, {str(paths.config_dir), str(paths.data_dir)})


def _agent(agent: AgentFound, meant: set[str]) -> Check:
    from pktui.agents.hook_state import INSTALLED, NONE, OFF, UNTRUSTED

    name = f"agent {agent.client.title}"
    if others := sorted(agent.directories - meant):
        what = f"it uses {', '.join(others)}, and this terminal {', '.join(sorted(meant))}"
        return Check(name, "warn", what, "Run pktui adopt here, so that both meet")
    if agent.problems:
        cure = "Mend it, or take it out; then run pktui adopt"
        return Check(name, "warn", "; ".join(agent.problems), cure)
    if agent.hooks == UNTRUSTED:
        cure = "Start it and trust them in its own screen; until then they do not run"
        return Check(name, "warn", "its hooks wait for your trust", cure)
    if agent.hooks.startswith(OFF):
        return Check(name, "warn", f"its hooks are switched {agent.hooks}", "Take that out")
    around = [f"{agent.servers - agent.behind} of its {agent.servers} servers"]
    around = around if agent.behind < agent.servers else []
    around += ["its own tools"] if agent.hooks == NONE else []
    if around:
        what = f"{' and '.join(around)} go around pktui"
        return Check(name, "warn", what, "Put it behind: pktui adopt")
    tools = "its own tools too" if agent.hooks == INSTALLED else "its own tools can't be reached"
    return Check(name, "ok", f"{agent.behind} servers go through pktui, {tools}")


def by_hand(paths: Paths, settings: Settings) -> Iterator[Check]:
    """Check the servers that agents start through pktui without a NAME: what a former one holds."""
    from pktui.agents.clients import Places
    from pktui.agents.discovery import find_configs
    from pktui.gateway.servers.former import left_behind

    for finding in find_configs(Places.here()):
        for server in finding.servers:
            entry = _given_by_hand(server.command, server.directory)
            for said in left_behind(paths, settings, entry) if entry is not None else ():
                what, _, cure = said.partition(". ")
                yield Check(f"server {entry.name}" if entry else "", "warn", what, cure)


def _given_by_hand(words: Sequence[str], directory: str) -> ServerEntry | None:
    """Return the server of a command line `pktui gateway -- …` or `--url …` without a NAME."""
    from pktui.gateway.main import parse
    from pktui.gateway.servers.naming import server_of_command, server_of_url

    if "gateway" not in words:
        return None
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            asked, command = parse(list(words[words.index("gateway") + 1 :]))
        if asked.name or not (command or asked.url):
            return None
        if command:
            return server_of_command("", command, Path(directory or Path.cwd()))
        return server_of_url("", asked.url, {})
    except (PktuiError, SystemExit):
        return None


def ledger(paths: Paths, settings: Settings) -> Iterator[Check]:
    """Check that the ledger opens, is whole and holds its chain; then who is on it."""
    from pktui.ledger.ledger import Ledger

    if not paths.ledger_file.exists():
        yield Check("ledger", "ok", f"{paths.ledger_file} (made by the first gateway)")
        if settings.ledger.uri:
            yield Check("team", "warn", "asked once there is a ledger here", "Start a gateway")
        return
    mode = stat.S_IMODE(paths.ledger_file.stat().st_mode)
    if mode & _OTHERS:
        cure = f"Run chmod {PRIVATE_FILE:o} {paths.ledger_file}"
        yield Check("ledger file", "warn", f"is open to others (mode {mode:04o})", cure)
    try:
        opened = Ledger.open(
            paths.ledger_file, audit=settings.audit, read_only=True, shared=settings.ledger
        )
        try:
            if opened.team is not None:
                yield from team(opened.team)
            yield from _chain(opened)
            yield from _writing(paths)
        finally:
            opened.close()
    except PktuiError as error:
        yield failed("ledger", error)


def team(shared: Team) -> Iterator[Check]:
    """Check the database of a team: that it answers, how soon, by which clock and to whom."""
    try:
        found = shared.health()
    except PktuiError as error:
        yield failed("team", error)
        return
    many = f"{found.machines} machine{'' if found.machines == 1 else 's'}"
    said = f"{found.address}, PostgreSQL {found.server}, {many}"
    yield Check("team", "ok", f"{said}, answers in {found.answer_us / 1000:.1f} ms")
    if not found.writes:
        cure = "Give it to gateways with: GRANT pktui_gateway TO ROLE"
        yield Check("team role", "warn", f"{found.role} can only read", cure)
    if abs(found.ahead_us) > _APART_US:
        ahead = "ahead of" if found.ahead_us > 0 else "behind"
        what = f"the database's clock is {abs(found.ahead_us) / 1_000_000:,.0f} s {ahead} this one"
        cure = "Limits and answers go by the database's; set this one by NTP"
        yield Check("team clock", "warn", what, cure)


def _writing(paths: Paths) -> Iterator[Check]:
    from pktui.ledger.locks import check_writable

    try:
        check_writable(paths.ledger_file)
    except PktuiError as error:
        yield failed("ledger writing", error)


def _chain(opened: Ledger) -> Iterator[Check]:
    damage = opened.damage()
    if damage:
        cure = "Move the file away to keep it, and restore it from a backup"
        yield Check("ledger", "fail", f"{opened.path} is damaged: {damage}", cure)
        return
    verified = opened.verify()
    if verified.ok:
        anchors = f", {verified.anchors} anchors agree" if verified.anchors else ""
        yield Check("ledger", "ok", f"{verified.rows} events, the chain holds{anchors}")
    else:
        changed = "; someone or something changed the file"
        cure = f"See pktui audit verify{changed if verified.segment or verified.row else ''}"
        yield Check("ledger", "fail", verified.problem, cure)
    yield from _anchors(opened)
    if lately := opened.retention.pruned_for_size():
        cure = "Raise audit.max_megabytes, or export what should stay: pktui audit export"
        yield Check("record", "warn", lately, cure)
    if opened.approvals.stopped():
        cure = "Release it with: pktui approvals release (in the console: K)"
        yield Check("calls", "warn", "everything is stopped", cure)
    waiting = len(opened.approvals.pending())
    for kind in ("gateway", "console"):
        alive = opened.presence.alive(kind)
        names = ", ".join(f"{one.server or kind} (pid {one.pid})" for one in alive)
        yield Check(f"{kind}s", "ok", f"{len(alive)} running{': ' if names else ''}{names}")
    if waiting:
        yield Check("approvals", "warn", f"{waiting} waiting", "Decide them: pktui approvals list")


def _anchors(opened: Ledger) -> Iterator[Check]:
    """Check that each place the heads are published to takes them, and soon enough."""
    for one in opened.anchors.standings():
        since = f"{one.behind:,} rows since the newest"
        if one.problem:
            yield Check("anchor", "fail", one.problem, "See pktui audit status")
        elif one.late:
            cure = "Gateways do it while they run; by hand: pktui audit anchor"
            yield Check("anchor", "warn", f"{one.store} is late: {since}", cure)
        else:
            yield Check("anchor", "ok", f"{one.store}, {since}")


def model(settings: Settings) -> Iterator[Check]:
    """Check that the model's weights are there and are the known ones."""
    from pktui.memory.embed import model_place

    named = settings.memory.model
    what = f"{named}, as settings.toml says," if named else "the packaged all-MiniLM-L6-v2"
    try:
        yield Check("model", "ok", f"{what} in {model_place(named)}")
    except PktuiError as error:
        yield failed("model", error)


def memory(paths: Paths) -> Iterator[Check]:
    """Check the memory service, without starting it."""
    from pktui.memory.addresses import remote_of
    from pktui.memory.client import MemoryClient
    from pktui.memory.rendezvous import listens
    from pktui.memory.starting import find_owner

    try:
        remote = remote_of(paths)
        silent = remote is None and not listens(paths)
        owner = find_owner(paths) if silent else None
    except PktuiError as error:
        yield failed("memory", error)
        return
    if owner is not None:
        yield failed("memory", owner.silent(paths))
        return
    if silent:
        yield Check("memory", "ok", f"not running for {paths.data_dir}; starts when needed")
        return
    client = MemoryClient(paths, start=False, timeout=10)
    try:
        now = client.status()
    except MemoryUnavailable as error:
        cure = "Run pktui memory stop, then try again" if remote is None else ""
        yield failed("memory", error, cure)
        return
    except PktuiError as error:
        yield failed("memory", error)
        return
    finally:
        client.close()
    found = (
        f"{remote.address if remote else f'pid {now.pid}'}, {now.sessions} sessions, "
        f"{now.messages} messages, {now.entries} entries, model {now.model_state}, "
        f"{now.pending_vectors} vectors to make"
    )
    if now.model_state in ("failed", "mismatch"):
        yield Check("memory", "warn", f"{found}; {now.note}", "See pktui memory status")
    else:
        yield Check("memory", "ok", found)


def disk(paths: Paths) -> Check:
    """Check that there is room for what is kept."""
    there = next(path for path in (paths.data_dir, *paths.data_dir.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{free / GIB:.1f} GiB free for {paths.data_dir}"
    if free < WARN_FREE_BYTES:
        state: State = "fail" if free < FAIL_FREE_BYTES else "warn"
        return Check("disk", state, found, "Make room: calls are denied when the disk is full")
    return Check("disk", "ok", found)
