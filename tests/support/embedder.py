"""A small stand-in for the model: texts that share words are near each other."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import numpy as np

from pktui.memory.embed import Passage, Vectors

DIMENSION = 64


class WordsEmbedder:
    """Counts the words of a text in 64 places; the same text always has the same vector."""

    name = "words/64"
    dimension = DIMENSION

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        return [(Passage(0, len(text)),) for text in texts]

    def embed(self, texts: Sequence[str]) -> Vectors:
        vectors = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.lower()) or ["-"]:
                vectors[row, zlib.crc32(word.encode()) % DIMENSION] += 1
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / lengths, np.float32)
