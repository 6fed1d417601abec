"""A server's tools as a gateway has pinned them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.cli import reach

if TYPE_CHECKING:
    from pktui.policy.shape import Definition


def pinned_tools(server: str) -> dict[str, Definition]:
    """Return the definitions of a server's tools by name; none where no gateway has seen it."""
    if not reach.used_before():
        return {}
    from pktui.policy.shape import pinned

    with reach.ledger() as ledger:
        return {tool.name: pinned(tool) for tool in ledger.catalogue.tools(server)}
