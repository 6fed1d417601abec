"""How servers and tools look in their lists, and a tool's rule in the pane below."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from pktui.insight.overview import ALL
from pktui.text import one_line, visible
from pktui.tui.cells import fit, fit_right
from pktui.tui.document import Line, Tone
from pktui.tui.moments import age
from pktui.tui.views.policies.definition import definition_lines, flag_lines
from pktui.tui.widgets.columns import Column, draw_cells, draw_heads, share_out

if TYPE_CHECKING:
    from rich.style import Style

    from pktui.insight.overview import Page, ServerState, ToolState
    from pktui.policy.editor import Edit
    from pktui.policy.effective import EffectiveAction
    from pktui.policy.rule_change import Change
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
    "approve": "number",
    "deny": "key",
    "hide": "note",
    None: "removed",
}
_ORIGINS = {
    "file": "",
    "shipped": "as shipped; the first change writes the file",
    "none": "no file yet: a person decides every call; the first change writes one",
    "broken": "broken: gateways keep the last good one and nothing can be changed here",
}
_LABEL = 10
# What a tool is and may do stays; what it costs goes first where the pane is narrow.
TOOL_COLUMNS = (
    Column("state", least=8, most=16),
    Column("name", most=44, head="tool"),
    Column("mark", most=18),
    Column("why", order=5, least=16, stretch=True, head="why"),
    Column("risk", order=4, most=11, head="risk"),
    Column("tokens", order=7, right=True, head="tokens"),
    Column("last", order=6, right=True, head="last"),
    Column("limit", order=2, most=40, head="limit"),
    Column("calls", order=1, right=True, head="calls"),
)
# Characters of a line around a change.
_CONTEXT = 46


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
    shown = fit("all servers" if server.name == ALL else one_line(server.name, 80), room)
    marked: list[Run] = [(mark, ink.wait)] if mark else []
    return [[(shown, name), *marked, (f" {count}", style)]]


class ToolTable:
    """Draws tools in columns that are as wide as what stands in them."""

    def __init__(
        self,
        tools: Sequence[ToolState],
        now_us: int,
        draft_of: Callable[[ToolState], Change | None],
        *,
        whole: bool = False,
        order: str = "",
    ) -> None:
        """`whole`: tools of every server, each named with its own. `order`: a column that stays."""
        self._tools, self._now_us, self._draft_of, self._whole = tools, now_us, draft_of, whole
        self._columns = [
            replace(one, order=0) if order and one.head == order else one for one in TOOL_COLUMNS
        ]
        self._widths: dict[int, dict[str, int]] = {}

    def draw(self, tool: ToolState, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw a tool on one line."""
        ink, draft = pen.ink, self._draft_of(tool)
        styles = dict.fromkeys((column.name for column in TOOL_COLUMNS), ink.dim)
        _, styles["state"] = sign_of(tool.action, pen.glyphs, ink)
        if draft is not None and draft.action is not None:
            styles["state"] = ink.wait
        styles["name"] = ink.quiet if tool.mark == "pattern" else ink.text
        needs_you = tool.mark not in {"", "pattern"} or (
            draft is not None and draft.reason is not None
        )
        styles["mark"] = ink.wait if needs_you else ink.dim
        drafted = draft is not None and draft.limit is not None
        spent = any(not limit.left for limit in tool.limits)
        styles["limit"] = ink.wait if drafted else ink.bad if spent else ink.info
        return [draw_cells(TOOL_COLUMNS, self._texts(tool, pen.glyphs), self._of(pen), styles)]

    def heads(self, pen: Pen) -> Sequence[Run]:
        """Draw the titles of the columns."""
        return draw_heads(TOOL_COLUMNS, self._of(pen), pen.ink.faint)

    def _of(self, pen: Pen) -> dict[str, int]:
        if pen.width not in self._widths:
            rows = (self._texts(tool, pen.glyphs) for tool in self._tools)
            self._widths[pen.width] = share_out(self._columns, rows, pen.width)
        return self._widths[pen.width]

    def _texts(self, tool: ToolState, glyphs: Glyphs) -> tuple[str, ...]:
        draft = self._draft_of(tool)
        name = one_line(tool.name, 120)
        return (
            _state(tool, draft, glyphs),
            f"{one_line(tool.server, 40)}.{name}" if self._whole else name,
            _marks(tool, draft, glyphs),
            _short(tool),
            tool.risk.category if tool.risk else "",
            f"{tool.tokens:,}" if tool.tokens else "",
            age(self._now_us - tool.last_us) if tool.last_us else "never",
            _limit(tool, draft, glyphs),
            f"{tool.calls:,}/day" if tool.calls else "",
        )


def _state(tool: ToolState, draft: Change | None, glyphs: Glyphs) -> str:
    """Say what would happen to the next call, and what the draft would make of the rule."""
    sign = _SIGNS[tool.action](glyphs)
    if draft is not None and draft.action is not None:
        return f"{sign} {WORDS[tool.ruled]} {glyphs.draft} {WORDS[draft.action]}"
    return f"{sign} {WORDS[tool.action]}"


def _short(tool: ToolState) -> str:
    """Say in a few words why; nothing where the policy simply lists the tool."""
    if tool.words:
        return one_line(tool.words, 200)
    if tool.rule.startswith("(default"):
        return "not listed: default"
    return "" if tool.because == "the policy lists it" else one_line(tool.because, 200)


def _marks(tool: ToolState, draft: Change | None, glyphs: Glyphs) -> str:
    """Say whether the tool is new, changed, flagged or managed, and whether a reason is drafted."""
    marks = [f"{glyphs.changed} {tool.mark}"] if tool.mark not in {"", "pattern"} else []
    if tool.layer:
        marks.append("locked")
    if draft is not None and draft.reason is not None:
        marks.append(f"{glyphs.draft} reason")
    return " ".join(marks)


def _limit(tool: ToolState, draft: Change | None, glyphs: Glyphs) -> str:
    """Say what is left of the tightest limit, or that conditions hold; in full."""
    if draft is not None and draft.limit is not None:
        return f"{glyphs.draft} {draft.limit or 'none'}"
    if tool.action in {"deny", "hide", None}:
        return ""
    if tool.limits:
        return min(tool.limits, key=lambda limit: limit.left).shown
    return "if …" if tool.conditions else ""


_SIGNS: dict[EffectiveAction | None, Callable[[Glyphs], str]] = {
    "allow": lambda glyphs: glyphs.allowed,
    "approve": lambda glyphs: glyphs.waiting,
    "deny": lambda glyphs: glyphs.denied,
    "hide": lambda glyphs: glyphs.hidden,
    None: lambda glyphs: glyphs.denied,
}


def sign_of(action: EffectiveAction | None, glyphs: Glyphs, ink: Ink) -> tuple[str, Style]:
    """Return the glyph and style of a state; none of a rule that holds is amber or red."""
    styles = {
        "allow": ink.ok, "approve": ink.info, "deny": ink.quiet, "hide": ink.faint, None: ink.bad,
    }  # fmt: skip
    return _SIGNS[action](glyphs), styles[action]


def tool_lines(page: Page, tool: ToolState, draft: Change | None = None) -> tuple[Line, ...]:
    """Say what is drafted for a tool, what it may do, because of what, and how often."""
    return (
        *_draft(tool, draft),
        _labelled(WORDS[tool.action], MEANING[tool.action], _TONES[tool.action], strong=True),
        *_mark(tool),
        *_locked(tool),
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


def _locked(tool: ToolState) -> Iterator[Line]:
    """Say what a managed policy makes of the tool, and what the own one would."""
    if tool.ceiling is not None and tool.ceiling.action != "allow":
        words = f"{one_line(tool.ceiling.because, 300)}; nothing set here loosens it"
        yield _labelled("locked", words)
        if tool.layer and tool.ruled != tool.action:
            yield _labelled("own", f"your policy alone: {WORDS[tool.ruled]}", "note")


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
    before, after = (raw.decode(errors="replace") for raw in (edit.before, edit.after))
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm="")
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
