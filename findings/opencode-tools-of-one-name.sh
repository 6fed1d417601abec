#!/usr/bin/env bash
# opencode 1.18.33 (npm), `opencode run`, with MCP servers that are all connected.
#
# A tool is offered to the model as SERVER_TOOL, where what is no letter, digit, "_" or "-" becomes
# "_". Tools that come out alike are one entry of one map: the last one stays, the others are gone
# from the request, and nothing is printed about it. It needs no odd names: a server `git` with the
# tool `hub_search` beside a server `git_hub` with the tool `search` is enough, and so are
# `read.file` and `read_file` of one server. A model that asks for the tool reaches the last one's
# server. (Codex 0.171.0 tells such tools apart by a hash behind their names, Gemini CLI 0.61.0 keeps
# the dot.)
#
# Seen:
#   servers git, git_hub: git_hub_search is "search of git_hub"
#   servers git_hub, git: git_hub_search is "hub_search of git"
#   read.file, read_file of files: files_read_file is "read_file of files"
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --prefix "$work" opencode-ai@1.18.33 >/dev/null
(cd "$work/node_modules/opencode-ai" && node postinstall.mjs >/dev/null)
cat > "$work/server.py" <<'PY'
import json
import sys

name, *tools = sys.argv[1:]
listed = [
    {"name": tool, "description": f"{tool} of {name}", "inputSchema": {"type": "object"}}
    for tool in tools
]
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {}
    if message["method"] == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": name, "version": "1"},
        }
    elif message["method"] == "tools/list":
        result = {"tools": listed}
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
PY
cat > "$work/look.py" <<'PY'
import http.server
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

WORK = Path(sys.argv[1])
requests = []


class Model(http.server.BaseHTTPRequestHandler):
    """Answers every request with one sentence."""

    def do_POST(self) -> None:
        requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        part = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "some"}
        said = {"index": 0, "delta": {"role": "assistant", "content": "Done."}}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for choice in (said, end):
            self.wfile.write(f"data: {json.dumps(part | {'choices': [choice]})}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: object) -> None:
        pass


model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=model.serve_forever, daemon=True).start()


def offered(**servers: list[str]) -> str:
    """Ask once; return what the model was offered of the servers."""
    home = WORK / "-".join(servers)
    home.mkdir()
    mcp = {
        name: {
            "type": "local",
            "enabled": True,
            "command": [sys.executable, str(WORK / "server.py"), name, *tools],
        }
        for name, tools in servers.items()
    }
    here = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "here",
        "options": {"baseURL": f"http://127.0.0.1:{model.server_address[1]}/v1", "apiKey": "none"},
        "models": {"some": {"name": "Some", "tool_call": True}},
    }
    config = {
        "autoupdate": False,
        "share": "disabled",
        "model": "here/some",
        "small_model": "here/some",
        "enabled_providers": ["here"],
        "provider": {"here": here},
        "mcp": mcp,
    }
    (home / "opencode.json").write_text(json.dumps(config))
    requests.clear()
    subprocess.run(
        [WORK / "node_modules/.bin/opencode", "run", "-m", "here/some", "What is there?"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=170,
        check=True,
    )
    tools = [tool["function"] for asked in requests for tool in asked.get("tools", ())]
    ours = [tool for tool in tools if " of " in tool["description"] and tool["name"].startswith(tuple(servers))]
    return ", ".join(f'{tool["name"]} is "{tool["description"]}"' for tool in ours)


print("servers git, git_hub:", offered(git=["hub_search"], git_hub=["search"]))
print("servers git_hub, git:", offered(git_hub=["search"], git=["hub_search"]))
print("read.file, read_file of files:", offered(files=["read.file", "read_file"]))
PY
python3 "$work/look.py" "$work" | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
