"""A rule as a sentence with holes, filled from one call: `run_shell when command starts with …`.

For each argument there is a choice of what may stand in its place. What is proposed never reaches
further than a reader would think: a command stays one simple command, a path stays in the project,
an address stays on its host; anything else stays what it is, or does not matter where another
argument already says which calls are meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from pktui.policy.argument_check import UNKNOWN, Definition
from pktui.policy.call_place import NOWHERE, Place
from pktui.policy.command import split_command
from pktui.policy.predicate import json_text, read_predicate
from pktui.policy.within import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable

# Programs whose second word says what they do.
_WITH_VERBS: Final = frozenset(
    {"git", "npm", "pnpm", "yarn", "npx", "bun", "cargo", "go", "docker", "podman", "kubectl"}
    | {"uv", "pip", "poetry", "pdm", "make", "just", "dotnet", "mvn", "gradle", "terraform", "gh"}
    | {"aws", "gcloud", "az", "helm", "systemctl", "brew", "apt", "apt-get", "rustup", "deno"}
)
_VERB: Final = re.compile(r"[a-z][a-z0-9-]*")
# Arguments that hold a command of a shell.
_COMMANDS: Final = frozenset({"command", "cmd", "script", "shell", "bash", "exec"})
_ADDRESS: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s]+/")
_PATH: Final = re.compile(r"(~|\.{1,2})?/|[\w.-]+(/[\w.-]+)+$")
# What a path escapes in a name.
_MARKS: Final = re.compile(r"[.\\\[\]]")
_OUTSIDE: Final = "../next-to-it"


@dataclass(frozen=True, slots=True)
class Choice:
    """What an argument must be: `op` empty lets it be anything."""

    words: str
    op: str = ""
    value: Any = None

    @property
    def shown(self) -> str:
        """The value as a person reads it."""
        if self.op in ("", "exists"):
            return ""
        if isinstance(self.value, list) and len(self.value) == 1:
            return str(self.value[0])
        return self.value if isinstance(self.value, str) else json.dumps(self.value)


ANY: Final = Choice("any")


@dataclass(frozen=True, slots=True)
class Hole:
    """One argument, what it was in the call, and what may stand there; `chosen` counts from 0."""

    name: str
    path: str
    value: Any
    choices: tuple[Choice, ...]
    chosen: int = 0

    @property
    def choice(self) -> Choice:
        """What is chosen."""
        return self.choices[self.chosen]

    def choose(self, chosen: int) -> Hole:
        """Return the hole with another choice."""
        return replace(self, chosen=chosen % len(self.choices))

    def put(self, choice: Choice) -> Hole:
        """Return the hole with a choice of the person's own in the place of the chosen one."""
        before, after = self.choices[: self.chosen], self.choices[self.chosen + 1 :]
        return replace(self, choices=(*before, choice, *after))


@dataclass(frozen=True, slots=True)
class Answered:
    """How many of the asks a rule would have answered, some of them, and one just beside it.

    `near` is a call that is still asked about, as JSON text, and `why` what it does not fulfil.
    """

    count: int
    of: int
    examples: tuple[Mapping[str, Any], ...]
    near: str
    why: str


def holes_of(arguments: Mapping[str, Any], project: str = "") -> tuple[Hole, ...]:
    """Return a hole for each argument, filled with what is proposed."""
    holes = [
        _hole(name, value, project) for name, value in arguments.items() if name not in ("", "*")
    ]
    if not any(hole.choice.op for hole in holes):
        holes = [hole.choose(_index(hole, "is")) for hole in holes]
    return tuple(holes)


def conditions_of(holes: Iterable[Hole]) -> str:
    """Return the conditions of the choices as JSON text, `[]` where anything may be given."""
    return json_text(
        [
            {"path": hole.path, "op": hole.choice.op, "value": hole.choice.value}
            for hole in holes
            if hole.choice.op
        ]
    )


def answered(
    conditions: str,
    asks: Sequence[Mapping[str, Any]],
    *,
    definition: Definition = UNKNOWN,
    place: Place = NOWHERE,
    most: int = 3,
) -> Answered:
    """Tell which of the arguments that were asked about a rule would have let through.

    Raises `PolicyError` where the conditions cannot be used.
    """
    if conditions == "[]":
        return Answered(len(asks), len(asks), _some(asks, most), "", "")
    predicate = read_predicate(conditions)

    def holds(arguments: Mapping[str, Any]) -> bool:
        return predicate.holds(arguments, definition, place)

    hits = [arguments for arguments in asks if holds(arguments)]
    missed = [arguments for arguments in asks if not holds(arguments)]
    near, why = _near(json.loads(conditions), hits, missed, holds)
    return Answered(len(hits), len(asks), _some(hits, most), near, why)


def _some(calls: Sequence[Mapping[str, Any]], most: int) -> tuple[Mapping[str, Any], ...]:
    """Return the first of the calls, each once."""
    return tuple({repr(call): call for call in calls}.values())[:most]


def _hole(name: str, value: Any, project: str) -> Hole:
    path = "args." + _MARKS.sub(r"\\\g<0>", name)
    exact = (Choice("is", "eq", value), Choice("one of", "in", [value]))
    choices: tuple[Choice, ...] = (ANY,)
    proposed = "is"
    if isinstance(value, bool):
        choices = (ANY, exact[0])
    elif isinstance(value, (int, float)):
        choices, proposed = (ANY, Choice("at most", "lte", value), *exact), "at most"
    elif isinstance(value, str):
        wider, proposed = _wider(name, value, project)
        choices = (ANY, *wider, *exact, Choice("matches", "regex", f"^{re.escape(value)}$"))
    hole = Hole(name, path, value, choices)
    return hole.choose(_index(hole, proposed))


def _wider(name: str, value: str, project: str) -> tuple[tuple[Choice, ...], str]:
    """Return what else may stand for a text, and the words of the choice that is proposed."""
    words = split_command(value) if " " in value.strip() else None
    if words is not None:
        with_verb = words[0] in _WITH_VERBS and _VERB.fullmatch(words[1])
        pattern = " ".join((*words[: 2 if with_verb else 1], "*"))
        choice = Choice("starts with", "command", pattern)
        return (choice,), choice.words if name.casefold() in _COMMANDS else ANY.words
    address = _ADDRESS.match(value)
    if address is not None:
        return (Choice("starts with", "regex", f"^{re.escape(address[0])}"),), "starts with"
    if _PATH.match(value) is None:
        return (), "is" if name.casefold() in _COMMANDS else ANY.words
    outside = value.startswith("~") or ".." in value.split("/")
    if value.startswith("/"):
        outside = outside or not (project and value.startswith(f"{project}/"))
    if not outside:
        return (Choice("inside", "within", [PROJECT]),), "inside"
    return (Choice("inside", "within", [value.rpartition("/")[0] or "/"]),), "is"


def _index(hole: Hole, words: str) -> int:
    found = (index for index, choice in enumerate(hole.choices) if choice.words == words)
    return next(found, hole.chosen)


def _near(
    conditions: Sequence[Mapping[str, Any]],
    hits: Sequence[Mapping[str, Any]],
    missed: Sequence[Mapping[str, Any]],
    holds: Callable[[Mapping[str, Any]], bool],
) -> tuple[str, str]:
    """Return a call that is still asked about: a made one right beside a hit, else one of those."""
    for arguments in hits:
        for condition in conditions:
            name = _name_of(condition["path"])
            beside, why = _beside(condition, arguments.get(name))
            changed = {**arguments, name: beside}
            if beside is not None and not holds(changed):
                return json.dumps({name: beside}, ensure_ascii=False), why
    if missed:
        return json.dumps(missed[0], ensure_ascii=False), "other arguments"
    return "", ""


def _name_of(path: str) -> str:
    return re.sub(r"\\(.)", r"\1", path.removeprefix("args."))


def _beside(condition: Mapping[str, Any], value: Any) -> tuple[Any, str]:
    """Return a value just outside of a condition that this one fulfils, and what is about it."""
    op = condition["op"]
    if op == "command" and isinstance(value, str):
        return f"{value}; rm x", "chained"
    if op == "within" and isinstance(value, str):
        return f"{value.rpartition('/')[0] or '.'}/{'../' * value.count('/')}{_OUTSIDE}", "outside"
    if op == "lte" and isinstance(value, (int, float)):
        return condition["value"] + 1, "over"
    if op == "regex" and isinstance(value, str):
        return f"x{value}", "another beginning"
    if op in ("eq", "in") and isinstance(value, str):
        return f"{value}x", "another value"
    return None, ""
