"""Managed policies: a ceiling that an administrator puts over every person's own policies.

They stand in one directory that root fills (`DIRECTORY`), and no option, variable or setting names
another. For a server hold `NAME.json`, by its name and by the one that what it starts has by itself
(so that a second name changes nothing), and `_all.json`; `_others.json` holds for a server that has
no file of its own there. `_paths.json` denies paths as beside a person's policies. What is there
and cannot be used denies every call that it is about; an edit that breaks a file leaves the last
good one in force. `_bundle.json` names a signed bundle of such files (`bundle.py`), which are laid
over as well; until it is there, no call is allowed.
"""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from pktui.errors import PolicyError
from pktui.policy.denied_paths import FILE, DeniedPaths, read_denied
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.layers import MANAGED, managed_rule
from pktui.policy.live import LiveDenied, LivePolicy, look
from pktui.policy.selection import EVERYTHING, Selection

DIRECTORY = Path(
    "/Library/Application Support/pktui/policies"
    if sys.platform == "darwin"
    else "/etc/pktui/policies"
)
ALL: Final = "_all"
OTHERS: Final = "_others"
# Where a bundle is to be had.
SOURCE: Final = "_bundle.json"
_UNREADABLE: Final = "#(unreadable)"
_CLOSED: Final = b'{"version": "1", "default": "deny", "list": "all"}'

# Gives the name that what a server's entry starts has by itself, empty where there is none.
Also = Callable[[], str]


def managed_files() -> list[Path]:
    """Return the policy files of the directory, none where it is not there or can't be read."""
    try:
        files = sorted(DIRECTORY.iterdir())
    except OSError:
        return []
    return [
        file
        for file in files
        if file.suffix == ".json" and (file.name[0] != "_" or file.stem in (ALL, OTHERS))
    ]


class Ceiling(msgspec.Struct, frozen=True):
    """What is laid over one server's policy; `problem`: what of it cannot be used, else empty."""

    policies: tuple[Policy, ...] = ()
    denied: DeniedPaths | None = None
    problem: str = ""

    @property
    def closed(self) -> bool:
        """Whether one of them cannot be used and was never, so that every call is denied."""
        return any(one.unlisted.rule.endswith(_UNREADABLE) for one in self.policies)

    def over(self, policy: Policy) -> Policy:
        """Return the policy under this ceiling."""
        nothing = not self.policies and self.denied is None
        return policy if nothing else policy.under(self.policies, self.denied)


NONE: Final = Ceiling()


def in_force(policy: Policy, selection: Selection = EVERYTHING, ceiling: Ceiling = NONE) -> Policy:
    """Return the policy that a gateway decides by: of what the entry leaves in, under a ceiling."""
    if not (selection is EVERYTHING or selection == EVERYTHING):
        policy = policy.selecting(selection)
    return ceiling.over(policy)


class Managed:
    """The managed policies of one server, looked at anew each time; usable from any thread."""

    def __init__(self, server: str, also: Also = str, fetched: Path | None = None) -> None:
        """`fetched` is the file that the last good bundle is kept in, None: there can be none."""
        self._fetched = fetched
        self._path = DIRECTORY
        self._parent = str(DIRECTORY.parent)
        self._linked = DIRECTORY.parent.is_symlink()
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
        if not (self._linked or os.access(self._parent, os.F_OK)):
            return NONE  # on most machines there is none, and what is not there is no exception
        try:
            if not _is_there(self._path):
                return NONE
        except OSError as error:
            return self._kept(Ceiling((refusing("", _unreadable(self._path, error)),)))
        with self._lock:
            return self._kept(self._look())

    def _look(self) -> Ceiling:
        if self._directory is None:
            self._directory = _Directory(self._path)
            self._bundle = _FromBundle(self._path, self._fetched)
        directory, bundle = self._directory, self._bundle
        bundle.refresh()

        def layers(name: str) -> list[Policy]:
            found = directory.policy(name), bundle.policy(name)
            return [one for one in found if one is not None]

        if not self._names:
            self._names = tuple(dict.fromkeys(filter(None, (self._server, self._also()))))
        own = [layer for name in self._names for layer in layers(name)]
        denied = directory.denied()
        if bundle.denied is not None:
            denied = bundle.denied.beside(denied)
        problem = " ".join(filter(None, (directory.problem(), bundle.problem)))
        return Ceiling((*(own or layers(OTHERS)), *layers(ALL)), denied, problem)

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


class _FromBundle:
    """The files of the bundle that a directory names, as far as one was fetched."""

    def __init__(self, directory: Path, fetched: Path | None) -> None:
        self._directory = directory
        self._fetched = fetched
        self._stamps: object = (False, None)
        self._files: Mapping[str, bytes] = {}
        self._layers: dict[str, Policy] = {}
        self._refused = False
        self.denied: DeniedPaths | None = None
        self.problem = ""

    def policy(self, stem: str) -> Policy | None:
        """Return the policy of a file, None where the bundle has no such file."""
        name = f"{stem}.json"
        if name not in self._layers and name in self._files:
            self._layers[name] = self._parsed(name)
        return self._layers.get(name)

    def refresh(self) -> None:
        """Read the bundle again where it, or where it is to be had, is another one."""
        source_file = str(self._directory / SOURCE)
        # A link that leads nowhere is no file that is not there.
        named = look(source_file) or os.path.islink(source_file)  # noqa: PTH114  which never raises
        stamps = (named, look(str(self._fetched)) if self._fetched is not None else None)
        if stamps == self._stamps:
            return
        from pktui.policy import bundle as bundles  # most directories name none

        try:
            source = bundles.read_source(self._directory / SOURCE)
        except PolicyError as error:
            self._refuse(f"{error}.")
            self._stamps = stamps
            return
        if source is None:
            self._take({}, "")
        else:
            kept = bundles.read_fetched(self._fetched) if self._fetched else bundles.Fetched()
            found = bundles.last_good(kept, source)
            if found is not None:
                self._take(bundles.texts_of(found), kept.problem)
            elif not self._files:
                told = kept.problem or f"the bundle at {source.url} was not fetched yet"
                self._refuse(f"{told}.")
            else:  # what was kept is gone or no longer signed: this process still knows it
                self.problem = f"{self._fetched}, the last good bundle, was changed."
        self._stamps = stamps

    def _take(self, files: Mapping[str, bytes], problem: str) -> None:
        if files != self._files or self._refused:
            self._layers = {}
        self._files, self.problem, self._refused = files, problem, False
        paths = files.get(FILE)
        self.denied = None if paths is None else read_denied(paths, Path(f"bundle/{FILE}"))

    def _refuse(self, problem: str) -> None:
        self._layers = {f"{ALL}.json": refusing(SOURCE, problem)}
        self._files, self.problem, self._refused = {}, problem, True

    def _parsed(self, name: str) -> Policy:
        try:
            policy = parse_policy(self._files[name], Path(f"bundle/{name}"))
        except PolicyError as error:
            return refusing(f"bundle/{name}", f"{error}.")
        return as_managed(policy, f"bundle/{name}")


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
    why = f"{problem} Until your administrator mends that managed policy, no call is allowed"
    unlisted = msgspec.structs.replace(
        policy.unlisted, rule=f"{MANAGED}{file}{_UNREADABLE}", reason=f"{why}.", words=why
    )
    return msgspec.structs.replace(policy, source=DIRECTORY / file, unlisted=unlisted)


def _is_there(directory: Path) -> bool:
    """Tell whether there is such a directory; raises `OSError` where a link leads to none."""
    for path in (directory.parent, directory):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return False
        if stat.S_ISLNK(found.st_mode) and not path.exists():
            raise NotADirectoryError(f"{path} leads to no directory")
    return True


def _unreadable(path: Path, error: OSError) -> str:
    return f"managed policy {path} cannot be read: {error.strerror or error}."
