"""A group of commands whose help says of each command its whole first sentence."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

_WHOLE = 1_000
"""Characters; a sentence is wrapped instead of cut."""


class Group(TyperGroup):
    """Lists its commands under each other, a long sentence on several lines."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(_WHOLE)) for name, command in found if command]
            )
