"""What `pktui doctor` says of policies: own, managed, and the paths that no tool may reach."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.cli.doctor_check import Check, failed
from pktui.errors import PktuiError
from pktui.policy import managed as places
from pktui.policy.bundle import last_good, read_fetched, read_source
from pktui.policy.denied_paths import FILE
from pktui.settings import is_server_name
from pktui.times import now_us

if TYPE_CHECKING:
    from pktui.settings import Paths

_KNOWN: Final = (places.ALL, places.OTHERS)
_OWN: Final = "Let root own it and nobody else write it: chown root, chmod go-w"


def policies(paths: Paths) -> Iterator[Check]:
    """Check that every policy file is one."""
    files = sorted(paths.policies_dir.glob("[!_]*.json"))
    if not files:
        yield Check("policies", "ok", f"none in {paths.policies_dir} yet")
    for file in files:
        yield policy_file(f"policy {file.stem}", file)


def policy_file(name: str, file: Path) -> Check:
    """Check one policy file."""
    from pktui.policy.document.policy import load_policy

    try:
        policy = load_policy(file)
    except PktuiError as error:
        return failed(name, error, f"See pktui policy validate {file}")
    return Check(name, "ok", f"{len(policy.tools)} rules, default {policy.default.value}")


def denied_paths(directory: Path, name: str = "denied paths") -> Iterator[Check]:
    """Check the paths that no tool may reach; a file that cannot be used denies every path."""
    from pktui.policy.denied_paths import FILE, read_denied
    from pktui.policy.document.policy import read_bytes

    file = directory / FILE
    if not (file.exists() or file.is_symlink()):
        return
    try:
        found = read_denied(read_bytes(file), file)
    except PktuiError as error:
        yield failed(name, error)
        return
    if found.problem:
        cure = "Mend it; until then no path is passed on to any tool"
        yield Check(name, "fail", found.problem, cure)
    else:
        yield Check(name, "ok", f"{len(found.entries)} in {file}")


def managed(paths: Paths) -> Iterator[Check]:
    """Check the managed policies; says nothing where there are none."""
    directory = places.DIRECTORY
    try:
        os.lstat(directory)
        files = sorted(directory.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        what = f"{directory} cannot be read: {error.strerror or error}; every call is denied"
        yield Check("managed policies", "fail", what, "Let everybody read it: chmod a+rx")
        return
    yield from _writable(directory, "managed policies")
    yield Check("managed policies", "ok", f"{directory} is laid over every policy")
    for file in files:
        name = f"managed {file.stem}"
        yield from _writable(file, name)
        if file.name == places.SOURCE:
            yield _bundle(paths)
        elif file.name == FILE:
            yield from denied_paths(directory, "managed paths")
        elif file.suffix == ".json" and (file.stem in _KNOWN or is_server_name(file.stem)):
            yield policy_file(name, file)
        else:
            cure = f"Name it as a server, {' or '.join(_KNOWN)}, with .json behind"
            yield Check(name, "warn", f"{file} is about no server: nobody reads it", cure)


def _bundle(paths: Paths) -> Check:
    """Check the bundle that is named: whether it is there and holds, and how the last look went."""
    name = "managed bundle"
    try:
        source = read_source(places.DIRECTORY / places.SOURCE)
    except PktuiError as error:
        return failed(name, error)
    assert source is not None
    kept = read_fetched(paths.bundle_file)
    found = last_good(kept, source)
    if found is None:
        why = kept.problem or f"it was not fetched from {source.url} yet"
        return Check(name, "fail", f"{why}; every call is denied", "Try: pktui policy fetch")
    many = f"{len(found.files)} file{'' if len(found.files) == 1 else 's'}"
    held = f"what was fetched from {source.url} ({many})"
    if found.expires_us < now_us():
        what = f"{held} expired at {found.expires}; it stays in force"
        return Check(name, "warn", what, "Put a newer one there: pktui policy bundle")
    if kept.problem:
        return Check(name, "warn", f"{kept.problem}; {held} stays in force", "Mend it there")
    return Check(name, "ok", f"{held}, until {found.expires}")


def _writable(path: Path, name: str) -> Iterator[Check]:
    """Warn where others than root can change what is to hold for everybody."""
    try:
        found = path.stat()
    except OSError:
        return  # the check of what it holds says so
    if found.st_uid != 0 or stat.S_IMODE(found.st_mode) & 0o022:
        yield Check(name, "warn", f"others than root can change {path}", f"{_OWN} {path}")
