#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK), a server started with run("stdio").
#
# One server process speaks both eras of the protocol, but each process only one of them: the first
# request decides, and everything of the other era is refused until the process ends, with another
# code in each direction. An `initialize` that names the stateless version and carries its envelope
# does not lead there: it is answered with the handshake version, and the stateless requests that
# follow are refused. So who puts one such process behind several clients needs one for each era, and
# cannot tell from the answer to `initialize` alone that the client's next request will fail.
#
# Seen:
#   handshake first: answered 2025-11-25, then stateless: -32600
#   stateless first: answered, then handshake: -32022
#   initialize for 2026-07-28: answered 2025-11-25, then stateless: -32600
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet mcp==2.3.0
cat > "$work/server.py" <<'PY'
from mcp.server.mcpserver import MCPServer

server = MCPServer("clock")


@server.tool()
def hour() -> int:
    """The hour, which is always noon here."""
    return 12


server.run("stdio")
PY
cat > "$work/look.py" <<'PY'
import json
import subprocess
import sys

STATELESS = "2026-07-28"
CLIENT = {"name": "look", "version": "1"}
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": STATELESS,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def initialize(version, **more):
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": CLIENT, **more}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def tools():
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {"_meta": ENVELOPE}}


def said(*requests):
    process = subprocess.Popen(
        [sys.executable, "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    found = []
    for request in requests:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        error = answer.get("error")
        result = answer.get("result", {})
        found.append(error["code"] if error else result.get("protocolVersion", "answered"))
    process.stdin.close()
    process.wait(30)
    return found


first, second = said(initialize("2025-11-25"), tools())
print(f"handshake first: answered {first}, then stateless: {second}")
first, second = said(tools(), initialize("2025-11-25"))
print(f"stateless first: {first}, then handshake: {second}")
first, second = said(initialize(STATELESS, _meta=ENVELOPE), tools())
print(f"initialize for {STATELESS}: answered {first}, then stateless: {second}")
PY
(cd "$work" && env/bin/python look.py 2>/dev/null) | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
