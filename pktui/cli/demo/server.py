"""The demo's second server: a small workshop on one directory, as a real MCP server on stdio.

Run with `python -m pktui.cli.demo.server DIRECTORY`. Everything it changes is inside that
directory, which the demo makes and removes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import ToolAnnotations

# How long a run of the project's tests may take.
TEST_SECONDS = 30
# Lines that a search answers with at most.
FOUND_LIMIT = 20

READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
WRITES = ToolAnnotations(read_only_hint=False, destructive_hint=False, open_world_hint=False)
DESTROYS = ToolAnnotations(read_only_hint=False, destructive_hint=True, open_world_hint=False)


class Workshop:
    """The tools, on the files of one project."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def list_files(self) -> str:
        """List the files of the project."""
        return "\n".join(self._name(file) for file in self._files())

    def read_file(self, path: str) -> str:
        """Read one file of the project."""
        file = self._inside(path)
        if not file.is_file():
            raise ToolError(f"There is no file {path}. list_files shows what there is.")
        return file.read_text()

    def search_code(self, text: str) -> str:
        """Find the lines of the project that contain a text."""
        found = [
            f"{self._name(file)}:{number}: {line.strip()}"
            for file in self._files()
            for number, line in enumerate(file.read_text().splitlines(), 1)
            if text in line
        ]
        more = [f"… and {len(found) - FOUND_LIMIT} more"] if len(found) > FOUND_LIMIT else []
        return "\n".join(found[:FOUND_LIMIT] + more) or f"No line contains {text!r}."

    def run_tests(self) -> str:
        """Run the tests of the project and say how they went."""
        try:
            ended = subprocess.run(
                [sys.executable, "-B", "-m", "unittest", "discover", "-v", "-t", "."],
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ToolError(f"The tests took longer than {TEST_SECONDS} seconds.") from error
        return ended.stderr.strip()

    def write_file(self, path: str, content: str) -> str:
        """Write one file of the project, the whole of it."""
        file = self._inside(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return f"Wrote {len(content.splitlines())} lines to {self._name(file)}."

    def deploy(self, environment: str, version: str, checked: str | None = None) -> str:
        """Deploy a version of the project to an environment; say what was checked before."""
        number = self._note("deployments.txt", f"{environment} {version} ({checked or '-'})")
        return f"Deployment {number}: {version} is on {environment}."

    def delete_branch(self, name: str) -> str:
        """Delete a branch of the project, for good."""
        file = self.root / "branches.txt"
        branches = file.read_text().splitlines()
        if name not in branches:
            raise ToolError(f"There is no branch {name}.")
        file.write_text("\n".join(branch for branch in branches if branch != name) + "\n")
        return f"Deleted {name}."

    def rotate_keys(self) -> str:
        """Replace every signing key of the project."""
        return f"Rotated the keys, {self._note('keys.txt', 'rotated')} times by now."

    def query_database(self, sql: str) -> str:
        """Run a query on the production database."""
        raise ToolError(f"The workshop has no database to run {sql!r} on.")

    def _files(self) -> list[Path]:
        kept = (file for file in self.root.rglob("*") if file.is_file())
        return sorted(file for file in kept if file.suffix != ".pyc")

    def _name(self, file: Path) -> str:
        return file.relative_to(self.root).as_posix()

    def _inside(self, path: str) -> Path:
        file = (self.root / path).resolve()
        if not file.is_relative_to(self.root):
            raise ToolError(f"{path} is outside of the project.")
        return file

    def _note(self, name: str, line: str) -> int:
        file = self.root / name
        with file.open("a") as out:
            out.write(f"{line}\n")
        return len(file.read_text().splitlines())


def build(root: Path) -> MCPServer:
    """Return the server over the project in a directory."""
    workshop = Workshop(root)
    server: MCPServer = MCPServer("workshop", version="1.0", log_level="WARNING")
    for hints, tools in (
        (READS, (workshop.list_files, workshop.read_file, workshop.search_code)),
        (READS, (workshop.run_tests, workshop.query_database)),
        (WRITES, (workshop.write_file, workshop.deploy)),
        (DESTROYS, (workshop.delete_branch, workshop.rotate_keys)),
    ):
        for tool in tools:
            server.add_tool(tool, annotations=hints, structured_output=False)
    return server


if __name__ == "__main__":
    build(Path(sys.argv[1])).run("stdio")
