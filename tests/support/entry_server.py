"""A server made with the official SDK that keeps one text in a file: over stdio, or over HTTP.

`entry_server.py FILE [--http]`; over HTTP it prints the port it listens on.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer

FILE = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("entry")
server = MCPServer("entries")


@server.tool()
def get_entry(id: int) -> str:  # noqa: A002  the argument's name
    """Get an entry."""
    return f"entry {id}: {FILE.read_text()}"


@server.tool()
def set_entry(id: int, text: str) -> str:  # noqa: A002  the argument's name
    """Replace the text of an entry."""
    FILE.write_text(text)
    return f"replaced {id}"


if __name__ == "__main__" and "--http" in sys.argv:
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    app = server.streamable_http_app()
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listening])
elif __name__ == "__main__":
    server.run()
