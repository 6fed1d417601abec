"""The day's budget before a call, and the sums of tokens that it is judged by."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pktui.agent_names import agent_id
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.ledger.ledger import Ledger
    from pktui.ledger.records import Caller
    from pktui.settings import Paths, Settings

# Microseconds between two questions to the memory, whoever asks; days of sums that are kept.
_EVERY_US: Final = 30_000_000
_KEPT_DAYS: Final = 30
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
    if not paths.usage_file.exists() or abs(now_us - ledger.usage.at_us) < _EVERY_US:
        return
    from pktui.ledger.usage import UsageSum
    from pktui.memory.client import MemoryClient

    since = datetime.fromtimestamp(now_us / 1_000_000, UTC) - timedelta(days=_KEPT_DAYS)
    memory = MemoryClient(paths, timeout=_TIMEOUT_S, start=False)
    try:
        told = memory.usage(since.date().isoformat())
    except PktuiError:
        return
    finally:
        memory.close()
    sums = tuple(
        UsageSum(
            *(one.day, one.agent, one.project, one.model),
            *(one.tokens_in, one.tokens_out, one.cached),
        )
        for one in told
    )
    ledger.usage.write(sums, now_us)
