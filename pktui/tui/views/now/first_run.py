"""What stands where no agent called yet: the agents of this machine, to be put behind pktui."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

from textual.containers import Vertical

from pktui.agents.adopting import FileDone, Plan, carry_out, plan_adoption, plan_release
from pktui.agents.clients import Places
from pktui.agents.discovery import AgentFound, find_agents
from pktui.agents.hook_state import UNTRUSTED
from pktui.errors import PktuiError
from pktui.text import one_line, visible
from pktui.tui.actions import BY_ID, bindings
from pktui.tui.background import in_thread
from pktui.tui.context import Context, context_of
from pktui.tui.document import Line, Tone
from pktui.tui.screens.edit import EditScreen
from pktui.tui.undo_history import UndoStep
from pktui.tui.views.now.first_call import make_first_call
from pktui.tui.widgets.columns import Column, Table
from pktui.tui.widgets.lines import Lines
from pktui.tui.widgets.rows import ListSource, Pen, Rows, Run

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.binding import BindingType

    from pktui.settings import Paths
    from pktui.tui.glyphs import Glyphs
    from pktui.tui.services import Services

E = TypeVar("E")
_COLUMNS = (
    Column("agent", most=18),
    Column("has", most=44),
    Column("state", most=24),
)
# Cells of the box before an agent.
_BOX = 4
_GATEWAY = "pktui gateway memory"


@dataclass(frozen=True, slots=True)
class Choice:
    """An agent and whether it is to be put behind pktui."""

    agent: AgentFound
    chosen: bool

    @property
    def wanted(self) -> bool:
        """Whether something is to be done for it."""
        return self.chosen and not self.agent.adopted


class FirstRun(Vertical):
    """Finds agents, shows every file that would change, writes, and takes it back."""

    def __init__(self, services: Services, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._services = services
        self._choices: tuple[Choice, ...] = ()
        self._table = Table(_COLUMNS, ())
        self._searched = False
        self._calling = False

    def compose(self) -> ComposeResult:
        """Lay out what pktui is, the agents, and what comes next."""
        yield Lines(id="first-head")
        yield AdoptRows(ListSource(), self._draw, glyphs=context_of(self).glyphs, id="first-rows")
        yield Lines(id="first-foot")

    @property
    def rows(self) -> AdoptRows:
        """The agents found."""
        return self.query_one(AdoptRows)

    @property
    def line(self) -> str:
        """The command that is shown to be copied, empty where none is."""
        busy = any(one.wanted or one.agent.adopted for one in self._choices)
        return "" if busy or not self._searched else _GATEWAY

    @property
    def _found_in(self) -> Context:
        return context_of(self)

    def look(self) -> None:
        """Look for agents again."""
        paths = self._services.paths
        in_thread(
            self, lambda: find_agents(paths, Places.here()), self._take,
            self._found_in.say_error, group="agents",
        )  # fmt: skip

    def _take(self, agents: tuple[AgentFound, ...]) -> None:
        off = {one.agent.client.id for one in self._choices if not one.chosen}
        self._searched = True
        self._choices = tuple(Choice(one, one.client.id not in off) for one in agents)
        self._show()

    def _draw(self, choice: Choice, pen: Pen) -> Sequence[Sequence[Run]]:
        """Draw an agent with what pktui would stand before."""
        ink, agent = pen.ink, choice.agent
        done = agent.adopted
        sign = pen.glyphs.allowed if done or choice.chosen else " "
        box = f" {sign}  " if done else f"[{sign}] "
        styles = {
            "agent": ink.bold if pen.under_cursor else ink.text, "has": ink.dim,
            "state": ink.wait if agent.problems or _asks_for_trust(agent) else ink.ok,
        }  # fmt: skip
        cells = self._table.draw(self._choices.index(choice), pen.width - _BOX, styles)
        return [[(box, ink.ok if sign.strip() else ink.faint), *cells]]

    def _show(self) -> None:
        glyphs = self._found_in.glyphs
        self._table = Table(_COLUMNS, [choice_texts(one, glyphs) for one in self._choices])
        self.query_one("#first-head", Lines).show(tuple(self._head()))
        self.rows.show(ListSource(self._choices), cursor=self.rows.cursor)
        self.rows.styles.height = max(1, len(self._choices))
        self.rows.display = bool(self._choices)
        self.query_one("#first-foot", Lines).show(tuple(self._foot()))
        self.refresh_bindings()

    def _head(self) -> Iterator[Line]:
        behind = [one.agent for one in self._choices if one.agent.adopted]
        if not self._searched:
            yield Line("looking for agents…", "note")
        elif not self._choices:
            yield Line("No coding agent was found on this machine.", "strong")
        elif behind:
            names = ", ".join(one.client.title for one in behind)
            yield Line(f"Waiting for the first call of {names}.", "strong")
            yield Line("An agent that runs already has to be restarted once.", "note")
            for one in behind:
                if _asks_for_trust(one):
                    yield Line(
                        f"{one.client.title} asks there whether you trust the new hooks: until then"
                        " its own tools go around pktui.", "note",
                    )  # fmt: skip
        else:
            yield Line("No agent calls its tools through pktui yet.", "strong")
            yield Line("These are on this machine; their sessions can be searched, too.", "note")
        if self._choices:
            yield Line("")

    def _foot(self) -> Iterator[Line]:
        yield Line("")
        if any(one.agent.adopted for one in self._choices):
            yield _key("t", "lets pktui make a first call itself")
            yield _key("u", "takes it back now; pktui clients release does so at any time")
        if any(one.wanted for one in self._choices):
            yield _key("w", "shows the change of each file before anything is written")
            yield _key("space", "leaves an agent out, or takes it in again")
        elif self.line:
            yield Line("Give this to any MCP client in place of a server's own command:", "text")
            yield Line(_GATEWAY, "heading", "  ")
            key = self._found_in.keymap.shown(BY_ID["now.copy"])
            yield Line(f"{key} copies it", "note", "  ")
            yield Line("")
            yield Line("Or look around with sample data: pktui demo", "note")

    # Keys

    def offers(self, command: str) -> bool:
        """Offer to choose while an agent is not behind pktui, to write while one is chosen."""
        if command == "write":
            return any(one.wanted for one in self._choices)
        return command != "choose_agent" or any(not one.agent.adopted for one in self._choices)

    def make_call(self) -> None:
        """Make a first call, so that something is to be seen."""
        if self._calling or self._found_in.refuse_read_only():
            return
        self._calling = True
        self._found_in.say("calling memory.list_sessions through a gateway…")
        in_thread(
            self, make_first_call, partial(self._called, self._found_in.say),
            partial(self._called, self._found_in.say_error), group="first-call",
        )  # fmt: skip

    def _called(self, tell: Callable[[E], object], end: E) -> None:
        self._calling = False
        tell(end)

    def action_choose(self) -> None:
        """Put the agent under the cursor behind pktui, or leave it out."""
        at = self.rows.cursor
        if at < len(self._choices):
            one = self._choices[at]
            if one.agent.adopted:
                self._found_in.say(f"{one.agent.client.title} is behind pktui already")
                return
            changed = Choice(one.agent, not one.chosen)
            self._choices = (*self._choices[:at], changed, *self._choices[at + 1 :])
            self._show()

    def action_write(self) -> None:
        """Show what would change."""
        if self._found_in.refuse_read_only():
            return
        clients = tuple(one.agent.client.id for one in self._choices if one.wanted)
        if not clients:
            behind = all(one.agent.adopted for one in self._choices)
            self._found_in.say(
                "the agents found here are behind pktui already"
                if behind
                else "no agent is chosen; space chooses one"
            )
            return
        paths = self._services.paths
        in_thread(
            self, lambda: plan_adoption(paths, Places.here(), clients), self._ask,
            self._found_in.say_error, group="agents",
        )  # fmt: skip

    def _ask(self, plan: Plan) -> None:
        if self.app.screen.is_modal or not self.is_on_screen:
            return  # the person went on meanwhile, or pressed w twice

        def answer(wanted: Plan | None) -> None:
            if wanted is not None:
                self._found_in.undo_stack.begin()
                in_thread(
                    self, lambda: carry_out(wanted), lambda done: self._written(wanted, done),
                    self._not_written, group="agents",
                )  # fmt: skip

        self._found_in.ask(AdoptScreen(plan), answer)

    def _not_written(self, error: PktuiError) -> None:
        self._found_in.undo_stack.end()
        self._found_in.say_error(error)

    def _written(self, plan: Plan, done: Sequence[FileDone]) -> None:
        failed = [f"{one.path}: {one.problem}" for one in done if one.problem]
        paths, clients = self._services.paths, plan.clients
        step = UndoStep("adopting", lambda: _release(paths, clients), self.look)
        self._found_in.undo_stack.push(step)
        self._found_in.undo_stack.end()
        if failed:
            self._found_in.say("; ".join(failed), severity="error", seconds=12)
        else:
            self._found_in.say(f"{len(done)} files written; u takes it back")
        self.look()


def _release(paths: Paths, clients: Sequence[str]) -> str:
    """Put back what was there. Blocks."""
    done = carry_out(plan_release(paths, Places.here(), clients))
    failed = [f"{one.path}: {one.problem}" for one in done if one.problem]
    if failed:
        raise PktuiError("; ".join(failed), "Try again with: pktui clients release")
    return f"{len(done)} files are as they were"


class AdoptRows(Rows[Choice]):
    """The agents; keys for choosing hold here."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("adopt")]

    def offers(self, command: str) -> bool:
        """Enter does what space does; once all are behind pktui nothing is left to choose."""
        return command != "choose" and self._home().offers(command)

    def _home(self) -> FirstRun:
        return next(node for node in self.ancestors if isinstance(node, FirstRun))

    def action_choose_agent(self) -> None:
        """Put the agent under the cursor behind pktui, or leave it out."""
        self._home().action_choose()

    def action_write(self) -> None:
        """Show what would change."""
        self._home().action_write()

    def action_first_call(self) -> None:
        """Let pktui make a first call itself."""
        self._home().make_call()

    def action_choose(self) -> None:
        """Enter does what space does."""
        self._home().action_choose()


class AdoptScreen(EditScreen["Plan | None"]):
    """Shows every file that would change; gives the plan where it is to be carried out."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("adopting")]

    def __init__(self, plan: Plan) -> None:
        count = len(plan.changes)
        files = "1 file" if count == 1 else f"{count} files"
        about = "A copy of what was there is kept. u puts it back, or: pktui clients release."
        super().__init__(f"Change {files}?", about, ("adopting.write", "adopting.leave"))
        self._plan = plan

    def on_mount(self) -> None:
        """Show the change."""
        self.show_change(tuple(plan_lines(self._plan)))

    def action_write(self) -> None:
        """Write it."""
        if self.is_answered():
            self.dismiss(None if self._plan.empty else self._plan)

    def action_leave(self) -> None:
        """Write nothing."""
        self.dismiss(None)


def plan_lines(plan: Plan) -> Iterator[Line]:
    """Lay a plan out: what to know first, then each file with its difference."""
    for note in plan.notes:
        yield Line(one_line(note, 600), "text", "note  ", "heading")
    for problem in dict.fromkeys(plan.problems):
        yield Line(one_line(problem, 600), "warning", "left  ", "warning")
    if plan.empty:
        yield Line("nothing is to be changed", "note")
    for change in sorted(plan.changes, key=lambda change: change.client is None):
        yield Line("")
        title = change.client.title if change.client else "pktui"
        word = " (new)" if change.created else ""
        yield Line(f"{title}: {one_line(str(change.path), 400)}{word}", "strong")
        lines = change.diff.splitlines()[2:]
        yield from (_diff_line(line) for line in lines if not line.startswith("@@"))


def _diff_line(line: str) -> Line:
    tones: dict[str, Tone] = {"+": "added", "-": "removed"}
    tone = tones.get(line[:1], "key")
    return Line(visible(line[1:]).replace("\t", "    "), tone, f"{line[:1]} ", tone)


def choice_texts(choice: Choice, glyphs: Glyphs) -> tuple[str, ...]:
    """Return an agent's texts, one for each column."""
    agent = choice.agent
    own = agent.hooks not in {"", "none"} or agent.client.hook_files
    parts = ["own tools"] if own else []
    parts += ["sessions"] if agent.sessions else []
    if agent.servers or not parts:
        parts.insert(0, f"{agent.servers} {'server' if agent.servers == 1 else 'servers'}")
    state = "behind pktui" if agent.adopted else ""
    if _asks_for_trust(agent):
        state = "asks for trust"
    if agent.problems:
        state = f"{glyphs.waiting} {len(agent.problems)} can't be read"
    return agent.client.title, f" {glyphs.dot} ".join(parts), state


def _asks_for_trust(agent: AgentFound) -> bool:
    """Tell whether the person has to trust pktui's hooks in the agent's own screen."""
    return agent.adopted and agent.hooks == UNTRUSTED


def _key(key: str, text: str) -> Line:
    return Line(text, "key", key.ljust(7), "heading")
