from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from mcp import Client
from mcp_types import TextContent

from pktui.cli.demo.server import FOUND_LIMIT, build
from pktui.settings import bundled


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return Path(shutil.copytree(bundled("assets", "demo", "workshop"), tmp_path / "project"))


async def call(project: Path, tool: str, **arguments: str) -> tuple[bool, str]:
    async with Client(build(project)) as client:
        result = await client.call_tool(tool, arguments)
    (part,) = result.content
    assert isinstance(part, TextContent)
    assert result.structured_content is None
    return bool(result.is_error), part.text


async def test_every_tool_says_what_it_does(project: Path) -> None:
    async with Client(build(project)) as client:
        tools = (await client.list_tools()).tools
    assert len(tools) == 9
    for tool in tools:
        assert tool.description
        assert tool.annotations is not None
    destroying = {one.name for one in tools if one.annotations and one.annotations.destructive_hint}
    assert destroying == {"delete_branch", "rotate_keys"}


async def test_the_tests_of_the_project_run(project: Path) -> None:
    failed, text = await call(project, "run_tests")
    assert not failed
    assert text.endswith("OK")
    assert "Ran 3 tests" in text


async def test_a_file_that_was_written_is_read_and_found(project: Path) -> None:
    failed, said = await call(project, "write_file", path="notes/a.md", content="one\nneedle\n")
    assert (failed, said) == (False, "Wrote 2 lines to notes/a.md.")
    assert await call(project, "read_file", path="notes/a.md") == (False, "one\nneedle\n")
    assert await call(project, "search_code", text="needle") == (False, "notes/a.md:2: needle")


async def test_a_search_is_cut_and_says_so(project: Path) -> None:
    (project / "long.txt").write_text("needle\n" * (FOUND_LIMIT + 3))
    _, text = await call(project, "search_code", text="needle")
    assert text.endswith("… and 3 more")


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("read_file", {"path": "../outside.txt"}, "outside of the project"),
        ("read_file", {"path": "/etc/hostname"}, "outside of the project"),
        ("read_file", {"path": "none.txt"}, "list_files"),
        ("write_file", {"path": "../outside.txt", "content": "x"}, "outside of the project"),
        ("delete_branch", {"name": "none"}, "no branch none"),
        ("query_database", {"sql": "SELECT 1"}, "no database"),
    ],
)
async def test_what_cannot_be_done_is_an_error_that_says_why(
    tool: str, arguments: dict[str, str], said: str, project: Path
) -> None:
    failed, text = await call(project, tool, **arguments)
    assert failed
    assert said in text
    assert not (project.parent / "outside.txt").exists()


async def test_what_is_deployed_deleted_and_rotated_stays_in_the_project(project: Path) -> None:
    _, deployed = await call(project, "deploy", environment="staging", version="4.2")
    assert deployed == "Deployment 1: 4.2 is on staging."
    _, deleted = await call(project, "delete_branch", name="release/4.2")
    assert deleted == "Deleted release/4.2."
    assert "release/4.2" not in (project / "branches.txt").read_text()
    _, rotated = await call(project, "rotate_keys")
    assert "1 times" in rotated
