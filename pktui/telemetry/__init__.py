"""The record, sent on as OpenTelemetry's logs and traces."""
