"""What the demo's agent does: scenes of steps, and the orders and outcomes of a led agent."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of one tool, and the seconds the agent thinks about its answer."""

    server: Literal["workshop", "memory"]
    tool: str
    arguments: dict[str, Any] = {}
    pause: float = 3.0


class Scene(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Steps that belong together; `kind` tells whether some of them wait for a person."""

    kind: Literal["reading", "writing"]
    about: str
    steps: tuple[Step, ...]


class Order(msgspec.Struct, frozen=True):
    """What a led agent is to call; without a tool it lists the server's tools."""

    id: int
    server: str
    tool: str
    arguments: dict[str, Any] = {}


class Outcome(msgspec.Struct, frozen=True):
    """What came of a call: the text for the model, and the gateway's decision where it is told."""

    id: int
    server: str
    tool: str
    error: bool
    text: str
    decision: str


def load_script(file: Path) -> tuple[Scene, ...]:
    """Read the scenes of a script, one a line."""
    lines = file.read_bytes().splitlines()
    return tuple(msgspec.json.decode(line, type=Scene) for line in lines if line.strip())
