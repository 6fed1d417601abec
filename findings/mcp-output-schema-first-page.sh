#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK): what a client checks a tool's result against.
#
# The client checks structured content against the tool's output schema. If it has not listed the
# tools yet it sends one tools/list of its own after the result has come, and it does not follow
# nextCursor. So the same kind of result is refused from a tool on the first page and accepted,
# with a warning in the log only, from a tool on any later page; and since the unlisted tool is
# never found, each of its calls is followed by another list. A server that starts to page its list
# (or a proxy that pages it) thereby changes which results its clients accept.
#
# Seen (both tools declare an integer and answer with text):
#   early (page 1): refused
#   late (page 2): accepted
#   late (page 2): accepted
#   requests: tools/call tools/list tools/call tools/list tools/call tools/list
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/pip" install --quiet mcp==2.3.0
cat > "$work/server.py" <<'PY'
import json
import sys


def tool(name):
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    return {"name": name, "inputSchema": {"type": "object"}, "outputSchema": schema}


def answer(method, params):
    if method == "initialize":
        return {
            "protocolVersion": params["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "pages", "version": "1"},
        }
    if method == "tools/list":
        if params.get("cursor") == "2":
            return {"tools": [tool("late")]}
        return {"tools": [tool("early")], "nextCursor": "2"}
    return {"content": [{"type": "text", "text": "{}"}], "structuredContent": {"n": "one"}}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        with open("requests", "a") as log:
            log.write(message["method"] + "\n")
        result = answer(message["method"], message.get("params") or {})
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
PY
cat > "$work/look.py" <<'PY'
import asyncio
import sys

from mcp.client.session import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main():
    parameters = StdioServerParameters(command=sys.executable, args=["server.py"])
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        for name, page in (("early", 1), ("late", 2), ("late", 2)):
            try:
                await session.call_tool(name, {})
                print(f"{name} (page {page}): accepted")
            except RuntimeError:
                print(f"{name} (page {page}): refused")
    with open("requests") as log:
        print("requests:", *[line for line in log.read().split() if line.startswith("tools/")])


asyncio.run(main())
PY
(cd "$work" && env/bin/python look.py 2>/dev/null) | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
