"""The embedding model: what the store asks of one, and the real one, loaded late."""

from pktui.memory.embed.model import load_embedder
from pktui.memory.embed.protocol import Embedder, Passage, Vectors

__all__ = ["Embedder", "Passage", "Vectors", "load_embedder"]
