"""The memory service as a process, with a small model: `python -m tests.support.small_service`."""

from __future__ import annotations

import os

from pktui.memory.service.ownership import Ownership
from pktui.memory.service.run import Service
from pktui.settings import Paths, load_settings
from tests.support.embedder import WordsEmbedder


def main() -> None:
    paths = Paths.from_environment()
    ownership = Ownership.take(paths)
    Service(paths, load_settings(paths), ownership, load_embedder=WordsEmbedder).serve()
    ownership.retire()
    os._exit(0)


if __name__ == "__main__":
    main()
