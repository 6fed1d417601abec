"""The policy a gateway goes by: one file, read again when it changes, made where there is none."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pktui.errors import PolicyConflict, PolicyError
from pktui.files import make_private_directory
from pktui.gateway.servers.entries import MEMORY
from pktui.ledger.tool_catalogue import MOST_TOOLS
from pktui.policy.denied_paths import FILE
from pktui.policy.document.policy import Policy, parse_policy
from pktui.policy.files import replace_file
from pktui.policy.live import INTERIM, LivePolicy
from pktui.policy.managed import NONE, Also, Ceiling, Managed, in_force
from pktui.policy.selection import EVERYTHING, Selection
from pktui.settings import Paths, bundled

if TYPE_CHECKING:
    from pktui.gateway.servers.entries import ServerEntry
    from pktui.ledger.records import Flag

_NOTHING: Final[Mapping[str, Sequence[Flag]]] = {}

# Takes the digest of the policy in force (empty: none) and what is wrong with its file.
Changed = Callable[[str, "PolicyError | None"], None]


class ServerPolicy:
    """The policy of one server.

    Where its file was never made, a person decides every call until the server has listed its
    tools; then the file is written, with the rules that are recommended for them.
    """

    def __init__(
        self,
        server: str,
        path: Path,
        *,
        needed: bool,
        changed: Changed,
        selection: Selection = EVERYTHING,
        denied: Path | None = None,
        managed: Managed | None = None,
    ) -> None:
        """`needed`: a missing file is a problem, and nothing is allowed.

        `changed` is called when the policy in force is another one, or its file was broken or
        mended; a broken edit leaves the last good policy in force. `managed` is what is laid over
        it: by default what is managed for a server of that name.
        """
        self.managed = managed or Managed(server)
        self.selection = selection
        """Which tools the server's entry leaves in; an edit of it may set another."""
        self._server = server
        self._in_force: tuple[Policy, Selection, Ceiling, Policy] | None = None
        self._ceiling = NONE
        self._live = LivePolicy(path, denied)
        self._changed = changed
        self._unruled: dict[str, Mapping[str, Any]] = {}
        self._flagged: dict[str, Sequence[str]] = {}
        self._interim = None if needed or path.exists() else parse_policy(INTERIM)
        self._told: tuple[str, str] | None = None
        # What was looked at last; other objects may still say the same.
        self._known: Policy | None = None
        self._known_problem: PolicyError | None = None

    @property
    def problem(self) -> PolicyError | None:
        """What is wrong with the file, or with what is laid over it; None where nothing is."""
        own = None if self._interim is not None else self._live.problem
        managed = self._ceiling.problem
        return own or (PolicyError(managed.rstrip(".")) if managed else None)

    def current(self) -> Policy | None:
        """Return the policy in force; None where there never was a good one."""
        live = self._live
        policy, ceiling = live.current(), self.managed.current()
        if (
            policy is not self._known
            or live.problem is not self._known_problem
            or ceiling is not self._ceiling
            or self._interim is not None
        ):
            policy = self._written(policy, ceiling)
        if policy is None:
            return None
        selection, kept = self.selection, self._in_force
        if kept is None or not (kept[0] is policy and kept[1] is selection and kept[2] is ceiling):
            kept = policy, selection, ceiling, in_force(policy, selection, ceiling)
            self._in_force = kept
        return kept[3]

    def _written(self, policy: Policy | None, ceiling: Ceiling) -> Policy | None:
        """Return the policy that the file holds now, or what stands in for it; tell of a change."""
        covered, self._ceiling = ceiling is not self._ceiling, ceiling
        if self._interim is not None:
            if policy is None and not self._live.path.exists():
                if covered:
                    self._tell(self._interim)
                return self._interim
            self._interim = None
        if policy is not self._known or self._live.problem is not self._known_problem or covered:
            self._known, self._known_problem = policy, self._live.problem
            self._tell(policy)
        return policy

    def saw(
        self,
        definitions: Sequence[Mapping[str, Any]],
        *,
        complete: bool,
        flagged: Mapping[str, Sequence[Flag]] = _NOTHING,
    ) -> Path | None:
        """Take note of listed tools; return the file where a policy was written for them.

        `complete`: no further page of tools follows. `flagged`: what hides in which of them.
        Raises `PolicyError` where it cannot be written.
        """
        if self._interim is None:
            return None
        if len(self._unruled) < MOST_TOOLS:
            self._unruled |= {str(tool.get("name", "")): tool for tool in definitions}
            self._flagged |= {
                name: sorted({flag.kind for flag in flags}) for name, flags in flagged.items()
            }
        if not complete or self._written(self._live.current(), self._ceiling) is not self._interim:
            return None
        from pktui.policy.recommend import recommend  # judging tools is needed this once

        path = self._live.path
        make_private_directory(path.parent)
        try:
            replace_file(path, None, recommend(self._server, self._unruled.values(), self._flagged))
        except PolicyConflict:
            return None
        return path

    def _tell(self, policy: Policy | None) -> None:
        problem = self.problem
        ceiling = self._ceiling
        digest = "" if policy is None or ceiling.closed else ceiling.over(policy).digest
        state = (digest, str(problem) if problem else "")
        if state != self._told:
            self._told = state
            self._changed(state[0], problem)


def open_policy(
    paths: Paths,
    server: str,
    explicit: Path | None,
    *,
    changed: Changed,
    selection: Selection = EVERYTHING,
    shipped: Path | None = None,
    starts: Also = str,
) -> ServerPolicy:
    """Return the policy of a server: the file given, else its own in the configuration.

    What is managed is laid over either; `starts` names what its entry starts.

    The memory's own policy, or the one that is `shipped` for the server, is copied there where it
    is missing. Raises `SettingsError` or
    `PolicyError` where that cannot be done.
    """
    denied = paths.policies_dir / FILE
    managed = Managed(server, starts, paths.bundle_file)
    if explicit is not None:
        return ServerPolicy(
            *(server, explicit), needed=True, changed=changed, selection=selection, denied=denied,
            managed=managed,
        )  # fmt: skip
    path = paths.policy_file(server)
    if server == MEMORY:
        shipped = bundled("config", "policies", "memory.json")
    elif shipped is not None and not denied.exists():
        _copy(bundled("config", "policies", FILE), denied)
    if shipped is not None and not path.exists():
        _copy(shipped, path)
    needed = shipped is not None
    return ServerPolicy(
        server, path, needed=needed, changed=changed, selection=selection, managed=managed
    )


def starts_of(entry: ServerEntry) -> Also:
    """Return what gives the name that an entry's server has by itself, worked out when asked."""

    def by_itself() -> str:
        from pktui.gateway.servers.naming import name_by_itself  # asked where something is managed

        return name_by_itself(entry, os.environ)

    return by_itself


def _copy(source: Path, target: Path) -> None:
    make_private_directory(target.parent)
    try:
        replace_file(target, None, source.read_bytes())
    except PolicyConflict:
        return  # another gateway was quicker
