#!/usr/bin/env bash
# opencode 1.18.33 (npm), `opencode run`, where the npm registry cannot be reached.
#
# At every start opencode tries to install its package @opencode-ai/plugin into its configuration
# folder. It does so in the background, until there is a plugin: then everything waits for that to
# end, though the plugin is one local file that imports nothing. npm tries three times, ten and sixty
# seconds apart, so that the model is asked more than a minute later; the failure is a line of the log
# file, and neither stdout nor stderr says anything about it. Nothing is kept of a failure: the next
# start waits as long. (Behind a registry that answers it is done once.) The registry here is a port of
# this machine where nobody listens.
#
# Seen:
#   no plugin: asks within a minute, says nothing of it
#   a plugin of one line: asks after more than a minute, says nothing of it
#   once more: asks after more than a minute, says nothing of it
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-save --prefix "$work" opencode-ai@1.18.33 >/dev/null
(cd "$work/node_modules/opencode-ai" && node postinstall.mjs >/dev/null)
cat > "$work/look.py" <<'PY'
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

WORK = Path(sys.argv[1])
PLUGIN = "export const Nothing = async () => ({})\n"
asked_at = []


class Model(http.server.BaseHTTPRequestHandler):
    """Answers every request with one sentence."""

    def do_POST(self) -> None:
        asked_at.append(time.monotonic())
        self.rfile.read(int(self.headers["Content-Length"]))
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


def prepare() -> Path:
    """Make a home with a model on loopback and no registry."""
    home = WORK / "home"
    config = home / ".config" / "opencode"
    config.mkdir(parents=True)
    here = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "here",
        "options": {"baseURL": f"http://127.0.0.1:{model.server_address[1]}/v1", "apiKey": "none"},
        "models": {"some": {"name": "Some", "tool_call": True}},
    }
    settings = {
        "autoupdate": False,
        "share": "disabled",
        "model": "here/some",
        "small_model": "here/some",
        "enabled_providers": ["here"],
        "provider": {"here": here},
    }
    (config / "opencode.json").write_text(json.dumps(settings))
    (home / ".npmrc").write_text("registry=http://127.0.0.1:9/\n")
    ask(home)  # the first start of all makes a database
    return home


def ask(home: Path) -> str:
    """Ask once; return how long it took until the model was asked, and what was said of it."""
    asked_at.clear()
    began = time.monotonic()
    done = subprocess.run(
        [WORK / "node_modules/.bin/opencode", "run", "-m", "here/some", "What is there?"],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "OPENCODE_DISABLE_MODELS_FETCH": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    told = "plugin" in done.stdout + done.stderr or "npm" in done.stdout + done.stderr
    when = "within a minute" if asked_at[0] - began < 60 else "after more than a minute"
    return f"asks {when}, {'says why' if told else 'says nothing of it'}"


home = prepare()
print(f"no plugin: {ask(home)}", flush=True)
(home / ".config/opencode/plugin").mkdir()
(home / ".config/opencode/plugin/nothing.js").write_text(PLUGIN)
print(f"a plugin of one line: {ask(home)}", flush=True)
print(f"once more: {ask(home)}", flush=True)
PY
python3 "$work/look.py" "$work" | tee "$work/seen"
diff <(sed -n 's/^#   //p' "$0") "$work/seen" && echo "as described"
