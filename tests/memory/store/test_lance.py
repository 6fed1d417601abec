"""LanceDB's REST client is left unread until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PROGRAM = """
import sys
from pktui.memory.store.lance import lancedb
package = sys.modules["lance_namespace_urllib3_client"]
assert "lance_namespace_urllib3_client.api" not in sys.modules, "read too early"
assert package.ApiClient.__module__ == "lance_namespace_urllib3_client.api_client"
assert "lance_namespace_urllib3_client.api" in sys.modules
from lance_namespace_urllib3_client import Configuration
"""

_MODELS = """
import sys
from pktui.memory.store.lance import lancedb
import lance_namespace, lancedb.db
def read():
    return {name.rpartition(".")[2] for name in sys.modules if "client.models." in name}
assert "count_table_rows_request" not in read() and len(read()) < 40, read()
listed = lancedb.connect(sys.argv[1]).list_tables()
assert listed.tables == []
assert isinstance(listed, lancedb.db.ListTablesResponse)
assert not isinstance(listed, lance_namespace.CountTableRowsRequest)
assert "predicate" in lance_namespace.CountTableRowsRequest.model_fields
assert lance_namespace.DropTableRequest(id=["a"]).id == ["a"]
assert "count_table_rows_request" in read()
assert "alter_table_add_columns_request" not in read()
import lance_namespace_urllib3_client
assert lance_namespace_urllib3_client.models.ListTablesResponse(tables=["b"]).tables == ["b"]
"""


def test_the_client_for_rest_catalogues_is_read_when_it_is_used() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_a_model_of_that_client_is_read_when_it_is_used(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _MODELS, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
