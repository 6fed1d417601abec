"""The known word that a person or an agent may have meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return the known word that is most like this one, "" where none is like it.

    Case, dashes and underscores do not count. `cutoff` is the least likeness, from 0 to 1.
    """
    import difflib

    folded = {_folded(one): one for one in known}
    near = difflib.get_close_matches(_folded(word), folded, n=1, cutoff=cutoff)
    return folded[near[0]] if near else ""


def did_you_mean(
    word: str, known: Iterable[str], form: str = "{}", none: str = "Known here: {}"
) -> str:
    """Return a question that names the nearest known word, or else a sentence that names all.

    `form` is how the word is written, `none` how all of them are.
    """
    words = tuple(known)
    near = nearest(word, words)
    return f"Did you mean {form.format(near)}?" if near else none.format(", ".join(words))


def _folded(word: str) -> str:
    return word.lower().replace("_", "").replace("-", "")
