"""A receiver of OTLP over HTTP with protobuf, which keeps what it was sent and can refuse."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import TracebackType


class Receiver:
    """Use as a context. `logs` and `spans` are what arrived, in order.

    `refuses` is a status that all is answered with, and `most_bytes` what a request may have.
    """

    def __init__(self) -> None:
        pytest.importorskip(
            "opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed"
        )
        self.logs: list[Any] = []
        self.spans: list[Any] = []
        self.resources: list[Any] = []
        self.headers: list[dict[str, str]] = []
        self.refuses = 0
        self.most_bytes = 1 << 30
        self.arrived = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Receiver:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, logs: int, spans: int = 0, seconds: float = 120) -> None:
        """Wait until so many different ones of each have arrived."""

        def there() -> bool:
            found = {value_of(one, "pktui.row") for one in self.logs}
            ended = {value_of(one, "gen_ai.tool.call.id") for one in self.spans}
            return len(found) >= logs and len(ended) >= spans

        with self.arrived:
            assert self.arrived.wait_for(there, seconds)

    def _take(self, path: str, body: bytes) -> bytes:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
            ExportLogsServiceRequest,
            ExportLogsServiceResponse,
        )
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
            ExportTraceServiceResponse,
        )

        with self.arrived:
            if path == "/v1/logs":
                for group in ExportLogsServiceRequest.FromString(body).resource_logs:
                    self.resources.append(group.resource)
                    self.logs += [one for scope in group.scope_logs for one in scope.log_records]
                answer = ExportLogsServiceResponse().SerializeToString()
            else:
                for spans in ExportTraceServiceRequest.FromString(body).resource_spans:
                    self.spans += [one for scope in spans.scope_spans for one in scope.spans]
                answer = ExportTraceServiceResponse().SerializeToString()
            self.arrived.notify_all()
        return bytes(answer)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers.append(
                    {name.lower(): value for name, value in self.headers.items()}
                )
                refuses = receiver.refuses or (413 if len(body) > receiver.most_bytes else 0)
                answer = b"" if refuses else receiver._take(self.path, body)
                self.send_response(refuses or 200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


def value_of(record: Any, name: str) -> str:
    """Return a text attribute of a log record or a span, empty where it has none."""
    return next((one.value.string_value for one in record.attributes if one.key == name), "")
