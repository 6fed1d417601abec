"""A signed bundle of managed policies: fetched by its ETag, loosened by nothing that goes wrong."""

from __future__ import annotations

import base64
import http.server
import json
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from pktui.cli.app import run
from pktui.gateway.enforcement.bundle_fetch import fetch, is_due
from pktui.gateway.enforcement.decision import Ruling
from pktui.gateway.enforcement.enforcer import Enforcer
from pktui.gateway.enforcement.maintenance import Upkeep
from pktui.gateway.enforcement.policy_file import open_policy
from pktui.ledger.ledger import Ledger
from pktui.policy.bundle import opened, sealed
from pktui.policy.managed import SOURCE
from pktui.settings import ApprovalSettings, Settings
from pktui.times import now_us
from tests.support.managing import manage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pktui.settings import Paths
    from tests.gateway.conftest import House

DENIED = {"write": {"action": "deny", "reason": "Nobody writes."}}
DAY_US = 86_400_000_000


class Web:
    """A web server with one file, and the answers it gave."""

    def __init__(self) -> None:
        self.body = b""
        self.answers: list[int] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                etag = f'"{hash(web.body)}"'
                status = 200 if web.body else 503
                if status == 200 and self.headers.get("If-None-Match") == etag:
                    status = 304
                web.answers.append(status)
                self.send_response(status)
                self.send_header("ETag", etag)
                self.end_headers()
                if status == 200:
                    self.wfile.write(web.body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/policies.json"


@pytest.fixture
def web() -> Iterator[Web]:
    opened = Web()
    threading.Thread(target=opened.server.serve_forever, args=(0.01,), daemon=True).start()
    yield opened
    opened.server.shutdown()
    opened.server.server_close()


class Office:
    """Whoever manages the policies: signs bundles, and has named where they are."""

    def __init__(self, directory: Path, managed: Path, web: Web) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.directory, self.managed, self.web = directory, managed, web
        managed.mkdir()
        self.name(self.key)

    def name(self, key: Ed25519PrivateKey) -> None:
        public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
        source = {"version": "1", "url": self.web.url, "public_key": public}
        (self.managed / SOURCE).write_text(json.dumps(source))

    def publish(
        self,
        serial: int = 1,
        *,
        key: Ed25519PrivateKey | None = None,
        expires_us: int = 0,
        **document: Any,
    ) -> None:
        file = manage(self.directory, "demo", **document)
        until = expires_us or now_us() + DAY_US
        self.web.body = sealed([file], key or self.key, serial=serial, expires_us=until)


@pytest.fixture
def office(tmp_path: Path, managed: Path, web: Web) -> Office:
    return Office(tmp_path / "office", managed, web)


def asked(house: House, paths: Paths) -> tuple[Ruling, str]:
    """Decide a call as a gateway that starts now."""
    house.policy()
    policy = open_policy(paths, "demo", None, changed=lambda *_: None)
    settings = ApprovalSettings()
    enforcer = Enforcer(
        house.ledger, policy, settings, "demo", clock=house.clock, log=house.said.append
    )
    decision = enforcer.decide(house.call("write"))
    return decision.ruling, decision.reason


def test_until_the_bundle_is_there_no_call_is_allowed(
    house: House, paths: Paths, office: Office
) -> None:
    ruling, why = asked(house, paths)
    assert ruling is Ruling.DENIED_BY_RULE
    assert "was not fetched yet" in why
    told: list[str] = []
    open_policy(paths, "demo", None, changed=lambda digest, _: told.append(digest)).current()
    assert told == [""]  # so that nobody says a good one stays in force
    office.publish()
    assert fetch(paths, now_us()) == ""
    assert asked(house, paths)[0] is Ruling.FORWARD


def test_a_bundle_is_laid_over_and_asked_for_by_its_etag(
    house: House, paths: Paths, office: Office
) -> None:
    office.publish(tools=DENIED)
    assert fetch(paths, now_us()) == ""
    assert fetch(paths, now_us()) == ""
    assert office.web.answers == [200, 304]
    assert asked(house, paths) == (Ruling.DENIED_BY_RULE, "Nobody writes.")
    policy = open_policy(paths, "demo", None, changed=lambda *_: None).current()
    assert policy is not None
    assert policy.rule_for("write").rule == "managed/bundle/demo.json#/tools/write"
    assert [str(one.source) for one in policy.over] == ["bundle/demo.json"]
    manage(office.managed, "demo", tools={"echo": {"action": "deny"}})
    policy = open_policy(paths, "demo", None, changed=lambda *_: None).current()
    assert policy is not None
    assert policy.never_allows("echo")  # the files beside it hold as well
    assert policy.never_allows("write")


def test_a_newer_bundle_counts_from_the_next_call(
    house: House, paths: Paths, office: Office
) -> None:
    house.policy()
    policy = open_policy(paths, "demo", None, changed=lambda *_: None)
    office.publish(1)
    fetch(paths, now_us())
    assert not (found := policy.current()) or not found.never_allows("write")
    office.publish(2, tools=DENIED)
    fetch(paths, now_us())
    assert (found := policy.current())
    assert found.never_allows("write")


def test_what_is_wrong_with_a_newer_one_keeps_the_last_good_one_and_is_said(
    house: House, paths: Paths, office: Office
) -> None:
    office.publish(5, tools=DENIED)
    fetch(paths, now_us())
    office.publish(6, key=Ed25519PrivateKey.generate())
    assert "not signed by the key" in fetch(paths, now_us())
    office.publish(6, expires_us=now_us() - 1)
    assert "expired" in fetch(paths, now_us())
    office.publish(4)
    assert "serial 4, and 5 is in force" in fetch(paths, now_us())
    office.web.body = b"{}"
    assert "cannot be read" in fetch(paths, now_us())
    office.web.body = b""
    assert "503" in fetch(paths, now_us())
    assert asked(house, paths) == (Ruling.DENIED_BY_RULE, "Nobody writes.")
    policy = open_policy(paths, "demo", None, changed=lambda *_: None)
    policy.current()
    assert "503" in str(policy.problem)
    office.publish(6)
    assert fetch(paths, now_us()) == ""
    assert asked(house, paths)[0] is Ruling.FORWARD


def test_one_that_expires_where_it_is_stays_in_force_and_is_said(
    house: House, paths: Paths, office: Office
) -> None:
    office.publish(tools=DENIED, expires_us=now_us() + DAY_US)
    fetch(paths, now_us())
    assert "expired" in fetch(paths, now_us() + 2 * DAY_US)
    assert asked(house, paths) == (Ruling.DENIED_BY_RULE, "Nobody writes.")


@pytest.mark.parametrize("what", [b"", b"{}", b"not json", b'{"envelope": "{}", "etag": ""}'])
def test_what_is_kept_cannot_be_changed_into_another(
    house: House, paths: Paths, office: Office, what: bytes
) -> None:
    office.publish(tools=DENIED)
    fetch(paths, now_us())
    running = open_policy(paths, "demo", None, changed=lambda *_: None)
    running.current()
    paths.bundle_file.write_bytes(what)
    assert asked(house, paths)[0] is Ruling.DENIED_BY_RULE
    found = running.current()
    assert found is not None
    assert found.never_allows("write")
    kept = json.loads(b'{"envelope": ""}')
    office_of_another = Ed25519PrivateKey.generate()
    office.publish(key=office_of_another)
    kept["envelope"] = office.web.body.decode()
    paths.bundle_file.write_text(json.dumps(kept))
    assert asked(house, paths)[0] is Ruling.DENIED_BY_RULE


def test_it_is_looked_for_when_it_is_time(paths: Paths, office: Office) -> None:
    assert is_due(paths)
    office.publish()
    fetch(paths, now_us())
    assert not is_due(paths)
    old = paths.bundle_file.stat().st_mtime - 3600
    os.utime(paths.bundle_file, (old, old))
    assert is_due(paths)
    (office.managed / SOURCE).unlink()
    assert not is_due(paths)


def test_one_that_is_named_anew_is_looked_for_at_once(paths: Paths, office: Office) -> None:
    office.publish(9)
    fetch(paths, now_us())
    another = Ed25519PrivateKey.generate()
    office.name(another)
    assert is_due(paths)
    office.publish(1, key=another)
    assert fetch(paths, now_us()) == ""
    assert not is_due(paths)
    office.web.url += "?"
    office.name(another)
    assert fetch(paths, now_us()) == ""
    assert office.web.answers == [200, 200, 200]  # an ETag is of one address


@pytest.mark.parametrize("key", ["é", "AA==", "no base64"])
def test_a_key_that_is_none_denies_every_call(
    house: House, paths: Paths, office: Office, key: str
) -> None:
    source = {"version": "1", "url": office.web.url, "public_key": key}
    (office.managed / SOURCE).write_text(json.dumps(source))
    ruling, why = asked(house, paths)
    assert ruling is Ruling.DENIED_BY_RULE
    assert SOURCE in why


def test_an_answer_that_does_not_end_is_given_up(
    paths: Paths, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    office.publish()
    monkeypatch.setattr("pktui.gateway.enforcement.bundle_fetch._WHOLE_SECONDS", -1)
    assert "was not read within" in fetch(paths, now_us())


def test_what_is_no_text_is_refused(paths: Paths, office: Office) -> None:
    office.publish()
    office.web.body = office.web.body.replace(b'{"', b'{"x":"\xff","', 1)
    assert "cannot be read" in fetch(paths, now_us())


def test_the_command_says_what_holds_where_none_was_ever_fetched(
    paths: Paths, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(("policy", "fetch")) == 1
    assert "Every call is denied" in capsys.readouterr().err


def test_the_commands_make_and_fetch_it(
    house: House,
    paths: Paths,
    office: Office,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    key, target = tmp_path / "key.pem", tmp_path / "out.json"
    pem = office.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key.write_bytes(pem)
    file = manage(tmp_path / "source", "demo", tools=DENIED)
    words = ("policy", "bundle", str(file.parent), "--key", str(key), "-o", str(target))
    assert run(words) == 0
    public = json.loads((office.managed / SOURCE).read_text())["public_key"]
    assert public in capsys.readouterr().err
    office.web.body = target.read_bytes()
    assert run(("policy", "fetch")) == 0
    assert "demo.json" in capsys.readouterr().err
    assert asked(house, paths) == (Ruling.DENIED_BY_RULE, "Nobody writes.")
    run(("doctor", "--json"))
    checks = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert checks["managed bundle"]["state"] == "ok"
    office.web.body = b""
    assert run(("policy", "fetch")) == 1
    assert "last good bundle stays in force" in capsys.readouterr().err
    run(("doctor", "--json"))
    checks = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert checks["managed bundle"]["state"] == "warn"
    ahead = now_us() + 400 * DAY_US
    target.write_bytes(sealed([file], office.key, serial=ahead, expires_us=ahead))
    assert run(words) == 0
    public = base64.b64encode(office.key.public_key().public_bytes_raw()).decode()
    assert opened(target.read_bytes(), public).serial == ahead + 1
    target.unlink()
    assert run((*words, "--expires", "2020-01-01")) == 2
    assert "is past" in capsys.readouterr().err
    file.write_text("{")
    assert run(words) == 1
    assert not target.exists()


def test_a_gateway_fetches_it_at_its_start_and_says_what_is_wrong(
    paths: Paths, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pktui.gateway.enforcement.maintenance._FIRST_SECONDS", 0)
    Ledger.open(paths.ledger_file).close()
    office.publish(key=Ed25519PrivateKey.generate())
    told = threading.Event()
    said: list[str] = []

    def log(sentence: str) -> None:
        said.append(sentence)
        told.set()

    with Upkeep(paths, Settings(), log):
        assert told.wait(60)
    assert "not signed by the key" in said[0]
    assert office.web.answers == [200]
