"""The operator `command`: exactly one simple command of a shell, word by word.

The reader knows words, blanks and quotes that hold plain text, and nothing else. Whatever a shell
may make more of (separators, pipes, substitutions, redirections, line breaks, escapes, wildcards,
assignments, words that run what follows them) can't be judged. Nor can it be ruled out that a
command is the pattern's where it runs another one (`env`, `sudo`, `sh`), or names the pattern's by
its path or in another case.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pktui.policy.globs import Glob, is_glob, matches_run
from pktui.policy.text.problems import BadOperand

if TYPE_CHECKING:
    from pktui.policy.operators import Test
    from pktui.policy.values import Truth

# Characters of a command that is looked at.
_MAX_COMMAND: Final = 32_768
# What a shell leaves as it is outside quotes, besides letters and digits.
_PLAIN: Final = frozenset("_@%+:,./-=")
# What it still acts on inside double quotes.
_LIVE: Final = frozenset('"$`\\!')
# Words that make another command of what follows, or no simple command at all.
_NOT_SIMPLE: Final = frozenset(
    {"if", "then", "elif", "else", "fi", "for", "select", "in", "do", "done", "while", "until"}
    | {"case", "esac", "function", "time", "coproc"}
    | {"eval", "exec", "command", "builtin", "source", "."}
)

# Programs that run what follows them.
_RUNNERS: Final = frozenset(
    {"env", "sudo", "doas", "su", "runuser", "nohup", "setsid", "nice", "ionice", "chrt", "taskset"}
    | {"timeout", "stdbuf", "unbuffer", "script", "flock", "chroot", "unshare", "nsenter", "time"}
    | {"xargs", "parallel", "watch", "strace", "ltrace", "find", "busybox", "toybox", "caffeinate"}
    | {"sh", "bash", "dash", "zsh", "ksh", "ash", "fish", "csh", "tcsh", "pwsh", "powershell"}
)


def compile_command(value: Any) -> Test:
    """Return the test of a command against a pattern like `pytest *`.

    A word `*` stands for any number of words, a star in a word for any characters of it. Raises
    `BadOperand` where the pattern is no text, or none that a simple command can fit.
    """
    if not isinstance(value, str) or not value.split():
        raise BadOperand(
            'operator "command" takes one text',
            'Write the words of one command, like "pytest *", and another predicate for another',
        )
    pattern = [_pattern_word(word) for word in value.split()]
    loose = [_pattern_word(word) for word in _loosened(value.split())]

    def test(found: Any) -> Truth:
        if found is None:
            return False
        words = split_command(found) if isinstance(found, str) else None
        if words is None:
            return None
        if matches_run(words, pattern, run="*"):
            return True
        first, *rest = _loosened(words)
        return None if first in _RUNNERS or matches_run([first, *rest], loose, run="*") else False

    return test


def _loosened(words: list[str]) -> list[str]:
    """Return a command with its program's name alone, without its directory, in one case."""
    return [words[0].rpartition("/")[2].casefold(), *words[1:]]


def split_command(text: str) -> list[str] | None:
    """Return the words of one simple command; None where the text is anything else."""
    if len(text) > _MAX_COMMAND:
        return None
    words: list[str] = []
    word: list[str] | None = None
    characters = iter(text)
    for character in characters:
        if character in " \t":
            if word is not None:
                words.append("".join(word))
            word = None
            continue
        piece = _quoted(characters, character) if character in "'\"" else _plain(character)
        if piece is None:
            return None
        if word is None:
            word = []
        word.append(piece)
    if word is not None:
        words.append("".join(word))
    return words if _is_simple(words) else None


def _plain(character: str) -> str | None:
    return character if character.isalnum() or character in _PLAIN else None


def _quoted(characters: Iterator[str], quote: str) -> str | None:
    """Read up to the closing quote; None where something in it is live or it never closes."""
    inside: list[str] = []
    for character in characters:
        if character == quote:
            return "".join(inside)
        if not character.isprintable() or (quote == '"' and character in _LIVE):
            return None
        inside.append(character)
    return None


def _is_simple(words: list[str]) -> bool:
    """Return whether the words begin with a command's name, and not with an assignment."""
    if not words or not words[0] or words[0] in _NOT_SIMPLE or "=" in words[0]:
        return False
    return not any(word.startswith("=") for word in words)


def _pattern_word(word: str) -> Glob | str:
    odd = sorted({c for c in word if not (c.isalnum() or c in _PLAIN or c == "*")})
    if odd:
        raise BadOperand(
            f'"command" has {odd[0]!r} in its pattern, which a simple command never has unquoted',
            "Write words without it; * stands for any",
        )
    return Glob.of(word) if is_glob(word) and word != "*" else word
