"""The arguments of a call that are repeated in headers, compared before anything is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.gateway.http.protocol import check_parameters

if TYPE_CHECKING:
    from pktui.gateway.http.asked import Asked
    from pktui.gateway.protocol.jsonrpc import Message


async def check_arguments(asked: Asked, message: Message, *, all_of: bool) -> None:
    """Raise `Refused` (-32020) where a header of a call is not what its argument says.

    What a tool marks is read in the definition that its server listed last. `all_of` as in
    `check_parameters`.
    """
    tool = await asked.work.write(asked.floor.desk.definition, message.params["name"])
    check_parameters(asked.headers, message, tool.get("inputSchema"), all_of=all_of)
