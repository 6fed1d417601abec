"""The JSON Schema of pktui's own policy grammar, for editors."""

from __future__ import annotations

import json
from typing import Any

from pktui.policy.conditions import CONDITION_OPERATORS
from pktui.policy.document.native import (
    ACTIONS,
    ALIGNS,
    ASKING,
    LISTS,
    MAX_APPROVERS,
    MAX_COUNTER,
    MAX_NAME,
    ON_OUTAGE,
    SCOPES,
)
from pktui.policy.limits import MAX_UNITS, MAX_WINDOW_SECONDS, RATE_WORDS, WINDOWS
from pktui.policy.operators import MAX_PATTERN

_NAME = r"^[^?\[\]]*[^?\[\]\s][^?\[\]]*$"
# A name that is no bare star, brackets and dots in it escaped, and any number of [*] behind it.
_STEP = r"(?!\*(?:\.|\[|$))(?:[^.\\\[\]]|\\.)+(?:\[\*\])*"
_PATH = rf"^args\.{_STEP}(?:\.{_STEP})*$"
_ONE_STEP = r"(?!\*(?:\.|\[|$))(?:[^.\\\[\]]|\\.)+"
_ONE_PATH = rf"^args\.{_ONE_STEP}(?:\.{_ONE_STEP})*$"
# A directory, a file, or a pattern; `${project}` and `~` stand at the beginning alone.
_PLACE = r"^(?=.*\S)(?!~[^/])(?!.*\*.*/\.\.(?:/|$))(?:\$\{project\}(?=$|/))?(?:(?!\$\{).)*$"
_COMMAND = r"^[\w@%+:,./=*\s-]*[\w@%+:,./=*-][\w@%+:,./=*\s-]*$"


def policy_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12)."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pktui policy",
        "description": "What each tool of one MCP server may do.",
        **_object(
            {
                "$schema": {"type": "string"},
                "version": {"const": "1"},
                "description": _text("What this policy is for."),
                "default": _choice(ACTIONS, "What happens to a tool that is not listed."),
                "hide": {
                    "description": "Tools left out of lists and unknown when called; * matches "
                    "any run of characters.",
                    "type": "array",
                    "items": _name(),
                    "uniqueItems": True,
                },
                "list": _choice(
                    LISTS,
                    "Whether tools that no call can reach are left out of lists "
                    "(callable, where it is left out) or shown (all).",
                ),
                "on_outage": _choice(
                    ON_OUTAGE,
                    "Whether allowed calls of tools that only read and that no limit counts go on "
                    "while the database of a team is away (deny, where it is left out).",
                ),
                "all_tools": _object({"limits": _list("limit")}),
                "tools": {
                    "description": "Rules by tool name or glob. A name beats a glob, a glob that "
                    "denies beats any other, else a longer text before * beats a shorter one.",
                    "type": "object",
                    "propertyNames": _name(),
                    "additionalProperties": {"$ref": "#/$defs/tool"},
                },
            },
            required=("version", "default"),
        ),
        "$defs": _definitions(),
    }


def schema_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(policy_schema(), indent=2, ensure_ascii=False) + "\n"


def _definitions() -> dict[str, Any]:
    return {
        "tool": {
            **_object(
                {
                    "action": _choice(
                        (*ACTIONS, *ASKING[1:]),
                        "What happens to a call; allow where it is left out.",
                    ),
                    "reason": _text("Told to the agent on a denial, to the person on an approval."),
                    "require": _list("requirement", "All must hold, else the call is denied."),
                    "deny_if": _list("predicate", "Any that holds denies the call."),
                    "approve_if": _list("predicate", "Any that holds asks a person."),
                    "allow_if": _list(
                        "predicate",
                        "Where action is approve: any that holds allows "
                        "without asking, unless an approve_if holds.",
                    ),
                    "approvers": {
                        "description": "How many people have to allow a call that is asked about; "
                        "more than one needs a team's ledger.",
                        "type": "integer",
                        "minimum": 1,
                        "maximum": MAX_APPROVERS,
                    },
                    "look": _look(),
                    "limits": _list("limit", "Quotas of this tool."),
                    "rate_limit": _rate_limit(),
                }
            ),
            "dependentSchemas": {
                "allow_if": {
                    "properties": {"action": {"enum": list(ASKING)}},
                    "required": ["action"],
                }
            },
        },
        "predicate": _predicate(),
        "requirement": {**_predicate(minimum=1), "required": ["conditions"]},
        "condition": _condition(),
        "limit": _limit(),
        "window": _window(),
        "given": {
            "if": {"type": "string", "pattern": r"^args\."},
            "then": {"pattern": _ONE_PATH},
            "additionalProperties": {"$ref": "#/$defs/given"},
            "items": {"$ref": "#/$defs/given"},
        },
    }


def _predicate(minimum: int = 0) -> dict[str, Any]:
    conditions = _list("condition", "All must be true; none: always true.")
    if minimum:
        conditions |= {"minItems": minimum, "description": "All must be true."}
    return _object({"conditions": conditions, "on_deny": _text("Told instead of the reason.")})


def _condition() -> dict[str, Any]:
    def when(ops: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
        given = {"properties": {"op": {"enum": list(ops)}}}
        return {"if": given, "then": {"properties": {"value": value}}}

    return {
        **_object(
            {"path": _path("An argument, like args.amount or args.items[*].qty."),
             "op": _choice(CONDITION_OPERATORS, "How it is compared."), "value": True},
            required=("path", "op", "value"),
        ),
        "allOf": [
            when(("lt", "lte", "gt", "gte"), {"type": "number"}),
            when(("in", "not_in"), {"type": "array"}),
            when(("regex",), {"type": "string", "maxLength": MAX_PATTERN}),
            when(("exists",), {"type": "boolean"}),
            when(("within",), {"type": "array", "minItems": 1,
                               "items": {"type": "string", "pattern": _PLACE}}),
            when(("command",), {"type": "string", "pattern": _COMMAND}),
        ],
    }  # fmt: skip


def _limit() -> dict[str, Any]:
    whole = {"required": ["increment_from"]}
    return {
        **_object(
            {
                "counter": _text("The quota's name.", maximum=MAX_COUNTER),
                "window": {"$ref": "#/$defs/window"},
                "max": {"description": "Calls, or units of increment_from, in a window.",
                        "type": "number", "minimum": 0, "maximum": int(MAX_UNITS)},
                "scope": _choice(SCOPES, "Whose quota: each client's identity (grant, where it "
                                         "is left out), each connection's, or everyone's."),
                "align": _choice(ALIGNS, "Sliding (where it is left out) or UTC calendar."),
                "increment_from": _path("The argument whose number counts, not 1.", _ONE_PATH),
                "on_deny": _text("Told when the quota is used up."),
            },
            required=("counter", "window", "max"),
        ),
        "anyOf": [whole, {"properties": {"max": {"type": "integer"}}}],
    }  # fmt: skip


def _look() -> dict[str, Any]:
    return {
        "description": "Shows a person what a call that asks would change: a tool of the same "
        "server that only reads, asked at the question and again before the call goes out. A text "
        "in args that begins with args. is taken from the call.",
        **_object(
            {"tool": _name(glob=False), "args": {"type": "object", "$ref": "#/$defs/given"}},
            required=("tool",),
        ),
    }


def _rate_limit() -> dict[str, Any]:
    return {
        "description": 'Shorthand for one limit for each connection, like "10/minute".',
        "anyOf": [
            {"type": "string", "pattern": f"^[0-9]+/({'|'.join((*WINDOWS, *RATE_WORDS))}|[0-9]+)$"},
            _object(
                {"max": {"type": "integer", "minimum": 0}, "window": {"$ref": "#/$defs/window"}},
                required=("max", "window"),
            ),
        ],
    }


def _window() -> dict[str, Any]:
    return {
        "description": "A name or whole seconds.",
        "anyOf": [
            {"enum": list(WINDOWS)},
            {"type": "integer", "minimum": 1, "maximum": MAX_WINDOW_SECONDS},
        ],
    }


def _object(properties: dict[str, Any], required: tuple[str, ...] = ()) -> dict[str, Any]:
    wanted = {"required": list(required)} if required else {}
    return {
        "type": "object", "properties": properties, **wanted, "additionalProperties": False,
    }  # fmt: skip


def _list(kind: str, description: str = "") -> dict[str, Any]:
    told = {"description": description} if description else {}
    return {**told, "type": "array", "items": {"$ref": f"#/$defs/{kind}"}}


def _choice(values: tuple[str, ...], description: str) -> dict[str, Any]:
    return {"description": description, "enum": list(values)}


def _text(description: str, maximum: int = 0) -> dict[str, Any]:
    bounds = {"minLength": 1, "maxLength": maximum} if maximum else {}
    return {"description": description, "type": "string", **bounds}


def _path(description: str, pattern: str = _PATH) -> dict[str, Any]:
    return {"description": description, "type": "string", "pattern": pattern}


def _name(*, glob: bool = True) -> dict[str, Any]:
    pattern = _NAME if glob else _NAME.replace("?", "*?")
    return {"type": "string", "pattern": pattern, "maxLength": MAX_NAME}
