#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK), server and client of the same version.
#
# A tool that is declared to return a number and returns NaN is told twice in one result, with two
# different values: the text block says NaN, the structured content says null. null breaks the
# output schema that the same server derived from the same declaration, so the SDK's own client
# refuses the result: call_tool raises, though the server marked it as no error and the tool ran.
# An average over nothing is enough. Who relays such results sees a call that worked on the server
# and failed at the client; who repeats it for that reason runs the tool twice.
#
# Seen:
#   text: NaN
#   structured: {"result": null}
#   declared: number
#   client: RuntimeError: Invalid structured content returned by tool mean: None is not of type 'number'
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet mcp==2.3.0
cat > "$work/server.py" <<'PY'
from mcp.server.mcpserver import MCPServer

server = MCPServer("statistics")


@server.tool()
def mean(values: list[float]) -> float:
    """The average of the values; not a number where there are none."""
    return sum(values) / len(values) if values else float("nan")


if __name__ == "__main__":
    server.run("stdio")
PY
cat > "$work/look.py" <<'PY'
import asyncio
import json
import subprocess
import sys

from mcp.client import Client
from server import server

process = subprocess.Popen(
    [sys.executable, "server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
)


def ask(number, method, params):
    line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
    process.stdin.write(json.dumps(line).encode() + b"\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())["result"]


client = {"name": "look", "version": "1"}
ask(1, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
process.stdin.write(b'{"jsonrpc":"2.0","method":"notifications/initialized"}\n')
result = ask(2, "tools/call", {"name": "mean", "arguments": {"values": []}})
tool = ask(3, "tools/list", {})["tools"][0]
process.stdin.close()
process.wait()
assert result["isError"] is False
print("text:", result["content"][0]["text"])
print("structured:", json.dumps(result["structuredContent"]))
print("declared:", tool["outputSchema"]["properties"]["result"]["type"])


async def main():
    async with Client(server) as own:
        try:
            await own.call_tool("mean", {"values": []})
            print("client: took it")
        except RuntimeError as error:
            print("client: RuntimeError:", str(error).splitlines()[0])


asyncio.run(main())
PY
(cd "$work" && env/bin/python look.py 2>/dev/null) | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
