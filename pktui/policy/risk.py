"""How much harm a tool could do, judged by what its definition says about it.

The name counts first: its verb, then what the verb is done to. A name that says nothing is
judged by its description, and a tool about which nothing is known is taken to change something.
Annotations, and choices in the input schema, may raise the risk; nothing lowers it below what
the name says, because names are what an agent and a person go by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import msgspec

from pktui.policy import tool_verbs

Category = Literal["Read", "Write", "Execute", "Financial", "Destructive"]
Severity = Literal["low", "medium", "high", "critical"]

_SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
_STRENGTH: tuple[Category, ...] = ("Read", "Write", "Execute", "Destructive", "Financial")
_SEVERITY: dict[Category, Severity] = {
    "Read": "low",
    "Write": "medium",
    "Execute": "high",
    "Destructive": "critical",
    "Financial": "critical",
}
_CLEAR: tuple[tuple[frozenset[str], Category], ...] = (
    (tool_verbs.DESTRUCTIVE, "Destructive"),
    (tool_verbs.FINANCIAL, "Financial"),
    (tool_verbs.EXECUTE, "Execute"),
    (tool_verbs.WRITE, "Write"),
    (tool_verbs.READ, "Read"),
)
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_SENTENCE = re.compile(r"[.;:\n(]")
_JOINERS = frozenset({"and", "or", "then", "&"})
_CHOICE_KEYS = frozenset({"action", "operation", "op", "method", "command", "mode", "verb"})
_MAX_WORDS = 40


@dataclass(frozen=True, slots=True)
class Risk:
    """A tool's category and severity, and one sentence that says why."""

    category: Category
    severity: Severity
    why: str


@dataclass(frozen=True, slots=True)
class _Sign:
    """One thing that says what a tool does."""

    category: Category
    why: str


def classify(tool: Mapping[str, Any], flagged: Sequence[str] = ()) -> Risk:
    """Judge a tool's definition (`name`, `title`, `description`, `inputSchema`, `annotations`).

    Members of the wrong kind count as absent; a definition is foreign data. `flagged`: the kinds
    of what hides in it; where anything does, the severity is critical, whatever it says it does.
    """
    words = split_words(_text(tool, "name"))
    base = (
        _by_picking(words, tool)
        or _by_name(words)
        or _by_noun(words, tool)
        or _by_hints(tool)
        or _unknown(tool)
    )
    strongest = _strongest((base, *_raises(tool, base))) or base
    if flagged:
        why = f"{strongest.why}; its definition is flagged ({', '.join(flagged)})"
        return Risk(strongest.category, "critical", f"{why}.")
    return Risk(strongest.category, _SEVERITY[strongest.category], f"{strongest.why}.")


def definitions(text: str) -> list[Mapping[str, Any]]:
    """Return a catalogued definition, or the several that share its name, from their JSON text.

    One empty definition where the text holds none.
    """
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return [{}]
    several = value if isinstance(value, list) else [value]
    return [one for one in several if isinstance(one, dict)] or [{}]


@lru_cache(maxsize=256)
def only_reads(text: str) -> bool:
    """Tell whether a catalogued definition, JSON text, is of a tool that only reads."""
    return classify_all(definitions(text)).category == "Read"


def classify_all(tools: Iterable[Mapping[str, Any]], flagged: Sequence[str] = ()) -> Risk:
    """Judge definitions that share one name: the worst of them counts. At least one is needed."""
    risks = (classify(tool, flagged) for tool in tools)
    return max(risks, key=lambda risk: _SEVERITIES.index(risk.severity))


def split_words(name: str) -> list[str]:
    """Return the lower-case words of `snake_case`, `kebab-case` and `camelCase` names."""
    return [piece.lower() for piece in _PIECE.findall(name)][:_MAX_WORDS]


def _by_name(words: list[str]) -> _Sign | None:
    """Judge by the name: money first, then its clear verb, then what stands like a verb."""
    money = next((word for word in words if _singular(word) in tool_verbs.MONEY), None)
    if money and not tool_verbs.NEVER_MONEY & set(words):
        return _Sign("Financial", f'Its name is about money ("{money}")')
    if len(words) == 1 and words[0] in tool_verbs.SHELLS:
        return _Sign("Execute", f'Its name is that of a shell ("{words[0]}")')
    return _clear_verb(words) or (None if _tells(words) else _unclear_verb(words))


def _clear_verb(words: list[str]) -> _Sign | None:
    """Take the first clear verb, and those joined to it by "and" or "or"."""
    found: list[_Sign] = []
    for index, word in enumerate(words):
        if found and words[index - 1] not in _JOINERS:
            continue
        if word in tool_verbs.NAMING_READS and words[-1] in tool_verbs.NEVER_NOUNS:
            continue
        category = _verb_category(word, words[index + 1 :], words[:index])
        if category:
            found.append(_Sign(category, f'Its name says "{word}"'))
    return _strongest(found)


def _verb_category(word: str, after: list[str], before: list[str]) -> Category | None:
    """Return what a clear verb says beside other words, None where it is no clear verb."""
    objects = {_singular(other) for other in after}
    around = objects | set(before)
    if word in tool_verbs.MOVING and objects & tool_verbs.MONEY_WHEN_CHANGED:
        if not around & tool_verbs.NEVER_MONEY:
            return "Financial"
    elif word in tool_verbs.FINANCIAL and around & tool_verbs.NEVER_MONEY:
        return "Write"
    return _by_object(word, objects or around) or next(
        (category for known, category in _CLEAR if word in known), None
    )


def _by_object(word: str, objects: set[str]) -> Category | None:
    """Judge the verbs whose meaning hangs on what they are done to."""
    if word == "take":
        return "Read" if objects & tool_verbs.PICTURES else "Execute"
    if word == "reset":
        return "Destructive" if objects & tool_verbs.LOST_WHEN_RESET else "Write"
    if word == "resolve":
        return "Read" if objects & tool_verbs.NAMED else "Write"
    if word in tool_verbs.CONTROLS:
        return "Execute" if objects & tool_verbs.RUNNABLE else "Write"
    if (
        word == "open"
        and objects & tool_verbs.CASES
        and not objects & (tool_verbs.RUNNABLE | tool_verbs.PLACES)
    ):
        return "Write"
    if word == "start" and objects & tool_verbs.RECORDS:
        return "Write"
    return None


def _by_picking(words: list[str], tool: Mapping[str, Any]) -> _Sign | None:
    """Take `open` for a reading verb where it only picks out what is there.

    Its object neither runs nor is a place, all it takes are names or ids, and its description does
    not say that it changes or runs anything: `open_nodes` with a list of names.
    """
    taken = {name.lower() for name in properties(tool)}
    objects = {_singular(word) for word in words[1:]}
    if words[:1] != ["open"] or not objects or not taken or taken - tool_verbs.SELECTING_INPUTS:
        return None
    if objects & (tool_verbs.RUNNABLE | tool_verbs.PLACES | tool_verbs.CASES):
        return None
    said = _strongest(_by_texts(tool))
    reads = said is None or said.category == "Read" or '"open' in said.why
    return _Sign("Read", f'It opens what its "{min(taken)}" picks out') if reads else None


def _unclear_verb(words: list[str]) -> _Sign | None:
    """Take a word that can be a verb where it stands before an object like one."""
    for index, word in enumerate(words[:-1]):
        category = _unclear_category(word, words[index + 1 :])
        if category:
            return _Sign(category, f'Its name says "{word}"')
    return None


def _unclear_category(word: str, others: list[str]) -> Category | None:
    said = tool_verbs.UNCLEAR.get(word)
    if said == "Financial" and others and not tool_verbs.TRADED & {_singular(o) for o in others}:
        return "Write"
    return None if said is None else _category(said)


def _tells(words: list[str]) -> bool:
    """Return whether a name ends in a noun that only tells something."""
    return bool(words) and bool({words[-1], _singular(words[-1])} & tool_verbs.READ_NOUNS)


def _by_noun(words: list[str], tool: Mapping[str, Any]) -> _Sign | None:
    """Judge a name without a verb by the title and the description, then by its last word."""
    found = list(_by_texts(tool))
    if not found and (unclear := _unclear_verb(words)):
        return unclear
    if _tells(words):
        found.append(_Sign("Read", f'Its name only tells something ("{words[-1]}")'))
    elif not found and words and (category := _unclear_category(words[-1], [])):
        found.append(_Sign(category, f'Its name says "{words[-1]}"'))
    return _strongest(found)


def _by_texts(tool: Mapping[str, Any]) -> Iterator[_Sign]:
    """Yield what the title and the first sentence of the description say."""
    title = _annotation(tool, "title")
    texts = {
        "title": _text(tool, "title") or (title if isinstance(title, str) else ""),
        "description": _text(tool, "description"),
    }
    for member, text in texts.items():
        sign = _by_sentence(_SENTENCE.split(text.strip(), maxsplit=1)[0])
        if sign:
            yield _Sign(sign.category, f"Its {member} says {sign.why}")


def _strongest(signs: Iterable[_Sign]) -> _Sign | None:
    return max(signs, key=lambda sign: _STRENGTH.index(sign.category), default=None)


def _by_sentence(sentence: str) -> _Sign | None:
    """Judge a sentence by its leading verb and the verbs that are listed beside it."""
    words = re.findall(r"[A-Za-z]+|[,&/]", sentence.lower())[:_MAX_WORDS]
    if not words:
        return None
    found: list[_Sign] = []
    for index, word in enumerate(words):
        listed = index == 0 or words[index - 1] in _JOINERS or words[index - 1] in ",/"
        if listed and (category := _said(word, words[index + 1 :], first=index == 0)):
            found.append(_Sign(category, f'"{word}"'))
        elif index == 0:
            return None
    return _strongest(found)


def _said(word: str, rest: list[str], *, first: bool) -> Category | None:
    for form in _base_forms(word):
        category = _verb_category(form, rest, [])
        if category:
            return category
        if first and (unclear := _unclear_category(form, rest)):
            return unclear
    return None


def _by_hints(tool: Mapping[str, Any]) -> _Sign | None:
    if _annotation(tool, "readOnlyHint") is True:
        return _Sign("Read", "Its annotations say that it only reads")
    return None


def _unknown(tool: Mapping[str, Any]) -> _Sign:
    code = tool_verbs.CODE_INPUTS & set(properties(tool))
    if code:
        return _Sign("Execute", f'It takes "{min(code)}", which it may run')
    return _Sign("Write", "Nothing says what it does, so it may change something")


def _raises(tool: Mapping[str, Any], base: _Sign) -> Iterator[_Sign]:
    """Yield what makes the tool more dangerous than its name says."""
    words = split_words(_text(tool, "name"))
    read_only = _annotation(tool, "readOnlyHint")
    replaces = base.category == "Write" and set(words) & tool_verbs.REPLACING
    # MCP calls each update destructive that is not only additive: of such a verb that is no news.
    if _annotation(tool, "destructiveHint") is True and read_only is not True and not replaces:
        yield _Sign("Destructive", "Its annotations say that it destroys")
    if read_only is False and base.category == "Read":
        yield _Sign("Write", "Its annotations say that it does not only read")
    if base.category == "Read" and "query" in words:
        taken = tool_verbs.CODE_INPUTS & set(properties(tool))
        if taken:
            yield _Sign("Execute", f'It takes "{min(taken)}", which may do more than read')
    for choice in _choices(tool):
        category = _verb_category(choice, [], [])
        if category:
            yield _Sign(category, f'One of its choices is "{choice}"')


def _choices(tool: Mapping[str, Any]) -> Iterator[str]:
    """Yield the verbs that a parameter like `action` lets an agent choose from."""
    for name, schema in properties(tool).items():
        options = schema.get("enum") if isinstance(schema, Mapping) else None
        if name.lower() in _CHOICE_KEYS and isinstance(options, list):
            for option in options[:_MAX_WORDS]:
                if isinstance(option, str):
                    yield from split_words(option)[:1]


def properties(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters of a tool's input schema by name, none where it is not readable."""
    schema = tool.get("inputSchema")
    found = schema.get("properties") if isinstance(schema, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _annotation(tool: Mapping[str, Any], key: str) -> Any:
    found = tool.get("annotations")
    return found.get(key) if isinstance(found, Mapping) else None


def _text(tool: Mapping[str, Any], member: str) -> str:
    found = tool.get(member)
    return found if isinstance(found, str) else ""


def _category(word: str) -> Category:
    return next(category for category in _STRENGTH if category == word)


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return f"{word[:-3]}y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def _base_forms(word: str) -> Iterable[str]:
    """Yield the verb a third person or a gerund may come from, the word itself first."""
    yield word
    for ending in ("s", "es", "ing", "ed", "d"):
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word[: -len(ending)]
            yield stem
            yield f"{stem}e"
            if len(stem) > 2 and stem[-1] == stem[-2]:
                yield stem[:-1]
    if word.endswith("ies"):
        yield f"{word[:-3]}y"
