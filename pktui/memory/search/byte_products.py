"""Products of vectors kept in bytes, by onnxruntime: what torch did with a private operator.

Whole numbers all the way, so that every processor finds the same. The question has 7 bits and the
rows 8: a processor without VNNI adds two products in 16 bits and cuts off what does not fit, which
255 · 63 · 2 does.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pktui.memory.embed.threads import half_the_processors
from pktui.memory.onnx_runtime import load_onnxruntime

if TYPE_CHECKING:
    Floats = npt.NDArray[np.float32]

OFFSET = 128
"""A row's number is kept with this added to it, as a byte without a sign."""
_LARGEST = 63
# The ONNX graph `sums = MatMulInteger(codes - 128, vector)`, opset 10; its test builds it anew.
GRAPH = (
    b'\x08\x07:\x8e\x01\n*\n\x05codes\n\x06vector\n\x04zero\x12\x04sums"\rMatMulInteger\x12\x01p*'
    b"\x0c\x10\x02*\x02\x80\x01B\x04zeroZ\x19\n\x05codes\x12\x10\n\x0e\x08\x02\x12\n\n\x03\x12\x01n"
    b"\n\x03\x12\x01kZ\x1a\n\x06vector\x12\x10\n\x0e\x08\x03\x12\n\n\x03\x12\x01k\n\x03\x12\x01mb"
    b"\x18\n\x04sums\x12\x10\n\x0e\x08\x06\x12\n\n\x03\x12\x01n\n\x03\x12\x01mB\x04\n\x00\x10\n"
)


def products(codes: npt.NDArray[np.uint8], vector: Floats) -> Floats:
    """Return the product of each row, as it is kept, with the vector; off by 0.004 at the most."""
    scale = max(float(np.abs(vector).max(initial=0)) / _LARGEST, 1e-12)
    rounded = np.rint(vector / scale).astype(np.int8)[:, None]
    sums = _session().run(None, {"codes": codes, "vector": rounded})[0]
    return np.asarray(sums[:, 0] * np.float32(scale), np.float32)


@functools.cache
def _session() -> Any:
    onnxruntime = load_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = half_the_processors()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(GRAPH, options, providers=["CPUExecutionProvider"])
