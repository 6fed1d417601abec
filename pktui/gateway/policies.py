"""The policy a gateway goes by: one file, read again when it changes, made where there is none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pktui.errors import PolicyConflict
from pktui.gateway.servers import MEMORY
from pktui.policy.document import Policy, parse_policy
from pktui.policy.files import replace_file
from pktui.policy.live import LivePolicy
from pktui.settings import Paths, bundled, make_private_directory

if TYPE_CHECKING:
    from pktui.errors import PolicyError

_INTERIM: Final = b'{"version":"1","description":"there is no file yet","default":"approve"}'

Changed = Callable[[str, "PolicyError | None"], None]
"""Takes the digest of the policy in force (empty: none) and what is wrong with its file."""


class ServerPolicy:
    """The policy of one server. Where its file was never made, a person decides every call."""

    def __init__(self, path: Path, *, needed: bool, changed: Changed) -> None:
        """`needed`: a missing file is a problem, and nothing is allowed.

        `changed` is called when the policy in force is another one, or its file was broken or
        mended; a broken edit leaves the last good policy in force.
        """
        self._live = LivePolicy(path)
        self._changed = changed
        self._interim = None if needed or path.exists() else parse_policy(_INTERIM)
        self._told: tuple[str, str] | None = None

    @property
    def problem(self) -> PolicyError | None:
        """What is wrong with the file, None where nothing is."""
        return None if self._interim is not None else self._live.problem

    def current(self) -> Policy | None:
        """Return the policy in force; None where there never was a good one."""
        policy = self._live.current()
        if self._interim is not None:
            if policy is None and not self._live.path.exists():
                return self._interim
            self._interim = None
        self._tell(policy)
        return policy

    def _tell(self, policy: Policy | None) -> None:
        problem = self._live.problem
        state = (policy.digest if policy is not None else "", str(problem) if problem else "")
        if state != self._told:
            self._told = state
            self._changed(state[0], problem)


def open_policy(
    paths: Paths, server: str, explicit: Path | None, *, changed: Changed
) -> ServerPolicy:
    """Return the policy of a server: the file given, else its own in the configuration.

    The memory's own policy is copied there where it is missing. Raises `SettingsError` or
    `PolicyError` where that cannot be done.
    """
    if explicit is not None:
        return ServerPolicy(explicit, needed=True, changed=changed)
    path = paths.policy_file(server)
    if server == MEMORY and not path.exists():
        _copy(bundled("config", "policies", "memory.json"), path)
    return ServerPolicy(path, needed=server == MEMORY, changed=changed)


def _copy(source: Path, target: Path) -> None:
    make_private_directory(target.parent)
    try:
        replace_file(target, None, source.read_bytes())
    except PolicyConflict:
        return  # another gateway was quicker
