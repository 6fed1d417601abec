"""Wordings in a tool's definition that speak to the model instead of saying what the tool does.

Patterns are few and narrow: a definition may well tell a model which tool to call first, and a
person who is shown flags on every second server stops reading them. They are matched on text in
lower case with single spaces, with look-alike letters made Latin and invisible ones taken out.
RE2 takes linear time for any text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import re2

_UP_TO_2 = r"(?:[\w'-]+ ){0,2}"
_UP_TO_3 = r"(?:[\w'-]+ ){0,3}"
_UP_TO_5 = r"(?:[\w'-]+ ){0,5}"
_NOT = r"(?:do not|don'?t|never|must not|should not|without)"
_TELLING = (
    r"(?:tell|mention|inform|reveal|show|notify|disclose|let|alert|explain|report|telling"
    r"|mentioning|informing|revealing|showing|notifying|disclosing|letting|alerting)"
)
_PERSON = r"(?:user|human)\b"
_PRIVATE = (
    r"(?:~/\.(?:ssh|aws|cursor|claude|gnupg|netrc|npmrc|env)\b|\bid_(?:rsa|ed25519)\b|\bmcp\.json\b"
    r"|\.aws/credentials|/etc/(?:passwd|shadow)\b|claude_desktop_config|\.env file\b)"
)

_INSTRUCTIONS: Final = (
    (
        rf"\b(?:ignore|disregard|forget) {_UP_TO_3}(?:previous|prior|above|preceding|earlier"
        rf"|system|all|your) {_UP_TO_2}(?:instructions?|prompts?|guidelines?|directives?|rules)\b"
    ),
    rf"\b{_NOT} {_UP_TO_2}{_TELLING} {_UP_TO_5}{_PERSON}",
    rf"\b(?:hide|conceal) (?:this|it|that|the [\w-]+) from (?:the )?{_PERSON}",
    r"\bkeep (?:this|it) (?:a )?(?:secret|hidden)\b|\bsecretly\b",
    r"< ?(?:important|system|system[-_ ]prompt|instructions|critical)>",
    "|".join(rf"<{name}>.{{0,900}}</{name}>" for name in ("secret", "hidden", "admin", "override")),
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>|\[/?inst\]|<</?sys>>",
    (
        rf"\b(?:include|pass|send|append|provide|attach|copy|put|write|forward) {_UP_TO_3}"
        rf"(?:full|entire|whole|complete|previous) {_UP_TO_2}"
        r"(?:conversation|(?:chat|message) history|system prompt|context window)\b"
    ),
    rf"\b(?:reveal|print|repeat|output|include|send|leak|return) {_UP_TO_2}system prompt\b",
    (
        rf"\b(?:all|every|any) {_UP_TO_2}(?:e-?mails?|messages?|payments?|transfers?)"
        r" (?:must|should|shall|has to|have to|needs? to) (?:also )?(?:be )?"
        r"(?:sent|forwarded|redirected|routed|copied|addressed|paid)\b"
    ),
    (
        rf"\b(?:this|these) {_UP_TO_2}(?:instructions?|rules?|directives?) {_UP_TO_2}"
        r"(?:overrides?|supersedes?|takes? (?:precedence|priority))\b"
    ),
    r"\b(?:new|updated|real|actual|hidden|secret) (?:system )?instructions? ?:",
    r"\byou are now (?:a|an|in) [\w -]{0,30}(?:mode|jailbroken|unrestricted)\b|\bjailbreak\b",
)
_SECRET_FILES: Final = (
    r"\b(?:read|cat|open|load|send|upload|include|pass|copy|contents? of)\b[^.]{0,60}"
    rf"{_PRIVATE}"
)
_SPACE: Final = re.compile(r"\s+")


def folded(text: str) -> str:
    """Return the text as the patterns want it."""
    return _SPACE.sub(" ", text).casefold()


def may_speak(text: str) -> bool:
    """Tell whether anything in a folded text may be an instruction or ask for secret files.

    One look in place of fourteen; the text may be several, with spaces between them.
    """
    return _quick_look().search(text) is not None


@cache
def _quick_look() -> Any:
    """All patterns in one, without what counts characters: that is costly, and leaves out only."""
    every = "|".join(f"(?:{pattern})" for pattern in (*_INSTRUCTIONS, _SECRET_FILES))
    return re2.compile(every.replace("{0,900}", "*").replace("{0,60}", "*"))


def instructions(text: str) -> Iterator[str]:
    """Yield what in a folded text speaks to the model."""
    for pattern in _INSTRUCTIONS:
        found = _compiled(pattern).search(text)
        if found:
            yield found[0]


def secret_files(text: str) -> str:
    """Return where a folded text asks for files that hold secrets, empty where it does not."""
    found = _compiled(_SECRET_FILES).search(text)
    return found[0] if found else ""


@cache
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern)
