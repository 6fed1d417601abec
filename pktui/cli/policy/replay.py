"""`pktui policy replay`: a policy tried on a list of calls, or on what was recorded."""

from __future__ import annotations

import json as json_text
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pktui.cli import backends, output
from pktui.cli.commands import Argument, Option
from pktui.cli.policy import places
from pktui.cli.time_options import typed_us
from pktui.errors import PolicyError, UsageError

if TYPE_CHECKING:
    from pktui.ledger.records import CallRow
    from pktui.policy.document.policy import Policy
    from pktui.policy.replay import PastCall
    from pktui.policy.trial import Tried


def replay(
    policy: Annotated[str, Argument(metavar="FILE|SERVER", help="The policy to try.")],
    calls: Annotated[
        str, Argument(metavar="CALLS.jsonl", help="Calls, one a line; - reads them here.")
    ] = "",
    audit: Annotated[
        bool, Option("--audit", help="Decide the recorded calls again instead.")
    ] = False,
    since: Annotated[str, Option(help="With --audit: from when on, a local time or 7d.")] = "7d",
    presets: Annotated[
        bool, Option("--presets", help="With a SERVER: what each ready-made policy would do.")
    ] = False,
    server: Annotated[
        str, Option(help="Whose tools and recorded calls; else the policy file's name.")
    ] = "",
    json: output.JsonFlag = False,
) -> None:
    """Decide calls by a policy with counters of its own; nothing is enforced or recorded.

    A list of calls gives one JSON verdict a line. With --audit the calls that would be decided
    otherwise are shown.
    """
    if presets and not (audit or calls):
        _replay_presets(server or places.server_of(policy), since, json=json)
        return
    if presets or audit is bool(calls):
        raise UsageError(
            "give either a file of calls, --audit or --presets", "See: pktui policy replay --help"
        )
    from pktui.policy.replay import load_draft

    path = places.existing_file(policy)
    loaded = load_draft(path)
    if audit:
        _replay_audit(loaded, server or places.server_of(policy), since, json=json)
    else:
        of = server or places.server_of(policy)
        _replay_calls(loaded, calls, of, alone=places.is_file(policy) and not server)


def _replay_calls(policy: Policy, source: str, server: str, *, alone: bool) -> None:
    """Decide calls that are made here; `alone`: by the document, without what is laid over it."""
    from pktui.gateway.enforcement.places import place_of
    from pktui.policy.replay import replay as replay_calls

    counts: Counter[str] = Counter()
    layers, now_us, here = places.layers_of(server), time.time_ns() // 1000, str(Path.cwd())
    around = replace(layers.surroundings, place_of=lambda _: place_of(here))
    policy = policy if alone else layers.over(policy)
    for told in replay_calls(policy, _read_calls(source), start_us=now_us, surroundings=around):
        counts[told.decision.value] += 1
        output.json_line(json_text.loads(told.json()))
    summary = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    output.note(f"{counts.total()} calls: {summary}" if counts else "No calls.")


def _read_calls(source: str) -> Iterator[PastCall]:
    from pktui.policy.replay import read_calls

    if source == "-":
        yield from read_calls(sys.stdin, "standard input")
        return
    try:
        with Path(source).open(encoding="utf-8-sig") as file:
            yield from read_calls(file, source)
    except OSError as error:
        raise PolicyError(
            f"{source} cannot be read: {error.strerror or error}", "Check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise PolicyError(f"{source} is not UTF-8", "Save it as UTF-8") from error


def _replay_audit(policy: Policy, server: str, since: str, *, json: bool) -> None:
    from pktui.insight.trial import try_policy

    trial = try_policy(policy, _recorded(server, since), places.layers_of(server))
    changed = tuple(reversed(trial.changed))
    if json:
        for tried in changed:
            output.json_line(_changed_record(tried))
    else:
        headers = ("at", "agent", "tool", "was", "would be", "rule", "reason")
        output.table(headers, map(_changed_row, changed))
    found = trial.figures
    output.note(
        f"{found.calls} recorded calls of {server} since {since}: "
        f"{found.differ} would be decided otherwise."
        + (f" {found.words[0].upper()}{found.words[1:]}." if found.calls else "")
        + ("" if found.calls else " Say whose calls with --server.")
    )
    if found.partial:
        output.note(
            f"note: {found.partial} of them are on record with arguments masked or cut, so "
            "conditions on those may err."
        )


def _replay_presets(server: str, since: str, *, json: bool) -> None:
    from pktui.insight.trial import try_presets

    calls = _recorded(server, since)
    tried = list(try_presets(calls, places.layers_of(server)))
    if json:
        output.json([{"name": one.name, "figures": one.figures} for one in tried])
        return
    rows = [
        (one.name, *(f"{n:,}" for n in (one.figures.run, one.figures.ask, one.figures.denied)),
         f"{one.figures.differ:,}", one.description)
        for one in tried
    ]  # fmt: skip
    output.table(("preset", "run", "ask", "denied", "differ", "about"), rows)
    output.note(f"{len(calls):,} recorded calls of {server} since {since}.")


def _recorded(server: str, since: str) -> tuple[CallRow, ...]:
    """Return the recorded calls of a server, oldest first."""
    from pktui.insight.trial import recorded

    since_us = typed_us("--since", since)
    if not backends.used_before():
        return ()
    with backends.ledger() as ledger:
        return recorded(ledger, server, since_us)


def _changed_record(tried: Tried) -> dict[str, Any]:
    return {
        "at_us": tried.call.at_us,
        "tool": tried.call.tool,
        "agent": tried.call.agent,
        "was": tried.was,
        "decision": tried.now.decision,
        "rule": tried.now.rule,
        "reason": tried.now.reason,
        "partial": tried.partial,
    }


def _changed_row(tried: Tried) -> tuple[str, ...]:
    return (
        output.moment(tried.call.at_us),
        tried.call.grant or tried.call.agent,
        tried.call.tool,
        tried.was,
        tried.now.decision.value,
        tried.now.rule or "",
        tried.now.reason or "",
    )
