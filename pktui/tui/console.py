"""The console: header, views, tray and status line, and what joins them.

The app owns what the views share (scope, undo, keys, inks) and the beat that notices changes;
everything a view shows is the view's own.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from msgspec.structs import replace
from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.errors import NoWidget
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input

from pktui.errors import PktuiError
from pktui.text import one_line, visible
from pktui.tui.actions import (
    BY_ID,
    Action,
    bindings,
    display_key,
    read_keymap,
)
from pktui.tui.background import in_thread
from pktui.tui.drafts import Drafts
from pktui.tui.glyphs import ASCII, glyphs_of
from pktui.tui.kept import Kept, read_kept, write_kept, write_theme
from pktui.tui.keyboard import TYPED, Keyboard
from pktui.tui.leaving import Leaving
from pktui.tui.moments import age
from pktui.tui.screens.question import SHORT
from pktui.tui.stopping import Stopping
from pktui.tui.theme import DEFAULT_VARIABLES, THEMES
from pktui.tui.threads import DaemonThreads
from pktui.tui.tray import Tray
from pktui.tui.turns import Turns
from pktui.tui.undo_action import Undoing
from pktui.tui.undo_history import UndoStack
from pktui.tui.views.base import View
from pktui.tui.vitals import (
    LedgerVitals,
    LedgerWatch,
    MemoryVitals,
    MemoryWatch,
    PolicyFiles,
    look_at_memory,
    read_ledger,
)
from pktui.tui.widgets.key_line import KeyLine
from pktui.tui.widgets.panes import is_zoomed, panes_around, zoom
from pktui.tui.widgets.rows import Rows
from pktui.tui.widgets.top_bar import Counts, TopBar

if TYPE_CHECKING:
    from textual.actions import ActionParseResult
    from textual.binding import BindingType
    from textual.dom import DOMNode
    from textual.screen import Screen

    from pktui.tui.action_lists import ActionLists
    from pktui.tui.notifier import Telling
    from pktui.tui.services import Services

T = TypeVar("T")
# What a box edits by; ctrl+c is the console's, which copies too.
BOX_KEYS = frozenset(
    key for one in Input.BINDINGS if isinstance(one, Binding) for key in one.key.split(",")
) - {"ctrl+c"}
# The one clock of the app: what is in front is told of each second, and of so many the notices.
TICK_SECONDS = 1.0
NOTICE_TICKS = 5
# What takes longer is named in the last line.
MOMENT_SECONDS = 0.3
# Characters of its name: with how policy and memory are it has room in 80 cells.
WORDS_OF_WORK = 26
# How many notices are kept to be read again.
NOTICES = 500
# Between keys that do nothing, for each to be told.
MISSING_SECONDS = 0.5
# Where each view is; it is imported when it first comes to the front.
VIEWS: dict[str, tuple[str, str]] = {
    "now": ("pktui.tui.views.now.view", "NowView"),
    "insight": ("pktui.tui.views.insight.view", "InsightView"),
    "sessions": ("pktui.tui.views.sessions.view", "SessionsView"),
    "feed": ("pktui.tui.views.feed.view", "FeedView"),
    "policies": ("pktui.tui.views.policies.view", "PoliciesView"),
    "approvals": ("pktui.tui.views.approvals.view", "ApprovalsView"),
}


class Views(Widget):
    """The place of the views; one is in front, those not yet looked at are not there yet.

    Until there is one it is an empty pane: the first frame.
    """

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id, classes="-opening")

    def render(self) -> str:
        """Draw nothing; Textual would draw the widget's own name."""
        return ""


class LedgerSeen(Message):
    """The ledger was read."""

    def __init__(self, vitals: LedgerVitals) -> None:
        super().__init__()
        self.vitals = vitals

    def can_replace(self, message: Message) -> bool:
        """Only what was read last counts."""
        return isinstance(message, LedgerSeen)


class MemorySeen(Message):
    """The memory service was looked at."""

    def __init__(self, vitals: MemoryVitals) -> None:
        super().__init__()
        self.vitals = vitals


def _besides_policies(services: Services) -> tuple[Path, ...]:
    """Return the files that say what is in force and stand beside the directory of policies."""
    paths, settings = services.paths, services.settings
    named = (
        settings.policy_file(paths, name) for name, one in settings.servers.items() if one.policy
    )
    return (paths.servers_file, paths.bundle_file, *named)


class Console(App[int], inherit_bindings=False):
    """The program. `services` is all it knows of the rest of pktui."""

    TITLE = "pktui"
    CSS_PATH: ClassVar = [
        "styles/console.tcss",
        "styles/now.tcss",
        "styles/sessions.tcss",
        "styles/panes.tcss",
        "styles/approvals.tcss",
        "styles/feed.tcss",
        "styles/policies.tcss",
    ]
    BINDINGS: ClassVar[list[BindingType]] = [*bindings("app")]
    ENABLE_COMMAND_PALETTE = False
    # Questions leave out the space around them where there are few rows.
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (SHORT, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = None

    front: reactive[str] = reactive("")
    whole: reactive[bool] = reactive(True, init=False)
    """True: all projects; false: this project only."""

    def __init__(
        self, services: Services, *, view: str = "sessions", at: str = "", words: str = ""
    ) -> None:
        """Begin with a view: its cursor at what `at` names, filtered by `words`."""
        super().__init__()
        self.services = services
        self.glyphs = glyphs_of(services.settings.console.glyphs)
        self.keymap = read_keymap(services.settings.console.keys)
        self.keyboard = Keyboard(self)
        self.crash: BaseException | None = None
        """What the console ended with, where it was not told to end."""
        self.undo_stack = UndoStack(self.refresh_bindings)
        self._undoing, self._leaving = Undoing(self), Leaving(self)
        self._stopping = Stopping(self, self)
        self._said: deque[tuple[int, str, str]] = deque(maxlen=NOTICES)
        self.kept = read_kept(services.paths.data_dir)
        self.drafts = Drafts(self._count_drafts)
        self.memory = MemoryVitals()
        self.ledger = LedgerVitals()
        self._first_view, self._first_at, self._first_words = view, at, words
        self._readings = Turns(self._read_ledger)
        self._sessions = -1
        self._policies = PolicyFiles(services.paths.policies_dir, _besides_policies(services))
        self._stale: dict[str, set[str]] = {}
        self._said_missing_at = float("-inf")
        self._ticks = 0
        self._under_way: dict[object, tuple[str, int]] = {}
        self._telling: Telling | None = None
        self._ledger_watch: LedgerWatch | None = None
        self._watch: MemoryWatch | None = None
        self.set_class(self.glyphs is ASCII, "-ascii")
        for theme in THEMES:
            self.register_theme(theme)
        wanted = services.settings.console.theme
        if wanted in self.available_themes:  # before the styles are read: else they are read twice
            self.set_reactive(Console.theme, wanted)
            self.stylesheet.set_variables(self.get_css_variables())
            dark = self.current_theme.dark
            self.set_class(dark, "-dark-mode").set_class(not dark, "-light-mode")

    # Layout

    def compose(self) -> ComposeResult:
        """Lay out the frame; the view in front follows when it is mounted."""
        yield TopBar(self.glyphs, id="top")
        yield Views(id="views")
        yield Tray(self.services, id="tray")
        yield KeyLine(self.glyphs, id="keys")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give every theme the console's own colour names."""
        return dict(DEFAULT_VARIABLES)

    def on_mount(self) -> None:
        """Set theme and keys and start watching; the first view follows the first paint."""
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        self._set_theme(self.services.settings.console.theme)
        self.set_keymap(self.keymap.textual())
        for problem in self.keymap.problems:
            self.say(problem, severity="warning")
        self.call_after_refresh(self._open_first)
        self.screen_change_signal.subscribe(self, self._screen_changed, immediate=True)
        if self.services.background:
            self._ledger_watch = LedgerWatch(
                self._look, lambda seen: self.post_message(LedgerSeen(seen))
            )
            self.call_after_refresh(self._ledger_watch.start)
            self.call_after_refresh(self._begin_telling)
            self._watch = MemoryWatch(
                self.services.memory, lambda seen: self.post_message(MemorySeen(seen))
            )
            self.call_after_refresh(self._watch.start)
            self.set_interval(TICK_SECONDS, self.tick)
        else:
            self.beat()
            self._look_at_memory()

    def _begin_telling(self) -> None:
        """Tell a person who looks elsewhere, where the settings want that."""
        if self.services.settings.console.notices.by == "off":
            return
        from pktui.tui.notifier import Telling  # not before the first paint

        def write(sequence: str) -> None:
            if self._driver is not None:
                self._driver.write(sequence)

        telling = self._telling = Telling(self, self.services, self.say, write, self.note)
        self.app_suspend_signal.subscribe(self, lambda _: telling.step_aside(), immediate=True)
        self.app_resume_signal.subscribe(self, lambda _: telling.come_back(), immediate=True)

    def tick(self) -> None:
        """Let time pass for what is in front."""
        if not self.is_running:
            return
        self._ticks += 1
        if self._telling is not None and self._ticks % NOTICE_TICKS == 0:
            self._telling.look()
        self.query_one(Tray).tick()
        self._show_work()
        view = self.view_in_front()
        if view is not None and view.is_mounted:
            view.tick(self.services.clock())

    async def _open_first(self) -> None:
        """Bring the first view to the front; keys that were typed before go to it."""
        await self.action_view(self._first_view)
        view = self.view_in_front()
        if view is not None and self._first_at:
            view.go_to(self._first_at)
        elif view is not None and self._first_words:
            view.search(self._first_words)
        self.keyboard.open()

    def on_unmount(self) -> None:
        """Let the watching threads go, and end what was started."""
        self.keyboard.close()
        if self._telling is not None:
            self._telling.end()
        if self._ledger_watch is not None:
            self._ledger_watch.stop()
        if self._watch is not None:
            self._watch.stop()

    def _set_theme(self, name: str) -> None:
        if name not in [theme.name for theme in THEMES]:
            self._register_others()
        if name in self.available_themes:
            self.theme = name
            return
        self.theme = THEMES[0].name
        known = ", ".join(theme.name for theme in THEMES)
        self.say(f"console.theme: no theme {name}; known: {known}", severity="warning")

    def _register_others(self) -> None:
        from pktui.tui.other_themes import OTHER_NAMES, other_theme

        for name in OTHER_NAMES:
            self.register_theme(other_theme(name))

    # Crashes

    def _handle_exception(self, error: Exception) -> None:
        self.crash = self.crash or error
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        """Leave without Textual's traceback: it shows the values of variables."""
        self.bell()
        self._close_messages_no_wait()

    # Keys and clicks

    async def on_event(self, event: events.Event) -> None:
        """Hand on what is typed, each only once all before it had its effect."""
        if not isinstance(event, TYPED) or event.is_forwarded:
            await super().on_event(event)
        elif self.keyboard.takes_turn(event):
            self._focus_something()
            target = self._target_of(event)
            await super().on_event(event)
            self.keyboard.handed_on(target)

    def _focus_something(self) -> None:
        """Give the view in front the focus where a list that had it was hidden for being empty."""
        view = self.view_in_front()
        if self.focused is None and view is not None and not self.screen.is_modal:
            view.focus_default()

    def _target_of(self, event: events.Event) -> Widget:
        """Return the widget that Textual will hand the event to."""
        if isinstance(event, events.MouseEvent):
            with suppress(NoWidget):
                return self.get_widget_at(event.x, event.y)[0]
            return self.screen
        return self.focused or self.screen

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Run an action, unless it belongs to a view or screen that is not in front."""
        if default_namespace is not None and not self._is_in_front(default_namespace):
            return False
        return await super().run_action(action, default_namespace, namespaces)

    async def _check_bindings(self, key: str, priority: bool = False) -> bool:
        """Run what is bound to a key; a key that does nothing here says so.

        A box keeps the keys that it edits by.
        """
        if priority and key in BOX_KEYS and isinstance(self.focused, Input):
            return False
        handled = await super()._check_bindings(key, priority)
        if not handled and not priority:
            self._say_what_is_missing(key)
        return handled

    def _say_what_is_missing(self, key: str) -> None:
        if self.screen.is_modal or isinstance(self.focused, Input) or key == "escape":
            return
        chain = self.screen._modal_binding_chain  # noqa: SLF001  what the key was looked up in
        bound = (one.id for _, keys in chain for one in keys.key_to_bindings.get(key, ()))
        action = next((BY_ID[name] for name in bound if name and name in BY_ID), None)
        shown, view = display_key(key), self.view_in_front()
        if action is None:
            self._say_missing(f"no action on {shown} here; {self._help_key} lists the keys")
            return
        why = view.why_not(action.command) if view is not None and action.scope != "app" else ""
        why = why or ("there is nothing to undo" if action.id == "app.undo" else "not now")
        self._say_missing(f"{shown} {action.label}: {why}")

    @property
    def _help_key(self) -> str:
        return self.keymap.shown(BY_ID["app.help"])

    def _say_missing(self, sentence: str) -> None:
        """Say it once for a run of such keys: text may have been pasted as keys."""
        now = time.monotonic()
        if now - self._said_missing_at >= MISSING_SECONDS:
            self.say(sentence, seconds=3)
        self._said_missing_at = now

    def _is_in_front(self, node: DOMNode) -> bool:
        around = node.ancestors_with_self
        view = next((one for one in around if isinstance(one, View)), None)
        return (node is self or self.screen in around) and (view is None or view.id == self.front)

    # What views use

    @property
    def in_front(self) -> str:
        """The name of the view that is shown, "" before the first."""
        return self.front

    async def open_view(self, name: str, *names: str) -> None:
        """Bring a view to the front and its cursor to what the names stand for."""
        await self.action_view(name)
        view = self.view_in_front()
        if view is not None:
            view.go_to(*names)

    async def search_in(self, name: str, text: str) -> None:
        """Bring a view to the front and filter it by this text."""
        await self.action_view(name)
        view = self.view_in_front()
        if view is not None:
            view.search(text)

    async def run_in_front(self, command: str) -> None:
        """Run an action of the view in front."""
        view = self.view_in_front()
        if view is not None:
            await self.run_action(command, default_namespace=view)

    def ask(self, screen: Screen[T], answer: Callable[[T | None], None]) -> None:
        """Open a question over the views; `answer` gets what the person chose."""
        self.push_screen(screen, answer)

    @property
    def project(self) -> str | None:
        """The project the person limited the views to, `None` for all."""
        return None if self.whole else self.services.project

    @property
    def scope_name(self) -> str:
        """The scope in words."""
        here = Path(self.services.project).name or self.services.project
        return "all projects" if self.whole else f"project {one_line(here, 40)}"

    @work(thread=True, group="copy")
    def copy(self, text: str) -> None:
        """Copy a text and say by which way."""
        from pktui.tui.clipboard import copy

        terminal = partial(self.call_from_thread, self.copy_to_clipboard)
        try:
            sentence = copy(text, terminal, self.services.paths.data_dir)
        except PktuiError as error:
            self.call_from_thread(self.say_error, error)
            return
        self.call_from_thread(self.say, sentence)

    def say(self, text: str, *, severity: str = "information", seconds: float = 5) -> None:
        """Show a notice; foreign text in it is made visible."""
        kind = severity if severity in {"warning", "error"} else "information"
        self._said.append((self.services.clock(), text, kind))
        self.notify(visible(text), severity=kind, timeout=seconds, markup=False)  # type: ignore[arg-type]

    def working(self, words: str) -> Callable[[], None]:
        """Name what is done in the last line, once it takes more than a moment.

        Call what is returned when it is done; twice does no harm.
        """
        work = object()
        self._under_way[work] = one_line(words, WORDS_OF_WORK), self.services.clock()
        self.set_timer(MOMENT_SECONDS, self._show_work)

        def ended() -> None:
            if self._under_way.pop(work, None) is not None:
                self._show_work()

        return ended

    def _show_work(self) -> None:
        """Say what takes long, and how long that is."""
        words, now = "", self.services.clock()
        for what, since_us in reversed(self._under_way.values()):
            if now - since_us >= MOMENT_SECONDS * 1_000_000:
                words = f"{what} {age(now - since_us)}".removesuffix(" now")
        for line in self.query(KeyLine):  # none once the console is left
            line.working = words

    def note(self, text: str) -> None:
        """Keep what was told elsewhere with what was said here."""
        self._said.append((self.services.clock(), text, "information"))

    def say_error(self, error: PktuiError) -> None:
        """Show what went wrong and what to do."""
        self.say(str(error), severity="error", seconds=8)

    def keep(self, **what: Any) -> None:
        """Remember it for the next start; what cannot be kept is told and holds till the end."""
        self.kept = replace(self.kept, **what)
        self._write_kept(self.kept)

    @work(thread=True, exclusive=True, group="kept")
    def _write_kept(self, kept: Kept) -> None:
        data_dir = self.services.paths.data_dir
        try:
            write_kept(data_dir, kept)
        except OSError as error:
            why = f"how the console looks could not be kept in {data_dir}: {error.strerror}"
            self.call_from_thread(self.say, why, severity="warning")

    def view_in_front(self) -> View | None:
        """Return the view that is shown, `None` before the first."""
        place = self.query_one_optional(Views)  # a query by the name would go through all of them
        views = place.children if place is not None else ()
        return next((one for one in views if isinstance(one, View) and one.id == self.front), None)

    def refuse_read_only(self) -> bool:
        """Tell the person where the console may not change anything; true if it is so."""
        if self.services.read_only:
            self.say("this console is read-only: it shows everything and changes nothing")
        return self.services.read_only

    def refuse_a_run(self) -> bool:
        """Tell the person where a key came with others as pasted text does; true if it is so."""
        run = self.keyboard.in_a_run()
        if run:
            self.say("keys that come in a run, as a paste does, decide nothing; press it alone")
        return run

    # Views

    async def action_view(self, name: str) -> None:
        """Bring a view to the front, mounting it the first time."""
        place = self.query_one(Views)
        for other in place.query(View):
            other.display = other.id == name
        view = next(iter(place.query(f"#{name}").results(View)), None)
        new = view is None
        if view is None:
            view = self._make_view(name)
            place.remove_class("-opening")
            await place.mount(view)
        self.front = name
        self.query_one(TopBar).front = name
        self.query_one(KeyLine).zoomed = is_zoomed(view)
        view.focus_default()
        if not new:
            view.shown()
            self._tell_stale(view)

    def _make_view(self, name: str) -> View:
        module, kind = VIEWS[name]
        view = getattr(importlib.import_module(module), kind)(self.services, id=name)
        assert isinstance(view, View)
        return view

    def _tell(self, what: str) -> None:
        """Call a method of the view in front; the others hear of it when they come there."""
        for view in self.query_one(Views).query(View):
            if view.id == self.front:
                getattr(view, what)()
            else:
                self._stale.setdefault(view.id or "", set()).add(what)

    def _tell_stale(self, view: View) -> None:
        for what in sorted(self._stale.pop(view.id or "", ())):
            getattr(view, what)()

    # The beat

    def beat(self) -> None:
        """Read all of the ledger's figures again, as soon as no other reading is going on."""
        if self._ledger_watch is not None:
            self._ledger_watch.ask()
        elif self.is_running:
            self._readings.ask()

    def _look(self, known: LedgerVitals | None, passed: bool) -> LedgerVitals:
        return read_ledger(self.services, self._policies, known, passed=passed)

    @work(thread=True, group="beat", description="beat")
    def _read_ledger(self) -> None:
        self.post_message(LedgerSeen(read_ledger(self.services, self._policies)))

    @work(thread=True, group="look")
    def _look_at_memory(self) -> None:
        self.post_message(MemorySeen(look_at_memory(self.services.memory)))

    @on(LedgerSeen)
    def _show_ledger(self, message: LedgerSeen) -> None:
        if self._ledger_watch is None:
            self._readings.done()
        seen, before = message.vitals, self.ledger
        if seen == before or not self.is_running:
            return
        self.ledger = seen
        if seen.problem and not before.problem:
            self.say(seen.problem, severity="error", seconds=8)
        elif before.problem and not seen.problem:
            self.say("the ledger is back")
        if seen.loss and seen.loss != before.loss:
            self.say(seen.loss, severity="warning", seconds=12)
        self.query_one(Views).set_class(bool(seen.problem), "-ledger-lost")
        self.query_one(KeyLine).ledger = seen
        self._count()
        self.query_one(Tray).ledger_moved(
            seen.waiting, seen.problem or seen.policy_problem, lost=bool(seen.problem)
        )
        self.title = f"({seen.pending}) pktui" if seen.pending else "pktui"
        if (seen.version, seen.in_force) != (before.version, before.in_force):
            self._tell("ledger_moved")

    @on(MemorySeen)
    def _show_memory(self, message: MemorySeen) -> None:
        seen, before = message.vitals, self.memory
        if seen == before or not self.is_running:
            return
        self.memory = seen
        self.query_one(KeyLine).memory = seen
        self._count()
        if seen.state == "ok" and before.state == "down":
            self.say("memory is back")
        self._tell("memory_moved")

    def _count(self) -> None:
        if self.memory.status is not None:
            self._sessions = self.memory.status.sessions
        self.query_one(TopBar).counts = Counts(
            sessions=self._sessions,
            calls_per_minute=self.ledger.calls_per_minute,
            policies=self.ledger.policies,
            pending=self.ledger.pending,
        )

    def _count_drafts(self) -> None:
        self.query_one(KeyLine).drafts = self.drafts.total

    def watch_title(self, title: str) -> None:
        """Put the title on the terminal."""
        driver = self._driver
        if driver is not None and not self.is_headless:
            driver.write(f"\x1b]0;{title}\x07")

    # Actions

    def action_scope(self) -> None:
        """Switch between this project and all of them."""
        self.whole = not self.whole

    def watch_whole(self) -> None:
        """Name the scope and tell the view."""
        self.query_one(TopBar).scope = self.scope_name
        self._tell("scope_changed")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer undo only where there is something to undo."""
        return action != "undo" or self.undo_stack.can_undo

    def action_stop(self) -> None:
        """Stop everything; where it is stopped, go on."""
        self._stopping.stop_or_release(stopped=self.ledger.stopped)

    def _screen_changed(self, screen: Screen[object]) -> None:
        """Where a screen over the view was closed, what is under its cursor is looked at anew."""
        view = self.view_in_front()
        if view is not None and not screen.is_modal:
            view.look_again()

    def action_undo(self) -> None:
        """Take back the last change; one that is under way is waited for."""
        self._undoing.take_back()

    def action_zoom(self) -> None:
        """Let the pane with the focus fill the view, or show all panes again."""
        view = self.view_in_front()
        if view is not None and self.focused is not None and not self.screen.is_modal:
            zoom(view, None if is_zoomed(view) else self.focused)
            self.query_one(KeyLine).zoomed = is_zoomed(view)

    def action_split(self, cells: int) -> None:
        """Move the line beside the pane that has the focus."""
        for panes in panes_around(self.focused) if self.focused else ():
            divider = panes.divider_of(self.focused or panes)
            if divider is not None:
                panes.move(divider, cells)
                self.call_after_refresh(panes.remember)
                return
        self.say("no line between panes is here to be moved")

    def action_press(self, key: str) -> None:
        """Do what a key does; for clicks on the key line."""
        self.simulate_key(key)

    def action_theme(self) -> None:
        """Choose a theme from a list; the one that is chosen is kept in settings.toml."""
        from pktui.tui.other_themes import OTHER_NAMES
        from pktui.tui.screens.theme_list import ThemeList

        self._register_others()

        def answer(name: str | None) -> None:
            if name is not None:
                paths = self.services.paths
                in_thread(
                    self, lambda: write_theme(paths, name),
                    lambda _: self.say(f"theme {name}, kept in {paths.settings_file}"),
                    self.say_error, group="theme",
                )  # fmt: skip

        self.push_screen(ThemeList([*(theme.name for theme in THEMES), *OTHER_NAMES]), answer)

    def action_jump(self) -> None:
        """Show a letter at every pane and row in sight, and go where it is typed."""
        from pktui.tui.screens.jump import Jump, Place, places_on

        def answer(place: Place | None) -> None:
            if place is not None:
                place.go()

        if not self.screen.is_modal:
            self.push_screen(Jump(places_on(self.screen)), answer)

    def action_notices(self) -> None:
        """Show what was said, and the ends of the logs."""
        from pktui.tui.screens.notice_log import Notices

        self.push_screen(Notices(self._said, self.services.paths.logs_dir))

    def action_help(self) -> None:
        """List the keys that hold in the view in front."""
        self._action_lists().help()

    def action_palette(self) -> None:
        """List what can be done."""
        self._action_lists().palette()

    @on(Rows.Menu)
    def _open_menu(self, _message: Rows.Menu) -> None:
        self._action_lists().menu()

    def _action_lists(self) -> ActionLists:
        from pktui.tui.action_lists import ActionLists  # not before the first paint

        return ActionLists(self, self._run_listed)

    async def _run_listed(self, action: Action) -> None:
        if action.scope == "app":
            await self.run_action(action.command, default_namespace=self)
        else:
            await self.run_in_front(action.command)

    async def action_quit(self) -> None:
        """Leave the console; drafts that would be lost are asked about first."""
        self._leaving.leave()

    def action_interrupt(self) -> None:
        """Copy what is selected; else quit at the second press."""
        self._leaving.interrupt()
