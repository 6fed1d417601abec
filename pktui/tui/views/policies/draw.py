"""How servers and tools look in their lists, and a tool's rule in the pane below."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pktui.text import one_line, visible
from pktui.tui.cells import fit, fit_right
from pktui.tui.document import Line, Tone
from pktui.tui.views.policies.definition import definition_lines, flag_lines

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.insight.overview import Page, ServerState, ToolState
    from pktui.policy.change import Change
    from pktui.policy.editor import Edit
    from pktui.policy.effective import EffectiveAction
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.theme import Ink
    from pktui.tui.widgets.rows import Pen, Run

WORDS: dict[EffectiveAction | None, str] = {
    "allow": "allow",
    "approve": "ask",
    "deny": "deny",
    "hide": "hide",
    None: "broken",
}
MEANING: dict[EffectiveAction | None, str] = {
    "allow": "runs at once",
    "approve": "a person decides each call",
    "deny": "is refused, and the agent is told why",
    "hide": "agents do not see it",
    None: "the policy cannot be read",
}
_TONES: dict[EffectiveAction | None, Tone] = {
    "allow": "good",
    "approve": "warning",
    "deny": "removed",
    "hide": "note",
    None: "removed",
}
_ORIGINS = {
    "file": "",
    "shipped": "as shipped; the first change writes the file",
    "none": "no file yet: a person decides every call; the first change writes one",
    "broken": "broken: gateways keep the last good one and nothing can be changed here",
}
_STATE, _DRAFTED, _CALLS, _LIMIT, _RISK, _NAME, _LABEL = 8, 15, 8, 12, 11, 24, 10
_GAP = "  "
_CONTEXT = 46
"""Characters of a line around a change."""


def draw_server(server: ServerState, pen: Pen, drafts: int = 0) -> Sequence[Sequence[Run]]:
    """Draw a server on one line, with how many drafts of it are not written."""
    ink = pen.ink
    count, style = f"{server.tools:>2}", ink.dim
    mark = f" {pen.glyphs.changed}{server.changed}" if server.changed else ""
    mark += f" {pen.glyphs.draft}{drafts}" if drafts else ""
    if server.origin == "broken":
        count, style = fit_right(pen.glyphs.denied, len(count)), ink.bad
    room = max(0, pen.width - len(mark) - len(count) - 2)
    name = ink.bold if pen.under_cursor else ink.text
    shown = fit(one_line(server.name, 80), room)
    marked: list[Run] = [(mark, ink.wait)] if mark else []
    return [[(shown, name), *marked, (f" {count}", style)]]


def draw_tool(
    tool: ToolState, pen: Pen, draft: Change | None = None, *, drafted: bool = False
) -> Sequence[Sequence[Run]]:
    """Draw a tool on one line; the risk and then the limit give way where it is narrow.

    `draft`: what a person wants changed of it. `drafted`: such changes stand in other rows, too.
    """
    ink, width = pen.ink, pen.width
    state = _DRAFTED if drafted else _STATE
    risk = _RISK if width >= 76 else 0
    limit = _LIMIT if width >= 44 else 0
    taken = state + len(_GAP) + sum(part + len(_GAP) for part in (risk, limit, _CALLS) if part)
    room = max(8, width - taken)
    because = room - _NAME - len(_GAP) if room >= _NAME + 16 else 0
    runs: list[Run] = [_state(tool, draft, state, pen)]
    runs += _name(tool, draft, _NAME if because else room, pen)
    if because:
        runs.append((_GAP + fit(_short(tool), because), ink.dim))
    if risk:
        runs.append((_GAP + fit(tool.risk.category if tool.risk else "", risk), ink.dim))
    if limit:
        runs.append(_limit(tool, draft, limit, pen))
    calls = f"{tool.calls:,}/day" if tool.calls else ""
    runs.append((_GAP + fit_right(calls, _CALLS), ink.dim))
    return [runs]


def _state(tool: ToolState, draft: Change | None, width: int, pen: Pen) -> Run:
    """Draw what would happen to the next call, and what the draft would make of the rule."""
    sign, style = sign_of(tool.action, pen.glyphs, pen.ink)
    words = f"{sign} {WORDS[tool.action]}"
    if draft is not None and draft.action is not None:
        words = f"{sign} {WORDS[tool.ruled]} {pen.glyphs.draft} {WORDS[draft.action]}"
        style = pen.ink.wait
    return fit(words, width) + _GAP, style


def _short(tool: ToolState) -> str:
    """Say in a few words why; nothing where the policy simply lists the tool."""
    if tool.words:
        return one_line(tool.words, 200)
    if tool.rule.startswith("(default"):
        return "not listed: default"
    return "" if tool.because == "the policy lists it" else one_line(tool.because, 200)


def _name(tool: ToolState, draft: Change | None, width: int, pen: Pen) -> list[Run]:
    """Draw the name, whether the tool is new, changed or flagged, and a drafted reason."""
    name = one_line(tool.name, 120)
    marked = tool.mark not in {"", "pattern"}
    mark = f" {pen.glyphs.changed} {tool.mark}" if marked else ""
    if draft is not None and draft.reason is not None:
        mark += f" {pen.glyphs.draft} reason" if width >= _NAME else f" {pen.glyphs.draft}"
    style = pen.ink.quiet if tool.mark == "pattern" else pen.ink.text
    return [(fit(name, width - len(mark)), style), (mark, pen.ink.wait)]


def _limit(tool: ToolState, draft: Change | None, width: int, pen: Pen) -> Run:
    ink = pen.ink
    if draft is not None and draft.limit is not None:
        return _GAP + fit(f"{pen.glyphs.draft} {draft.limit or 'none'}", width), ink.wait
    if tool.action in {"deny", "hide", None}:
        return _GAP + " " * width, ink.dim
    if tool.limits:
        tightest = min(tool.limits, key=lambda limit: limit.left)
        return _GAP + fit(tightest.shown, width), ink.info if tightest.left else ink.bad
    return _GAP + fit("if …" if tool.conditions else "", width), ink.dim


def sign_of(action: EffectiveAction | None, glyphs: Glyphs, ink: Ink) -> tuple[str, Style]:
    """Return the glyph and style of a state."""
    return {
        "allow": (glyphs.allowed, ink.ok),
        "approve": (glyphs.waiting, ink.wait),
        "deny": (glyphs.denied, ink.bad),
        "hide": (glyphs.hidden, ink.quiet),
        None: (glyphs.denied, ink.faint),
    }[action]


def tool_lines(page: Page, tool: ToolState, draft: Change | None = None) -> tuple[Line, ...]:
    """Say what is drafted for a tool, what it may do, because of what, and how often."""
    return (
        *_draft(tool, draft),
        _labelled(WORDS[tool.action], MEANING[tool.action], _TONES[tool.action], strong=True),
        *_mark(tool),
        *_rule(tool),
        *(_labelled("limit", f"{limit.words}; {limit.shown}") for limit in tool.limits),
        *(_labelled("and", one_line(text, 300)) for text in tool.conditions),
        *_risk(tool),
        *(flag_lines(tool.seen) if tool.seen else ()),
        _labelled("calls", f"{tool.calls:,} in the last day"),
        *_file(page),
        *(definition_lines(tool.seen) if tool.seen else ()),
    )


def draft_words(tool: ToolState, draft: Change) -> str:
    """Say what a draft changes: `allow → ask, limit none → 5/minute`."""
    parts = [
        f"{WORDS[tool.ruled]} → {WORDS[draft.action]}" if draft.action else "",
        f"limit {tool.own_limit or 'none'} → {draft.limit or 'none'}"
        if draft.limit is not None
        else "",
        f"reason → {one_line(draft.reason, 200) or 'none'}" if draft.reason is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _draft(tool: ToolState, draft: Change | None) -> Iterator[Line]:
    if draft is not None:
        words = f"{draft_words(tool, draft)}; not written yet"
        yield _labelled("draft", words, "warning", strong=True)


def _rule(tool: ToolState) -> Iterator[Line]:
    yield _labelled("because", one_line(tool.because, 400))
    if tool.rule:
        yield _labelled("rule", one_line(tool.rule, 200), "note")


def _risk(tool: ToolState) -> Iterator[Line]:
    if tool.risk is not None:
        yield _labelled(
            "risk", f"{tool.risk.category}, {tool.risk.severity}: {one_line(tool.risk.why, 200)}"
        )


def _mark(tool: ToolState) -> Iterator[Line]:
    if tool.mark == "new":
        yield _labelled("new", "it came after the server was first seen; A accepts it", "warning")
    if tool.mark == "changed":
        words = "every call waits for a person; A shows the change and accepts it"
        yield _labelled("changed", words, "warning")


def _file(page: Page) -> Iterator[Line]:
    yield _labelled("file", one_line(str(page.path), 300), "note")
    if _ORIGINS[page.origin]:
        yield _labelled("", _ORIGINS[page.origin], "note")


def problem_lines(page: Page) -> tuple[Line, ...]:
    """Say what is wrong with a policy file."""
    return (
        Line(f"{one_line(str(page.path), 300)} cannot be used", "removed"),
        Line(_ORIGINS["broken"], "note"),
        Line(""),
        *(Line(one_line(problem, 600), "text", "- ", "removed") for problem in page.problems),
    )


def edit_lines(edit: Edit) -> tuple[Line, ...]:
    """Show what an edit changed in the file."""
    head = Line(one_line(edit.summary, 200), "strong", "written".ljust(_LABEL), "good")
    return (head, *change_lines(edit))


def change_lines(edit: Edit) -> Iterator[Line]:
    """Show what an edit changes in the file, with a line before and after it."""
    lines = difflib.unified_diff(
        edit.before.decode().splitlines(), edit.after.decode().splitlines(), n=1, lineterm=""
    )
    return (_diff_line(line) for line in islice(lines, 2, None))


def _diff_line(line: str) -> Line:
    if line.startswith("@@"):
        return Line(f"line {line.split(' ')[2].lstrip('+').split(',')[0]}", "note")
    tones: dict[str, Tone] = {"+": "added", "-": "removed"}
    tone = tones.get(line[0])
    if tone is None:
        indent = " " * (len(line) - len(line[1:].lstrip()) - 1)
        return Line(one_line(line[1:], _CONTEXT), "key", f"  {indent}")
    return Line(visible(line[1:]).replace("\t", "    "), tone, f"{line[0]} ", tone)


def _labelled(label: str, text: str, tone: Tone = "text", *, strong: bool = False) -> Line:
    return Line(text, "text" if strong else tone, label.ljust(_LABEL), tone if strong else "key")
