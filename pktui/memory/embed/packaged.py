"""The packaged model as the service uses it: in onnxruntime, without torch in its process.

Until the model is exported, which a child process does once, that child answers for it where the
export fails. Large batches, which only a backlog makes, go to a child of their own too: what it
takes ends with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pktui.errors import StoreError
from pktui.memory.embed.child import Child
from pktui.memory.embed.onnx_model import OnnxModel, packaged_tokens
from pktui.memory.embed.weights import DIMENSION, PACKAGED, exported_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pktui.memory.embed.protocol import Passage, Vectors

# More texts than these at once are embedded by a child.
LARGE_TEXTS = 64


class PackagedModel:
    """The packaged model, by whichever way can run it; the exported one lies in `directory`.

    Making one takes a quarter of a second, and the first time some ten. Usable from several
    threads. `degraded` says why the model is not run in this process, "" where it is.
    """

    name = PACKAGED
    dimension = DIMENSION

    def __init__(self, directory: Path) -> None:
        self.child = Child(directory)
        self.degraded = ""
        self._tokens = packaged_tokens()
        self._model = self._loaded(directory)

    def passages(self, texts: Sequence[str]) -> list[tuple[Passage, ...]]:
        """Cut each text that is longer than a passage into overlapping parts."""
        return self._tokens.passages(texts)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector of length 1 for each text."""
        if self._model is None:
            return self.child.embed(texts)
        if len(texts) > LARGE_TEXTS:
            try:
                return self.child.embed(texts)
            except StoreError:
                if self.child.closed:
                    raise
                # what a child cannot do is done here, in more time and memory
        return self._model.embed(texts)

    def close(self) -> None:
        """End the child."""
        self.child.close()

    def _loaded(self, directory: Path) -> OnnxModel | None:
        file = exported_file(directory)
        if file is None:
            ready = self.child.start()
            if ready.state == "failed":
                raise StoreError(f"the model {PACKAGED} cannot be loaded: {ready.why}", "")
            file = exported_file(directory)
            self.degraded = ready.why
        return None if file is None else OnnxModel(file)
