"""What a misuse of a tool could reach, and how such tools are abused.

Said beside the risk wherever a person decides about a tool: by its category, and by what its
input schema takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pktui.policy import tool_verbs
from pktui.policy.risk import Category, properties, split_words


@dataclass(frozen=True, slots=True)
class Misuse:
    """Two sentences: `reach`, what the tool could touch at worst; `abuse`, how that happens."""

    reach: str
    abuse: str


_ABUSE: Final[dict[Category, str]] = {
    "Read": "A planted text makes the agent collect secrets with it and hand them to another tool.",
    "Write": "A planted text makes the agent change what you or other agents rely on later.",
    "Execute": "A planted text makes the agent run what it names, under your account.",
    "Destructive": "A misread task or a planted text removes what no undo brings back.",
    "Financial": "Amounts and receivers come from a planted text; small sums pass unseen.",
}
_REACH: Final[dict[Category, str]] = {
    "Read": "All that its server can read.",
    "Write": "All that its server can change.",
    "Execute": "All that its server can run.",
    "Destructive": "All that its server can remove.",
    "Financial": "The money and the contracts of the account behind it.",
}

# What a parameter lets the agent choose, by a word in its name; the first that is there counts.
_INPUTS: Final[tuple[tuple[frozenset[str], str, str], ...]] = (
    (
        tool_verbs.CODE_INPUTS - {"sql"},
        "All that the account it runs under can do: files, network, other programs.",
        "A planted text hides a second command behind a harmless one.",
    ),
    (
        frozenset({"sql", "statement"}),
        "Every table that its database user can use.",
        "A statement that looks like a question changes or copies whole tables.",
    ),
    (
        frozenset({"url", "uri", "endpoint", "host", "domain", "href", "webhook"}),
        "Every address that this machine reaches, internal ones too.",
        "A planted text makes the agent call an address that carries your data away.",
    ),
    (
        frozenset({"path", "paths", "file", "filename", "directory", "dir", "folder", "cwd"}),
        "Every file that its server's process can use, outside the project too.",
        "A path with .. or a link leads out of the project, to keys and settings.",
    ),
    (
        frozenset({"to", "recipient", "recipients", "email", "cc", "bcc", "channel"}),
        "People and places outside this machine, in your name.",
        "A planted text makes the agent send your data, or a lie, to others.",
    ),
)


def misuse(tool: Mapping[str, Any], category: Category) -> Misuse:
    """Say what a tool of that category could reach, and how it is abused.

    `tool` is its definition as listed; members of the wrong kind count as absent.
    """
    taken = {word for name in properties(tool) for word in split_words(name)}
    for words, reach, abuse in _INPUTS:
        if taken & words:
            keeps = category in ("Destructive", "Financial")
            return Misuse(reach, _ABUSE[category] if keeps else abuse)
    return Misuse(_REACH[category], _ABUSE[category])
