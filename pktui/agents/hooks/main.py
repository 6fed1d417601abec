"""`pktui hook AGENT`: what an agent runs before and after each of its own tools.

Whatever goes wrong before a call blocks it, with words: an agent takes most other ends of a hook
for a yes. The agent waits for this at every call, so little is imported.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, Final, NoReturn

from pktui.agent_names import HOOKED
from pktui.errors import PktuiError

if TYPE_CHECKING:
    from pktui.agents.hooks.deciding import Answer
    from pktui.agents.hooks.event import HookedAgent, HookEvent
    from pktui.settings import Paths

_USAGE: Final = (
    f"usage: pktui hook {' | '.join(HOOKED)}"
    " [--home DIR | --config DIR --data DIR]\n\n"
    "Reads what the agent's hook says on stdin and decides its own tools by the policy: exit 0 lets"
    " a call run, 2 blocks it, and stderr says why."
)
# Seconds: registered with 330, a hook ends before the agent gives up on it.
_LONGEST_S: Final = 320
# What it takes to note what has happened already.
_RECORD_S: Final = 20
_MOST_BYTES: Final = 64 * 1024 * 1024
_BLOCKED: Final = 2


class _Ended(BaseException):
    """The agent ends the hook, or its time is up."""


def main(argv: list[str]) -> int:
    """Run the hook; returns 0 for what may go on, 2 for a call that is blocked."""
    if argv in (["--help"], ["-h"]):
        print(_USAGE)
        return 0
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, _end)
        signal.alarm(_LONGEST_S)
        return run(argv, sys.stdin.buffer, lambda: signal.alarm(_RECORD_S))
    except BaseException:  # noqa: BLE001  no stdin at all, or ended while saying why
        return _BLOCKED


def run(argv: list[str], stdin: BinaryIO, hurry: Callable[[], object] = lambda: None) -> int:
    """Answer the event on stdin; returns as `main` does, whatever goes wrong.

    `hurry` is called where there is nothing to wait for a person for.
    """
    event: HookEvent | None = None
    try:
        agent, paths = _asked(argv)
        event = _event(agent, stdin)
        if event.kind != "before":
            hurry()
        answer = _answer(paths, agent, event)
        sys.stdout.write(answer.out)
        sys.stdout.flush()
        if answer.err:
            return _block(answer.err, answer.status)
    except BaseException as error:  # noqa: BLE001  every other end would let the call run
        why = _why(error)
        if event is not None and event.kind != "before":
            _say(why)
            return 0
        return _block(f"[DENIED by pktui] The call could not be judged, so it did not run: {why}")
    return answer.status


def _asked(argv: list[str]) -> tuple[HookedAgent, Paths]:
    from pktui.settings import Paths

    match argv:
        case [name]:
            return _agent(name), Paths.from_environment()
        case [name, "--home", home]:
            return _agent(name), Paths.below(Path(home))
        case [name, "--config", config, "--data", data]:
            return _agent(name), Paths.at(Path(config), Path(data))
    raise PktuiError("pktui hook wants the name of an agent", _USAGE)


def _agent(name: str) -> HookedAgent:
    from importlib import import_module

    if name not in HOOKED:
        raise PktuiError(f"no agent {name!r} is known", _USAGE)
    agent: HookedAgent = import_module(f"pktui.agents.hooks.{name.replace('-', '_')}").AGENT
    return agent


def _event(agent: HookedAgent, stdin: BinaryIO) -> HookEvent:
    import msgspec

    raw = stdin.read(_MOST_BYTES + 1)
    if len(raw) > _MOST_BYTES:
        raise PktuiError(f"what {agent.title} says of the call is over {_MOST_BYTES} bytes")
    payload = msgspec.json.decode(raw)
    if not isinstance(payload, dict):
        raise PktuiError(f"what {agent.title} says of the call is no object")
    event = agent.read(payload)
    if event.kind == "other" and event.tool:
        raise PktuiError(f"{agent.title} tells of tool {event.tool} in an event that is not known")
    return event


def _answer(paths: Paths, agent: HookedAgent, event: HookEvent) -> Answer:
    from pktui.agents.hooks.deciding import PASS, EventHandler
    from pktui.settings import load_settings

    if event.kind == "other":
        return PASS
    if event.tool and _is_relayed(paths, agent, event):
        if event.kind == "before":
            _note(paths, agent, event)
        return PASS
    with EventHandler(paths, load_settings(paths), agent, event, _say) as handler:
        if event.kind == "before":
            return handler.decide(os.environ)
        if event.kind in ("after", "failed"):
            handler.settle("ok" if event.kind == "after" else "tool_error")
        elif event.kind == "begin":
            handler.begin()
        elif event.kind == "end":
            handler.refresh_usage()
            handler.end()
        else:
            handler.refresh_usage()
        if event.kind in ("begin", "prompt"):
            handler.announce()
    if event.kind in ("begin", "prompt"):
        _wake_memory(paths)
        _look_for_bundle(paths)
    return PASS


def _look_for_bundle(paths: Paths) -> None:
    """Fetch the bundle of managed policies, where one is named and it is time, and wait for none.

    Where gateways run, they do so.
    """
    from pktui.gateway.enforcement.bundle_fetch import fetch_soon

    with suppress(OSError):
        fetch_soon(paths)


def _is_relayed(paths: Paths, agent: HookedAgent, event: HookEvent) -> bool:
    if not event.launch and not (
        event.tool.startswith(agent.prefix) and agent.between in event.tool
    ):
        return False
    from pktui.agents.clients import Places
    from pktui.agents.hooks.relayed import is_relayed
    from pktui.agents.hooks.session_state import SessionState

    # The agent may have gone to another directory since; its servers are those it began with.
    began = SessionState(paths, agent.id, event.session).project(event.directory)
    return is_relayed(agent, event, Places.here(), (began, event.directory), paths)


def _note(paths: Paths, agent: HookedAgent, event: HookEvent) -> None:
    """Tell the gateway which session the call is of that it is about to get; raises `OSError`."""
    if not agent.notes or not event.session:
        return
    from pktui.gateway.enforcement.agent_sessions import CallNotes
    from pktui.ledger.arguments.canonical import args_hash

    notes = CallNotes(paths)
    if agent.notes == "id":
        notes.leave_by_id(event.use_id, event.session, event.tool)
    else:
        notes.leave_by_process(args_hash(event.arguments), event.session, event.tool)


def _wake_memory(paths: Paths) -> None:
    """Start the memory service, which follows the agent's own record of the session."""
    from pktui.memory.followed import is_followed_any
    from pktui.memory.starting import start_soon

    if is_followed_any(paths):
        start_soon(paths)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise _Ended("its time was up" if number == signal.SIGALRM else "the agent ended the hook")


def _why(error: BaseException) -> str:
    said = str(error) or type(error).__name__
    if isinstance(error, PktuiError | _Ended):
        return said
    return f"{type(error).__name__}: {said}"


def _block(why: str, status: int = _BLOCKED) -> int:
    _say(why)
    return status


def _say(sentence: str) -> None:
    """Say it on stderr; one that is closed or full changes nothing about what is decided."""
    from pktui.text import visible

    with suppress(OSError, AttributeError):  # closed from the start, it is None
        sys.stderr.write(f"{visible(sentence)}\n")
        sys.stderr.flush()
