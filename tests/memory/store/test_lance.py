"""LanceDB's REST client is left unread until it is used."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from pktui.memory.store.lance import lancedb
package = sys.modules["lance_namespace_urllib3_client"]
assert "lance_namespace_urllib3_client.api" not in sys.modules, "read too early"
assert package.ApiClient.__module__ == "lance_namespace_urllib3_client.api_client"
assert "lance_namespace_urllib3_client.api" in sys.modules
from lance_namespace_urllib3_client import Configuration
"""


def test_the_client_for_rest_catalogues_is_read_when_it_is_used() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
