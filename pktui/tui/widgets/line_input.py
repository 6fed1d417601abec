"""A box for one line of text, whatever is pasted into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.widgets import Input

from pktui.text import has_hidden

if TYPE_CHECKING:
    from textual import events


class LineInput(Input):
    """Takes a paste as one line: breaks and tabs are spaces, what cannot be seen stays out."""

    def on_paste(self, event: events.Paste) -> None:
        """Put what was pasted at the cursor, in place of what is selected."""
        event.prevent_default()
        event.stop()
        self.replace(plain_line(event.text), *self.selection)


def plain_line(text: str) -> str:
    """Return the text on one line, without control, bidirectional and invisible characters."""
    return "".join(sign for sign in " ".join(text.split()) if not has_hidden(sign))
