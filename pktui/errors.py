"""The tree of errors: each says what happened, where, and what to do.

PktuiError
├── UsageError            a command was given words it cannot take (exit 2)
├── SettingsError         settings.toml, servers.json or a path cannot be used
├── PolicyError
│   ├── PolicyInvalid     the document breaks rules; carries every problem
│   └── PolicyConflict    the file changed since it was read
├── LedgerError
│   ├── LedgerUnavailable the file cannot be opened or written
│   ├── ApprovalError     an approval cannot be decided as asked
│   │   └── PinError      the PIN is missing, wrong, or locked after wrong ones
│   └── GrantError        a grant cannot be made or revoked as asked
├── StoreError
│   ├── MemoryUnavailable the memory service cannot be reached or started
│   ├── NotFound          no session, message or entry has that id
│   └── InvalidRequest    a parameter or a query cannot be understood
│       └── SessionEnded  the session takes no more messages
└── GatewayError
    ├── UnknownServer     no server of that name is configured
    └── UpstreamFailed    the server could not be started or was lost
"""

from __future__ import annotations


class PktuiError(Exception):
    """Base of every error pktui raises on purpose.

    `what` is one sentence without a full stop, with the place in it; `cure` says what to do.
    `str()` gives both in one line.
    """

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what, cure)
        self.what = what
        self.cure = cure

    def __str__(self) -> str:
        return f"{self.what}. {self.cure}" if self.cure else self.what


class UsageError(PktuiError):
    """A command was given words it cannot take."""


class SettingsError(PktuiError):
    """Settings, the server list or a directory cannot be used."""


class PolicyError(PktuiError):
    """A policy document cannot be used."""


class PolicyConflict(PolicyError):
    """The policy file changed since it was read; nothing was written."""


class LedgerError(PktuiError):
    """The ledger cannot do what was asked."""


class DefinitionChanged(LedgerError):
    """A tool is defined otherwise than it was shown to the person who accepts it."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened or written; no call may go through."""


class TeamUnavailable(LedgerUnavailable):
    """The database that a team shares cannot be reached, or does not answer."""


class ApprovalError(LedgerError):
    """An approval cannot be decided as asked: unknown, decided, expired or changed."""


class PinError(ApprovalError):
    """The PIN for decisions is missing or wrong, or locked after wrong ones."""


class GrantError(LedgerError):
    """A grant cannot be made or revoked as asked: its name, its servers, its time."""


class StoreError(PktuiError):
    """The memory cannot do what was asked."""


class MemoryUnavailable(StoreError):
    """The memory service cannot be reached or started."""


class MemoryUnreached(MemoryUnavailable):
    """There was no connection, so that nothing was asked of the memory service."""


class NotFound(StoreError):
    """No session, message or entry has that id."""


class InvalidRequest(StoreError):
    """A parameter or a query cannot be understood."""


class SessionEnded(InvalidRequest):
    """The session takes no more messages."""


class GatewayError(PktuiError):
    """The gateway cannot do what was asked."""


class UnknownServer(GatewayError):
    """No server of that name is configured."""


class UpstreamFailed(GatewayError):
    """The server behind the gateway could not be started or was lost."""
