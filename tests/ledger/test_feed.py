"""The feed: calls joined with their outcomes, in pages, filtered by what a person types."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from pktui.errors import LedgerUnavailable
from pktui.ledger import Caller, CallRow, FeedFilter, Ledger
from pktui.ledger.feed.filter import FeedFilter as Filter
from pktui.ledger.feed.sql import branches
from tests.ledger.conftest import CLAUDE, MINUTE, START_US, Clock

CODEX = Caller("codex", "lab", "s2", "/home/ada/docs")


def record(
    ledger: Ledger,
    call_id: str,
    tool: str = "search",
    *,
    caller: Caller = CLAUDE,
    server: str = "memory",
    effect: str = "allow",
    outcome: str = "ok",
    text: str = "",
    detail: dict[str, object] | None = None,
) -> None:
    ledger.events.append(
        "decision",
        caller=caller,
        call_id=call_id,
        server=server,
        tool=tool,
        effect=effect,
        rule=f"/tools/{tool}",
        arguments={"text": text},
        args_hash="h" + call_id,
        detail=detail,
    )
    if outcome:
        ledger.events.append(
            "outcome",
            caller=caller,
            call_id=call_id,
            server=server,
            tool=tool,
            outcome=outcome,
            duration_us=1500,
        )


@pytest.fixture
def filled(ledger: Ledger, clock: Clock) -> Ledger:
    """Six calls, a minute apart, and one message that was refused."""
    record(ledger, "c1", "search", text="login redirect")
    clock.forward(60)
    record(ledger, "c2", "fs_read", server="files", caller=CODEX)
    clock.forward(60)
    record(ledger, "c3", "fs_write", server="files", effect="deny", outcome="")
    clock.forward(60)
    record(ledger, "c4", "search", caller=CODEX, outcome="error", text="100% of_it")
    clock.forward(60)
    record(ledger, "c5", "store", effect="approve", outcome="")
    clock.forward(60)
    record(ledger, "c6", "search", text="Login again")
    ledger.events.append("refused", caller=CODEX, server="memory", reason="batch")
    ledger.events.append("note", reason="not a call")
    return ledger


def shown(ledger: Ledger, text: str = "", **bounds: int) -> list[str]:
    wanted, problems = FeedFilter.parse(text, now_us=START_US + 5 * MINUTE)
    assert problems == ()
    page = ledger.feed.page(wanted, **bounds)
    assert ledger.feed.count(wanted) >= len(page)
    if not bounds:
        assert ledger.feed.count(wanted) == len(page)
    return [row.call_id or row.effect for row in page]


def test_a_call_carries_its_outcome(filled: Ledger) -> None:
    row = filled.feed.call("c1")
    assert row is not None
    assert row == CallRow(
        seq=1,
        call_id="c1",
        at_us=START_US,
        agent="claude-code",
        grant="",
        session="s1",
        project="/home/ada/shop",
        server="memory",
        tool="search",
        arguments='{"text":"login redirect"}',
        effect="allow",
        rule="/tools/search",
        reason="",
        outcome="ok",
        duration_us=1500,
        approval_id="",
        detail="",
        outcome_detail="",
        args_hash="hc1",
    )
    assert filled.feed.call("nope") is None
    assert filled.feed.call("") is None


def test_a_call_under_way_has_no_outcome_yet(ledger: Ledger) -> None:
    record(ledger, "c1", outcome="")
    assert ledger.feed.page()[0].outcome == ""
    ledger.events.append("outcome", call_id="c1", outcome="lost")
    assert ledger.feed.page()[0].outcome == "lost"


def test_the_feed_shows_calls_and_refused_messages_oldest_first(filled: Ledger) -> None:
    assert shown(filled) == ["c1", "c2", "c3", "c4", "c5", "c6", "refused"]


@pytest.mark.parametrize(
    ("text", "calls"),
    [
        ("tool:search", ["c1", "c4", "c6"]),
        ("tool:SEARCH", ["c1", "c4", "c6"]),
        ("tool:fs_*", ["c2", "c3"]),
        ("tool:fs_rea?", ["c2"]),
        ("tool:files.fs_read", ["c2"]),
        ("tool:f", []),
        ("tool:search tool:store", ["c1", "c4", "c5", "c6"]),
        ("-tool:search -tool:fs_*", ["c5", "refused"]),
        ("server:files", ["c2", "c3"]),
        ("server:files tool:search", []),
        ("agent:claude", ["c1", "c3", "c5", "c6"]),
        ("agent:co?ex tool:search", ["c4"]),
        ("grant:lab session:s2 project:docs", ["c2", "c4", "refused"]),
        ("effect:denied", ["c3"]),
        ("effect:deny effect:approve", ["c3", "c5"]),
        ("effect:allow effect:deny", ["c1", "c2", "c3", "c4", "c6"]),
        ("-effect:allow", ["c3", "c5", "refused"]),
        ("effect:refused", ["refused"]),
        ("tool:fs_* effect:denied", ["c3"]),
        ("outcome:error", ["c4"]),
        ("outcome:ok", ["c1", "c2", "c6"]),
        ("-outcome:ok", ["c3", "c4", "c5", "refused"]),
        ("login", ["c1", "c6"]),
        ('"login redirect"', ["c1"]),
        ('login -"again"', ["c1"]),
        ("100%", ["c4"]),
        ("of_it", ["c4"]),
        ("ofXit", []),
        ("batch", ["refused"]),
        ("since:3m", ["c3", "c4", "c5", "c6", "refused"]),
        ("since:3m before:1m", ["c3", "c4"]),
        ("since:3m after:2m tool:search", ["c4", "c6"]),
        ("before:2027-01-15T08:01Z", ["c1"]),
        ("before:1970-01-02", []),
        ("since:2100-01-01", []),
    ],
)
def test_a_filter_shows_what_it_says(filled: Ledger, text: str, calls: list[str]) -> None:
    assert shown(filled, text) == calls


@pytest.mark.parametrize(
    ("text", "why", "left"),
    [
        ("effect:maybe tool:x", "no effect maybe: use allow, ", 1),
        ("effect:denyed", "no effect denyed: did you mean denied?", 0),
        ("since:yesterday", "yesterday is no time", 0),
        ("-since:2h", "a time cannot be excluded", 0),
        ("kind:tool", "kind:request or kind:call", 0),
    ],
)
def test_a_bad_token_is_named_and_the_rest_still_counts(text: str, why: str, left: int) -> None:
    wanted, (problem,) = FeedFilter.parse(text, now_us=START_US)
    assert why in problem.why
    assert len(wanted.matches) == left
    assert text[problem.start : problem.end]


def test_other_requests_are_shown_only_where_they_are_asked_for(filled: Ledger) -> None:
    for method, effect in (("resources/read", "allow"), ("sampling/createMessage", "deny")):
        filled.events.append("request", server="files", tool=method, effect=effect, caller=CODEX)

    def methods(text: str) -> list[str]:
        wanted, problems = FeedFilter.parse(text, now_us=START_US + 60 * MINUTE)
        assert problems == ()
        return [row.tool for row in filled.feed.page(wanted)]

    assert "resources/read" not in methods("")
    assert methods("kind:call") == methods("")
    assert methods("kind:request") == ["resources/read", "sampling/createMessage"]
    assert methods("kind:request server:files effect:denied") == ["sampling/createMessage"]
    assert methods("kind:request tool:resources/* agent:codex since:2h") == ["resources/read"]
    assert methods("kind:request before:90m") == methods("kind:request server:memory") == []


def test_an_empty_filter_is_false() -> None:
    assert not FeedFilter.parse("  ", now_us=START_US)[0]
    assert FeedFilter.parse("x", now_us=START_US)[0]
    assert not Filter()


@pytest.mark.parametrize("text", ["", "tool:search", "server:m*", "effect:deny effect:allow", "x"])
def test_pages_meet_without_gap_or_overlap(ledger: Ledger, text: str) -> None:
    for number in range(40):
        record(ledger, f"c{number}", ["search", "store"][number % 2], text="x" * (number % 3))
    everything = shown(ledger, text)
    wanted = FeedFilter.parse(text, now_us=START_US)[0]
    down: list[CallRow] = list(ledger.feed.page(wanted, limit=7))
    while page := ledger.feed.page(wanted, before_seq=down[0].seq, limit=7):
        down = [*page, *down]
    assert [row.call_id for row in down] == everything
    up: list[CallRow] = []
    while page := ledger.feed.page(wanted, after_seq=up[-1].seq if up else 0, limit=7):
        up += page
    assert up == down


def test_a_page_can_lie_between_two_rows(filled: Ledger) -> None:
    first, *_, last = filled.feed.page()
    between = filled.feed.page(after_seq=first.seq, before_seq=last.seq)
    assert [row.call_id for row in between] == ["c2", "c3", "c4", "c5", "c6"]


def test_counting_stops_at_its_cap(filled: Ledger) -> None:
    assert filled.feed.count(cap=3) == 3
    assert filled.feed.count() == 7


def test_the_sparkline_counts_each_minute(filled: Ledger) -> None:
    assert filled.feed.per_minute(8) == (0, 0, 1, 1, 1, 1, 1, 2)
    assert len(filled.feed.per_minute()) == 60


def test_many_matching_tools_are_found_too(ledger: Ledger) -> None:
    for number in range(80):
        record(ledger, f"c{number}", f"tool_{number}", outcome="")
    assert len(shown(ledger, "tool:tool_*")) == 80
    assert len(shown(ledger, "tool:tool_1*")) == 11


def test_a_page_of_any_filter_follows_an_index(filled: Ledger) -> None:
    """What a page costs must not grow with the log: no query may sort or scan by chance."""
    plans = []
    texts = ("", "tool:search", "effect:deny", "since:1h", "tool:fs_* effect:deny", "kind:request")
    for text in texts:
        wanted = FeedFilter.parse(text, now_us=START_US)[0]
        for branch in branches(filled.index.database(), wanted):
            plan = filled.index.database().rows(
                f"EXPLAIN QUERY PLAN SELECT * FROM events WHERE {branch.sql} ORDER BY seq DESC",
                branch.values,
            )
            plans.append((text, [row[-1] for row in plan]))
    assert plans
    for text, steps in plans:
        assert not any("TEMP B-TREE" in step for step in steps), (text, steps)


def test_a_search_does_not_wait_for_a_decision_nor_a_decision_for_it(filled: Ledger) -> None:
    with filled.transaction():
        record(filled, "c7", outcome="")
        seen: list[int] = []
        thread = threading.Thread(target=lambda: seen.append(filled.feed.count()))
        thread.start()
        thread.join(timeout=10)
        assert seen == [7]
    assert filled.feed.count() == 8


def test_the_feed_of_a_closed_ledger_cannot_be_read(filled: Ledger) -> None:
    filled.feed.page()
    filled.close()
    with pytest.raises(LedgerUnavailable):
        filled.feed.page()


def test_calls_are_read_by_their_keys_whatever_stands_between(filled: Ledger) -> None:
    rows = filled.feed.page()
    wanted = [rows[4].seq, rows[1].seq, 999_999]
    assert filled.feed.named(wanted) == (rows[1], rows[4])
    outcome = filled.events.of_call("c1")[1]
    assert filled.feed.named([outcome.seq]) == ()
    assert filled.feed.named([]) == ()


def test_calls_of_a_connection_come_without_arguments_and_of_no_other(filled: Ledger) -> None:
    far = START_US + 60 * MINUTE
    its = filled.feed.of_sessions(["s2"], since_us=0, before_us=far, limit=10)
    assert [(row.call_id, row.outcome, row.arguments) for row in its] == [
        ("c2", "ok", ""),
        ("c4", "error", ""),
        ("", "", ""),
    ]
    both = filled.feed.of_sessions(["s2", CLAUDE.session], since_us=0, before_us=far, limit=100)
    assert [row.seq for row in both] == [row.seq for row in filled.feed.page()]
    last = filled.feed.of_sessions(["s2"], since_us=0, before_us=far, limit=1)
    assert [row.call_id for row in last] == [""]
    none = filled.feed.of_sessions(["s2", ""], since_us=far, before_us=far + 1, limit=10)
    assert none == ()


def test_calls_of_an_agents_own_session_come_whatever_their_connections(filled: Ledger) -> None:
    detail: dict[str, object] = {"agent_session": "a_1", "continues": "c1"}
    for call_id, caller in (("m1", CLAUDE), ("m2", CODEX)):
        record(filled, call_id, caller=caller, detail=detail)
    record(filled, "m3", detail={"agent_session": "a_12"})
    record(filled, "m4", detail={"beside": {"agent_session": "a_1"}})
    record(filled, "m5", caller=Caller(session="a_1"), detail=detail)
    its = filled.feed.of_sessions(["a_1"], since_us=0, before_us=2**62, limit=10)
    assert [(row.call_id, row.agent_session) for row in its] == [
        (call_id, "a_1") for call_id in ("m1", "m2", "m5")
    ]
    assert shown(filled, "session:a_1") == ["m1", "m2", "m3", "m5"]
    assert shown(filled, "session:a?1 agent:codex") == ["m2"]
    assert shown(filled, "session:s2 -session:a_1") == ["c2", "c4", "refused"]
    filled.index.rebuild()
    assert shown(filled, "session:a_1") == ["m1", "m2", "m3", "m5"]


def test_ids_of_use_come_with_their_connection(ledger: Ledger) -> None:
    for call_id, detail in (
        ("u1", {"_meta": {"claudecode/toolUseId": "toolu_1", "progressToken": 1}}),
        ("u2", {"_meta": {"claudecode/toolUseId": 7}}),
        ("u3", {"beside": "claudecode/toolUseId"}),
    ):
        ledger.events.append("decision", caller=CLAUDE, call_id=call_id, tool="t", detail=detail)
    found = ledger.feed.uses("claudecode/toolUseId", since_us=0, before_us=2**62, limit=10)
    assert found == ((CLAUDE.session, "toolu_1"),)


ENDS = (
    ("allow", "", ""),
    ("allow", "ok", ""),
    ("approve", "ok", "babe-12"),
    ("allow", "ok", "babe-13"),
    ("allow", "tool_error", ""),
    ("approve", "lost", "babe-14"),
    ("approve", "expired", "babe-15"),
    ("approve", "waiting", "babe-16"),
    ("deny", "", ""),
)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("effect:running", [0]),
        ("effect:approved", [2, 3]),
        ("effect:failed", [4, 5]),
        ("effect:expired", [6]),
        ("effect:failed effect:denied", [4, 5, 8]),
        ("-effect:approved effect:approve", [5, 6, 7]),
    ],
)
def test_words_of_the_screen_are_words_of_the_filter(
    ledger: Ledger, typed: str, found: list[int]
) -> None:
    for number, (effect, outcome, approval) in enumerate(ENDS):
        event: dict[str, Any] = {"call_id": f"c{number}", "server": "s", "tool": "t"}
        ledger.events.append("decision", effect=effect, approval_id=approval, **event)
        if outcome:
            ledger.events.append("outcome", outcome=outcome, **event)
    wanted, problems = FeedFilter.parse(typed, now_us=START_US)
    assert problems == ()
    assert [int(row.call_id[1:]) for row in ledger.feed.page(wanted)] == found
    assert ledger.feed.count(wanted) == len(found)
