"""The record arrives at a receiver of OTLP: complete, in order, under the conventions' names."""

from __future__ import annotations

import json
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

from pktui.cli.app import run
from pktui.errors import LedgerUnavailable, SettingsError
from pktui.files import lock, make_private_directory, open_private
from pktui.gateway.enforcement import telemetry_child
from pktui.ledger.ledger import Ledger
from pktui.ledger.records import Caller
from pktui.settings import Paths, TelemetrySettings
from pktui.telemetry.cursor import read_cursor
from pktui.telemetry.sender import Sender, keep_sending, open_otlp
from tests.support.gateway import RunningGateway, plain_server
from tests.support.otlp_receiver import Receiver, value_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALLER = Caller("agent", "grant", "s1", "/work")
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


@pytest.fixture
def ledger(paths: Paths) -> Iterator[Ledger]:
    opened = Ledger.open(paths.ledger_file)
    yield opened
    opened.close()


def decided(ledger: Ledger, number: int, effect: str = "allow", **detail: Any) -> int:
    return ledger.events.append(
        *("decision",),
        caller=CALLER,
        call_id=f"call{number}",
        server="files",
        tool="write",
        effect=effect,
        rule="/tools/write",
        reason="Listed.",
        arguments={"n": number},
        detail=detail or None,
    )


def ended(ledger: Ledger, number: int, seq: int, outcome: str = "ok") -> None:
    ledger.events.append(
        *("outcome",),
        caller=CALLER,
        call_id=f"call{number}",
        server="files",
        tool="write",
        outcome=outcome,
        duration_us=1500,
        ref_seq=seq,
    )


def sender(paths: Paths, receiver: Receiver, **settings: Any) -> Sender:
    return Sender(paths, open_otlp(TelemetrySettings(receiver.endpoint, **settings)))


def hashes(paths: Paths) -> list[str]:
    """Return the hashes of all decisions on record, in the order of each segment."""
    found = []
    for file in sorted(paths.ledger_file.with_name("journal").glob("0*.jsonl")):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        found += [row[-1] for row in rows if row[2] == "decision"]
    return found


def test_a_call_is_a_log_record_and_a_span(
    paths: Paths, ledger: Ledger, receiver: Receiver
) -> None:
    meta = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
    seq = decided(ledger, 1, _meta=meta)
    ended(ledger, 1, seq)
    to = sender(paths, receiver)
    assert to.send_some() == 2
    to.close()
    [record], [span] = receiver.logs, receiver.spans
    assert record.event_name == "pktui.decision"
    assert value_of(record, "pktui.row.hash") == hashes(paths)[0]
    assert value_of(record, "gen_ai.tool.call.arguments") == ""
    for one in (record, span):
        assert value_of(one, "mcp.method.name") == "tools/call"
        assert value_of(one, "gen_ai.operation.name") == "execute_tool"
        assert value_of(one, "gen_ai.tool.name") == "write"
        assert value_of(one, "pktui.server") == "files"
        assert one.trace_id.hex() == TRACE
    assert span.name == "tools/call write"
    assert span.parent_span_id.hex() == SPAN
    assert span.span_id == record.span_id
    assert span.end_time_unix_nano >= span.start_time_unix_nano
    assert span.start_time_unix_nano == record.time_unix_nano
    assert value_of(receiver.resources[0], "service.name") == "pktui"


@pytest.mark.parametrize(
    ("effect", "outcome", "error"),
    [
        ("allow", "ok", ""),
        ("allow", "tool_error", "tool_error"),
        ("allow", "error", "_OTHER"),
        ("allow", "lost", "lost"),
        ("deny", "", "denied"),
        ("hide", "", "denied"),
        ("approve", "expired", "expired"),
    ],
)
def test_each_call_has_one_span_and_says_how_it_failed(
    paths: Paths, ledger: Ledger, receiver: Receiver, effect: str, outcome: str, error: str
) -> None:
    seq = decided(ledger, 1, effect)
    if effect == "approve":
        ended(ledger, 1, seq, "waiting")
    if outcome:
        ended(ledger, 1, seq, outcome)
    to = sender(paths, receiver)
    to.send_some()
    to.close()
    [span] = receiver.spans
    assert value_of(span, "error.type") == error
    assert span.status.code == (2 if error else 0)


def test_arguments_go_along_where_they_are_asked_for(
    paths: Paths, ledger: Ledger, receiver: Receiver
) -> None:
    decided(ledger, 1)
    to = sender(paths, receiver, arguments=True)
    to.send_some()
    to.close()
    assert value_of(receiver.logs[0], "gen_ai.tool.call.arguments") == '{"n":1}'


def test_it_goes_on_where_it_was_acknowledged(
    paths: Paths, ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.telemetry.sender._BATCH", 10)
    for number in range(25):
        decided(ledger, number)
    to = sender(paths, receiver)
    assert [to.send_some(), to.send_some()] == [10, 10]
    receiver.refuses = 400
    with pytest.raises(LedgerUnavailable, match="does not take"):
        to.send_some()
    to.close()
    receiver.refuses = 0
    for number in range(25, 30):
        decided(ledger, number)
    again = sender(paths, receiver)
    assert [again.send_some(), again.send_some()] == [10, 0]
    again.close()
    assert [value_of(one, "pktui.row.hash") for one in receiver.logs] == hashes(paths)
    assert read_cursor(paths.telemetry_file).rows == 30


def test_a_batch_that_is_too_large_for_the_receiver_is_sent_in_parts(
    paths: Paths, ledger: Ledger, receiver: Receiver
) -> None:
    for number in range(16):
        decided(ledger, number)
    to = sender(paths, receiver)
    receiver.most_bytes = 4000
    refused, sent = 0, 0
    while sent < 16 and refused < 16:
        try:
            sent += to.send_some()
        except LedgerUnavailable:
            refused += 1
    to.close()
    assert [value_of(one, "pktui.row.hash") for one in receiver.logs] == hashes(paths)
    assert 0 < refused < 16


def test_each_failure_says_why(paths: Paths, ledger: Ledger, receiver: Receiver) -> None:
    decided(ledger, 1)
    to = sender(paths, receiver)
    for receiver.refuses in (400, 400, 403):
        with pytest.raises(LedgerUnavailable, match=f"does not take .* {receiver.refuses}"):
            to.send_some()
    to.close()


@pytest.mark.parametrize("endpoint", ["http://u:hush@collector:4318", "https://hush@[::1]/v"])
def test_no_password_is_taken_in_the_address_that_errors_show(endpoint: str) -> None:
    with pytest.raises(SettingsError, match=r"telemetry\.headers") as refused:
        open_otlp(TelemetrySettings(endpoint))
    assert "hush" not in str(refused.value)


def test_a_cursor_that_cannot_be_read_is_said(paths: Paths, receiver: Receiver) -> None:
    make_private_directory(paths.data_dir)
    paths.telemetry_file.write_text("{")
    with pytest.raises(LedgerUnavailable, match="Remove it to send the whole record again"):
        sender(paths, receiver)


def test_headers_come_from_the_environment(
    paths: Paths, ledger: Ledger, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    decided(ledger, 1)
    headers = {"Authorization": "Bearer ${OTLP_TOKEN}"}
    with pytest.raises(SettingsError, match="OTLP_TOKEN"):
        sender(paths, receiver, headers=headers)
    monkeypatch.setenv("OTLP_TOKEN", "token-of-the-test")
    to = sender(paths, receiver, headers=headers)
    to.send_some()
    to.close()
    assert receiver.headers[0]["authorization"] == "Bearer token-of-the-test"


def test_one_process_sends_and_another_leaves_it_alone(
    paths: Paths, ledger: Ledger, receiver: Receiver
) -> None:
    decided(ledger, 1)
    descriptor = open_private(paths.telemetry_lock, 2)
    assert lock(descriptor)
    ending = threading.Event()
    ending.set()
    otlp = open_otlp(TelemetrySettings(receiver.endpoint))
    assert not keep_sending(paths, otlp, ending, pytest.fail)
    assert receiver.logs == []


def _settings(paths: Paths, receiver: Receiver) -> None:
    make_private_directory(paths.config_dir)
    text = f'[telemetry]\nendpoint = "{receiver.endpoint}"\n'
    paths.settings_file.write_text(text)


@pytest.mark.parametrize(
    ("token", "pause"),
    [("${NOT_SET}", telemetry_child._AGAIN_SECONDS), ("t", telemetry_child._LOOK_SECONDS)],
)
def test_a_process_that_cannot_send_is_not_started_again_at_once(
    token: str, pause: float, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_private_directory(paths.config_dir)
    paths.settings_file.write_text(
        '[telemetry]\nendpoint = "http://127.0.0.1:9"\n'
        f'headers = {{ Authorization = "Bearer {token}" }}\n'
    )
    if token != "t":  # with no ledger there is nothing to send, and a process ends in peace
        Ledger.open(paths.ledger_file).close()
    make_private_directory(paths.data_dir)
    assert pause_behind(telemetry_child._run, paths, monkeypatch, pytest.fail) == pause


def test_a_process_that_cannot_be_started_is_said_and_tried_again(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_private_directory(paths.data_dir)

    def crowded(_paths: Paths, _ending: threading.Event) -> bool:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    said: list[str] = []
    pause = pause_behind(crowded, paths, monkeypatch, said.append)
    assert pause == telemetry_child._AGAIN_SECONDS
    assert "Resource temporarily unavailable" in said[0]


def pause_behind(
    run_one: Callable[[Paths, threading.Event], bool],
    paths: Paths,
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[str], None],
) -> float | None:
    """Return for how long nothing is started again behind one process."""
    pauses: list[float | None] = []
    ran = threading.Event()

    def run_and_tell(paths: Paths, ending: threading.Event) -> bool:
        try:
            return run_one(paths, ending)
        finally:
            ran.set()

    class UntilItRan(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if ran.is_set():
                pauses.append(timeout)
                return True
            return super().wait(0.02)

    monkeypatch.setattr(telemetry_child, "_run", run_and_tell)
    telemetry_child.keep_sending(paths, UntilItRan(), log)
    [pause] = pauses
    return pause


def test_all_arrives_across_a_killed_gateway(paths: Paths, receiver: Receiver) -> None:
    _settings(paths, receiver)
    make_private_directory(paths.policies_dir)
    paths.policy_file("plain").write_text('{"version": "1", "default": "allow"}')
    for round_ in range(2):
        with RunningGateway("plain", "--", *plain_server()) as gateway:
            for number in range(20):
                gateway.call("echo", number, n=number)
                assert gateway.reply()["id"] == number
            if round_ == 0:
                receiver.wait_for(1)
                gateway.signal(signal.SIGKILL)
            else:
                receiver.wait_for(40, 40)
                assert gateway.hang_up() == 0
    arrived = dict.fromkeys(value_of(one, "pktui.row.hash") for one in receiver.logs)
    assert list(arrived) == hashes(paths)
    assert len(arrived) == 40
    order = [one.time_unix_nano for one in receiver.logs]
    assert order == sorted(order)


def test_the_command_sends_and_doctor_looks(
    paths: Paths, ledger: Ledger, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("audit", "send")) == 2
    _settings(paths, receiver)
    decided(ledger, 1)
    assert run(("audit", "send")) == 0
    assert len(receiver.logs) == 1
    assert "1 rows sent" in capsys.readouterr().err
    run(("doctor", "--json"))
    checks = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert checks["telemetry"]["state"] == "ok"
    receiver.refuses = 403
    run(("doctor", "--json"))
    checks = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert checks["telemetry"]["state"] == "fail"
    decided(ledger, 2)
    assert run(("audit", "send")) == 1
    assert "does not take" in capsys.readouterr().err
