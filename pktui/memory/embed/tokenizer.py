"""A model's own tokenizer: where a long text is cut, and the numbers of its tokens."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pktui.errors import StoreError
from pktui.memory.embed.chunks import PASSAGE_TOKENS, cut_by_tokens
from pktui.text import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pktui.memory.embed.protocol import Passage


class Tokens:
    """The tokenizer that a file of the `tokenizers` library describes.

    Raises `StoreError` with `cure` where the file cannot be read.
    """

    def __init__(self, file: Path, cure: str) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises nothing narrower
            raise StoreError(
                f"the model's {file} cannot be read: {one_line(str(error))}", cure
            ) from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text that is longer than a passage into overlapping parts."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [
            cut_by_tokens(one.offsets, len(text), PASSAGE_TOKENS)
            for text, one in zip(texts, encoded, strict=True)
        ]

    def ids(self, texts: Sequence[str], *, marks: bool) -> list[list[int]]:
        """Return the numbers of each text's tokens, with the model's `marks` at its ends or not."""
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=marks)
        return [one.ids for one in encoded]
