#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK) over streamable HTTP on uvicorn 0.54.0, with h11 0.16.0 or httptools 0.9.0.
#
# Requests of 2026-07-28 repeat the tool's name in the header Mcp-Name, and the server refuses what
# does not agree with the body. It compares the value as the HTTP parser hands it on. White space
# around a field value is no part of it (RFC 9110, 5.5), and h11 takes it off; httptools takes off
# what stands before the value and leaves what stands behind. uvicorn uses httptools wherever it is
# installed (as `uvicorn[standard]` does), so the same valid request is answered by one installation
# and refused by the other, and no setting of mcp tells the two apart.
#
# Seen:
#   h11: no space 200, space before 200, space behind 200
#   httptools: no space 200, space before 200, space behind 400 -32020
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet mcp==2.3.0 uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
cat > "$work/look.py" <<'PY'
import json
import socket
import sys
import threading
import time

import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool()
def hour() -> int:
    """The hour, which is always noon here."""
    return 12


def ask(port: int, name: bytes) -> str:
    """Call the tool with a header as given; return the status, and the code of an error."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "look", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": "hour", "arguments": {}, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    lines = (
        b"POST /mcp HTTP/1.1",
        b"Host: 127.0.0.1:%d" % port,
        b"Content-Type: application/json",
        b"Accept: application/json, text/event-stream",
        b"MCP-Protocol-Version: 2026-07-28",
        b"Mcp-Method: tools/call",
        b"Mcp-Name:" + name,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    status = answer.split(" ", 2)[1]
    code = answer.partition('"code":')[2].partition(",")[0]
    return f"{status} {code}".strip()


def look(parser: str) -> str:
    """Serve with one parser and ask in three ways."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            server.streamable_http_app(), http=parser, log_level="error", lifespan="on"
        )
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, args=([listening],))
        thread.start()
        while not running.started:
            time.sleep(0.05)
        found = (
            f"no space {ask(port, b'hour')}",
            f"space before {ask(port, b' hour')}",
            f"space behind {ask(port, b' hour ')}",
        )
        running.should_exit = True
        thread.join()
    return f"{parser}: {', '.join(found)}"


print(look(sys.argv[1]))
PY
for parser in h11 httptools; do
  "$work/env/bin/python" "$work/look.py" "$parser" 2>/dev/null
done | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
