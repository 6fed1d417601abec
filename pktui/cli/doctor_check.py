"""One thing that `pktui doctor` looks at, as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from pktui.errors import PktuiError

State = Literal["ok", "warn", "fail"]


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at: how it stands, what was found, and what to do about it."""

    what: str
    state: State
    found: str
    cure: str = ""


def failed(what: str, error: PktuiError, cure: str = "") -> Check:
    """Return the check of what an error says is wrong; `cure` instead of the error's."""
    return Check(what, "fail", error.what, cure or error.cure)
