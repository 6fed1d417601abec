"""The story of the headless demo: what the agent does, what the person does, and what must be so.

Every step returns the sentence that says what happened, or raises where it did not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pktui.cli import output
from pktui.cli.demo.person import NAME, Person, Unmet, expect
from pktui.cli.demo.samples import samples
from pktui.cli.demo.stage import Stage, end_memory, processes_on, wait_for
from pktui.errors import ApprovalError
from pktui.memory.interchange import SessionRecord
from pktui.policy.document.policy import load_policy

if TYPE_CHECKING:
    from pktui.cli.demo.puppet import AgentProcess
    from pktui.memory.records import Mode, Session, Status

# How long one thing may take, the model apart.
WAIT_SECONDS = 20.0
CONNECT_SECONDS = 60.0
MODEL_SECONDS = 120.0
_TELL_SECONDS = 5.0

OFFERED = {"workshop": 6, "memory": 14}
HIDDEN = {"workshop": "rotate_keys", "memory": "delete_knowledge"}
SEARCHES: tuple[tuple[Mode, str, str], ...] = (
    ("meaning", "people are logged out before they finish buying", "debugging auth"),
    ("words", "replica identity sequences", "migrate postgres 14 to 17"),
    ("exact", "ERR_TOO_MANY_REDIRECTS", "debugging auth"),
)
RECORDED = "Round the discount to whole cents"
SUMMARY = "The discount adds up to the cent, and a test says so."

Step = tuple[str, Callable[[], str]]


class Story:
    """The steps, with an agent that is led and a person at the console."""

    def __init__(self, stage: Stage, agent: AgentProcess, person: Person) -> None:
        self.stage = stage
        self.agent = agent
        self.person = person
        self._recorded: Session | None = None

    def steps(self) -> tuple[Step, ...]:
        """Return every step with its name, in their order."""
        return (
            ("The sample sessions and knowledge are imported", self.imported),
            ("An agent reaches two servers through gateways", self.connected),
            ("Reading is allowed", self.allowed),
            ("Reading secrets is denied by rule", self.denied_by_rule),
            ("A hidden tool does not exist", self.hidden),
            ("A limit is met", self.capped),
            ("A write waits, and is allowed", self.allowed_by_person),
            ("A write waits, and is denied with words", self.denied_by_person),
            ("An entry waits, and is allowed", self.stored),
            ("A tool is switched off, and on again", self.switched),
            ("The agent records a session", self.recorded),
            ("Sessions are found by meaning, words and exact text", self.found),
            ("A session is ended, opened again and ended", self.ended),
            ("The record is complete and its chain holds", self.verified),
            ("Everything ends and no process is left", self.left),
        )

    def imported(self) -> str:
        """Take the samples in."""
        records = list(samples(datetime.now(UTC)))
        report = self.person.memory.import_records(records)
        taken = report.sessions + report.messages + report.entries
        expect(not report.rejected, f"nothing should be refused, but was: {report.rejects}")
        expect(taken == len(records), f"{len(records)} records should be in, and {taken} are")
        active = self.person.memory.sessions(status="active").total
        meant = sum(isinstance(one, SessionRecord) and one.status == "active" for one in records)
        expect(active == meant, f"{meant} sessions should be active, and {active} are")
        return (
            f"{report.sessions} sessions ({active} active), {report.messages} messages and "
            f"{report.entries} entries"
        )

    def connected(self) -> str:
        """List the tools of both servers."""
        for server, count in OFFERED.items():
            policy = load_policy(self.person.policy_file(server))
            listed = self.agent.call(server, "", CONNECT_SECONDS).text.splitlines()
            expect(len(listed) == count, f"{server} should offer {count} tools: {listed}")
            expect(HIDDEN[server] in policy.hide, f"{HIDDEN[server]} should be hidden by policy")
            expect(HIDDEN[server] not in listed, f"{HIDDEN[server]} should not be offered")
        gateways = self.person.ledger.presence.alive("gateway")
        served = sorted((one.server, one.agent) for one in gateways)
        meant = [(server, "claude-code") for server in sorted(OFFERED)]
        expect(served == meant, f"two gateways should serve claude-code, and these do: {served}")
        return ", ".join(f"{server} offers {count} tools" for server, count in OFFERED.items())

    def allowed(self) -> str:
        """Let the agent list the files."""
        answer = self.agent.call("workshop", "list_files")
        expect("shop/tokens.py" in answer.text, f"the files should be listed: {answer.text}")
        call = self.person.last_call("workshop", "list_files", settled=True)
        expect((call.effect, call.outcome) == ("allow", "ok"), f"it should be on record: {call}")
        return f"list_files answered with {len(answer.text.splitlines())} files"

    def denied_by_rule(self) -> str:
        """Let the agent read an environment file."""
        answer = self.agent.call("workshop", "read_file", path="deploy/storefront.env")
        expect(answer.error and answer.decision == "deny", f"it should be denied: {answer}")
        expect("Environment files may hold secrets" in answer.text, f"and say why: {answer.text}")
        expect("ACCESS_TOKEN" not in answer.text, "nothing of the file should reach the agent")
        call = self.person.last_call("workshop", "read_file", settled=False)
        expect(call.effect == "deny" and not call.outcome, f"it should be on record: {call}")
        return f"{call.rule}: the agent reads why, and nothing of the file"

    def hidden(self) -> str:
        """Let the agent call what it was not offered."""
        answer = self.agent.call("workshop", "rotate_keys")
        expect("Unknown tool: rotate_keys" in answer.text, f"it should be unknown: {answer.text}")
        expect(not (self.stage.project / "keys.txt").exists(), "no key should be rotated")
        call = self.person.last_call("workshop", "rotate_keys", settled=False)
        expect(call.effect == "hide", f"it should be on record: {call}")
        return "rotate_keys is answered as an unknown tool is, and is on record"

    def capped(self) -> str:
        """Let the agent search once more than it may."""
        words = ("TTL", "split", "discount", "price", "token", "cart")
        answers = [self.agent.call("workshop", "search_code", text=text) for text in words]
        expect(not any(one.error for one in answers[:5]), f"five should be answered: {answers}")
        last = answers[5]
        expect(last.error and last.decision == "deny", f"the sixth should not: {last}")
        expect("/limits/searches" in last.text, f"and name the limit: {last.text}")
        return "five searches are answered, the sixth is told which limit it met and until when"

    def allowed_by_person(self) -> str:
        """Allow a write; it runs then, and only then."""
        file = self.stage.project / "CHANGELOG.md"
        content = "# Changes\n\n## 4.2\n\n- Logins last an hour again.\n"
        order = self.agent.begin("workshop", "write_file", path=file.name, content=content)
        asked = self.person.asked("workshop", "write_file", WAIT_SECONDS)
        expect(content.splitlines()[0] in asked.arguments, f"it should be shown: {asked}")
        expect(not file.exists() and not self.agent.answered(order), "it should not run yet")
        decided = time.monotonic()
        self.person.decide(asked, allow=True)
        answer = self.agent.outcome(order, WAIT_SECONDS)
        waited = time.monotonic() - decided
        expect(not answer.error, f"the write should run: {answer.text}")
        expect(file.read_text() == content, "the file should hold what was approved")
        try:
            self.person.decide(asked, allow=False)
        except ApprovalError as error:
            expect(NAME in error.what, f"a second decision should say who decided: {error}")
        else:
            raise Unmet("a second decision should be refused")
        return f"{asked.id} allowed, answered {waited * 1000:.0f} ms later; the file is written"

    def denied_by_person(self) -> str:
        """Deny a write; the words reach the agent."""
        file = self.stage.project / "shop" / "tokens.py"
        before = file.read_bytes()
        order = self.agent.begin(
            "workshop", "write_file", path="shop/tokens.py", content="TTL = 1\n"
        )
        asked = self.person.asked("workshop", "write_file", WAIT_SECONDS)
        self.person.decide(asked, allow=False, words="Write the test first")
        answer = self.agent.outcome(order, WAIT_SECONDS)
        expect(answer.error and answer.decision == "deny", f"it should be denied: {answer}")
        expect("Write the test first" in answer.text, f"with the words: {answer.text}")
        expect(file.read_bytes() == before, "the file should be as it was")
        return f"{asked.id} denied; the agent reads “Write the test first”, the file is as it was"

    def stored(self) -> str:
        """Allow a new knowledge entry."""
        before = self.person.memory.entries().total
        title = "Discounts are shared by largest remainder"
        content = "split() hands the missing cents to the items with the largest remainders."
        order = self.agent.begin("memory", "store_knowledge", title=title, content=content)
        asked = self.person.asked("memory", "store_knowledge", WAIT_SECONDS)
        expect(self.person.memory.entries().total == before, "nothing should be stored yet")
        self.person.decide(asked, allow=True)
        answer = self.agent.outcome(order, WAIT_SECONDS)
        expect(not answer.error, f"it should be stored: {answer.text}")
        kept = self.person.memory.entries()
        expect(kept.total == before + 1 and kept.items[0].title == title, f"and listed: {kept}")
        return f"{asked.id} allowed; {kept.total} entries now"

    def switched(self) -> str:
        """Deny a tool in its policy file while the agent is connected, then undo that."""
        file = self.person.policy_file("workshop")
        before = file.read_bytes()
        editor = self.person.policy("workshop")
        editor.set_action("list_files", "deny", reason="Not today.")
        refused = self.agent.call("workshop", "list_files")
        expect(refused.error and "Not today." in refused.text, f"the next call: {refused.text}")
        editor.undo()
        expect(file.read_bytes() == before, "the policy should be as it was, byte for byte")
        answered = self.agent.call("workshop", "list_files")
        expect(not answered.error, f"after the undo it should be allowed: {answered.text}")
        return "the very next call is refused, and after the undo the next one is allowed"

    def recorded(self) -> str:
        """Let the agent record a session."""
        answers = [
            self.agent.call("memory", "start_logging_session", name=RECORDED),
            self.agent.call(
                "memory", "log_message", role="user", content="The discount is a cent short. Why?"
            ),
            self.agent.call(
                "memory",
                "log_message",
                role="agent",
                content="Each share is rounded down; split() must hand out the remainder.",
            ),
        ]
        expect(not any(one.error for one in answers), f"all should be answered: {answers}")
        newest = self.person.memory.sessions(status="active").items[0]
        shown = (newest.name, newest.agent, newest.message_count)
        expect(shown == (RECORDED, "claude-code", 2), f"the session should be on top: {newest}")
        self._recorded = newest
        return f"“{newest.name}” with {newest.message_count} messages is on top of the list"

    def found(self) -> str:
        """Search the sessions in each mode."""
        self._wait_for_model()
        for mode, query, title in SEARCHES:
            answer = self.person.memory.search(query, mode)
            titles = [hit.session.title for hit in answer.hits if hit.session is not None]
            expect(answer.mode == mode, f"{mode} should be used, and {answer.mode} was")
            expect(titles[:1] == [title], f"“{query}” ({mode}) should find “{title}”: {titles[:3]}")
        return "; ".join(f"“{query}” → {title}" for _, query, title in SEARCHES)

    def ended(self) -> str:
        """End the recorded session, undo that, end it again."""
        assert self._recorded is not None
        memory, number = self.person.memory, self._recorded.id
        first = memory.end_session(number, SUMMARY)
        expect(first.changed and first.session.status == "ended", f"it should end: {first}")
        undone = memory.reopen_session(number)
        expect(undone.session.status == "active", f"undo should make it active: {undone}")
        memory.end_session(number, SUMMARY)
        again = memory.end_session(number)
        expect(not again.changed, "ending it twice should change nothing")
        kept = memory.session(number)
        expect((kept.status, kept.summary) == ("ended", SUMMARY), f"it should be kept: {kept}")
        return f"“{kept.name}” is ended with its summary"

    def verified(self) -> str:
        """Verify the chain and compare the feed with what the agent called."""
        record = self.person.ledger.verify()
        expect(record.ok, f"the chain should hold: {record.problem}")
        calls = self.person.ledger.feed.count()
        expect(
            calls == self.agent.calls,
            f"the agent made {self.agent.calls} calls, and {calls} are on record",
        )
        return f"{record.rows} events, {calls} calls, every one of the agent's"

    def left(self) -> str:
        """End the agent and the memory service."""
        status = self.agent.end()
        expect(status == 0, f"the agent should end with 0, and did with {status}")
        gateways = self.person.ledger.presence.alive("gateway")
        expect(not gateways, f"the gateways should end with their client: {gateways}")
        end_memory(self.stage.paths)
        expect(
            wait_for(lambda: not processes_on(self.stage), WAIT_SECONDS),
            f"these processes are left: {processes_on(self.stage)}",
        )
        return "the agent, two gateways, the workshop and the memory service have ended"

    def _wait_for_model(self) -> None:
        started = told = time.monotonic()
        said = ""
        while not _ready(status := self.person.memory.status()):
            now = time.monotonic()
            expect(status.model_state != "failed", f"the model should load: {status.note}")
            expect(now - started < MODEL_SECONDS, f"the model should be ready by now: {status}")
            news = f"  model {status.model_state}, {status.pending_vectors} vectors to make"
            if now - told > _TELL_SECONDS and news != said:
                told, said = now, news
                output.note(news)
            time.sleep(0.1)


def _ready(status: Status) -> bool:
    return status.model_state == "ready" and status.pending_vectors == 0
