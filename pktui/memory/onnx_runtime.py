"""onnxruntime, loaded without its telemetry."""

from __future__ import annotations

import os
from typing import Any


def load_onnxruntime() -> Any:
    """Return the module `onnxruntime`.

    Since 1.29 the packages for Linux and macOS write a device id and send events to Microsoft,
    from the first import on; its Privacy.md names the variable that prevents all of it, where it is
    set before that. The variable is left set, for processes that are started from here.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime
