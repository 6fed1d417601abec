"""Managed policies: a ceiling that an administrator puts over every person's own policies.

They stand in one directory that root fills (`DIRECTORY`), and no option, variable or setting names
another. For a server hold `NAME.json`, by its name and by the one that what it starts has by itself
(so that a second name changes nothing), and `_all.json`; `_others.json` holds for a server that has
no file of its own there. `_paths.json` denies paths as beside a person's policies. What is there
and cannot be used denies every call that it is about; an edit that breaks a file leaves the last
good one in force.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from pktui.policy.denied_paths import FILE, DeniedPaths
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.layers import MANAGED, managed_rule
from pktui.policy.live import LiveDenied, LivePolicy

DIRECTORY = Path(
    "/Library/Application Support/pktui/policies"
    if sys.platform == "darwin"
    else "/etc/pktui/policies"
)
ALL: Final = "_all"
OTHERS: Final = "_others"
_CLOSED: Final = b'{"version": "1", "default": "deny", "list": "all"}'

Also = Callable[[], str]
"""Gives the name that what a server's entry starts has by itself, empty where there is none."""


class Ceiling(msgspec.Struct, frozen=True):
    """What is laid over one server's policy; `problem`: what of it cannot be used, else empty."""

    policies: tuple[Policy, ...] = ()
    denied: DeniedPaths | None = None
    problem: str = ""

    def over(self, policy: Policy) -> Policy:
        """Return the policy under this ceiling."""
        nothing = not self.policies and self.denied is None
        return policy if nothing else policy.under(self.policies, self.denied)


NONE: Final = Ceiling()


class Managed:
    """The managed policies of one server, looked at anew each time; usable from any thread."""

    def __init__(self, server: str, also: Also = str) -> None:
        self._path = DIRECTORY
        self._parent = str(DIRECTORY.parent)
        self._server = server
        self._also = also
        self._names: tuple[str, ...] = ()
        self._directory: _Directory | None = None
        self._ceiling = NONE
        self._lock = threading.Lock()

    def starts(self, also: Also) -> None:
        """Take note that the server's entry was edited: it may start something else now."""
        with self._lock:
            self._also, self._names = also, ()

    def current(self) -> Ceiling:
        """Return the ceiling as it is now: the very same object as long as nothing moved."""
        if not os.access(self._parent, os.F_OK):
            return NONE  # on most machines there is none, and what is not there is no exception
        try:
            there = os.lstat(self._path)
            if stat.S_ISLNK(there.st_mode) and not self._path.exists():
                raise NotADirectoryError("it leads to no directory")
        except FileNotFoundError:
            return NONE
        except OSError as error:
            return self._kept(Ceiling((refusing("", _unreadable(self._path, error)),)))
        with self._lock:
            return self._kept(self._look())

    def _look(self) -> Ceiling:
        if self._directory is None:
            self._directory = _Directory(self._path)
        directory = self._directory
        if not self._names:
            self._names = tuple(dict.fromkeys(filter(None, (self._server, self._also()))))
        own = [policy for name in self._names if (policy := directory.policy(name)) is not None]
        if not own and (others := directory.policy(OTHERS)) is not None:
            own.append(others)
        if (for_all := directory.policy(ALL)) is not None:
            own.append(for_all)
        return Ceiling(tuple(own), directory.denied(), directory.problem())

    def _kept(self, found: Ceiling) -> Ceiling:
        last = self._ceiling
        same = len(found.policies) == len(last.policies) and all(
            one is other for one, other in zip(found.policies, last.policies, strict=True)
        )
        if not (same and found.denied == last.denied and found.problem == last.problem):
            self._ceiling = last = found
        return last


class _Directory:
    """The files of one directory that were asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._denied = LiveDenied(path / FILE)
        self._files: dict[str, _File] = {}

    def policy(self, stem: str) -> Policy | None:
        """Return the policy of a file, None where there is no such file."""
        if stem not in self._files:
            self._files[stem] = _File(self._path / f"{stem}.json")
        return self._files[stem].current()

    def denied(self) -> DeniedPaths | None:
        """Return the paths that are denied; those of a file that cannot be used are all."""
        self._denied.refresh()
        return self._denied.found

    def problem(self) -> str:
        """Say what is wrong with the files that were asked for, empty where nothing is."""
        found = [file.problem for file in self._files.values() if file.problem]
        denied = self._denied.found
        return " ".join(found + ([denied.problem] if denied and denied.problem else []))


class _File:
    """One managed file; a broken edit keeps the last good one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._live: LivePolicy | None = None
        self._found: tuple[Policy | None, str, Policy] | None = None
        self.problem = ""

    def current(self) -> Policy | None:
        """Return the policy with the managed names of its rules, None where there is no file."""
        self.problem = ""
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            self._live = None
            return None
        except OSError as error:
            self.problem = _unreadable(self._path, error)
            return self._as_managed(None)
        if self._live is None:
            self._live = LivePolicy(self._path)
        policy = self._live.current()
        self.problem = str(self._live.problem or "")
        return self._as_managed(policy)

    def _as_managed(self, policy: Policy | None) -> Policy:
        """Return the policy as a layer; None: none can be made of the file, so all is denied."""
        found, problem = self._found, "" if policy is not None else self.problem
        if found is None or found[0] is not policy or found[1] != problem:
            name = self._path.name
            made = refusing(name, problem) if policy is None else as_managed(policy, name)
            self._found = found = policy, problem, made
        return found[2]


def as_managed(policy: Policy, file: str) -> Policy:
    """Return a policy whose rules and limits are named, and counted, by the managed file."""
    return policy.denying(None).renamed(lambda rule: managed_rule(rule, file))


def refusing(file: str, problem: str) -> Policy:
    """Return the managed policy that denies every call and says why."""
    policy = parse_policy(_CLOSED)
    why = f"{problem} Until your administrator mends that managed policy, no call is allowed."
    unlisted = msgspec.structs.replace(
        policy.unlisted, rule=f"{MANAGED}{file}#(unreadable)", reason=why
    )
    return msgspec.structs.replace(policy, source=DIRECTORY / file, unlisted=unlisted)


def _unreadable(path: Path, error: OSError) -> str:
    return f"managed policy {path} cannot be read: {error.strerror or error}."
