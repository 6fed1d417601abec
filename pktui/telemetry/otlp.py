"""Rows as OpenTelemetry has them, sent by the SDK's exporters over OTLP (HTTP, protobuf).

One log record a decision, one span a call. Names are those of the semantic conventions for MCP and
for generative AI (open-telemetry/semantic-conventions-genai, in development); what they do not know
is named `pktui.…`. Ids are made from the call's, so that what is sent twice is known as the same.
"""

from __future__ import annotations

import hashlib
import logging
import platform
from typing import TYPE_CHECKING, Any, Final

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import _log_exporter
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk._logs.export import LogRecordExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from pktui import __version__
from pktui.errors import LedgerUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pktui.settings import TelemetrySettings
    from pktui.telemetry.rows import SentRow

_METHOD: Final = "tools/call"
_SCOPE: Final = InstrumentationScope("pktui", __version__)
_SEVERE: Final = {"allow": SeverityNumber.INFO, "approve": SeverityNumber.INFO2}
# Ends that are no end: the same call comes again under another id.
_NO_END: Final = frozenset({"waiting"})
# The conventions know `tool_error` and the code of a JSON-RPC error, which the record has not.
_ERRORS: Final = {"error": "_OTHER"}


class Otlp:
    """Sends rows to one receiver; blocks."""

    def __init__(self, settings: TelemetrySettings, headers: dict[str, str]) -> None:
        """`headers` go with every request, beside those of the protocol."""
        logging.getLogger("opentelemetry").addHandler(_kept)
        logging.getLogger("opentelemetry").propagate = False
        logging.getLogger(_log_exporter.__name__).filters.clear()  # says a reason once in 20 s
        self._arguments = settings.arguments
        self._endpoint = settings.endpoint.rstrip("/")
        self._resource = Resource(
            {
                "service.name": "pktui",
                "service.version": __version__,
                "host.name": platform.node(),
            }
        )
        timeout = settings.timeout_seconds
        self._logs = OTLPLogExporter(f"{self._endpoint}/v1/logs", headers=headers, timeout=timeout)
        self._spans = OTLPSpanExporter(
            f"{self._endpoint}/v1/traces", headers=headers, timeout=timeout
        )

    def send(self, rows: Sequence[SentRow]) -> None:
        """Send rows and return once they are acknowledged.

        Raises `LedgerUnavailable` where they are not; then all of them are to be sent again.
        """
        records = [self._record(row) for row in rows if row.kind == "decision"]
        spans = [self._span(row) for row in rows if _ends_a_call(row)]
        _kept.words = ""
        if records and self._logs.export(records) is not LogRecordExportResult.SUCCESS:
            raise self._failed()
        if spans and self._spans.export(spans) is not SpanExportResult.SUCCESS:
            raise self._failed()

    def try_out(self) -> None:
        """Send logs and spans without any in them; raises as `send` does."""
        _kept.words = ""
        if self._logs.export(()) is not LogRecordExportResult.SUCCESS:
            raise self._failed()
        if self._spans.export(()) is not SpanExportResult.SUCCESS:
            raise self._failed()

    def close(self) -> None:
        """Close the connections."""
        self._logs.shutdown()
        self._spans.shutdown()

    def _failed(self) -> LedgerUnavailable:
        why = f": {_kept.words}" if _kept.words else ""
        return LedgerUnavailable(
            f"{self._endpoint} does not take what is sent{why}",
            "Check telemetry.endpoint and telemetry.headers in settings.toml, and the receiver",
        )

    def _record(self, row: SentRow) -> ReadableLogRecord:
        trace_id, span_id = _ids(row)
        record = LogRecord(
            timestamp=row.at_us * 1000,
            observed_timestamp=row.at_us * 1000,
            trace_id=trace_id,
            span_id=span_id,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
            severity_number=_SEVERE.get(row.effect, SeverityNumber.WARN),
            severity_text=row.effect.upper(),
            body=f"{row.effect} {row.server}.{row.tool}: {row.reason}".rstrip(": "),
            attributes=self._attributes(row) | {"pktui.row.hash": row.hash.hex()},
            event_name="pktui.decision",
        )
        return ReadableLogRecord(record, self._resource, _SCOPE)

    def _span(self, row: SentRow) -> ReadableSpan:
        trace_id, span_id = _ids(row)
        error = _error_of(row)
        attributes = self._attributes(row) | ({"error.type": error} if error else {})
        return ReadableSpan(
            f"{_METHOD} {row.tool}",
            SpanContext(trace_id, span_id, False, TraceFlags(TraceFlags.SAMPLED)),
            parent=_parent_of(row),
            resource=self._resource,
            attributes=attributes,
            kind=SpanKind.SERVER,
            status=Status(StatusCode.ERROR, row.reason) if error else Status(StatusCode.UNSET),
            start_time=row.began_us * 1000,
            end_time=row.at_us * 1000,
            instrumentation_scope=_SCOPE,
        )

    def _attributes(self, row: SentRow) -> dict[str, Any]:
        known = {
            "mcp.method.name": _METHOD,
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": row.tool,
            "gen_ai.tool.call.id": row.call_id,
            "gen_ai.agent.name": row.agent,
            "gen_ai.tool.call.arguments": row.arguments if self._arguments else "",
            "pktui.server": row.server,
            "pktui.effect": row.effect,
            "pktui.rule": row.rule,
            "pktui.reason": row.reason,
            "pktui.outcome": row.outcome,
            "pktui.grant": row.grant_name,
            "pktui.session": row.session,
            "pktui.project": row.project,
            "pktui.approval.id": row.approval_id,
            "pktui.arguments.hash": row.args_hash,
            "pktui.row": f"{row.segment}:{row.number}",
        }
        return {name: value for name, value in known.items() if value}


class _Kept(logging.Handler):
    """Keeps the last thing that the SDK said of a failure."""

    words = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.words = record.getMessage()[:300]


_kept = _Kept()


def _ends_a_call(row: SentRow) -> bool:
    if row.kind == "outcome":
        return row.outcome not in _NO_END
    return row.kind == "decision" and row.effect in ("deny", "hide")


def _error_of(row: SentRow) -> str:
    """Return the class of the error that a call ended with, empty where it did not."""
    if row.kind == "decision":
        return "denied"
    return "" if row.outcome == "ok" else _ERRORS.get(row.outcome, row.outcome)


def _ids(row: SentRow) -> tuple[int, int]:
    """Return trace and span of a call: the agent's trace where it named one."""
    digest = hashlib.sha256(f"{row.call_id}:{row.server}".encode()).digest()
    trace_id = row.parent.trace_id if row.parent else int.from_bytes(digest[:16])
    return trace_id, int.from_bytes(digest[16:24])


def _parent_of(row: SentRow) -> SpanContext | None:
    parent = row.parent
    if parent is None:
        return None
    return SpanContext(parent.trace_id, parent.span_id, True, TraceFlags(parent.flags & 1))
