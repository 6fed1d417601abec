"""`/healthz` and `/metrics`: for whoever watches over the gateway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pktui.gateway.http.metrics import CONTENT_TYPE, Metrics

if TYPE_CHECKING:
    from starlette.requests import Request

    from pktui.gateway.http.admission import Door
    from pktui.gateway.http.gateway import Hub


def routes(hub: Hub, door: Door) -> list[Route]:
    """Return both routes; they ask for a token unless `metrics.public` is set."""
    metrics = Metrics(hub.ledger)

    def admit(request: Request) -> None:
        if not hub.settings.metrics.public:
            door.admit(request.headers)

    async def healthz(request: Request) -> Response:
        admit(request)
        await hub.work.run(hub.ledger.data_version)
        return JSONResponse({"status": "ok", "sessions": len(hub.sessions)})

    async def show(request: Request) -> Response:
        admit(request)
        return Response(await hub.work.run(metrics.text), headers={"Content-Type": CONTENT_TYPE})

    return [Route("/healthz", healthz), Route("/metrics", show)]
