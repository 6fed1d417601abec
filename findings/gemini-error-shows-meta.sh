#!/usr/bin/env bash
# Gemini CLI 0.61.0 (npm), headless, with an MCP server whose tools answer with content, structured
# content and `_meta`.
#
# Of an answer that worked the model reads the content alone. Of one with `isError` it reads one string
# with the whole result as JSON in it: `_meta`, which is the client's, first, though the server sent it
# last, then the content and the structured content, also where the server kept that for programs. So
# what a server or a proxy puts into `_meta` (traces, ids, reasons of a policy) stays from the model
# until a call fails, and then stands before the words that were written for the model.
#
# Seen (in the order that the model reads them):
#   works: content
#   fails: _meta, content, structuredContent
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --prefix "$work" @google/gemini-cli@0.61.0 >/dev/null
cat > "$work/server.py" <<'PY'
import json
import sys

TOOLS = [{"name": name, "inputSchema": {"type": "object"}} for name in ("works", "fails")]
for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {}
    if message["method"] == "initialize":
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "files", "version": "1"},
        }
    elif message["method"] == "tools/list":
        result = {"tools": TOOLS}
    elif message["method"] == "tools/call":
        result = {
            "content": [{"type": "text", "text": "words for the model"}],
            "structuredContent": {"rows": 3},
            "isError": message["params"]["name"] == "fails",
            "_meta": {"example.com/trace": "for the client"},
        }
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
HOME = WORK / "home"
wanted = ""
requests = []


class Model(http.server.BaseHTTPRequestHandler):
    """Calls the wanted tool, and ends once it has the answer."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        requests.append(body)
        answered = "functionResponse" in json.dumps(body.get("contents", ()))
        part = {"text": "Done."}
        if body.get("tools") and not answered:
            part = {"functionCall": {"name": f"mcp_files_{wanted}", "args": {}}}
        content = {"role": "model", "parts": [part]}
        reply = {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}]}
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(f"data: {json.dumps(reply)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=model.serve_forever, daemon=True).start()
(HOME / ".gemini").mkdir(parents=True)
settings = {
    "mcpServers": {
        "files": {"command": sys.executable, "args": [str(WORK / "server.py")], "trust": True}
    },
    "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
    "general": {"disableAutoUpdate": True, "enableAutoUpdate": False},
    "privacy": {"usageStatisticsEnabled": False},
    "telemetry": {"enabled": False},
}
(HOME / ".gemini" / "settings.json").write_text(json.dumps(settings))


def told(tool: str) -> str:
    """Have the model call the tool; return what it was told of the three parts of the answer."""
    global wanted
    wanted = tool
    requests.clear()
    subprocess.run(
        [WORK / "node_modules/.bin/gemini", "-y", "-m", "gemini-2.5-flash", "-p", "Call it."],
        cwd=HOME,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(HOME),
            "GEMINI_API_KEY": "none",
            "GOOGLE_GEMINI_BASE_URL": f"http://127.0.0.1:{model.server_address[1]}",
            "GEMINI_CLI_NO_RELAUNCH": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=170,
        check=True,
    )
    parts = [part for asked in requests for one in asked["contents"] for part in one["parts"]]
    answers = [one["functionResponse"]["response"] for one in parts if "functionResponse" in one]
    answer = json.dumps(answers[0])
    marks = {"content": "words for the model", "structuredContent": "rows", "_meta": "for the client"}
    found = sorted((answer.find(mark), name) for name, mark in marks.items() if mark in answer)
    return ", ".join(name for _, name in found)


print(f"works: {told('works')}")
print(f"fails: {told('fails')}")
PY
python3 "$work/look.py" "$work" | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
