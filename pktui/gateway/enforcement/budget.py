"""The day's budget before a call, and the sums of tokens that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pktui.agent_names import agent_id
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller
    from pktui.settings import Paths, Settings

_TIMEOUT_S: Final = 5.0


def spent_of(
    paths: Paths, settings: Settings, ledger: Ledger, clock: Callable[[], int]
) -> Callable[[Caller], str] | None:
    """Return what says, of a caller, which of its budgets is spent, empty where none is.

    None where there are no budgets.

    Raises `SettingsError` where the prices can't be read.
    """
    if not settings.budget.limits:
        return None
    from pktui.budget import spent
    from pktui.prices import load_prices

    prices = load_prices(paths)

    def words(caller: Caller) -> str:
        today = datetime.fromtimestamp(clock() / 1_000_000, UTC).astimezone().date().isoformat()
        found = spent(
            settings.budget,
            ledger.usage.day(today),
            prices,
            agent=agent_id(caller.agent),
            project=caller.project,
        )
        return next((one.words for one in found if one.over), "")

    return words


def refresh_usage(paths: Paths, ledger: Ledger, now_us: int) -> None:
    """Write the memory's sums to the ledger where they are old; it is not started for that.

    Raises `OSError`. While the memory is away the last known sums stay.
    """
    if not (paths.usage_file.exists() and ledger.usage.is_old(now_us)):
        return
    from pktui.memory.client import MemoryClient

    memory = MemoryClient(paths, timeout=_TIMEOUT_S, start=False)
    try:
        ledger.usage.refresh(now_us, memory.usage)
    except PktuiError:
        return
    finally:
        memory.close()
