"""The library that runs the model keeps to itself."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

LOADED = "from pktui.memory.onnx_runtime import load_onnxruntime as load; load()"
RAN = (
    "import numpy as np; from pktui.memory.search.byte_products import products;"
    "products(np.zeros((3, 2), np.int8), np.zeros(2, np.int32), np.ones(3, np.float32))"
)


@pytest.mark.parametrize("script", [LOADED, RAN])
def test_no_device_id_is_written(script: str, tmp_path: Path) -> None:
    """Without the variable the packages for Linux write one where temporary files go."""
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "HOME")}
    kept.pop("ORT_DISABLE_TELEMETRY", None)
    environment = {**kept, "TMPDIR": str(tmp_path), "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []
