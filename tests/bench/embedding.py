"""Texts a second: `python -m tests.bench.embedding [TEXTS]`.

Made-up messages of five to eighty words through pktui's embedder, in batches as the service makes
them, and through a plain `SentenceTransformer.encode` of the same weights, in turns. Printed: texts
a second by the clock and by processor time, the least cosine between both, and one query's time.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer

from pktui.memory.embed import load_embedder
from pktui.memory.embed.weights import packaged_directory
from tests.bench.memory_texts import MODELS, texts

BATCH = 32
"""As many as the service's background makes in one go."""
ROUNDS = 3

Vectors = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("texts", nargs="?", type=int, default=256)
    count = parser.parse_args().texts
    ours = load_embedder("", MODELS)
    plain = SentenceTransformer(str(packaged_directory()), device="cpu", local_files_only=True)
    made = list(texts(count))

    def own(given: Sequence[str]) -> Vectors:
        parts = []
        for first in range(0, len(given), BATCH):
            batch = given[first : first + BATCH]
            cut = ours.passages(batch)
            flat = [t[p.start : p.end] for t, ps in zip(batch, cut, strict=True) for p in ps]
            parts.append(ours.embed(flat))
        return np.concatenate(parts)

    def theirs(given: Sequence[str]) -> Vectors:
        torch.set_num_threads(1)
        vectors = plain.encode(list(given), normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(vectors, np.float32)

    print(f"{count} texts, load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    short = [" ".join(text.split()[:60]) for text in made]
    for name, work in (("pktui", own), ("plain encode, 1 thread", theirs)):
        print(f"{name}: {best(work, short)}")
    cosines = (own(short) * theirs(short)).sum(axis=1)
    print(f"cosine between both: at least {cosines.min():.4f}")
    query = "when did we move the invoices to the new program"
    for name, work in (("pktui", own), ("plain encode, 1 thread", theirs)):
        print(f"one query, {name}: {best(work, [query], 20)}")


def best(
    work: Callable[[Sequence[str]], object], given: Sequence[str], rounds: int = ROUNDS
) -> str:
    """Return the best figures of some rounds."""
    work(given[:BATCH])
    walls, used = [], []
    for _ in range(rounds):
        before, cpu = time.perf_counter(), time.process_time()
        work(given)
        walls.append(time.perf_counter() - before)
        used.append(time.process_time() - cpu)
    wall, cpu = min(walls), min(used)
    return (
        f"{len(given) / wall:.0f} texts/s, {len(given) / cpu:.0f} a processor second; "
        f"{1000 * wall:.1f} ms in all"
    )


if __name__ == "__main__":
    main()
