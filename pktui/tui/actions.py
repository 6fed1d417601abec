"""The one registry of what a person can do: id, keys, label, tooltip, and where it holds.

Bindings, the footer, the help and the palette all come from here. `settings.console.keys` maps
an action's id to other keys; a wrong entry is left out and named at start. The Textual action is
the part of the id after the dot (`sessions.end` runs `action_end` of the sessions view), unless
`do` says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from textual.binding import Binding, BindingType
from textual.keys import _character_to_key

from pktui.suggest import nearest
from pktui.tui.terminal_keys import EATEN, arrives, right_name

Scope = Literal[
    "app",
    "list",
    "now",
    "adopt",
    "adopting",
    "insight",
    "sessions",
    "search",
    "filter",
    "facets",
    "transcript",
    "prompt",
    "detail",
    "feed",
    "policies",
    "chooser",
    "drafts",
    "accept",
    "approvals",
    "wider",
    "change",
    "sentence",
    "replay",
    "presets",
    "document",
]

SCOPE_TITLES: Mapping[Scope, str] = {
    "app": "Everywhere",
    "list": "In every list",
    "now": "Now",
    "adopt": "Where agents are found",
    "adopting": "While changes of agents' files are shown",
    "insight": "Insight",
    "sessions": "Sessions",
    "search": "In the search box",
    "filter": "In the filter box",
    "facets": "Among the facets",
    "transcript": "In the time line",
    "prompt": "Below a session",
    "detail": "In a detail",
    "feed": "Feed",
    "policies": "Policies",
    "chooser": "While what a tool may do is chosen",
    "drafts": "While drafts are shown before they are written",
    "accept": "While a definition is read before it is accepted",
    "approvals": "Approvals",
    "wider": "While a wider answer is chosen",
    "change": "While a call's arguments are changed",
    "sentence": "While a rule is made",
    "replay": "While a policy is tried on recorded calls",
    "presets": "While a ready-made policy is chosen",
    "document": "While a policy's document is read",
}


@dataclass(frozen=True, slots=True)
class Action:
    """Something a person can do. `shown` puts it in the footer; keys are Textual's key names."""

    id: str
    keys: tuple[str, ...]
    label: str
    tooltip: str
    shown: bool = True
    do: str = ""
    priority: bool = False

    @property
    def scope(self) -> Scope:
        """Where it holds: the part of the id before the dot."""
        scope = self.id.partition(".")[0]
        assert scope in SCOPE_TITLES
        return scope  # type: ignore[return-value]

    @property
    def command(self) -> str:
        """The Textual action."""
        return self.do or self.id.partition(".")[2]


ACTIONS: tuple[Action, ...] = (
    Action("app.now", ("0",), "Now", "What agents do, and what needs you", False, "view('now')"),
    Action("app.sessions", ("1",), "Sessions", "Find and read sessions", False, "view('sessions')"),
    Action("app.feed", ("2",), "Feed", "Watch every call as it happens", False, "view('feed')"),
    Action("app.policies", ("3",), "Policies", "Say what may happen", False, "view('policies')"),
    Action("app.approvals", ("4",), "Approvals", "Decide what waits", False, "view('approvals')"),
    Action("app.insight", ("5",), "Insight", "Figures of days", False, "view('insight')"),
    Action("app.undo", ("u",), "undo", "Take back the last change, up to ten"),
    Action("app.scope", ("ctrl+g",), "project/all", "Show this project or all of them", False),
    Action("app.palette", ("ctrl+p",), "commands", "Find any action by its name", False),
    Action("app.help", ("question_mark", "f1"), "help", "Show the keys of this view"),
    Action("app.zoom", ("z",), "full screen", "Let this pane fill the view, or show all again",
           False),
    Action("app.split_left", ("less_than_sign",), "line left",
           "Move the line between the panes to the left", False, "split(-4)"),
    Action("app.split_right", ("greater_than_sign",), "line right",
           "Move the line between the panes to the right", False, "split(4)"),
    Action("app.jump", ("ctrl+o",), "jump", "Go to any pane or row in sight by its letter", False),
    Action("app.notices", ("exclamation_mark",), "notices", "Show what was said, and the logs",
           False),
    Action("app.theme", (), "theme", "Choose the colours from a list", False),
    Action("app.quit", ("q",), "quit", "Leave the console", False),
    Action("app.stop", ("ctrl+k",), "stop all", "Stop every call of every agent, or go on", False,
           priority=True),
    Action("app.interrupt", ("ctrl+c",), "quit", "Copy the selection, or quit at the second press",
           False, priority=True),
    Action("list.down", ("j", "down"), "down", "Next row", False),
    Action("list.up", ("k", "up"), "up", "Row before", False),
    Action("list.half_down", ("ctrl+d",), "half page down", "Half a page down", False),
    Action("list.half_up", ("ctrl+u",), "half page up", "Half a page up", False),
    Action("list.page_down", ("pagedown",), "page down", "A page down", False),
    Action("list.page_up", ("pageup",), "page up", "A page up", False),
    Action("list.first", ("g", "home"), "first", "First row", False),
    Action("list.last", ("G", "end"), "last", "Last row; follows what arrives", False),
    Action("list.choose", ("enter",), "open", "Open the row under the cursor"),
    Action("now.stop_agent", ("K",), "stop", "Stop every call of this agent, or let it go on"),
    Action("now.follow", ("f",), "follow", "Watch this agent's calls in the Feed"),
    Action("now.copy", ("y",), "copy line", "Copy the command that is shown", False),
    Action("adopt.choose_agent", ("space",), "choose", "Put this agent behind pktui, or leave it"),
    Action("adopt.write", ("w",), "write", "Show the change of each file, and write it"),
    Action("adopt.try", ("t",), "try", "Let pktui make a first call itself", do="first_call"),
    Action("adopting.write", ("w",), "write", "Write these files"),
    Action("adopting.leave", ("escape",), "leave", "Write nothing"),
    Action("insight.follow", ("f",), "calls", "Show this tool's calls in the Feed"),
    Action("insight.rule", ("p",), "rule", "Make a rule from the newest call asked about"),
    Action("insight.span", ("t",), "day/week/month", "Show the last day, week or month"),
    Action("sessions.search", ("slash",), "search", "Search sessions, or the session that is read"),
    Action("sessions.keep", ("s",), "keep", "Keep this search by a name"),
    Action("sessions.kept", ("apostrophe",), "kept", "The searches that are kept", False),
    Action("sessions.end", ("e",), "end", "End this session, with a summary if you like"),
    Action("sessions.reopen", ("R",), "reopen", "Make an ended session active again"),
    Action("sessions.delete", ("D",), "delete", "Delete this session for good", False),
    Action("sessions.export", ("x",), "export", "Write this session to a file"),
    Action("sessions.import", ("i",), "bring in", "Bring an agent's own sessions in", False,
           "bring_in"),
    Action("sessions.resume", ("o",), "go on", "Go on with this session in its own agent"),
    Action("sessions.copy", ("y",), "copy", "Copy the message, the part of a call, or the entry"),
    Action("sessions.next_hit", ("n",), "next hit", "Go to the next hit"),
    Action("sessions.previous_hit", ("N",), "hit before", "Go to the hit before", False),
    Action("sessions.in_place", ("right",), "hits",
           "Open a session's hits in place; of a call that is open the next part"),
    Action("sessions.out_of_place", ("left",), "close hits",
           "Close the hits again; of a call that is open the part before", False),
    Action("sessions.facets", ("F",), "facets",
           "Filter by agent, project or week; a, p or w take that of the row under the cursor"),
    Action("sessions.drop_filter", ("backspace",), "drop filter", "Drop the last filter"),
    Action("sessions.sort", ("S",), "sort", "Sort the list by the next column", False),
    Action("facets.agent", ("a",), "agent", "Only this row's agent, or all agents again"),
    Action("facets.project", ("p",), "project", "Only this row's project, or all again"),
    Action("facets.week", ("w",), "week", "Only this row's week, or all again"),
    Action("sessions.back", ("escape",), "back", "Back to the list, then out of the search"),
    Action("search.mode", ("tab",), "mode", "Search by hybrid, meaning, words or exact phrase"),
    Action("search.mode_before", ("shift+tab",), "mode before", "The mode before", False),
    Action("search.list", ("down",), "list", "Down into the results", False),
    Action("search.leave", ("escape",), "list", "Back to the list; the results stay"),
    Action("filter.list", ("down",), "list", "Down into the list", False),
    Action("filter.leave", ("escape",), "list", "Back to the list; the filter stays"),
    Action("transcript.down", ("j", "down"), "down", "Scroll down", False),
    Action("transcript.up", ("k", "up"), "up", "Scroll up", False),
    Action("transcript.half_down", ("ctrl+d",), "half page down", "Half a page down", False),
    Action("transcript.half_up", ("ctrl+u",), "half page up", "Half a page up", False),
    Action("transcript.page_down", ("pagedown", "space"), "page down", "A page down", False),
    Action("transcript.page_up", ("pageup",), "page up", "A page up", False),
    Action("transcript.first", ("g", "home"), "first", "The first message of the session", False),
    Action("transcript.last", ("G", "end"), "last", "The last message of the session", False),
    Action("transcript.open", ("enter",), "open",
           "Show a long message whole, unfold calls, open a call; again to undo"),
    Action("transcript.next_turn", ("right_square_bracket",), "next turn",
           "The next message of the user"),
    Action("transcript.previous_turn", ("left_square_bracket",), "turn before",
           "The message of the user before", False),
    Action("transcript.next_marked", ("right_curly_bracket",), "next denied",
           "The next call that was denied or asked about"),
    Action("transcript.previous_marked", ("left_curly_bracket",), "denied before",
           "The call before that was denied or asked about", False),
    Action("transcript.jump", ("colon",), "time", "Go to a time, or to a message by its number"),
    Action("transcript.rule", ("p",), "rule", "Make a rule from this call"),
    Action("prompt.leave", ("escape",), "leave", "Close it; nothing changes"),
    Action("detail.down", ("j", "down"), "down", "Scroll down", False),
    Action("detail.up", ("k", "up"), "up", "Scroll up", False),
    Action("detail.half_down", ("ctrl+d",), "half page down", "Half a page down", False),
    Action("detail.half_up", ("ctrl+u",), "half page up", "Half a page up", False),
    Action("detail.page_down", ("pagedown",), "page down", "A page down", False),
    Action("detail.page_up", ("pageup",), "page up", "A page up", False),
    Action("detail.first", ("g", "home"), "top", "The first line", False),
    Action("detail.last", ("G", "end"), "bottom", "The last line", False),
    Action("feed.filter", ("slash",), "filter", "Show only calls that match"),
    Action("feed.rule", ("p",), "rule", "Make a rule from this call"),
    Action("feed.policy", ("P",), "policy", "Go to this call's tool in Policies", False),
    Action("feed.more", ("space",), "more", "Scroll the open call a page", False),
    Action("feed.copy", ("y",), "copy",
           "Copy the open call's result, else the call's arguments, or the command shown", False),
    Action("feed.back", ("escape",), "back", "Close the call, then drop the filter"),
    Action("policies.filter", ("slash",), "filter", "Show only tools whose name has these words"),
    Action("policies.change", ("space",), "change", "Choose what this tool may do, as a draft"),
    Action("policies.write", ("w",), "write", "Show what the drafts change, and write them"),
    Action("policies.limit", ("l",), "limit", "Draft how often this tool may be called"),
    Action("policies.reason", ("r",), "reason",
           "Draft why, for the agent and the person asked"),
    Action("policies.drop", ("escape",), "drop", "Drop the drafts of this server, else back",
           False),
    Action("policies.rule", ("c",), "rule from calls",
           "Make a rule from the newest call asked about", False),
    Action("policies.presets", ("P",), "presets", "Choose a ready-made policy by its figures",
           False),
    Action("policies.replay", ("t",), "try", "Try the drafts on the calls of the last days", False),
    Action("policies.document", ("v",), "document",
           "Read this server's policy as it is written, with its problems marked", False),
    Action("policies.edit", ("V",), "edit", "Open this server's policy in your own editor", False,
           "by_hand"),
    Action("policies.paste", ("ctrl+v",), "paste", "Add a policy that was copied", False),
    Action("policies.every", ("asterisk",), "all tools", "List the tools of every server", False),
    Action("policies.scan", ("s",), "scan", "Start this server once, to see its tools", False),
    Action("policies.sort", ("S",), "sort", "Sort the tools by the next column", False),
    Action("policies.accept", ("A",), "accept",
           "Read a new or changed definition, then accept it", False),
    Action("policies.back", ("left",), "servers", "Back to the servers", False),
    Action("policies.tools", ("right",), "tools", "On to the tools", False),
    Action("chooser.allow", ("a",), "allow", "Draft that its calls run at once"),
    Action("chooser.ask", ("s",), "ask", "Draft that a person decides each call"),
    Action("chooser.deny", ("d",), "deny", "Draft that its calls are refused"),
    Action("chooser.hide", ("h",), "hide", "Draft that agents do not see it"),
    Action("chooser.leave", ("escape", "space"), "leave", "Choose nothing"),
    Action("drafts.write", ("w",), "write", "Write all drafts of this server as one edit"),
    Action("drafts.leave", ("escape",), "leave", "Write nothing; the drafts stay"),
    Action("accept.accept", ("A",), "accept", "Accept the definition that was read to its end"),
    Action("accept.more", ("space",), "more", "Scroll the definition a page"),
    Action("accept.leave", ("escape",), "leave", "Accept nothing"),
    Action("approvals.filter", ("slash",), "filter", "Show only calls that have these words"),
    Action("approvals.allow", ("a",), "allow once", "Let this one call run", False),
    Action("approvals.change", ("E",), "change", "Let this call run with other arguments", False),
    Action("approvals.wider", ("A",), "wider", "Let this call run, and such calls after it",
           False),
    Action("approvals.rule", ("p",), "rule", "Make a rule from this call, and let it run", False),
    Action("approvals.deny", ("d",), "deny", "Refuse this call", False),
    Action("approvals.deny_saying", ("r",), "deny with words", "Refuse, and tell the agent why",
           False),
    Action("approvals.unfold", ("right",), "one by one", "Show the calls of a group one by one",
           False),
    Action("approvals.fold", ("left",), "as one", "Show the calls of a group as one again", False),
    Action("approvals.raw", ("v",), "raw", "Show the arguments as they came, or laid out",
           False),
    Action("approvals.more", ("space",), "more", "Scroll the arguments a page", False),
    Action("approvals.copy", ("y",), "copy line",
           "Copy the command that is shown where nothing waits", False),
    Action("approvals.later", ("escape",), "later", "Leave it waiting, back to the queue", False),
    Action("approvals.standing", ("s",), "standing", "To the answers that stand, and back"),
    Action("approvals.revoke", ("x",), "revoke", "End the standing answer under the cursor", False),
    Action("wider.connection", ("c",), "connection", "This tool until the client disconnects"),
    Action("wider.time", ("m",), "minutes", "This tool for this client, for so many minutes"),
    Action("wider.rule", ("p",), "rule", "This tool for every client, as a rule of the policy"),
    Action("wider.exact", ("x",), "exact", "Only calls with exactly these arguments"),
    Action("wider.longer", ("plus", "up"), "longer", "More minutes"),
    Action("wider.shorter", ("minus", "down"), "shorter", "Fewer minutes"),
    Action("wider.leave", ("escape",), "leave", "Leave the call undecided"),
    Action("change.edit", ("e",), "edit", "Type another value for this argument"),
    Action("change.drop", ("x",), "leave out", "Leave this argument out"),
    Action("change.restore", ("r",), "put back", "Put back what the agent gave"),
    Action("change.allow", ("a",), "allow once", "Let the call run as it is shown"),
    Action("change.leave", ("escape",), "leave", "Leave the call undecided"),
    Action("replay.rule", ("c",), "rule", "Make a rule from this call"),
    Action("replay.leave", ("escape",), "leave", "Back to the tools"),
    Action("presets.take", ("w",), "take", "Show what it changes, to be written"),
    Action("presets.leave", ("escape",), "leave", "Choose nothing"),
    Action("document.next", ("n",), "next mark", "Go to the next problem, or the next hit"),
    Action("document.before", ("N",), "mark before", "Go to the problem or hit before", False),
    Action("document.search", ("slash",), "search", "Find words in the document"),
    Action("document.edit", ("V",), "edit", "Open it in your own editor"),
    Action("document.leave", ("escape", "v"), "leave", "Drop the search, then back to the tools"),
    Action("sentence.next", ("space", "right"), "change", "Let another thing stand there"),
    Action("sentence.before", ("left",), "before", "What stood there before", False),
    Action("sentence.own", ("e",), "value", "Write the value yourself"),
    Action("sentence.reach", ("f",), "for whom", "For every agent, or this one for a time"),
    Action("sentence.write", ("w",), "write", "Write it; a call that waits runs"),
    Action("sentence.leave", ("escape",), "leave", "Write nothing, decide nothing"),
)  # fmt: skip

# Scopes whose keys can hold at the same moment.
OVERLAPS: Mapping[Scope, frozenset[Scope]] = {
    "app": frozenset(SCOPE_TITLES),
    "list": frozenset(
        {
            "app",
            "list",
            "now",
            "adopt",
            "insight",
            "change",
            "sentence",
            "sessions",
            "facets",
            "feed",
            "policies",
            "approvals",
        }
    ),
    "now": frozenset({"app", "list", "now", "adopt"}),
    "adopt": frozenset({"app", "list", "now", "adopt"}),
    "adopting": frozenset({"adopting", "detail"}),
    "insight": frozenset({"app", "list", "insight"}),
    "sessions": frozenset({"app", "list", "sessions", "facets", "transcript", "detail"}),
    "facets": frozenset({"app", "list", "sessions", "facets"}),
    "search": frozenset({"app", "search"}),
    "filter": frozenset({"app", "filter"}),
    "transcript": frozenset({"app", "sessions", "transcript"}),
    "prompt": frozenset({"app", "prompt"}),
    "detail": frozenset(
        {
            "app",
            "detail",
            "sessions",
            "feed",
            "policies",
            "approvals",
            "change",
            "sentence",
            "drafts",
            "accept",
            "adopting",
            "replay",
            "presets",
            "document",
        }
    ),
    "feed": frozenset({"app", "list", "detail", "feed"}),
    "policies": frozenset({"app", "list", "detail", "policies"}),
    "chooser": frozenset({"chooser"}),
    "drafts": frozenset({"drafts", "detail"}),
    "accept": frozenset({"accept", "detail"}),
    "approvals": frozenset({"app", "list", "detail", "approvals"}),
    "wider": frozenset({"wider"}),
    "change": frozenset({"change", "list", "detail"}),
    "sentence": frozenset({"sentence", "list", "detail"}),
    "replay": frozenset({"replay", "list", "detail"}),
    "presets": frozenset({"presets", "list", "detail"}),
    "document": frozenset({"document", "detail"}),
}

# What can be done while a view is in front, the nearest first.
VIEW_SCOPES: Mapping[str, tuple[Scope, ...]] = {
    "now": ("now", "adopt", "adopting", "list", "app"),
    "insight": ("insight", "sentence", "list", "app"),
    "sessions": (
        "sessions",
        "search",
        "facets",
        "list",
        "transcript",
        "prompt",
        "detail",
        "sentence",
        "app",
    ),
    "feed": ("feed", "filter", "sentence", "list", "detail", "app"),
    "policies": (
        "policies",
        "filter",
        "chooser",
        "drafts",
        "sentence",
        "replay",
        "presets",
        "document",
        "accept",
        "list",
        "app",
    ),
    "approvals": ("approvals", "filter", "wider", "change", "sentence", "list", "detail", "app"),
}

# Scopes for moving about and for open questions, which the palette leaves out.
ONLY_KEYS: frozenset[Scope] = frozenset(
    {
        "list",
        "search",
        "filter",
        "adopting",
        "wider",
        "change",
        "sentence",
        "replay",
        "presets",
        "document",
        "facets",
        "transcript",
        "prompt",
        "detail",
        "chooser",
        "drafts",
        "accept",
        "adopt",
    }
)
# Enter runs what the palette offers, and enter never allows a call.
NOT_IN_PALETTE = frozenset(
    {
        "app.interrupt",
        "approvals.allow",
        "approvals.change",
        "approvals.wider",
        "approvals.rule",
    }
)

BY_ID: Mapping[str, Action] = {action.id: action for action in ACTIONS}


def actions_in(*scopes: Scope) -> Iterator[Action]:
    """Yield the actions of these scopes in the order of the registry."""
    return (action for action in ACTIONS if action.scope in scopes)


def scopes_of(view: str) -> tuple[Scope, ...]:
    """Return the scopes that hold while this view is in front."""
    return VIEW_SCOPES.get(view, ("app",))


def offered_in(view: str) -> Iterator[Action]:
    """Yield what the palette offers: the view's actions, then those that hold everywhere."""
    for scope in scopes_of(view):
        if scope not in ONLY_KEYS:
            yield from (action for action in actions_in(scope) if action.id not in NOT_IN_PALETTE)


def bindings(scope: Scope) -> list[BindingType]:
    """Return the bindings of a scope for a widget's `BINDINGS`."""
    return [
        Binding(
            ",".join(action.keys),
            action.command,
            action.label,
            show=action.shown,
            tooltip=action.tooltip,
            id=action.id,
            priority=action.priority,
        )
        for action in actions_in(scope)
        if action.keys
    ]


@dataclass(frozen=True, slots=True)
class Keymap:
    """The keys in force. `problems` are sentences about entries that were left out."""

    remapped: Mapping[str, tuple[str, ...]]
    problems: tuple[str, ...] = ()

    def keys(self, action: Action) -> tuple[str, ...]:
        """Return the action's keys in force."""
        return self.remapped.get(action.id, action.keys)

    def shown(self, action: Action) -> str:
        """Return the first key as a person reads it, "" where there is none."""
        keys = self.keys(action)
        return display_key(keys[0]) if keys else ""

    def textual(self) -> dict[str, str]:
        """Return what `App.set_keymap` takes."""
        return {name: ",".join(keys) for name, keys in self.remapped.items()}


def read_keymap(wanted: Mapping[str, str]) -> Keymap:
    """Check `settings.console.keys`: unknown ids, keys that never arrive, and conflicts."""
    remapped: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for name, text in wanted.items():
        keys = tuple(_key_name(key.strip()) for key in text.split(",") if key.strip())
        problem = _problem(name, keys)
        if problem:
            problems.append(f"console.keys: {problem}")
        else:
            remapped[name] = keys
    for name in tuple(remapped):
        clash = _clash(BY_ID[name], remapped)
        if clash:
            problems.append(f"console.keys: {name} = {remapped[name][0]} {clash}; it was left out")
            del remapped[name]
    return Keymap(remapped, tuple(problems))


def _problem(name: str, keys: tuple[str, ...]) -> str:
    if name not in BY_ID:
        near = nearest(name, BY_ID)
        return f"no action {name}" + (f", did you mean {near}?" if near else "")
    if not BY_ID[name].keys:
        return f"{name} is reached through the palette only"
    if not keys:
        return f"{name} has no key"
    return next((f"{name} = {key} {why}" for key in keys if (why := _never(key))), "")


def _never(key: str) -> str:
    """Return why a key never reaches the console, "" where it does."""
    if key in EATEN:
        return "never arrives: terminals keep that key"
    if arrives(key):
        return ""
    right = right_name(key)
    return "never arrives in a terminal" + (f"; write {right}" if right else "")


def _clash(action: Action, remapped: Mapping[str, tuple[str, ...]]) -> str:
    mine = set(remapped[action.id])
    for other in ACTIONS:
        if other.id == action.id or other.scope not in OVERLAPS[action.scope]:
            continue
        if mine.intersection(remapped.get(other.id, other.keys)):
            return f"is also {other.id}"
    return ""


def _key_name(key: str) -> str:
    return _character_to_key(key) if len(key) == 1 else key


_SHOWN = {
    "slash": "/",
    "question_mark": "?",
    "asterisk": "*",
    "plus": "+",
    "exclamation_mark": "!",
    "less_than_sign": "<",
    "greater_than_sign": ">",
    "minus": "-",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "up": "↑",
    "down": "↓",
    "left": "←",
    "right": "→",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "colon": ":",
    "apostrophe": "'",
}


def display_key(key: str) -> str:
    """Return a key's name as a person reads it: `ctrl+g` as `^g`, `slash` as `/`."""
    if key.startswith("ctrl+"):
        return f"^{key[5:]}"
    return _SHOWN.get(key, key)
