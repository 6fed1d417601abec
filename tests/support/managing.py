"""Managed policies in a directory of the test, and programs that take it for root's."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

# The constant is changed inside the process: what is installed has no option for it.
_MAIN = """
import sys
from pathlib import Path
import pktui.policy.managed
pktui.policy.managed.DIRECTORY = Path(sys.argv.pop(1))
from pktui.cli.entry import main
main()
"""


def manage(directory: Path, name: str, **document: Any) -> Path:
    """Write a managed policy; its default is `allow`, so that it alone changes nothing."""
    directory.mkdir(exist_ok=True)
    file = directory / f"{name}.json"
    file.write_text(json.dumps({"version": "1", "default": "allow", "tools": {}, **document}))
    return file


def command_under(directory: Path, *words: str) -> list[str]:
    """Return the command of a `pktui` whose managed policies are in that directory."""
    return [sys.executable, "-c", _MAIN, str(directory), *words]
