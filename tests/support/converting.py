"""Real MCP servers that convert arguments, and policies to guard them with, drawn at random.

A tool's parameters are drawn as Python types; the SDK's server makes its input schema of them and
turns what comes into what they want (`"5"` into 5, 1 into True, a JSON text into a list). The
tool keeps what it got.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum, IntEnum
from types import NoneType
from typing import Any, Literal

from hypothesis import strategies as st
from mcp import Client
from mcp.server.mcpserver import MCPServer
from pydantic import BaseModel, create_model

from pktui.ledger.arguments.canonical import canonical_json
from pktui.policy.argument_check import Definition
from pktui.policy.command import compile_command
from pktui.policy.document.policy import parse_policy
from pktui.policy.evaluate import Call, Effect, evaluate
from pktui.policy.memory_quota import MemoryQuota

NAMES = ("a", "b")
MEMBERS = ("x", "y")


class Level(IntEnum):
    LOW = 1
    HIGH = 5


@dataclass(frozen=True)
class Drawn:
    """A parameter's type, paths that lead into it (behind its name), and values to send."""

    annotation: Any
    paths: tuple[str, ...]
    values: st.SearchStrategy[Any]


NUMBERS = st.integers(-3, 6) | st.sampled_from([0.5, 5.0, -1.5, 100, 1e3, 2**53 - 1])
WORDS = st.sampled_from(
    ["", "a", "b", "ab", "5", " 5 ", "5.0", "1e3", "0", "1", "yes", "no", "true", "False", "on",
     "null", "[5]", '["5"]', '["a"]', '[{"x": 5}]', '{"x": 5}', '{"x": "5", "y": 1}', '"a"',
     "inf", "nan", "-1", "1_0", "[", "a b"]
)  # fmt: skip
SCALARS = st.none() | st.booleans() | NUMBERS | WORDS
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner),
    max_leaves=5,
)


def scalar(annotation: Any, values: st.SearchStrategy[Any]) -> Drawn:
    return Drawn(annotation, ("",), values)


PLAIN = (
    scalar(int, NUMBERS | st.sampled_from(["5", " 5 ", "5.0", "-1", "1_0", True, False])),
    scalar(float, NUMBERS | st.sampled_from(["5", "0.5", "1e3", "inf", True, 2**60 + 1])),
    scalar(bool, st.booleans() | st.sampled_from([0, 1, 1.0, "yes", "no", "true", "0", "on"])),
    scalar(str, WORDS),
    scalar(Decimal, NUMBERS | st.sampled_from(["5", "0.5", "1e3"])),
    scalar(Literal["a", "b"], st.sampled_from(["a", "b", "c"])),
    scalar(Literal[1, 5], st.sampled_from([1, 5, 1.0, True, "5"])),
    scalar(Level, st.sampled_from([1, 5, 5.0, "5", True])),
    Drawn(Any, ("", ".x", ".0", "[*]", "[*].x"), JSON),
)


def as_text(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Send a value itself or as the JSON text of it."""
    return values | values.map(json.dumps)


def listed(inner: Drawn) -> Drawn:
    paths = ("", *(f"{step}{path}" for step in (".0", ".1", "[*]") for path in inner.paths))
    return Drawn(list[inner.annotation], paths, as_text(st.lists(inner.values, max_size=3)))  # type: ignore[name-defined]


def unordered(inner: Drawn) -> Drawn:
    return Drawn(
        set[inner.annotation],  # type: ignore[name-defined]
        ("", *(f"[*]{path}" for path in inner.paths)),
        as_text(st.lists(inner.values, max_size=3)),
    )


def keyed(inner: Drawn) -> Drawn:
    paths = ("", *(f".{name}{path}" for name in MEMBERS for path in inner.paths))
    values = st.dictionaries(st.sampled_from(MEMBERS), inner.values)
    return Drawn(dict[str, inner.annotation], paths, as_text(values))  # type: ignore[name-defined]


def optional(inner: Drawn) -> Drawn:
    values = inner.values | st.sampled_from([None, "null", " null "])
    return Drawn(inner.annotation | None, inner.paths, values)


def either(left: Drawn, right: Drawn) -> Drawn:
    paths = tuple(dict.fromkeys((*left.paths, *right.paths)))
    return Drawn(left.annotation | right.annotation, paths, left.values | right.values)


def paired(left: Drawn, right: Drawn) -> Drawn:
    paths = ("", *(f".0{path}" for path in left.paths), *(f".1{path}" for path in right.paths))
    annotation = tuple[left.annotation, right.annotation]  # type: ignore[name-defined]
    return Drawn(annotation, paths, as_text(st.tuples(left.values, right.values).map(list)))


def modelled(left: Drawn, right: Drawn) -> Drawn:
    """A model of two members; members it does not know are dropped."""
    model = create_model("Drawn", x=(left.annotation, ...), y=(right.annotation, ...))
    paths = ("", *(f".x{path}" for path in left.paths), *(f".y{path}" for path in right.paths))
    known = st.fixed_dictionaries({"x": left.values, "y": right.values}, optional={"z": SCALARS})
    return Drawn(model, paths, as_text(known))


def unions(inner: st.SearchStrategy[Drawn]) -> st.SearchStrategy[Drawn]:
    plain = inner.filter(lambda one: one.annotation is not Any)
    return st.builds(either, plain, plain) | st.builds(optional, plain)


PLAIN_TYPES = st.sampled_from(PLAIN)
HASHABLE = st.sampled_from([one for one in PLAIN if one.annotation in (int, str, bool, float)])
TYPES = st.recursive(
    PLAIN_TYPES,
    lambda inner: st.one_of(
        st.builds(listed, inner), st.builds(keyed, inner), unions(inner),
        st.builds(paired, inner, inner), st.builds(modelled, inner, inner),
        st.builds(unordered, HASHABLE),
    ),
    max_leaves=4,
)  # fmt: skip

OPERANDS = st.one_of(
    SCALARS,
    st.lists(SCALARS, max_size=2),
    st.dictionaries(st.sampled_from(MEMBERS), SCALARS, max_size=2),
)


@st.composite
def conditions(draw: st.DrawFn, types: Mapping[str, Drawn]) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(types)))
    path = f"args.{name}{draw(st.sampled_from(types[name].paths))}"
    op = draw(
        st.sampled_from(["eq", "neq", "in", "not_in", "lt", "lte", "gt", "gte", "regex",
                         "contains", "exists", "command"])
    )  # fmt: skip
    value: Any
    if op in ("lt", "lte", "gt", "gte"):
        value = draw(NUMBERS)
    elif op in ("in", "not_in"):
        value = draw(st.lists(OPERANDS, max_size=3))
    elif op == "regex":
        value = draw(st.sampled_from(["5", "^a", "^$", "yes", "^[0-9]+$"]))
    elif op == "exists":
        value = draw(st.booleans())
    else:
        value = "a *" if op == "command" else draw(OPERANDS)
    return {"path": path, "op": op, "value": value}


@dataclass
class Trial:
    """One drawn tool with the calls that are sent to it and the policies that guard it."""

    types: dict[str, Drawn]
    calls: list[dict[str, Any]]
    predicates: list[tuple[str, list[dict[str, Any]]]]
    got: list[dict[str, Any]] = field(default_factory=list)


@st.composite
def trials(draw: st.DrawFn, *, calls: int = 6, policies: int = 8) -> Trial:
    types = {name: draw(TYPES) for name in NAMES[: draw(st.integers(1, 2))]}
    arguments = st.fixed_dictionaries(
        {name: drawn.values | JSON for name, drawn in types.items()},
        optional={"other": SCALARS},
    )
    predicate = st.tuples(
        st.sampled_from(["deny_if", "approve_if"]),
        st.lists(conditions(types), min_size=1, max_size=2),
    )
    return Trial(
        types,
        draw(st.lists(arguments, min_size=calls, max_size=calls)),
        draw(st.lists(predicate, min_size=policies, max_size=policies)),
    )


@dataclass
class Tally:
    """What was tried: calls the tool got, of those converted ones, predicates that held then."""

    calls: int = 0
    reached: int = 0
    converted: int = 0
    held: int = 0
    let_through: int = 0


async def run(trial: Trial, tally: Tally) -> list[str]:
    """Send every call and decide it by every policy; return what was let through wrongly."""
    received: list[dict[str, Any]] = []
    async with Client(_server(trial.types, received)) as client:
        (tool,) = (await client.list_tools()).tools
        text = canonical_json(tool.model_dump(mode="json", by_alias=True, exclude_none=True))
        pinned = Definition("pinned", text.decode())
        wrong: list[str] = []
        for arguments in trial.calls:
            received.clear()
            tally.calls += 1
            await client.call_tool("t", arguments)
            if received:
                wrong += _decide(trial, arguments, plain(received[0]), pinned, tally)
    return wrong


def _decide(
    trial: Trial, sent: dict[str, Any], got: dict[str, Any], pinned: Definition, tally: Tally
) -> list[str]:
    tally.reached += 1
    tally.converted += not _same(got, {name: sent[name] for name in got})
    wrong = []
    for key, predicate in trial.predicates:
        held = all(holds(condition, got) for condition in predicate)
        tally.held += held
        for definition in (Definition(), pinned):
            effect = _effect(key, predicate, sent, definition)
            tally.let_through += effect is Effect.ALLOW
            if held and effect is Effect.ALLOW:
                wrong.append(f"{key} {predicate} sent {sent!r} got {got!r} {definition.text[:900]}")
    return wrong


def _effect(key: str, predicate: Any, sent: dict[str, Any], definition: Definition) -> Effect:
    document = {
        "version": "1", "default": "deny", "tools": {"t": {key: [{"conditions": predicate}]}},
    }  # fmt: skip
    policy = parse_policy(json.dumps(document).encode())
    call = Call("s", "t", sent, "g", "c", definition)
    return evaluate(policy, call, MemoryQuota(lambda: 0)).effect


def _server(types: Mapping[str, Drawn], received: list[dict[str, Any]]) -> MCPServer:
    def tool(**arguments: Any) -> str:
        received.append(arguments)
        return "done"

    kind = inspect.Parameter.KEYWORD_ONLY
    tool.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, kind, annotation=one.annotation) for name, one in types.items()]
    )
    tool.__annotations__ = {name: one.annotation for name, one in types.items()}
    server = MCPServer("converting")
    server.add_tool(tool, name="t", structured_output=False)
    return server


class Unordered(list[Any]):
    """A set that a tool got: it has no first element."""


def plain(value: Any) -> Any:
    """Return what a tool got as JSON values."""
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, (set, frozenset)):
        return Unordered(plain(inner) for inner in sorted(value, key=repr))
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
    return value


_NOWHERE = object()


def holds(condition: Mapping[str, Any], arguments: dict[str, Any]) -> bool:
    """Judge a condition on the values a tool got, by nothing but its definition."""
    steps = condition["path"].removeprefix("args.").replace("[*]", ".[*]").split(".")
    return _holds_at(arguments, steps, condition["op"], condition["value"])


def _holds_at(value: Any, steps: list[str], op: str, operand: Any) -> bool:
    if not steps:
        return _test(op, operand, value)
    step, rest = steps[0], steps[1:]
    if step == "[*]":
        if isinstance(value, list):
            return any(_holds_at(inner, rest, op, operand) for inner in value)
    elif isinstance(value, dict) and step in value:
        return _holds_at(value[step], rest, op, operand)
    elif isinstance(value, Unordered):
        return False
    elif isinstance(value, list) and step.isdigit() and int(step) < len(value):
        return _holds_at(value[int(step)], rest, op, operand)
    missing = value is None or isinstance(value, (dict, list))
    return _test(op, operand, _NOWHERE) if missing and step != "[*]" else False


def _test(op: str, operand: Any, value: Any) -> bool:
    if op == "exists":
        return (value is not _NOWHERE and value is not None) is operand
    if value is _NOWHERE:
        return False
    if op in ("lt", "lte", "gt", "gte"):
        return _is_number(value) and _ordered(op, Decimal(str(value)), Decimal(str(operand)))
    if op in ("regex", "command"):
        return isinstance(value, str) and _text(op, operand, value)
    if op == "contains":
        if isinstance(value, str):
            return isinstance(operand, str) and operand in value
        return isinstance(value, list) and any(_same(inner, operand) for inner in value)
    if op in ("in", "not_in"):
        if op == "in":
            return any(_same(value, one) for one in operand)
        return all(_differs(value, one) for one in operand)
    return _same(value, operand) if op == "eq" else _differs(value, operand)


def _differs(value: Any, operand: Any) -> bool:
    """Tell whether a value is surely another: of another type it is the same in other words."""
    comparable = value is None or operand is None or _kind(value) is _kind(operand)
    return comparable and not _same(value, operand)


def _ordered(op: str, left: Decimal, right: Decimal) -> bool:
    if left.is_nan():
        return False
    return {"lt": left < right, "lte": left <= right, "gt": left > right, "gte": left >= right}[op]


def _text(op: str, operand: str, value: str) -> bool:
    if op == "command":
        return compile_command(operand)(value) is True
    import re2

    return re2.search(operand, value) is not None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def _kind(value: Any) -> type:
    kinds = (NoneType, bool, str, list, dict)
    return next((kind for kind in kinds if isinstance(value, kind)), Decimal)


def _same(left: Any, right: Any) -> bool:
    if _kind(left) is not _kind(right):
        return False
    if _is_number(left):
        return Decimal(str(left)) == Decimal(str(right))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    return bool(left == right)
