"""`pktui gateway --listen`: serve until a signal, then end in good order."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from pktui.errors import GatewayError, UsageError
from pktui.gateway.enforcement.maintenance import Upkeep
from pktui.gateway.http.admission import Authenticator
from pktui.gateway.http.asgi import McpEndpoint, build_app
from pktui.gateway.http.gateway import Gateway
from pktui.gateway.lineio.stderr import Narrator
from pktui.gateway.servers.entries import load_servers
from pktui.httpserver.guard import Guard, is_loopback, own_hosts
from pktui.httpserver.serving import Server, configured, protocol
from pktui.ledger.ledger import Ledger
from pktui.times import now_us

if TYPE_CHECKING:
    import uvicorn

    from pktui.gateway.servers.entries import Servers
    from pktui.settings import Paths, Settings

_LAST: Final = 1
# How long a thread keeps the interpreter from the others; a call is passed on four times.
_SWITCH_SECONDS: Final = 0.0005
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Bytes of head beyond the limit that are still read, so that they can be refused by name.
_HEAD_SLACK: Final = 8 * 1024


def parse_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `PORT`; raises `UsageError`."""
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) < 65536):
        raise UsageError(f"{text!r} is no address", "Write it as 127.0.0.1:8811 or [::1]:8811")
    host = host.removeprefix("[").removesuffix("]")
    return (host if colon and host else "127.0.0.1"), int(port)


def run_http(paths: Paths, settings: Settings, address: str) -> int:
    """Serve every configured server over HTTP until a signal; return the exit status.

    Raises `PktuiError` where the address, the server list or the ledger cannot be used.
    """
    host, port = parse_address(address)
    sys.setswitchinterval(_SWITCH_SECONDS)
    entries = load_servers(paths)
    tokens = Ledger.open(paths.ledger_file, audit=settings.audit, shared=settings.ledger)
    narrator = Narrator()
    try:
        gateway = HttpGateway(paths, settings, entries, tokens, narrator)
        with (
            _listener(host, port) as listener,
            _logged(narrator.say),
            Upkeep(paths, settings, narrator.say),
        ):
            return asyncio.run(_until_signal(gateway, listener, host))
    finally:
        tokens.close()
        narrator.finish()


@contextmanager
def _listener(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=256)
    except OSError as error:
        raise GatewayError(
            f"cannot listen on {host} port {port}: {error.strerror or error}",
            "Take another port, or see who has it",
        ) from error
    with listener:
        yield listener


@contextmanager
def _logged(say: Callable[[str], None]) -> Iterator[None]:
    """Have what the HTTP libraries log said by the gateway."""
    handler = _Said(say)
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Said(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        """Say the message, with what went wrong where something did."""
        error = record.exc_info[1] if record.exc_info else None
        why = f": {type(error).__name__}: {error}" if error is not None else ""
        self._say(record.getMessage() + why)


class HttpGateway:
    """One listening gateway, from its first request to its last."""

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        entries: Servers,
        tokens: Ledger,
        narrator: Narrator,
    ) -> None:
        """`tokens` is for looking tokens up, in the event loop, so nothing else may hold it up."""
        self._tokens = tokens
        self._paths = paths
        self._settings = settings
        self._entries = entries
        self._narrator = narrator
        self._server: _Server | None = None

    async def serve(self, listener: socket.socket, host: str) -> None:
        """Serve until it is stopped; everything that was started has ended then.

        Raises `LedgerError` where the ledger cannot be opened.
        """
        settings = self._settings
        ledger = Ledger.open(self._paths.ledger_file, audit=settings.audit, shared=settings.ledger)
        gateway = Gateway(self._paths, self._settings, self._entries, ledger, self._narrator)
        authenticator = self._authenticator(host, listener.getsockname()[1])
        self._server = _Server(_config(gateway, authenticator, self._settings), gateway)
        watching = [
            asyncio.ensure_future(gateway.sweep()),
            asyncio.ensure_future(gateway.watch_grants()),
            asyncio.ensure_future(gateway.watch_lists()),
        ]
        try:
            # As a task of its own: else each of its looks at the time goes through here.
            await asyncio.ensure_future(self._server.serve(sockets=[listener]))
        finally:
            for task in watching:
                task.cancel()
            await gateway.close()
            ledger.close()

    @property
    def serving(self) -> bool:
        """Tell whether requests are taken."""
        return self._server is not None and self._server.started

    def stop(self) -> None:
        """End in good order; at once where it was told before. For any thread."""
        if self._server is not None:
            self._server.force_exit = self._server.should_exit
            self._server.should_exit = True

    def greet(self, host: str, port: int) -> None:
        """Say where it listens, and what to mind."""
        shown = f"[{host}]" if ":" in host else host
        self._narrator.say(
            f"listening on http://{shown}:{port}/mcp/<server>; tokens: pktui grants create"
        )
        if not is_loopback(host):
            self._narrator.say(
                "other machines can reach this address, and tokens travel in the open: "
                "put TLS in front of it"
            )

    def _authenticator(self, host: str, port: int) -> Authenticator:
        http = self._settings.http
        guard = Guard((*own_hosts(host, port), *http.allowed_hosts), http.allowed_origins)
        return Authenticator(guard, self._tokens.grants.find, self._tokens.changes, now_us)


async def _until_signal(gateway: HttpGateway, listener: socket.socket, host: str) -> int:
    """Serve until a signal; return the status that it stands for."""
    loop = asyncio.get_running_loop()
    caught: list[int] = []

    def stop(number: int) -> None:
        caught.append(number)
        gateway.stop()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    gateway.greet(host, listener.getsockname()[1])
    gc.freeze()  # what is there by now stays: looking through it again is a pause of milliseconds
    await gateway.serve(listener, host)
    return 128 + caught[0] if caught else 0


class _Server(Server):
    """Ends what waits before it waits for it."""

    def __init__(self, config: uvicorn.Config, gateway: Gateway) -> None:
        super().__init__(config)
        self._gateway = gateway

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer held calls, end streams and give calls under way their time; then close."""
        for server in self.servers:
            server.close()
        await self._gateway.stop()
        await super().shutdown(sockets)


def _config(gateway: Gateway, authenticator: Authenticator, settings: Settings) -> uvicorn.Config:
    http, endpoint = settings.http, McpEndpoint(gateway, authenticator)
    return configured(
        build_app(gateway, authenticator, endpoint),
        http=protocol(
            head_seconds=http.header_seconds,
            head_bytes=http.max_header_bytes + _HEAD_SLACK,
            short=endpoint.post_short,
        ),
        lifespan="off",
        timeout_graceful_shutdown=_LAST,
        limit_concurrency=http.max_connections,
    )
