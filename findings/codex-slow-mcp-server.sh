#!/usr/bin/env bash
# Codex 0.171.0 (npm), `codex exec`, with an MCP server that needs three seconds to start.
#
# The first request to the model goes out without waiting for MCP servers: the tools of one that is
# not ready are left out of it, and a model that answers without calling anything has never been
# offered them. Nothing says so, neither on stdout nor on stderr, and the exit status is 0.
# `startup_timeout_sec`, 30 here, does not make it wait: it only says when a start has failed.
# `required = true`, which reads like "fail without it", is what makes Codex wait.
#
# Seen:
#   ready at once: offered
#   ready after 3 s: not offered, status 0, the server not named in the output
#   ready after 3 s, required: offered
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --prefix "$work" @openai/codex@0.171.0 >/dev/null
cat > "$work/server.py" <<'PY'
import json
import sys
import time

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    result = {}
    if message["method"] == "initialize":
        time.sleep(float(sys.argv[1]))
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "clock", "version": "1"},
        }
    elif message["method"] == "tools/list":
        result = {"tools": [{"name": "hour", "inputSchema": {"type": "object"}}]}
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
CODEX = WORK / "node_modules/.bin/codex"
SAID = {
    "type": "message",
    "role": "assistant",
    "id": "m",
    "content": [{"type": "output_text", "text": "Done."}],
}
NONE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
USAGE = NONE | {"input_tokens_details": None, "output_tokens_details": None}
EVENTS = (
    {"type": "response.created", "response": {"id": "r"}},
    {"type": "response.output_item.done", "output_index": 0, "item": SAID},
    {"type": "response.completed", "response": {"id": "r", "usage": USAGE}},
)
CONFIG = """
model = "some-model"
model_provider = "here"
approval_policy = "never"
sandbox_mode = "read-only"
check_for_update_on_startup = false
web_search = "disabled"
[analytics]
enabled = false
[model_providers.here]
name = "here"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
env_key = "KEY"
[mcp_servers.clock]
command = "{python}"
args = ["{work}/server.py", "{seconds}"]
startup_timeout_sec = 30
{more}
"""
requests = []


class Model(http.server.BaseHTTPRequestHandler):
    """Answers every request with one sentence."""

    def do_POST(self) -> None:
        requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in EVENTS:
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())

    def log_message(self, *_: object) -> None:
        pass


model = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=model.serve_forever, daemon=True).start()


def ask(seconds: int, more: str = "") -> str:
    """Ask once; return whether the model was offered the server's tool."""
    home = WORK / f"home-{seconds}-{len(more)}"
    home.mkdir()
    told = {"port": model.server_address[1], "python": sys.executable, "work": WORK}
    (home / "config.toml").write_text(CONFIG.format(**told, seconds=seconds, more=more))
    requests.clear()
    done = subprocess.run(
        [CODEX, "exec", "--skip-git-repo-check", "What time is it?"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home), "KEY": "none"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    (first,) = requests
    if any("clock" in json.dumps(tool) for tool in first["tools"]):
        return "offered"
    named = "clock" in done.stdout + done.stderr
    return f"not offered, status {done.returncode}, the server {'' if named else 'not '}named in the output"


print(f"ready at once: {ask(0)}")
print(f"ready after 3 s: {ask(3)}")
print(f"ready after 3 s, required: {ask(3, 'required = true')}")
PY
python3 "$work/look.py" "$work" | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
