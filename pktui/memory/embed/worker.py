"""A process that embeds for the memory service, on standard input and output.

    python -m pktui.memory.embed.worker DIRECTORY IDLE_SECONDS

It ends when nothing was asked for so long, and with the service.

The model in DIRECTORY is run by onnxruntime. Where there is none yet, torch is loaded and it is
exported, and the process ends; where that cannot be done, sentence-transformers runs the model.

Each message is preceded by its length in four bytes. The first one says which of these it is; then
texts are answered with vectors, see `Ready`, `Request` and `Answer`.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

import msgspec
import numpy as np

from pktui.errors import PktuiError
from pktui.memory.embed.threads import half_the_processors
from pktui.memory.embed.weights import exported_file

if TYPE_CHECKING:
    from pktui.memory.embed.protocol import Embedder

NICENESS = 10


class Ready(msgspec.Struct, frozen=True):
    """What the process begins with; `why` is what kept it from exporting, or from anything."""

    state: Literal["exported", "serving", "failed"]
    why: str = ""


class Request(msgspec.Struct, frozen=True):
    """Texts to be embedded."""

    texts: list[str]


class Answer(msgspec.Struct, frozen=True):
    """Single-precision numbers, row by row, or why there are none."""

    vectors: bytes
    why: str = ""
    cure: str = ""


def send(stream: IO[bytes], message: msgspec.Struct) -> None:
    """Write a message; raises `OSError`."""
    data = msgspec.msgpack.encode(message)
    stream.write(len(data).to_bytes(4, "little") + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Return the next message, b"" at the end."""
    length = int.from_bytes(stream.read(4), "little")
    data = stream.read(length)
    return data if len(data) == length else b""


def main(directory: Path, idle_s: float) -> None:
    """Serve until the other side ends or asks no more."""
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    questions = sys.stdin.buffer
    try:
        embedder, ready = _prepared(directory)
    except PktuiError as error:
        embedder, ready = None, Ready("failed", str(error))
    with suppress(OSError):  # only now: somebody may wait for the model
        os.nice(NICENESS)
    with suppress(BrokenPipeError):
        send(answers, ready)
        if embedder is not None:
            _serve(embedder, questions, answers, idle_s)


def _end_with_the_service() -> None:
    """End when the other side does, also while a model is loaded or exported."""
    hung_up = select.poll()
    hung_up.register(0, 0)
    hung_up.poll()
    os._exit(0)


def _prepared(directory: Path) -> tuple[Embedder | None, Ready]:
    from pktui.memory.embed.onnx_model import OnnxModel

    file = exported_file(directory)
    if file is not None:
        return OnnxModel(file, threads=half_the_processors()), Ready("serving")
    from pktui.memory.embed.export import export
    from pktui.memory.embed.sentence import load_sentence_model

    model = load_sentence_model()
    try:
        export(model, directory)
    except PktuiError as error:
        return model, Ready("serving", str(error))
    return None, Ready("exported")


def _serve(embedder: Embedder, questions: IO[bytes], answers: IO[bytes], idle_s: float) -> None:
    while select.select([questions], [], [], idle_s)[0] and (data := receive(questions)):
        request = msgspec.msgpack.decode(data, type=Request)
        try:
            vectors = np.ascontiguousarray(embedder.embed(request.texts), np.float32)
        except PktuiError as error:
            send(answers, Answer(b"", error.what, error.cure))
        else:
            send(answers, Answer(vectors.tobytes()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
